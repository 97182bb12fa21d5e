"""Decks, warm-up and the print page as Python makes them."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from course.study import content, due_cards, flashcards, mark_done, schedule, warm_up
from course.study.content import ContentError
from course.study.flashcards import FIRST_LESSON, NOT_OPENED, NOTHING_DUE
from course.study.progress import progress

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture(autouse=True)
def sample(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(content, "FOLDER", SAMPLE)


def review(id: str, rating: str, now: datetime | None = None) -> datetime:
    return progress().atomically(lambda kept: schedule.review(kept, id, rating, now))


def ids(deck) -> list[str]:
    return [card["id"] for card in deck.data["cards"]]


def test_order_of_the_file_or_a_seeded_one():
    assert ids(flashcards("01")) == ["01-card-base", "01-card-loss", "01-card-long"]
    assert ids(flashcards("01", seed=3)) == ids(flashcards("01", seed=3))
    orders = {tuple(ids(flashcards("01", seed=seed))) for seed in range(10)}
    assert len(orders) > 1 and all(sorted(order) == sorted(ids(flashcards("01"))) for order in orders)


def test_wrong_arguments_get_plain_words():
    for call in (lambda: warm_up(2), lambda: warm_up("2"), lambda: warm_up("two")):
        with pytest.raises(ContentError, match="two digits"):
            call()
    with pytest.raises(ContentError, match="seed=1"):
        flashcards("01", seed=[1])


def test_a_lesson_without_cards(tmp_path, monkeypatch):
    (tmp_path / "05.yaml").write_text('lesson: "05"\ntitle: T\n')
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    with pytest.raises(ContentError, match='lesson "05" has no cards'):
        flashcards("05")


def test_a_judgement_is_kept_and_scheduled():
    deck = flashcards("01")
    now = datetime.now(UTC).timestamp() * 1000
    deck.state = {"01-card-base": {"known": True, "rating": "known", "at": now}}
    deck.state = {**deck.state, "01-card-loss": {"known": False, "rating": "not yet", "at": now}}
    assert set(deck.due_text) == {"01-card-base", "01-card-loss"}
    assert deck.due_text["01-card-base"] == "Due again in 10 minutes."
    assert [(entry.id, entry.value["rating"]) for entry in progress().history(schedule.KIND)] == [
        ("01-card-base", 3),
        ("01-card-loss", 1),
    ]
    assert deck.notice == ""
    assert flashcards("01").state == deck.state


def test_the_same_judgement_twice_counts_twice_and_one_that_two_decks_hand_over_once():
    deck, other = flashcards("01"), flashcards("01")
    deck.state = {"01-card-base": {"known": True, "rating": "known", "at": 1}}
    deck.state = {"01-card-base": {"known": True, "rating": "known", "at": 2}}
    other.remember("01-card-base", {"known": True, "rating": "known", "at": 2})
    assert len(progress().history(schedule.KIND)) == 2
    other.state = {"01-card-base": {"known": True, "rating": "known", "at": 3}}
    assert len(progress().history(schedule.KIND)) == 3


def test_a_judgement_counts_from_when_it_was_made_and_never_from_the_future():
    deck, now = flashcards("01"), datetime.now(UTC)
    for id, days in (("01-card-base", -1), ("01-card-loss", 3650)):
        at = (now + timedelta(days=days)).timestamp() * 1000
        deck.state = {**deck.state, id: {"known": True, "rating": "known", "at": at}}
    yesterday, today = (entry.at for entry in progress().history(schedule.KIND))
    assert abs(yesterday - now + timedelta(days=1)) < timedelta(minutes=1) > abs(today - now)
    assert deck.due_text["01-card-base"] == "Due now."


@pytest.mark.parametrize("step", ["put", "log"])
def test_a_kill_leaves_the_judgement_and_its_review_or_neither(step, tmp_path):
    code = f"""
import os
from course.study.flashcards import Flashcards
from course.study.progress import Transaction
deck, whole = Flashcards("01", "T", []), Transaction.{step}
Transaction.{step} = lambda *given, **named: (whole(*given, **named), os._exit(9))
deck.remember("01-card-base", {{"known": True, "rating": "known", "at": 1}})
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 9
    assert progress().get("card", "01-card-base") is None and progress().history(schedule.KIND) == []


# ---- print -----------------------------------------------------------------------------------------------------


