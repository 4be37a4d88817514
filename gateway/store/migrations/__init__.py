"""What the tables looked like, step by step: run by :meth:`gateway.store.database.Database.upgrade`."""
