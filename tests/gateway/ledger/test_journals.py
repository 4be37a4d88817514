"""The journal that the ledger's own tests use does what every journal has to."""

from __future__ import annotations

from tests.gateway.ledger.journal_conformance import JournalConformance


class TestSqliteJournal(JournalConformance):
    """With the fixture of this folder."""
