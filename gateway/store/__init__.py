"""The database: keys and teams, the journal of what was billed, and the heartbeats of gateways.

Everything here is synchronous and may be called from any thread; SQLAlchemy is only loaded by who uses it.
"""
