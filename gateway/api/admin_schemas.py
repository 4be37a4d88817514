"""What the admin interface takes and gives; the command line checks what it is told by the same schemas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictStr

from gateway.accounts import Limits
from gateway.bill import decimal_text
from gateway.store.keys import KeyFields, StoredKey
from gateway.store.teams import LimitChanges, StoredTeam, TeamFields
from router.config.limits import Budget
from router.config.limits import Limits as LimitsSection

Text = Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Value = Annotated[StrictStr, Field(max_length=1000, pattern=r"^[^\x00]*$")]
Names = Annotated[tuple[Text, ...], Field(max_length=1000)]
Tags = Annotated[dict[Text, Value], Field(max_length=64)]
# Those that every time zone can write.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeamChange(_Body):
    """What is not given stays; a limit that is ``null`` is taken away."""

    name: Text = ""
    limits: LimitsSection = LimitsSection()

    def fields(self) -> TeamFields:
        return cast(TeamFields, _given(self))


class TeamCreate(TeamChange):
    name: Text


class KeyChange(_Body):
    """What is not given stays; ``null`` takes a limit, the team, the expiry or a list of names away."""

    name: Text = ""
    team: Text | None = Field(None, description="Id or name of a team, whose limits then hold too")
    limits: LimitsSection = LimitsSection()
    models: Names | None = Field(None, description="Models that it may ask for by name; null: all")
    policies: Names | None = Field(None, description="Policies that it may ask for; null: all")
    tags: Tags = {}
    expires_at: Moment | None = None
    without_redis: Literal["refuse", "lease"] = Field(
        "refuse",
        description="While budgets cannot be looked up: refuse, or let a gateway spend lease_usd",
    )
    lease_usd: Budget = Decimal(0)

    def fields(self) -> KeyFields:
        return cast(KeyFields, _given(self))


class KeyCreate(KeyChange):
    name: Text


def _given(body: TeamChange | KeyChange) -> dict[str, Any]:
    """What was written, and no default."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "limits" in given:
        limits: LimitChanges = {name: getattr(body.limits, name) for name in body.limits.model_fields_set}
        given["limits"] = limits
    return given


class TeamObject(BaseModel):
    """``limits`` has those that are set; money is a decimal in text."""

    object: Literal["gradus.team"] = "gradus.team"
    id: str
    name: str
    limits: Mapping[str, str | int]
    created_at: datetime
    revoked_at: datetime | None


class KeyObject(BaseModel):
    """``secret`` is there once: in the answer that made it. After that ``hint`` is what is known of it."""

    object: Literal["gradus.key"] = "gradus.key"
    id: str
    name: str
    hint: str
    secret: str | None = None
    team: str | None = Field(description="The team's id")
    limits: Mapping[str, str | int]
    models: tuple[str, ...] | None
    policies: tuple[str, ...] | None
    tags: Mapping[str, str]
    expires_at: datetime | None
    expired: bool
    without_redis: str
    lease_usd: str
    created_at: datetime
    revoked_at: datetime | None


class TeamList(BaseModel):
    object: Literal["list"] = "list"
    data: list[TeamObject]


class KeyList(BaseModel):
    object: Literal["list"] = "list"
    data: list[KeyObject]


class Reloaded(BaseModel):
    object: Literal["gradus.reload"] = "gradus.reload"
    warnings: list[str]


def team_object(stored: StoredTeam) -> TeamObject:
    team = stored.team
    return TeamObject(
        id=team.id,
        name=team.name,
        limits=set_limits(team.limits),
        created_at=stored.created_at,
        revoked_at=stored.revoked_at,
    )


def key_object(stored: StoredKey, secret: str | None = None) -> KeyObject:
    key = stored.key
    return KeyObject(
        id=key.id,
        name=key.name,
        hint=key.hint,
        secret=secret,
        team=None if key.team is None else key.team.id,
        limits=set_limits(key.limits),
        models=key.models,
        policies=key.policies,
        tags=key.tags,
        expires_at=key.expires_at,
        expired=key.expires_at is not None and key.expires_at <= datetime.now(UTC),
        without_redis=key.without_redis,
        lease_usd=decimal_text(key.lease_usd) or "0",
        created_at=stored.created_at,
        revoked_at=stored.revoked_at,
    )


def set_limits(limits: Limits) -> dict[str, str | int]:
    """Those that there are."""
    named = {name: getattr(limits, name) for name in LimitsSection.model_fields}
    return {
        name: value if isinstance(value, int) else str(decimal_text(value))
        for name, value in named.items()
        if value is not None
    }
