"""A predictor's README.md: what it was fitted to, and how good it is."""

from __future__ import annotations

from router.predictor.manifest import Manifest

COLUMNS = ("action", "n", "base rate", "right", "AUC", "Brier", "baseline", "log loss", "ECE")

_CARD = """# A predictor

How likely every action is right for a prompt, and what a probe adds: made by `gradus fit`, read by the
gateway (`predictor:` in its configuration). All numbers are of {calibration} questions that nothing was
fitted to.

| {head} |
|{rule}|
{rows}

Brier's baseline says the base rate of every prompt. ECE has ten bins of equal width.
{left_out}{probe}
## What it was fitted to

| | |
|---|---|
| questions | {fitted} fitted, {calibration} held out, of {groups} groups |
| files | {files} |
| sha256 | {sha256} |
| text model | {method} |
| small model | {small} |
| verifier | {verifier} |
| embeddings | {embedding} |
| made with | {made} |
"""

_PROBE = """
After a probe, how likely one sample of the small model is right (before it: Brier {before:.4f}):

| samples | n | AUC | Brier | log loss | ECE |
|---|---|---|---|---|---|
{rows}
"""


def card(manifest: Manifest) -> str:
    """As Markdown."""
    data = manifest.data
    rows = "\n".join(f"| {' | '.join(row)} |" for row in metric_rows(manifest))
    return _CARD.format(
        head=" | ".join(COLUMNS),
        rule="|".join("---" for _ in COLUMNS),
        rows=rows,
        left_out="".join(f"\nNote: {note}.\n" for note in notes(manifest)),
        probe=_probe(manifest),
        fitted=data.fitted,
        calibration=data.calibration,
        groups=data.groups,
        files=", ".join(data.files) or "unknown",
        sha256=data.sha256 or "unknown",
        method=manifest.method,
        small=manifest.small or "none",
        verifier=manifest.verifier or "unknown",
        embedding=manifest.embedding or "none",
        made=", ".join(f"{name} {version}" for name, version in manifest.created_by.items()),
    )


def metric_rows(manifest: Manifest) -> list[tuple[str, ...]]:
    """By action, under :data:`COLUMNS`."""
    return [
        (
            name,
            str(each.questions),
            f"{each.base_rate:.3f}",
            f"{each.right:.3f}",
            _or_none(each.auc),
            f"{each.brier:.4f}",
            f"{each.baseline_brier:.4f}",
            f"{each.log_loss:.3f}",
            f"{each.ece:.3f}",
        )
        for name, each in manifest.metrics.items()
    ]


def stage_rows(manifest: Manifest) -> list[tuple[str, ...]]:
    """By stage of the probe: samples, questions, AUC, Brier, log loss, ECE."""
    return [
        (
            str(each.samples),
            str(each.questions),
            _or_none(each.auc),
            f"{each.brier:.4f}",
            f"{each.log_loss:.3f}",
            f"{each.ece:.3f}",
        )
        for each in manifest.probe
    ]


def notes(manifest: Manifest) -> list[str]:
    """What the tables do not show: actions that were left out, and questions without an outcome."""
    data = manifest.data
    said = [f"action {name!r} is left out: {reason}" for name, reason in manifest.left_out.items()]
    if data.unlabelled:
        said.append(
            f"right or wrong is known of {data.questions} of {data.questions + data.unlabelled} questions; "
            "the others are not counted"
        )
    return said


def _probe(manifest: Manifest) -> str:
    if not manifest.probe:
        return ""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in stage_rows(manifest))
    return _PROBE.format(before=manifest.probe[0].prior_brier, rows=rows)


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
