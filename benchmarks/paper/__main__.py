"""`python -m benchmarks.paper` is `gradus bench paper`."""

from __future__ import annotations

import sys

from workers.bench.cli import app

if __name__ == "__main__":
    app(["paper", *sys.argv[1:]], prog_name="gradus bench")
