"""The file of a gateway process: what it says is read as it was written, also where a line is torn."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from cost_model.budget import usd
from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.ledger.spool import Spool, dead_spools


def test_a_torn_line_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, "g")
    spool.reserved(['["a", "2026-11-22T00:00:00+00:00", 1, null, null]', '["b", "2026-'])
    spool.close(delete=False)

    (dead,) = dead_spools(tmp_path)
    told, left, _ = dead.read()

    assert (told, [record.id for record in left]) == ([], ["a"])
    assert "torn" in caplog.text
    dead.close(delete=True)
    assert list(tmp_path.iterdir()) == []


def test_a_torn_cancellation_leaves_its_request_billed_and_the_file_readable(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g")
    spool.reserved(['["a", "2026-11-22T00:00:00+00:00", 1, null, null]'])
    spool.cancelled("a")
    os.ftruncate(spool._file, spool.size - 3)
    spool.close(delete=False)

    (dead,) = dead_spools(tmp_path)
    told, left, _ = dead.read()
    dead.close(delete=True)

    assert (told, [record.id for record in left]) == ([], ["a"])


def test_a_line_that_is_no_entry_is_billed_what_was_reserved_and_keeps_its_number(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g")
    good = Entry("b", datetime(2026, 11, 22, tzinfo=UTC), "answered", Decimal(1), key_id="k")
    spool.settled(replace(good, id="a", upstream_id=cast(str, 12)), 5)
    spool.settled(good, 5)

    found, _ = spool.read(0, spool.size, 10)
    spool.close(delete=True)

    assert [(each.number, each.entry.id) for each in found] == [(1, "a"), (2, "b")]
    assert (found[0].entry.billed_usd, found[0].entry.status, found[0].entry.key_id) == (usd(5), "lost", "k")


def test_what_was_settled_is_read_as_it_was_whatever_it_consists_of(tmp_path: Path) -> None:
    at = datetime(2026, 11, 22, 1, 2, 3, 4, timezone(timedelta(hours=9)))
    absurd = Usage("direct", "m\n", 1, 10**30, flops=cast(float, np.float64(1e12)), cost_usd=Decimal("1E+3"))
    entries = [
        Entry("a", at, "answered", Decimal("0.000000000001"), (absurd, Usage("cache", "é")), key_id="k"),
        Entry("b", at, "failed", Decimal(0), error="x", seconds=0.1, tags={"team": "\0"}),
    ]
    spool = Spool(tmp_path, "g")
    for each in entries:
        spool.settled(each, 5)

    found, _ = spool.read(0, spool.size, 10)
    spool.close(delete=True)

    assert [each.entry for each in found] == entries


def test_a_gateway_id_is_used_once(tmp_path: Path) -> None:
    Spool(tmp_path, "g").close(delete=False)

    with pytest.raises(FileExistsError, match="used once"):
        Spool(tmp_path, "g")
