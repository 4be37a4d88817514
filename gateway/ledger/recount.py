"""Have the counters built again, after a correction of the journal was booked beside the gateways."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any, Final

import redis

from gateway.ledger.connection import ROOT

PATIENCE_S: Final = 30.0
_POLL_S: Final = 0.05


def recount(redis_url: str) -> None:
    """Gateways add up the journal anew; requests under a budget wait that long (generations.py).

    Raises :class:`redis.RedisError`; :class:`TimeoutError` where a rebuild that is under way does not end.
    """
    script = Path(__file__).with_name("generation.lua").read_text("utf-8")
    give_up_s = time.monotonic() + PATIENCE_S
    with redis.Redis.from_url(redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=5) as client:
        server: Any = client.info("server")
        run_id = server["run_id"]
        while time.monotonic() < give_up_s:
            current = client.get(f"{ROOT}:generation")
            if current is not None:
                new = f"{run_id}.{uuid.uuid4().hex[:12]}"
                step: Any = client.eval(script, 1, ROOT, "begin", run_id, current, new)
                if step[0] == b"rebuild":
                    return
            elif not client.exists(f"{ROOT}:rebuild"):
                return  # no gateway has counted anything yet
            time.sleep(_POLL_S)  # one is being built, perhaps of what the journal said before
    raise TimeoutError(f"the counters in Redis are being rebuilt for more than {PATIENCE_S:g} s")
