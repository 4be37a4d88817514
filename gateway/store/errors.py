"""What can go wrong with the database and what is kept in it.

StoreError
├── DatabaseInvalid      its URL is wrong, its driver is missing, or a newer Gradus made its tables
├── DatabaseUnavailable  it cannot be reached, or answers too late
├── KeyNotFound          no such key, or more than one by this name
├── TeamNotFound         no such team
├── NameTaken            another team has this name
├── Revoked              what was revoked is not changed
└── InvoiceInvalid       a provider's invoice cannot be read, and where
"""

from __future__ import annotations

from router.errors import RouterError


class StoreError(RouterError):
    code = "database_error"


class DatabaseInvalid(StoreError):
    code = "database_invalid"


class DatabaseUnavailable(StoreError):
    code = "database_unavailable"


class KeyNotFound(StoreError):
    code = "key_not_found"


class TeamNotFound(StoreError):
    code = "team_not_found"


class NameTaken(StoreError):
    code = "name_taken"


class Revoked(StoreError):
    code = "revoked"


class InvoiceInvalid(StoreError):
    """``str()`` is ``FILE:LINE: what is wrong; what would be right``."""

    code = "invoice_invalid"
