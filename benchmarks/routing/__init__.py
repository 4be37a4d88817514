"""Routing on outcomes that nobody here made: every set of published answers, every baseline, one report."""