def test_print_page_has_two_sides_for_each_card(tmp_path):
    deck = flashcards("01")
    page = deck.save_print(tmp_path / "new" / "cards.html").read_text(encoding="utf-8")
    assert page == deck.print_html() == deck.data["print_page"]
    assert page.count('<section class="card">') == 6
    assert page.count("<script>") == 1 and "{{" not in page
    assert "break-after: page" in page and ".card:last-of-type { break-after: auto; }" in page
    assert not re.search(r"@page|\dvh", page), "the paper is the learner's, and vh differs between browsers"
    assert "<math" in page, "math is drawn without a script"


def test_print_page_escapes_the_title(tmp_path, monkeypatch):
    (tmp_path / "05.yaml").write_text('lesson: "05"\ntitle: "<script>x"\ncards: [{id: 05-a, front: <b>, back: b}]\n')
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    page = flashcards("05").print_html()
    assert "<script>x" not in page and "&lt;script&gt;x" in page and "&lt;b&gt;" in page


def test_a_title_that_names_a_part_of_the_page_stays_a_title(tmp_path, monkeypatch):
    (tmp_path / "05.yaml").write_text(
        'lesson: "05"\ntitle: "{{cards}} {{title}}"\ncards: [{id: 05-a, front: "{{title}}", back: b}]\n'
    )
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    page = flashcards("05").print_html()
    assert "<title>Flashcards: {{cards}} {{title}} (1 card)</title>" in page
    assert page.count('<section class="card">') == 2 and '<div class="front">{{title}}</div>' in page


# ---- warm-up ---------------------------------------------------------------------------------------------------


def test_the_first_lesson_has_nothing_to_recall():
    first = warm_up("00")
    assert ids(first) == [] and first.data["note"] == FIRST_LESSON
    assert FIRST_LESSON in first.static_html()


def test_warm_up_takes_earlier_lessons_only_and_three_at_most():
    for lesson in ("00", "01"):
        flashcards(lesson)  # opens it
    assert ids(warm_up("01")) == ["00-card-course", "00-card-predict"]
    assert ids(warm_up("02")) == ["01-card-base", "01-card-loss", "01-card-long"], "never seen: the last lesson first"


def test_warm_up_asks_only_about_lessons_that_were_opened():
    unopened = warm_up("02")
    assert ids(unopened) == [] and unopened.data["note"] == NOT_OPENED
    assert ids(warm_up("02")) == [], "that its own lesson was opened makes no earlier one opened"
    flashcards("00")
    assert ids(warm_up("02")) == ["00-card-course", "00-card-predict"]
    mark_done("01")
    assert ids(warm_up("02")) == ["01-card-base", "01-card-loss", "01-card-long"]


def test_all_due_cards_in_one_place():
    assert ids(due_cards()) == [] and due_cards().data["note"] == "No card is due now."
    now = datetime.now(UTC)
    review("00-card-predict", "known", now - timedelta(days=1))
    review("01-card-base", "known", now - timedelta(days=5))
    review("01-card-loss", "known", now)
    review("99-gone", "known", now - timedelta(days=5))
    flashcards("01")
    assert ids(due_cards()) == ["01-card-base", "00-card-predict"]
    assert due_cards().static_html() == due_cards().static_html() and "base" not in due_cards().static_html()


def test_warm_up_puts_what_is_overdue_first_and_leaves_out_what_is_not_due():
    now = datetime.now(UTC)
    review("00-card-predict", "known", now - timedelta(days=5))
    review("01-card-base", "known", now)
    assert ids(warm_up("02")) == ["00-card-predict", "01-card-loss", "01-card-long"]


def test_nothing_due_is_said():
    for card in ("00-card-course", "00-card-predict"):
        review(card, "known")
    assert warm_up("01").data["note"] == NOTHING_DUE


def test_static_warm_up_does_not_depend_on_what_is_due():
    before = warm_up("02")._repr_mimebundle_()[0]
    for card in ("01-card-base", "01-card-loss", "00-card-course"):
        review(card, "known")
    after = warm_up("02")._repr_mimebundle_()[0]
    assert before["text/html"] == after["text/html"] and before["text/plain"] == after["text/plain"]
    assert before["text/html"].count("<details>") == 3


def test_a_warm_up_judgement_shows_in_the_deck():
    warming = warm_up("01")
    warming.state = {"00-card-course": {"known": True, "rating": "known", "at": 1}}
    assert flashcards("00").state["00-card-course"]["known"] is True


# ---- static ----------------------------------------------------------------------------------------------------


def test_static_deck_hides_each_back():
    html = flashcards("01").static_html()
    outside = re.sub(r"</summary>.*?</details>", "", html, flags=re.DOTALL)
    assert "What is the loss of one token?" in outside and "surprise in nats" not in outside
    assert html == flashcards("01").static_html()
    assert flashcards("00").plain() == "Flashcards: Start here (2 cards)"
