"""A provider's bill is read whatever its columns are called, or refused by its line."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.errors import InvoiceInvalid
from gateway.store.invoices import InvoiceLine, read_invoice
from tests.gateway.store.invoiced import line, write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Date,Model,Input Tokens,Output Tokens,Cost (USD)\n2026-11-22,gpt,100,10,$1.50\n",
            line(2, "1.50", prompt_tokens=100, completion_tokens=10),
        ),
        (
            "\ufeffusage-date;x\n".replace(";", ",").replace(
                "usage-date", "usage_date,model,amount.value,amount.currency"
            )
            + "2026-11-22T23:30:00-05:00,gpt,1.5,usd,\n",
            line(2, "1.5", day=date(2026, 11, 23)),
        ),
        (
            'start_time,model,input_tokens,output_tokens,input_cached_tokens\n1795305600,gpt,"1,234,567",0,7\n',
            line(2, None, prompt_tokens=1234567, completion_tokens=0, cached_tokens=7),
        ),
        ("id,total\n\nreq-1,(0.02)\n", line(3, "-0.02", request="req-1", day=None, model=None)),
        ("day,model,cost,prompt_tokens\n20261122,gpt,,5\n", line(2, None, prompt_tokens=5)),
        ("day,model,cost\n2026-11-22 10:00:00 UTC,gpt,1e-7\n", line(2, "1e-7")),
    ],
)
def test_columns_may_be_called_what_providers_call_them(
    tmp_path: Path, text: str, expected: InvoiceLine
) -> None:
    (found,) = read_invoice(write(tmp_path, text))

    assert (found.line, found.request, found.day, found.model) == (
        expected.line,
        expected.request,
        expected.day,
        expected.model,
    )
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens, found.usd) == (
        expected.prompt_tokens,
        expected.completion_tokens,
        expected.cached_tokens,
        expected.usd,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: needs the columns day and model, or request_id; found nothing"),
        ("day,usd\n2026-11-22,1\n", ":1: needs the columns day and model"),
        ("day,model\n2026-11-22,gpt\n", ":1: needs a column usd"),
        ("day,model,usd\n", ": has no lines under its header"),
        ("day,model,usd\n22.11.2026,gpt,1\n", ":2: '22.11.2026' is not a day; write it as 2026-11-22"),
        ("day,model,usd\n2026-11-22,gpt,free\n", ":2: 'free' is not a number"),
        ("day,model,usd\n2026-11-22,gpt,1,5\n", ":2: has 4 cells; the header has 3"),
        ("day,model,usd,currency\n2026-11-22,gpt,1,EUR\n", ":2: is in EUR; only USD can be compared"),
        ("day,model,input_tokens\n2026-11-22,gpt,1.5\n", ":2: '1.5' is not a number of tokens"),
        ("day,model,usd\n2026-11-22,,1\n", ":2: has neither a request's id nor both day and model"),
        ("day,model,usd\n2026-11-22,gpt,NaN\n", ":2: 'NaN' is not a number"),
        ("day,model,input_tokens\n2026-11-22,gpt,1E999999\n", ":2: '1E999999' is more than anything is"),
        ('day,model,usd\n2026-11-22,gpt,"1\n', ": is not CSV in UTF-8"),
    ],
)
def test_what_is_wrong_with_an_invoice_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, text)

    with pytest.raises(InvoiceInvalid) as caught:
        read_invoice(file)

    assert str(caught.value).startswith(f"{file}{said}")


@pytest.mark.parametrize(
    ("usd", "rounding_usd"),
    [("12", "0.005"), ("0.0123", "0.00005"), ("0.000034799999999999996", "1e-12")],  # a float, as it is
)
def test_what_rounding_may_have_changed_is_no_less_than_what_the_journal_rounds_to(
    tmp_path: Path, usd: str, rounding_usd: str
) -> None:
    (found,) = read_invoice(write(tmp_path, f"day,model,usd\n2026-11-22,gpt,{usd}\n"))

    assert found.rounding_usd == Decimal(rounding_usd)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.text('day,model usd\n0123456789-"$.', max_size=200))
def test_any_file_is_an_invoice_or_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "invoice.csv"
    file.write_bytes(("day,model,usd\n" + text).encode("utf-8", "surrogatepass"))
    with suppress(InvoiceInvalid):
        assert read_invoice(file)
