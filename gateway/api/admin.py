"""``/v1/gradus/admin``: keys, teams and a reload, for who has the admin's key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import ParamSpec, TypeVar

from fastapi import APIRouter
from starlette.requests import Request

from gateway.api import admin_examples, examples
from gateway.api.admin_schemas import (
    KeyChange,
    KeyCreate,
    KeyList,
    KeyObject,
    Reloaded,
    TeamChange,
    TeamCreate,
    TeamList,
    TeamObject,
    key_object,
    team_object,
)
from gateway.api.body import read_body, request_body
from gateway.api.stored import ask_store, database_of
from gateway.auth import auth_of
from gateway.schemas import checked, json_object
from gateway.store import keys, teams
from gateway.store.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")
B = TypeVar("B", KeyCreate, KeyChange, TeamCreate, TeamChange)

MAX_BODY_BYTES = 65_536

router = APIRouter(prefix="/v1/gradus/admin", tags=["admin"], responses=admin_examples.ERRORS)


@router.post(
    "/keys",
    summary="Create a key",
    status_code=HTTPStatus.CREATED,
    response_model=KeyObject,
    responses=examples.answer(admin_examples.MADE, 201),
    openapi_extra=request_body(admin_examples.BODIES["KeyCreate"], KeyCreate),
)
async def create_key(request: Request) -> KeyObject:
    """Its secret is in the answer, and nowhere else: keep it."""
    given = (await _read(request, KeyCreate)).fields()
    stored, secret = await _changed(request, keys.create_key, database_of(request), given)
    return key_object(stored, secret)


@router.get(
    "/keys",
    summary="List keys",
    response_model=KeyList,
    responses=examples.answer(admin_examples.KEYS),
    openapi_extra=admin_examples.TEAM_FILTER,
)
async def list_keys(request: Request) -> KeyList:
    """All, or those of `?team=`; revoked ones too."""
    auth_of(request).check_admin(request)
    team = request.query_params.get("team")
    found = await ask_store(keys.list_keys, database_of(request), team)
    return KeyList(data=[key_object(each) for each in found])


@router.get(
    "/keys/{key}",
    summary="Look up a key",
    response_model=KeyObject,
    responses=examples.answer(admin_examples.KEY),
)
async def get_key(request: Request, key: str) -> KeyObject:
    """By its id, or by a name that no other key has."""
    auth_of(request).check_admin(request)
    return key_object(await ask_store(keys.get_key, database_of(request), key))


@router.patch(
    "/keys/{key}",
    summary="Change a key",
    response_model=KeyObject,
    responses=examples.answer(admin_examples.KEY),
    openapi_extra=request_body(admin_examples.BODIES["KeyChange"], KeyChange),
)
async def change_key(request: Request, key: str) -> KeyObject:
    """Holds at once in the gateway that was asked, within two seconds in all others."""
    given = (await _read(request, KeyChange)).fields()
    return key_object(await _changed(request, keys.change_key, database_of(request), key, given))


@router.post(
    "/keys/{key}/rotate",
    summary="Give a key another secret",
    response_model=KeyObject,
    responses=examples.answer(admin_examples.MADE),
)
async def rotate_key(request: Request, key: str) -> KeyObject:
    """The old secret ends; the new one is in the answer, and nowhere else."""
    auth_of(request).check_admin(request)
    stored, secret = await _changed(request, keys.rotate_key, database_of(request), key)
    return key_object(stored, secret)


@router.delete(
    "/keys/{key}",
    summary="Revoke a key",
    response_model=KeyObject,
    responses=examples.answer(admin_examples.KEY),
)
async def revoke_key(request: Request, key: str) -> KeyObject:
    """For ever. What it spent stays in the journal."""
    auth_of(request).check_admin(request)
    return key_object(await _changed(request, keys.revoke_key, database_of(request), key))


@router.post(
    "/teams",
    summary="Create a team",
    status_code=HTTPStatus.CREATED,
    response_model=TeamObject,
    responses=examples.answer(admin_examples.TEAM, 201),
    openapi_extra=request_body(admin_examples.BODIES["TeamCreate"], TeamCreate),
)
async def create_team(request: Request) -> TeamObject:
    given = (await _read(request, TeamCreate)).fields()
    return team_object(await _changed(request, teams.create_team, database_of(request), given))


@router.get(
    "/teams", summary="List teams", response_model=TeamList, responses=examples.answer(admin_examples.TEAMS)
)
async def list_teams(request: Request) -> TeamList:
    auth_of(request).check_admin(request)
    found = await ask_store(teams.list_teams, database_of(request))
    return TeamList(data=[team_object(each) for each in found])


@router.get(
    "/teams/{team}",
    summary="Look up a team",
    response_model=TeamObject,
    responses=examples.answer(admin_examples.TEAM),
)
async def get_team(request: Request, team: str) -> TeamObject:
    """By its id or name."""
    auth_of(request).check_admin(request)
    return team_object(await ask_store(teams.get_team, database_of(request), team))


@router.patch(
    "/teams/{team}",
    summary="Change a team",
    response_model=TeamObject,
    responses=examples.answer(admin_examples.TEAM),
    openapi_extra=request_body(admin_examples.BODIES["TeamChange"], TeamChange),
)
async def change_team(request: Request, team: str) -> TeamObject:
    given = (await _read(request, TeamChange)).fields()
    return team_object(await _changed(request, teams.change_team, database_of(request), team, given))


@router.delete(
    "/teams/{team}",
    summary="Revoke a team and its keys",
    response_model=TeamObject,
    responses=examples.answer(admin_examples.TEAM),
)
async def revoke_team(request: Request, team: str) -> TeamObject:
    auth_of(request).check_admin(request)
    return team_object(await _changed(request, teams.revoke_team, database_of(request), team))


@router.post(
    "/reload",
    summary="Read the configuration again",
    response_model=Reloaded,
    responses=examples.answer({"object": "gradus.reload", "warnings": []}) | admin_examples.FILE_ERROR,
)
async def reload(request: Request) -> Reloaded:
    """Models, policies and limits as the file has them now; gateways that share the database follow. A file
    that is wrong changes nothing."""
    auth_of(request).check_admin(request)
    return Reloaded(warnings=await request.app.state.reload())


async def _read(request: Request, schema: type[B]) -> B:
    """What the admin wrote; of anybody else nothing is read."""
    auth_of(request).check_admin(request)
    raw = await read_body(request, MAX_BODY_BYTES)
    return checked(schema, json_object(raw, "a JSON object"))


async def _changed(request: Request, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it, and know of it here at once; elsewhere it is heard of."""
    done = await ask_store(change, *args, **kwargs)
    with suppress(StoreError):  # it is done; who it concerns hears of it later
        await auth_of(request).refresh()
    return done
