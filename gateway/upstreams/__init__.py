"""Large models behind servers: balanced, asked again, replaced by fallbacks, with every failure named.

Engine ``openai`` is a plain HTTP call to an OpenAI-compatible server; engine ``litellm`` speaks everybody
else's protocol. Both give OpenAI's JSON objects, so whatever field a server adds reaches the client.
docs/servers.md says what is asked again, and when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.errors import DeadlineExceeded, GatewayError
from gateway.telemetry.metrics import retried
from gateway.upstreams.configured import UpstreamModel
from gateway.upstreams.counted import calling
from gateway.upstreams.deployments import Place, Pool, using
from gateway.upstreams.litellm_models import LiteLLMModels
from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Call, Refusal, Said, Unreachable, UpstreamEngine
from gateway.upstreams.reading import Calls, Reading
from gateway.upstreams.retrying import MAX_WAIT_S, WORKED_STATUSES, Again, again, backoff_s
from gateway.upstreams.saying import busy, left_alone, named, too_late
from router.config import Config, Endpoint, LiteLLMModel, OpenAIModel

__all__ = ["Calls", "Listening", "Question", "Reading", "Said", "Upstreams"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model, by its configured name; ``deadline_s`` is on the event loop's clock.

    ``calls`` fill up, and are right whenever the asking ends, cancelled too.
    """

    model: str
    body: Mapping[str, Any]
    deadline_s: float
    calls: Calls
    endpoint: Endpoint = "chat"


class Listening(Protocol):
    """Who hears of a stream. ``model`` is the one that answers: it may be a fallback."""

    def opens(self, model: str) -> None:
        """Before the first event: up to then a failure is an error like any other."""
        ...

    async def hears(self, said: Sequence[Said]) -> None:
        """What came in at once. Nothing more is read until this returns."""
        ...


_Use = Callable[[UpstreamEngine, Call, Reading], Awaitable[Said | None]]


class _Exhausted(Exception):
    """All deployments of a model failed, for a reason that another model may not have."""

    def __init__(self, error: GatewayError) -> None:
        self.error = error


