"""What a user of `gradus bench` can mend."""

from __future__ import annotations


class BenchError(Exception):
    """A one-line message and exit code 2."""
