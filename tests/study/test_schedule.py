"""The schedule: FSRS's intervals, the same for everyone, from a log that only grows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from fsrs import Card, Rating, Scheduler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.study import schedule
from course.study.progress import progress
from course.study.schedule import due, due_text

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
OF_FSRS = {"not yet": Rating.Again, "known": Rating.Good}


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


def review(id: str, rating: str, now: datetime | None = None) -> datetime:
    return progress().atomically(lambda kept: schedule.review(kept, id, rating, now))


def test_first_known_comes_back_in_minutes_and_then_in_growing_days():
    at, waits = START, []
    for _ in range(4):
        back = review("01-card", "known", now=at)
        waits.append(back - at)
        at = back
    assert waits[0] == timedelta(minutes=10)
    assert DAY < waits[1] < waits[2] < waits[3]


def test_not_yet_comes_back_sooner_than_known():
    known, not_yet = review("a", "known", now=START), review("b", "not yet", now=START)
    assert START < not_yet < known


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(OF_FSRS)), st.floats(0.001, 300)), min_size=1, max_size=6))
def test_equals_the_package_used_directly(steps):
    name = f"card-{len(progress().history('review'))}"  # a fresh card in each example
    scheduler, card, at = Scheduler(enable_fuzzing=False), Card(card_id=1, due=START), START
    for rating, days in steps:
        at += days * DAY
        card, _ = scheduler.review_card(card, OF_FSRS[rating], at)
        assert review(name, rating, now=at) == card.due


def test_no_chance_in_it_and_no_clock():
    assert review("a", "known", now=START) == review("b", "known", now=START)


def test_overdue_cards_come_first_then_the_unseen_in_their_order():
    review("b", "known", now=START)
    review("a", "not yet", now=START)
    review("later", "known", now=START - 3 * DAY)
    review("later", "known", now=START)
    cards = ["new-2", "b", "later", "new-1", "a"]
    assert due(cards, limit=3, now=START + DAY) == ["a", "b", "new-2"]
    assert due(cards, limit=9, now=START + DAY) == ["a", "b", "new-2", "new-1"]
    assert due(cards, limit=9, now=START) == ["new-2", "new-1"]
    assert due(cards, limit=3, now=START + 400 * DAY) == ["a", "b", "later"]
    assert due([], limit=3, now=START) == []


def test_only_the_cards_asked_for_are_given_and_each_once():
    review("a", "known", now=START)
    assert due(["c", "c", "d"], limit=3, now=START + DAY) == ["c", "d"]
    assert due(["a", "a"], limit=3, now=START + DAY) == ["a"]


def test_the_log_only_grows():
    for n in range(3):
        review("a", "known", now=START + n * DAY)
    assert [entry.value for entry in progress().history("review", "a")] == [{"rating": 3}] * 3


@pytest.mark.parametrize("rating", ["easy", "Known", 3, "", None])
def test_an_unknown_rating_says_which_there_are(rating):
    with pytest.raises(ValueError, match='use "not yet" or "known"'):
        review("a", rating, now=START)
    assert progress().history("review") == []


def test_a_time_without_a_zone_is_refused_and_other_zones_mean_the_same_moment():
    with pytest.raises(ValueError, match="time zone"):
        review("a", "known", now=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="time zone"):
        due(["a"], limit=3, now=datetime(2026, 1, 1))
    away = START.astimezone(timezone(timedelta(hours=9)))
    assert review("a", "known", now=away) == review("b", "known", now=START)


def test_a_clock_that_went_back_is_survived():
    review("a", "known", now=START)
    assert review("a", "known", now=START - 3 * DAY) > START - 3 * DAY
    assert due(["a"], limit=3, now=START + 400 * DAY) == ["a"]


def test_without_a_time_it_is_now():
    assert review("a", "known") > datetime.now(UTC)
    assert due(["a"], limit=3) == []


def test_a_review_from_the_future_does_not_count():
    review("a", "known", now=START + 3650 * DAY)
    assert due(["a", "b"], limit=3, now=START) == ["a", "b"], "as if it had never been seen"
    assert review("a", "not yet", now=START) == review("b", "not yet", now=START)
    assert due(["a"], limit=3, now=START + DAY) == ["a"]


@pytest.mark.parametrize(
    "value", [{"rating": 9}, {"rating": 0}, {"rating": True}, {"rating": "3"}, {"rating": [1]}, {}]
)
def test_a_review_without_a_rating_is_named_once_and_left_out(value, capsys):
    progress().atomically(lambda t: t.log("review", "a", value, at=START))
    review("b", "known", now=START)
    for _ in range(2):
        assert due(["a", "b"], limit=3, now=START + DAY) == ["b", "a"]
    assert review("a", "known", now=START) == review("c", "known", now=START)
    assert capsys.readouterr().out.count("left out of the schedule: 'a'") <= 1


def test_when_a_card_is_due_again_in_words():
    for wait, words in [
        (timedelta(0), "Due now."),
        (timedelta(seconds=20), "Due again within a minute."),
        (timedelta(minutes=1), "Due again in 1 minute."),
        (timedelta(minutes=10), "Due again in 10 minutes."),
        (timedelta(hours=3), "Due again in 3 hours."),
        (timedelta(hours=23, minutes=59), "Due again in 1 day."),
        (timedelta(days=3.3), "Due again in 3 days."),
    ]:
        assert due_text(START + wait, now=START) == words
