"""What /docs and /openapi.json show of the admin interface and of usage."""

from __future__ import annotations

from typing import Any

from gateway.api import examples
from gateway.api.examples import error

_KEY: dict[str, Any] = {
    "name": "ci",
    "team": "research",
    "limits": {"usd_total": "20", "requests_per_minute": 60},
    "policies": ["default", "cheap"],
    "tags": {"repository": "gradus"},
    "expires_at": "2027-06-30T00:00:00Z",
}

BODIES: dict[str, dict[str, Any]] = {
    "KeyCreate": {"key": {"summary": "A key of a team, with a budget of its own", "value": _KEY}},
    "KeyChange": {
        "limits": {
            "summary": "Another budget, and no limit of requests",
            "value": {"limits": {"usd_total": "50", "requests_per_minute": None}},
        }
    },
    "TeamCreate": {
        "team": {
            "summary": "A team that may spend 200 USD a month",
            "value": {"name": "research", "limits": {"usd_per_month": "200"}},
        }
    },
    "TeamChange": {"limits": {"summary": "Another budget", "value": {"limits": {"usd_per_month": "500"}}}},
}

TEAM: dict[str, Any] = {
    "object": "gradus.team",
    "id": "team_5d0c2a7e91b4f638",
    "name": "research",
    "limits": {"usd_per_month": "200"},
    "created_at": "2026-11-22T10:00:00Z",
    "revoked_at": None,
}
KEY: dict[str, Any] = {
    **_KEY,
    "object": "gradus.key",
    "id": "key_03c7c7ffe1e50133",
    "hint": "gk-...3f2a",
    "secret": None,
    "team": TEAM["id"],
    "models": None,
    "expired": False,
    "without_redis": "refuse",
    "lease_usd": "0",
    "created_at": "2026-11-22T10:00:00Z",
    "revoked_at": None,
}
MADE: dict[str, Any] = {**KEY, "secret": "gk-the-secret-is-shown-here-and-nowhere-else-3f2a"}
KEYS: dict[str, Any] = {"object": "list", "data": [KEY]}
TEAMS: dict[str, Any] = {"object": "list", "data": [TEAM]}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


TEAM_FILTER = {"parameters": [_query("team", "Only this team's: its id or name", {"type": "string"})]}

USAGE_PARAMETERS = {
    "parameters": [
        _query(
            "group_by",
            "Any of key, team, model, policy, route, purpose, day, with commas; without: one sum",
            {"type": "string", "example": "day,model"},
        ),
        _query("from", "The first day, in UTC", {"type": "string", "format": "date"}),
        _query("to", "The last day, in UTC", {"type": "string", "format": "date"}),
        _query("key", "Only this key's: its id or name (for the admin)", {"type": "string"}),
        _query("team", "Only this team's: its id or name (for the admin)", {"type": "string"}),
        _query("format", "json, the default, or csv", {"type": "string", "enum": ["json", "csv"]}),
    ]
}

USAGE: dict[str, Any] = {
    "object": "gradus.usage",
    "from": "2026-11-01",
    "to": None,
    "group_by": ["day", "model"],
    "data": [
        {
            "day": "2026-11-22",
            "model": "abacus-small",
            "requests": 37,
            "calls": 592,
            "prompt_tokens": 1184,
            "completion_tokens": 20720,
            "cached_prompt_tokens": 0,
            "reasoning_tokens": 0,
            "usd": "0.0002886",
            "estimated_usd": "0",
        }
    ],
    "total": {
        "requests": 37,
        "calls": 592,
        "prompt_tokens": 1184,
        "completion_tokens": 20720,
        "cached_prompt_tokens": 0,
        "reasoning_tokens": 0,
        "usd": "0.0002886",
        "estimated_usd": "0",
    },
}

USAGE_CSV = """day,model,requests,calls,prompt_tokens,completion_tokens,cached_prompt_tokens,\
reasoning_tokens,usd,estimated_usd
2026-11-22,abacus-small,37,592,1184,20720,0,0,0.0002886,0
"""

_INVALID = "invalid_request_error"
ERRORS: dict[int | str, dict[str, Any]] = {
    400: error(
        "The body is not what it should be",
        _INVALID,
        "invalid_value",
        "Invalid 'limits.usd_per_day': input should be greater than or equal to 0.",
        "limits.usd_per_day",
    ),
    401: error(
        "No key, or one that nobody knows",
        _INVALID,
        "invalid_api_key",
        "There is no key: send the admin's in the header 'Authorization: Bearer ...'.",
    ),
    403: error(
        "Not the admin's key, or the interface is off", _INVALID, "admin_only", "This key is not the admin's."
    ),
    404: error(
        "No such key or team",
        _INVALID,
        "key_not_found",
        "there is no key 'ci'; `gradus keys list` shows those there are",
    ),
    409: error(
        "The name is taken, or what should change was revoked",
        _INVALID,
        "name_taken",
        "there is a team 'research' already; choose another name",
        "name",
    ),
    **{status: examples.ERRORS[status] for status in (408, 413, 415, 500)},
    503: error(
        "The database is away",
        "server_error",
        "database_unavailable",
        "The database is away; ask again in a moment.",
    ),
}
FILE_ERROR: dict[int | str, dict[str, Any]] = {
    422: error(
        "The file is wrong, or changes what a restart alone changes; nothing has changed",
        _INVALID,
        "config_invalid",
        "gradus.yaml:31: limits.usd_total: input should be greater than or equal to 0",
    )
}
