from __future__ import annotations

import pytest

from gateway.cache.control import Control, control_of


@pytest.mark.parametrize(
    ("headers", "control"),
    [
        ([], Control()),
        ([""], Control()),
        (["no-store"], Control(reads=False, keeps=False)),
        (["No-Cache"], Control(reads=False)),
        (["max-age=60"], Control(max_age_s=60)),
        (['max-age="60", no-transform'], Control(max_age_s=60)),
        (["max-age=0"], Control(reads=False, max_age_s=0)),
        (["max-age=soon"], Control(reads=False, max_age_s=0)),
        (["only-if-cached"], Control(only=True)),
        (["no-cache,no-store"], Control(reads=False, keeps=False)),
        (["no-store, only-if-cached"], Control(reads=False, keeps=False, only=True)),
        (["stale-if-error=3"], Control()),
        (["max-age=60", "no-store"], Control(reads=False, keeps=False)),
    ],
)
def test_the_header_says_what_the_rfc_says(headers: list[str], control: Control) -> None:
    assert control_of(headers) == control
