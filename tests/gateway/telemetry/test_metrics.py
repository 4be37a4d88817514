"""What /metrics says after requests that worked, failed and were refused."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.error_table import TABLE
from gateway.telemetry.metrics import known_code
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker, hard, until
from tests.gateway.upstream import UpstreamDouble

ADMIN = "the-admin's-own-key"
MESSAGES = [{"role": "user", "content": "What is 3 + 4?"}]


def scrape(url: str) -> Callable[..., float]:
    """Looks a value up among the metrics as they are now."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    samples = [sample for family in families for sample in family.samples]

    def value(name: str, **labels: str) -> float:
        wanted = labels.items()
        return sum(each.value for each in samples if each.name == name and wanted <= each.labels.items())

    return value


def ask(client: openai.OpenAI, model: str = "gradus") -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(model=model, messages=MESSAGES)  # type: ignore[arg-type]


def test_a_search_is_counted_by_route_stage_purpose_and_bin(
    client: openai.OpenAI, url: str, worker: ScriptedWorker
) -> None:
    before = scrape(url)
    ask(client)
    until(lambda: scrape(url)("gradus_strategies_total") > before("gradus_strategies_total"))
    after = scrape(url)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert (
        more("gradus_requests_total", policy="default", route="small", model="small", status="answered") == 1
    )
    assert more("gradus_http_requests_total", endpoint="/v1/chat/completions", status="200", code="") == 1
    for stage in ("plan", "cache", "reserve", "queue", "probe", "search", "total"):
        assert more("gradus_stage_seconds_count", stage=stage) == 1, stage
    assert more("gradus_stage_seconds_sum", stage="probe") == pytest.approx(0.1)
    assert more("gradus_tokens_total", purpose="probe", model="small", kind="completion") == 200
    assert more("gradus_tokens_total", purpose="verifier", model="prm", kind="prompt") == 300
    assert more("gradus_cost_usd_total", purpose="probe", model="small") == pytest.approx(0.00042)
    assert more("gradus_calls_total", purpose="candidate", model="small") == 4
    assert more("gradus_difficulty_total") == 1
    assert more("gradus_cache_requests_total", status="bypass") == 1


def test_calls_of_servers_are_counted_by_deployment_and_by_how_they_ended(
    client: openai.OpenAI, url: str, upstream: UpstreamDouble
) -> None:
    before = scrape(url)
    ask(client, "remote")
    upstream.status = 500
    with pytest.raises(openai.APIStatusError):
        ask(client, "remote")
    after = scrape(url)

    for outcome in ("answered", "refused"):
        labels = {"model": "remote", "outcome": outcome}
        assert (
            after("gradus_upstream_calls_total", **labels)
            == before("gradus_upstream_calls_total", **labels) + 1
        )
    failed = {"model": "", "status": "failed"}
    assert after("gradus_requests_total", **failed) == before("gradus_requests_total", **failed) + 1


def test_what_escalates_is_counted_at_the_large_model(
    client: openai.OpenAI, url: str, worker: ScriptedWorker
) -> None:
    before = scrape(url)
    worker.script = hard
    ask(client)
    after = scrape(url)

    labels = {"route": "large", "model": "big"}
    assert after("gradus_requests_total", **labels) == before("gradus_requests_total", **labels) + 1
    assert after("gradus_stage_seconds_count", stage="escalation") == 1 + before(
        "gradus_stage_seconds_count", stage="escalation"
    )


def test_what_clients_make_up_makes_no_new_labels(url: str) -> None:
    for number in range(20):
        httpx.get(f"{url}/made-up/{number}")
        httpx.post(f"{url}/v1/chat/completions", json={"model": f"made-up-{number}", "messages": MESSAGES})
    text = httpx.get(f"{url}/metrics").text

    assert "made-up" not in text
    assert scrape(url)("gradus_http_requests_total", endpoint="other", status="404") >= 20
    assert scrape(url)("gradus_http_requests_total", code="model_not_found") >= 20
    assert known_code("a code of a server's own") == "other"
    assert {known_code(code) for code in TABLE} == set(TABLE)


def test_queue_workers_and_ledger_are_asked_for_when_somebody_looks(url: str, worker: ScriptedWorker) -> None:
    until(lambda: scrape(url)("gradus_workers") == 1)
    now = scrape(url)

    assert now("gradus_redis_up") == 1
    assert now("gradus_queue_jobs") == 0
    assert now("gradus_model_workers", model="small") == 1
    assert 'gradus_model_workers{model="remote"}' not in httpx.get(f"{url}/metrics").text  # needs none
    assert now("gradus_ledger_state") == 1
    assert now("gradus_ledger_journal_up") == 1
    assert now("process_resident_memory_bytes") > 0


def test_who_may_read_metrics_is_configured(configure: Configure, start: Start) -> None:
    nobody = start(configure(GRADUS__TELEMETRY__METRICS="none"))
    assert httpx.get(f"{nobody}/metrics").status_code == 404

    settings = configure(GRADUS__SERVER__AUTH="keys", GRADUS_ADMIN_KEY=ADMIN)
    keyed = start(settings)  # with keys, the admin's business unless configured otherwise
    assert httpx.get(f"{keyed}/metrics").status_code == 401
    asked = httpx.get(f"{keyed}/metrics", headers={"authorization": f"Bearer {ADMIN}"})
    assert asked.status_code == 200
    assert asked.headers["content-type"].startswith("text/plain")


def test_without_redis_the_rest_is_still_told(configure: Configure, start: Start) -> None:
    url = start(configure(GRADUS_REDIS_URL="redis://127.0.0.1:1/0"))
    until(lambda: scrape(url)("gradus_ledger_state", state="redis down") == 1)
    now = scrape(url)

    assert now("gradus_redis_up") == 0
    assert "gradus_queue_jobs" not in httpx.get(f"{url}/metrics").text
    assert now("gradus_ledger_state", state="ready") == 0


def test_a_gateway_that_is_not_ready_counts_no_error(url: str) -> None:
    before = scrape(url)
    assert httpx.get(f"{url}/readyz").status_code == 503  # no worker is alive
    after, asked = scrape(url), {"endpoint": "/readyz", "status": "503"}

    assert after("gradus_http_requests_total", code="", **asked) == 1 + before(
        "gradus_http_requests_total", **asked
    )
