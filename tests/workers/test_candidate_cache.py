"""Candidates of earlier jobs: a larger budget starts from them, and nothing chooses among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import pytest
import redis

from router.config.cache import Cache
from router.types import Bin, Job, Outcome, Sampling, Stopping, StrategyName, StrategySpec, Task
from tests.workers.jobs import alternative, job, judge, model, plan_of, probing_plan
from workers.candidate_cache import CandidateCache
from workers.engines.scripted import ScriptedEngine
from workers.executor import run
from workers.protocols import Cancellation, Prompt, Scores
from workers.verifiers.scripted import ScriptedVerifier

WINDOWED = Stopping("none")


class Drawn(ScriptedEngine):
    """Numbers its samples, over all batches; with a seed sample i is number seed + i."""

    def __init__(self, first: int = 0) -> None:
        numbers = count(first)
        super().__init__(
            lambda _prompt, index, seed: f"It is {seed + index if seed else next(numbers)}.", model="tiny"
        )


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def _cache(client: redis.Redis, *, weights: str = "w1", prm: str = "v1", **settings: int) -> CandidateCache:
    return CandidateCache(client, Cache(**settings), {"tiny": weights}, {"judge": prm})  # type: ignore[arg-type]


def _play(
    cache: CandidateCache | None,
    of: Job,
    engine: ScriptedEngine,
    verifier: ScriptedVerifier | None = None,
    cancellation: Cancellation | None = None,
) -> Outcome:
    verifier = verifier or judge(lambda _: 0.5)
    return run(
        of,
        {"tiny": model(engine)},
        {verifier.name: verifier},
        lambda _: None,
        cancellation or Cancellation(),
        None,
        cache,
    )


def _shared(of: Job, scope: str | None = "ada") -> Job:
    return replace(of, cache_scope=scope)


def _probe(samples: int, **of: object) -> Job:
    """A probe of so many samples, and the choice among them."""
    spec = StrategySpec("best_of_n_weighted", samples, stopping=WINDOWED)
    return _shared(job(probing_plan(alternative(spec), probe_samples=samples), **of))  # type: ignore[arg-type]


def _search(name: StrategyName, samples: int, stopping: Stopping = WINDOWED, **of: object) -> Job:
    """A search without a probe."""
    spec = StrategySpec(name, samples, stopping=stopping)
    return _shared(job(plan_of(alternative(spec), verifier="judge"), **of))  # type: ignore[arg-type]


def _calls(outcome: Outcome) -> dict[str, int]:
    return {line.purpose: line.calls for line in outcome.usage}


def _batches(engine: ScriptedEngine) -> list[int]:
    return [len(prompts) for prompts, _ in engine.calls]


def test_a_larger_probe_adds_what_the_smaller_one_lacks(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    first = _play(cache, _probe(8), engine)
    assert _calls(first) == {"probe": 8, "verifier": 8}
    second = _play(cache, _probe(16), engine)
    assert _batches(engine) == [8, 8]
    assert _calls(second) == {"cache": 8, "probe": 8, "verifier": 8}
    assert second.samples == 16
    third = _play(cache, _probe(12), engine)
    assert _batches(engine) == [8, 8]
    assert _calls(third) == {"cache": 12}
    assert all(line.total_tokens == 0 for line in third.usage)
    assert third.decision is not None
    assert second.decision is not None
    assert third.decision.evidence is not None
    assert second.decision.evidence is not None
    assert third.decision.evidence == second.decision.evidence.first(12)  # in the order they were drawn


def test_stages_of_a_probe_go_on_where_the_tape_ends(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(6), engine)
    plan = _probe(16).plan
    staged = replace(plan, stages=(replace(plan.stages[0], samples=4, branches=()), *plan.stages))
    outcome = _play(cache, _shared(job(staged)), engine)
    assert _calls(outcome) == {"cache": 6, "probe": 10, "verifier": 10}
    assert _batches(engine) == [6, 10]


def test_a_search_after_a_cached_probe_starts_from_its_candidates(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(8), engine)
    outcome = _play(cache, _search("best_of_n_weighted", 12), engine)
    assert _batches(engine) == [8, 4]
    assert _calls(outcome) == {"cache": 8, "candidate": 4, "verifier": 4}
    again = _play(cache, _probe(12), engine)  # and a probe from what a search drew
    assert _calls(again) == {"cache": 12}
    assert again.decision is not None
    assert again.decision.evidence is not None
    assert len(again.decision.evidence.completion_tokens) == 12


def test_votes_share_with_votes(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(4), engine)
    assert _calls(_play(cache, _search("majority", 6), engine)) == {"candidate": 6}
    assert _calls(_play(cache, _search("majority", 8), engine)) == {"cache": 6, "candidate": 2}


@pytest.mark.parametrize("name", ["beam", "revisions", "reflect"])
def test_other_searches_start_from_the_probe_alone(client: redis.Redis, name: StrategyName) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(8), engine)
    outcome = _play(cache, _search(name, 8), engine)
    assert "cache" not in _calls(outcome)


def test_a_batch_that_a_rule_may_cut_short_is_not_kept(client: redis.Redis) -> None:
    """What it left would be the samples of prompts on which they disagree."""
    cache, engine = _cache(client), Drawn()
    leader = _search("best_of_n_weighted", 8, Stopping("leader"))
    first = _play(cache, leader, engine)
    assert first.samples == 8
    assert _calls(_play(cache, leader, engine)).get("cache") is None
    window = _search("best_of_n_weighted", 8, Stopping("window", window=4))
    _play(cache, window, engine)
    assert _calls(_play(cache, leader, engine))["cache"] == 8


def test_a_batch_that_the_deadline_cut_short_is_not_kept(client: redis.Redis) -> None:
    cache = _cache(client)

    class Late(ScriptedVerifier):
        def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
            cancellation.deadline_monotonic_s = 0.0
            return super().score(turns, task)

    cancellation = Cancellation()
    late = Late(lambda text: [0.5], name="judge")
    plan = _probe(8).plan
    staged = replace(plan, stages=(replace(plan.stages[0], samples=4, branches=()), *plan.stages))
    broken = _play(cache, _shared(job(staged)), Drawn(), late, cancellation)
    assert broken.broken_off
    assert _calls(_play(cache, _probe(8), Drawn()))["cache"] == 4  # the stage before was whole


def test_a_batch_that_failed_is_not_kept_and_the_next_may_begin(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    engine.fail_with = "no memory"
    assert _play(cache, _probe(4), engine).status == "failed"
    engine.fail_with = None
    assert _calls(_play(cache, _probe(4), engine)) == {"probe": 4, "verifier": 4}
    assert _calls(_play(cache, _probe(4), engine)) == {"cache": 4}


def test_of_two_at_once_the_first_to_begin_is_kept_and_not_the_first_to_end(client: redis.Redis) -> None:
    """Else the shorter samples would be the ones that are used again."""
    cache = _cache(client)
    quick = Drawn(100)
    heard: list[Outcome] = []

    def meanwhile(prompt: Prompt, index: int, _seed: int) -> str:
        if index == 0:
            heard.append(_play(cache, _probe(4), quick))
        return f"It is {index}."

    slow = ScriptedEngine(meanwhile, model="tiny")
    _play(cache, _probe(4), slow)
    assert _calls(heard[0]) == {"probe": 4, "verifier": 4}
    again = _play(cache, _probe(4), Drawn(200))
    assert _calls(again) == {"cache": 4}
    assert again.decision is not None
    assert again.decision.evidence is not None
    assert again.decision.evidence.answers == tuple(f"it is {at}" for at in range(4))


def test_a_seed_shares_with_the_same_seed_and_every_sample_has_its_own(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(4, sampling=Sampling(seed=7)), engine)
    larger = _play(cache, _probe(8, sampling=Sampling(seed=7)), engine)
    assert [params.seed for _, params in engine.calls] == [7, 11]
    assert larger.decision is not None
    assert larger.decision.evidence is not None
    assert larger.decision.evidence.answers == tuple(f"it is {seed}" for seed in range(7, 15))
    for other in (Sampling(seed=8), Sampling()):
        assert _calls(_play(cache, _probe(4, sampling=other), engine)) == {"probe": 4, "verifier": 4}


@pytest.mark.parametrize(
    "other",
    [
        {"sampling": Sampling(temperature=0.3)},
        {"sampling": Sampling(top_p=0.5)},
        {"sampling": Sampling(max_tokens=9)},
        {"sampling": Sampling(stop=("!",))},
        {"task": Task("number")},
        {"task": Task(key="7")},
    ],
)
def test_what_is_sampled_or_judged_otherwise_is_another_tape(
    client: redis.Redis, other: dict[str, object]
) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(4), engine)
    assert "cache" not in _calls(_play(cache, _probe(4, **other), engine))
    assert _calls(_play(cache, _probe(4, **other), engine)) == {"cache": 4}


def test_other_weights_verifiers_prompts_and_tenants_are_other_tapes(client: redis.Redis) -> None:
    engine = Drawn()
    _play(_cache(client), _probe(4), engine)
    for cache in (_cache(client, weights="w2"), _cache(client, prm="v2")):
        assert "cache" not in _calls(_play(cache, _probe(4), engine))
    asked = _probe(4)
    other = replace(asked, query=replace(asked.query, messages=({"role": "user", "content": "?"},)))
    assert "cache" not in _calls(_play(_cache(client), other, engine))
    assert "cache" not in _calls(_play(_cache(client), _shared(asked, "bob"), engine))
    assert _calls(_play(_cache(client), asked, engine)) == {"cache": 4}


def test_without_a_scope_or_a_cache_nothing_is_kept(client: redis.Redis) -> None:
    engine = Drawn()
    _play(_cache(client), _shared(_probe(4), None), engine)
    _play(None, _probe(4), engine)
    assert client.keys("*") == []


def test_scores_that_compare_the_turns_of_a_batch_are_not_kept(client: redis.Redis) -> None:
    cache, engine = _cache(client), Drawn()
    for _ in range(2):
        outcome = _play(cache, _probe(4), engine, judge(lambda _: 0.5, compares_turns=True))
        assert "cache" not in _calls(outcome)


def test_what_leads_to_the_large_model_is_kept_too(client: redis.Redis) -> None:
    large = alternative(StrategySpec("direct"), route="large", model="huge")
    plan = probing_plan(dict.fromkeys(Bin, large), probe_samples=4)
    cache, engine = _cache(client), Drawn()
    for calls in ({"probe": 4, "verifier": 4}, {"cache": 4}):
        outcome = _play(cache, _shared(job(plan)), engine)
        assert (outcome.status, _calls(outcome)) == ("escalate", calls)


def test_tapes_expire_and_keep_within_their_bytes(client: redis.Redis) -> None:
    cache, engine = _cache(client, ttl_s=60, max_bytes=4000), Drawn()
    for temperature in range(1, 11):
        _play(cache, _probe(4, sampling=Sampling(temperature=temperature / 10)), engine)
    tapes = client.keys("gradus:candidates:tape:*")
    assert 1 < len(tapes) < 10
    assert all(0 < client.ttl(tape) <= 60 for tape in tapes)
    assert int(client.get("gradus:candidates:total") or 0) <= 4000


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"text": 7}', b"\xff"])
def test_a_damaged_tape_is_not_read(client: redis.Redis, damage: bytes) -> None:
    cache, engine = _cache(client), Drawn()
    _play(cache, _probe(4), engine)
    (tape,) = client.keys("gradus:candidates:tape:*")
    client.execute_command("LSET", tape, 2, damage)  # type: ignore[no-untyped-call]
    outcome = _play(cache, _probe(4), engine)
    assert (outcome.status, _calls(outcome)) == ("answered", {"probe": 4, "verifier": 4})


def test_without_redis_everything_is_drawn() -> None:
    away = redis.Redis.from_url("unix:///nowhere/redis.sock")
    outcome = _play(_cache(away), _probe(4), Drawn())
    assert (outcome.status, _calls(outcome)) == ("answered", {"probe": 4, "verifier": 4})
