"""When a flashcard comes back; used by `flashcards` and `warm_up` in every lesson.

The intervals are those of FSRS (Free Spaced Repetition Scheduler, version 6; the `fsrs` package). Only the
log of reviews is kept: a card's state is that log played through the scheduler, so the two cannot disagree,
and two notebooks that review one card at once both count. Reviews from the future, which a wrong clock leaves behind,
do not count until their time has come.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from fsrs import Card, Rating, Scheduler

from course.study.progress import Entry, Transaction, progress

KIND = "review"
RATINGS = {"not yet": Rating.Again, "known": Rating.Good}
_scheduler = Scheduler(desired_retention=0.9, enable_fuzzing=False)


def review(kept: Transaction, card_id: str, rating: str, now: datetime | None = None) -> datetime:
    """Notes one review of a card and returns when the card is due again (UTC).

    Args:
        kept: the transaction that it belongs to, so that it is written together with what else the grade changes.
        card_id: the card's id in quizzes/*.yaml.
        rating: "not yet" or "known".
        now: time of the review, with a time zone; the present when left out.
    Raises:
        ValueError: an unknown rating, or a time without a time zone.
    """
    if rating not in RATINGS:
        raise ValueError(f'unknown rating {rating!r}; use "not yet" or "known"')
    now = _aware(now)
    kept.log(KIND, card_id, {"rating": int(RATINGS[rating])}, at=now)
    return _replay(card_id, _counting(kept.history(KIND, card_id), now)).due


def due(card_ids: Iterable[str], limit: int, now: datetime | None = None) -> list[str]:
    """The cards to look at now: those that are due, the longest overdue first, then those never seen.

    Args:
        card_ids: the cards to choose from; those never seen keep this order.
        limit: how many at most.
        now: with a time zone; the present when left out.
    """
    now = _aware(now)
    wanted = list(dict.fromkeys(card_ids))
    times = due_times(now)
    overdue = sorted((id for id in wanted if id in times and times[id] <= now), key=times.__getitem__)
    return (overdue + [id for id in wanted if id not in times])[:limit]


def due_times(now: datetime | None = None) -> dict[str, datetime]:
    """When each card that was ever reviewed is due (UTC), by its id."""
    reviews: dict[str, list[Entry]] = {}
    for entry in _counting(progress().history(KIND), _aware(now)):
        reviews.setdefault(entry.id, []).append(entry)
    return {id: _replay(id, entries).due for id, entries in reviews.items()}


def due_text(due: datetime, now: datetime | None = None) -> str:
    """When a card comes back, in words, as in "Due again in 3 days."; both times have a time zone."""
    wait = _aware(due) - _aware(now)
    if wait <= timedelta(0):
        return "Due now."
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        n = round(wait / length)
        if n >= 1:
            return f"Due again in {n} {unit}{'s' if n > 1 else ''}."
    return "Due again within a minute."


def _counting(entries: Iterable[Entry], now: datetime) -> list[Entry]:
    """The reviews up to now that can be played back. One that cannot is left out, and named once."""
    counting = []
    for entry in entries:
        rating = entry.value.get("rating")
        if type(rating) is not int or rating not in set(Rating):
            what = f"{entry.id[:60]!a}, rated {str(rating)[:20]!a}, {entry.at:%Y-%m-%d}"
            if what not in _named:
                _named.add(what)
                print(f"A review in your progress cannot be read and is left out of the schedule: {what}.")
        elif entry.at <= now:
            counting.append(entry)
    return counting


_named: set[str] = set()


def _replay(card_id: str, entries: list[Entry]) -> Card:
    """The card after these reviews, taken in the order of their times (a clock may have been set back)."""
    # fsrs would take an id from the clock; a hash is the same on every machine (48 bits: exact in JS too)
    number = int.from_bytes(sha256(card_id.encode()).digest()[:6], "big")
    entries = sorted(entries, key=lambda entry: entry.at)
    card = Card(card_id=number, due=entries[0].at.astimezone(UTC))
    for entry in entries:
        card, _ = _scheduler.review_card(card, Rating(entry.value["rating"]), entry.at.astimezone(UTC))
    return card


def _aware(now: datetime | None) -> datetime:
    if now is None:
        return datetime.now(UTC)
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone; use datetime.now(UTC)")
    return now.astimezone(UTC)
