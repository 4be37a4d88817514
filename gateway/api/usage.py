"""``GET /v1/gradus/usage``: what was used and what it came to; a key sees its own, the admin everybody's."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.accounts import Account
from gateway.api import admin_examples
from gateway.api.stored import ask_store, database_of
from gateway.auth import account_of, auth_of
from gateway.errors import NotAllowed
from gateway.schemas import checked
from gateway.store import keys, teams
from gateway.store.report import as_csv, report, total
from gateway.store.usage import Dimension, Wanted

router = APIRouter(tags=["gradus"])


def _once(by: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    return tuple(dict.fromkeys(by))


class UsageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    group_by: Annotated[
        tuple[Dimension, ...],
        BeforeValidator(lambda text: tuple(word.strip() for word in text.split(",") if word.strip())),
        AfterValidator(_once),
    ] = ()
    since: date | None = Field(None, alias="from")
    until: date | None = Field(None, alias="to")
    key: str | None = None
    team: str | None = None
    format: Literal["json", "csv"] = "json"


class UsageReport(BaseModel):
    """``data`` has a row a group: its names, counts, and money as decimals in text."""

    object: Literal["gradus.usage"]
    since: date | None = Field(alias="from")
    until: date | None = Field(alias="to")
    group_by: list[Dimension]
    data: list[dict[str, Any]]
    total: dict[str, Any]


@router.get(
    "/v1/gradus/usage",
    summary="What was used, and what it came to",
    response_model=UsageReport,
    responses={
        200: {
            "content": {
                "application/json": {"example": admin_examples.USAGE},
                "text/csv": {"schema": {"type": "string"}, "example": admin_examples.USAGE_CSV},
            }
        },
        **admin_examples.ERRORS,
    },
    openapi_extra=admin_examples.USAGE_PARAMETERS,
)
async def usage(request: Request) -> Response:
    """Whole days in UTC, both ends included. What is under way is not in it yet; a cached answer costs 0."""
    account = None if auth_of(request).is_admin(request) else account_of(request)
    given = dict(request.query_params)
    if "group_by" in given:
        given["group_by"] = ",".join(request.query_params.getlist("group_by"))
    asked = checked(UsageQuery, given)
    wanted = await _wanted(request, account, asked)
    database = database_of(request)
    rows = await ask_store(report, database, asked.group_by, wanted)
    if asked.format == "csv":
        return Response(as_csv(rows, asked.group_by), media_type="text/csv")
    body = {
        "object": "gradus.usage",
        "from": asked.since,
        "to": asked.until,
        "group_by": asked.group_by,
        "data": rows,
        "total": await ask_store(total, database, wanted),
    }
    return Response(to_json(body), media_type="application/json")


async def _wanted(request: Request, account: Account | None, asked: UsageQuery) -> Wanted:
    """Whose usage it is; without an account the admin's choice. Raises :class:`NotAllowed` for others'."""
    if account is not None and account.key is not None:
        if asked.key is not None or asked.team is not None:
            raise NotAllowed(
                "Only the admin may choose whose usage it is; leave out key and team.",
                code="admin_only",
                param="key" if asked.key is not None else "team",
            )
        return Wanted(asked.since, asked.until, key_id=account.key.id)
    database, key_id, team_id = database_of(request), None, None
    if asked.key is not None:
        key_id = (await ask_store(keys.get_key, database, asked.key)).key.id
    if asked.team is not None:
        team_id = (await ask_store(teams.get_team, database, asked.team)).team.id
    return Wanted(asked.since, asked.until, key_id, team_id)
