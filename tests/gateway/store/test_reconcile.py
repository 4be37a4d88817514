"""A provider's bill is compared with the journal to the last token."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.store.database import Database
from gateway.store.invoices import read_invoice
from gateway.store.journal import append, spent_by
from gateway.store.provider_names import ProviderNames
from gateway.store.reconcile import Reconciled, adjustments, reconcile
from router.config import load_config
from tests.gateway.store.invoiced import line, write

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def _same_name(name: str) -> frozenset[str]:
    return frozenset({name})


def _entry(
    name: str, usd: str, model: str = "gpt", day: int = 22, prompt: int = 100, answer: int = 10
) -> Entry:
    line = Usage("direct", model, 1, prompt, answer, cost_usd=Decimal(usd))
    at = datetime(2026, 11, day, 9, tzinfo=UTC)
    return Entry(
        name,
        at,
        "answered",
        Decimal(usd),
        (line,),
        key_id="key_1",
        team_id="team_1",
        answered=model,
        upstream_id=f"up-{name}",
    )


def _verdicts(found: Reconciled) -> list[tuple[str, str, Decimal]]:
    return [(each.subject, each.verdict, each.more_usd) for each in found.compared]


def test_days_and_models_are_compared_in_sum(database: Database) -> None:
    append(
        database, [_entry("a", "1"), _entry("b", "0.5"), _entry("c", "2", "claude"), _entry("d", "3", day=23)]
    )

    invoice = [
        line(2, "1.2", prompt_tokens=150),
        line(3, "0.3", prompt_tokens=50),
        line(4, "3", day=date(2026, 11, 23)),
        line(5, "0.7", day=date(2026, 11, 24)),
    ]
    found = reconcile(database, invoice, _same_name)

    assert _verdicts(found) == [
        ("2026-11-22 gpt", "same", 0),
        ("2026-11-23 gpt", "same", 0),
        ("2026-11-24 gpt", "not in the journal", Decimal("0.7")),
    ]
    assert found.compared[0].lines == (2, 3)
    assert found.elsewhere == {"claude": 2}


def test_differences_in_usd_and_in_tokens_are_found(database: Database) -> None:
    append(database, [_entry("a", "1", day=21), _entry("b", "1"), _entry("c", "1", day=23)])

    found = reconcile(
        database,
        [
            line(2, "1.25", day=date(2026, 11, 21)),
            line(3, "1", day=date(2026, 11, 23), prompt_tokens=100, completion_tokens=11),
        ],
        _same_name,
    )

    assert _verdicts(found) == [
        ("2026-11-21 gpt", "differs", Decimal("0.25")),
        ("2026-11-23 gpt", "differs", 0),
        ("2026-11-22 gpt", "not in the invoice", -1),
    ]


def test_requests_are_compared_one_by_one_and_only_by_what_their_server_answered(database: Database) -> None:
    search = Usage("candidate", "small", 8, 50, 900, cost_usd=Decimal("0.001"))
    answered = Usage("escalation", "gpt", 1, 100, 10, cost_usd=Decimal(1))
    searched = Entry(
        "s",
        datetime(2026, 11, 22, tzinfo=UTC),
        "answered",
        Decimal("1.001"),
        (search, answered),
        upstream_id="up-s",
    )
    append(database, [searched, _entry("a", "1"), _entry("b", "2")])

    found = reconcile(
        database,
        [
            line(2, "1", request="up-s", prompt_tokens=100, completion_tokens=10),
            line(3, "1.5", request="up-a"),
            line(4, "9", request="up-x"),
        ],
        _same_name,
    )

    assert _verdicts(found) == [
        ("request up-s", "same", 0),
        ("request up-a", "differs", Decimal("0.5")),
        ("request up-x", "not in the journal", 9),
    ]


def test_an_adjustment_is_billed_to_the_key_of_its_request_and_booked_once(database: Database) -> None:
    append(database, [_entry("a", "1")])
    invoice = [line(2, "1.5", request="up-a"), line(3, "0.25", request="up-unknown", day=None, model=None)]

    for _ in range(2):
        found = reconcile(database, invoice, _same_name)
        append(database, [*adjustments(found, NOW), *adjustments(found, NOW)])

    assert found.differences == ()
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert spent_by(database, "key:key_1", at)["2026-11-22"] == Decimal("1.5")
    assert spent_by(database, "team:team_1", at)["total"] == Decimal("1.5")
    assert spent_by(database, "all", at)["total"] == Decimal("1.75")


def test_what_rounding_may_have_done_is_no_difference(tmp_path: Path, database: Database) -> None:
    append(database, [_entry("a", "1.2345678")])

    def differ(usd: str) -> int:
        file = write(tmp_path, f"day,model,usd\n2026-11-22,gpt,{usd}\n")
        return len(reconcile(database, read_invoice(file), _same_name).differences)

    assert [differ(usd) for usd in ("1.23", "1.235", "1.2346", "1.2345678")] == [0, 0, 0, 0]
    assert [differ(usd) for usd in ("1.24", "1.234", "1.2345", "1", "1.23456781")] == [1, 1, 1, 1, 1]


_amounts = st.decimals("0", "100", places=9)
_bills = st.dictionaries(
    st.tuples(st.integers(1, 28), st.sampled_from(["gpt", "claude", "llama"])),
    st.tuples(_amounts, st.integers(0, 10**6)),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(ours=_bills, theirs=_bills.filter(bool))
def test_after_adjusting_the_journal_says_what_the_invoice_does(
    tmp_path_factory: pytest.TempPathFactory,
    ours: dict[tuple[int, str], tuple[Decimal, int]],
    theirs: dict[tuple[int, str], tuple[Decimal, int]],
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('reconcile')}/gradus.db")
    append(
        database,
        [
            _entry(f"{day}{model}", str(usd), model, day, prompt=prompt, answer=0)
            for (day, model), (usd, prompt) in ours.items()
        ],
    )
    invoice = [
        line(number, str(usd), day=date(2026, 11, day), model=model, prompt_tokens=prompt)
        for number, ((day, model), (usd, prompt)) in enumerate(theirs.items(), 2)
    ]
    first = reconcile(database, invoice, _same_name)
    append(database, adjustments(first, NOW))
    second = reconcile(database, invoice, _same_name)
    database.close()

    assert second.differences == ()
    assert second.elsewhere == first.elsewhere
    named = {model for _, model in theirs}
    days = [day for day, _ in theirs]
    compared = {
        at: usd for at, (usd, _) in ours.items() if at[1] in named and min(days) <= at[0] <= max(days)
    }
    difference = sum((usd for usd, _ in theirs.values()), Decimal(0)) - sum(compared.values(), Decimal(0))
    assert sum((each.more_usd for each in first.compared), Decimal(0)) == difference


CONFIG = {
    "GRADUS__MODELS__GPT__ENGINE": "litellm",
    "GRADUS__MODELS__GPT__LITELLM_MODEL": "openai/GPT-4o",
    "GRADUS__MODELS__QWEN__ENGINE": "openai",
    "GRADUS__MODELS__QWEN__BASE_URL": "http://qwen.example/v1",
    "GRADUS__MODELS__QWEN__UPSTREAM_MODEL": "Qwen/Qwen3-32B",
}


@pytest.mark.parametrize(
    ("invoice", "ours"),
    [
        ("gpt", {"gpt"}),
        ("openai/gpt-4o", {"gpt"}),
        ("gpt-4o", {"gpt"}),
        ("GPT-4o-2024-08-06", {"gpt"}),
        ("gpt-4o@20240806", {"gpt"}),
        ("qwen3-32b", {"qwen"}),
        ("gpt-4o-mini", set()),
        ("renamed", {"qwen"}),
    ],
)
def test_a_provider_calls_our_models_by_its_own_names(invoice: str, ours: Iterable[str]) -> None:
    names = ProviderNames(load_config("abacus", CONFIG), {"Renamed": "qwen"})

    assert names.ours(invoice) == frozenset(ours)
