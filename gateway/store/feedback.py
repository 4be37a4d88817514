"""What users say of answers: one word an answer, the last one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from gateway.store.database import REPORT_PATIENCE_S, Database
from gateway.store.models import EntryRow, FeedbackRow


@dataclass(frozen=True, slots=True)
class Feedback:
    """``score`` is from 0 (wrong) to 1 (right). ``key_id`` is who asked, and who says this."""

    request_id: str
    at: datetime
    key_id: str | None
    score: float
    comment: str | None = None


def request_of(database: Database, answer_id: str, key_id: str | None) -> str | None:
    """The request of this key that an answer's id belongs to, ours or its server's; ``None``: none is known.

    A stream that goes through byte by byte shows the server's. Raises :class:`DatabaseUnavailable`.
    """
    wanted = (
        select(EntryRow.id)
        .where(or_(EntryRow.id == answer_id, EntryRow.upstream_id == answer_id), EntryRow.key_id == key_id)
        .order_by(EntryRow.id != answer_id, EntryRow.at.desc())
    )
    with database.read() as session:
        return session.scalars(wanted.limit(1)).first()


def give(database: Database, feedback: Feedback) -> None:
    """In place of what was said of this answer before. Raises :class:`DatabaseUnavailable`."""
    try:
        _merge(database, feedback)
    except IntegrityError:  # somebody said the first word of it at the same moment
        _merge(database, feedback)


def given(database: Database, since: date | None = None, until: date | None = None) -> Iterator[Feedback]:
    """By time; of whole days (UTC), both ends included. Raises :class:`DatabaseUnavailable`."""
    wanted = select(FeedbackRow).order_by(FeedbackRow.at, FeedbackRow.request_id)
    if since is not None:
        wanted = wanted.where(FeedbackRow.at >= _midnight(since))
    if until is not None:
        wanted = wanted.where(FeedbackRow.at < _midnight(until + timedelta(days=1)))
    with database.read(REPORT_PATIENCE_S) as session:
        for row in session.scalars(wanted.execution_options(yield_per=1000)):
            yield Feedback(row.request_id, row.at, row.key_id, row.score, row.comment)


def _merge(database: Database, feedback: Feedback) -> None:
    with database.write() as session:
        session.merge(
            FeedbackRow(
                request_id=feedback.request_id,
                at=feedback.at,
                key_id=feedback.key_id,
                score=feedback.score,
                comment=feedback.comment,
            )
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