class Upstreams:
    """All configured models that servers answer. ``environ`` holds the API keys, under configured names.

    To be made in the event loop that it is used in. ``clock``, ``sleep`` and ``share`` (0 to 1, for jitter)
    are there for tests.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._models = {
            name: UpstreamModel(name, model, environ, clock)
            for name, model in config.models.items()
            if isinstance(model, OpenAIModel | LiteLLMModel)
        }
        self._sleep, self._share, self._loop = sleep, share, asyncio.get_running_loop()
        self._engines: dict[str, UpstreamEngine] = {"openai": OpenAIServers(), "litellm": LiteLLMModels()}

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()

    def missing_keys(self) -> dict[str, str]:
        """The models that cannot be asked everywhere, and the environment variables that they lack."""
        return {
            name: ", ".join(model.missing_keys) for name, model in self._models.items() if model.missing_keys
        }

    def resting(self) -> dict[tuple[str, str], bool]:
        """By model and deployment: whether it is left alone for a while."""
        return {
            (name, place.name): model.pool.rests(place)
            for name, model in self._models.items()
            for place in model.pool.places
        }

    async def complete(self, question: Question) -> Said:
        """Ask for a whole answer.

        Raises :class:`BadRequest`, :class:`KeyMissing`, :class:`UpstreamError` or :class:`DeadlineExceeded`.
        """

        async def use(engine: UpstreamEngine, call: Call, reading: Reading) -> Said:
            said = await engine.complete(call)
            choices = said.data.get("choices")
            if question.endpoint in ("chat", "completions") and not (isinstance(choices, list) and choices):
                raise Unreachable("it answered without choices")
            _see(reading, said)
            return said

        said = await self._ask(question, use)
        assert said is not None
        return said

    async def stream(self, question: Question, listening: Listening) -> None:
        """As :meth:`complete`, event by event."""

        async def use(engine: UpstreamEngine, call: Call, reading: Reading) -> None:
            first_s = self._models[reading.model].config.timeouts.first_token_s
            async with aclosing(engine.stream(call)) as events:
                try:
                    async with asyncio.timeout(first_s):
                        said = await anext(events, None)
                except TimeoutError as error:
                    raise _slow(first_s, "timeouts.first_token_s") from error
                if said is None:
                    raise Unreachable("it ended its stream without an answer")
                while said is not None:
                    for each in said:
                        is_first = not reading.opened
                        _see(reading, each)
                        if is_first:
                            listening.opens(reading.model)
                    await listening.hears(said)
                    said = await anext(events, None)

        await self._ask(question, use)

    async def _ask(self, question: Question, use: _Use) -> Said | None:
        """The model, else its fallbacks; where all of them fail, the error is what became of the model."""
        failed: GatewayError | None = None
        names = (question.model, *self._models[question.model].config.fallbacks)
        last_resort = self._last_resort(names, question)
        for name in names:
            model = self._models[name]
            try:
                if (objection := model.objection(question.endpoint, question.body)) is not None:
                    raise objection
                return await self._ask_model(model, question, use, whatever=name == last_resort)
            except _Exhausted as exhausted:
                failed = failed or exhausted.error
                question.calls.why_others = f"{question.model} did not answer: {failed}"
                if not question.calls.may_go_on:
                    break
            except GatewayError as error:
                if failed is None or question.calls.answer or isinstance(error, DeadlineExceeded):
                    raise  # else: this fallback cannot be asked such a thing
        assert failed is not None
        raise failed

    def _last_resort(self, names: Sequence[str], question: Question) -> str | None:
        """Where all of these are left alone, the one that will be free first: somebody has to be asked."""
        able: list[str] = []
        for name in names:
            model = self._models[name]
            if model.objection(question.endpoint, question.body) is None:
                if model.pool.wait_s() <= 0:
                    return None
                able.append(name)
        return min(able, key=lambda name: self._models[name].pool.rests_until_s(), default=None)

    async def _ask_model(
        self, model: UpstreamModel, question: Question, use: _Use, *, whatever: bool
    ) -> Said | None:
        """Each deployment once, then again those that may do better, as often as its retries allow."""
        pool, calls = model.pool, question.calls
        retries = model.retries
        tried: set[Place] = set()  # in this round
        useless: set[Place] = set()
        blamed: set[Place] = set()  # a request counts once against a deployment, however often it is repeated
        error: GatewayError | None = None
        for retry in range(retries + 1):
            place = pool.choose(tried, whatever=whatever and retry == 0)
            if place is None:
                break
            if retry:
                retried(model.name)
            reading = Reading(model.name, question.body, model.count, thinks=model.config.thinks)
            calls.made.append(reading)
            try:
                with using(place), calling(model.name, place.name):
                    return await self._call(model, place, question, reading, use, blamed)
            except (Refusal, Unreachable) as failure:
                error = named(model.name, place.deployed, failure, model.key_of(place))
                error.__cause__ = failure
                if reading.opened or again(failure) is Again.NOBODY:
                    raise error from failure
                if not calls.may_go_on:
                    break
                tried.add(place)
                if again(failure) is Again.OTHERS:
                    useless.add(place)
            if pool.wait_s(tried) > 0:
                tried = set(useless)
                wait_s = pool.wait_s(tried) + backoff_s(retry, self._share())
                left_s = question.deadline_s - self._loop.time()
                if wait_s > min(MAX_WAIT_S, left_s) or retry == retries:
                    break
                await self._sleep(wait_s)
        raise _Exhausted(error or _unasked(model))

    async def _call(
        self,
        model: UpstreamModel,
        place: Place,
        question: Question,
        reading: Reading,
        use: _Use,
        blamed: set[Place],
    ) -> Said | None:
        """Ask one deployment, once, and remember how it did: a failure, unless it is ``blamed`` already."""
        loop, total_s, pool = self._loop, model.config.timeouts.total_s, model.pool
        began_s = loop.time()
        until_s = question.deadline_s if total_s is None else min(question.deadline_s, began_s + total_s)
        engine = self._engines[model.config.engine]
        call = model.call(place, question.endpoint, question.body, reading)
        try:
            try:
                async with asyncio.timeout_at(until_s):
                    said = await use(engine, call, reading)
            except TimeoutError as error:
                if until_s < question.deadline_s:
                    raise _slow(total_s, "timeouts.total_s") from error
                if not reading.opened:
                    _blame(pool, place, blamed)  # it may hang
                raise too_late(model.name) from error
        except Unreachable as failure:
            _blame(pool, place, blamed)
            if failure.unsent:
                reading.refuse()
            raise
        except Refusal as refusal:
            if refusal.status not in WORKED_STATUSES:
                reading.refuse()
            if again(refusal) is Again.NOBODY:
                pool.worked(place)
            elif refusal.retry_after_s:
                pool.rest(place, refusal.retry_after_s)
            else:
                _blame(pool, place, blamed)
            raise
        finally:
            reading.seconds = loop.time() - began_s
        reading.whole = True
        pool.worked(place)
        if not reading.reported:
            await model.count.load()
        return said


def _blame(pool: Pool, place: Place, blamed: set[Place]) -> None:
    if place not in blamed:
        blamed.add(place)
        pool.failed(place)


def _unasked(model: UpstreamModel) -> GatewayError:
    """What becomes of a request whose model has no deployment that can be asked now."""
    full = any(place.is_full for place in model.pool.places)
    return busy(model.name) if full else left_alone(model.name, model.pool.wait_s())


def _slow(seconds: float | None, setting: str) -> Unreachable:
    """Of one call: it is a failure of its deployment."""
    return Unreachable(f"it took longer than {seconds:g} s ({setting})")


def _see(reading: Reading, said: Said) -> None:
    """Raises :class:`Unreachable` for JSON that is no answer of OpenAI's API."""
    try:
        reading.see(said.data)
    except (AttributeError, TypeError, KeyError) as error:
        raise Unreachable(f"its answer is not what OpenAI's API says: {error}") from error
