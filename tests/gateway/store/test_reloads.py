"""Gateways that share a database count reloads of the configuration there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gateway.store.database import Database
from gateway.store.reloads import count_reload, reloads


def test_reloads_are_counted_from_none_on_and_every_one_has_a_number_of_its_own(database: Database) -> None:
    assert reloads(database) == 0
    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(lambda _: count_reload(database), range(8)))
    assert sorted(numbers) == list(range(1, 9))
    assert reloads(database) == 8
