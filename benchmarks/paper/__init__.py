"""Snell et al. 2024 at the scale of Abacus: every experiment, its figures and docs/paper.md."""
