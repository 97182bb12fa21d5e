"""`flashcards("01")` and `warm_up("02")`: recalling instead of rereading. Used by every lesson.

A card is turned, graded by the learner (known, or not yet) and comes back when `schedule` says so; the warm-up at a
lesson's head asks three cards of earlier lessons that are due. `due_cards()` asks all that are due, of every lesson.
"""

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import traitlets

from course.study.content import Card, ContentError, Lesson, load_all, load_lesson, require_number
from course.study.lessons import note_opened, opened_lessons
from course.study.markup import static_text, to_html
from course.study.progress import ProgressError, Transaction, progress
from course.study.schedule import due, due_text, due_times, review
from course.study.widget import StudyWidget, read_static
from course.text import show_direction

FIRST_LESSON = "There is no earlier lesson, so nothing to recall yet. From the next lesson on, three cards wait here."
NOT_OPENED = "Cards of the lessons that you have opened come back here. You have opened none before this one."
NOTHING_DUE = (
    "No card of an earlier lesson is due today. Go on; what you know now will be asked when it begins to fade."
)


def flashcards(lesson: str, seed: int | None = None) -> "Flashcards":
    """The deck of a lesson.

    Args:
        lesson: its two digits, as in "01".
        seed: shuffle the cards, the same way for the same seed; in the order of the file without it.
    Raises:
        ContentError: no such lesson, no cards in it, a seed that is no whole number, or a file with mistakes.
    """
    content = load_lesson(lesson)
    if seed is not None and not isinstance(seed, int):
        raise ContentError(f"the seed {seed!r} is not a whole number; write one, as in seed=1, or leave it out")
    if not content.cards:
        raise ContentError(f'lesson "{lesson}" has no cards')
    note_opened(lesson)
    cards = list(content.cards)
    if seed is not None:
        random.Random(seed).shuffle(cards)
    return Flashcards(lesson, content.title, cards, seed or 0)


def warm_up(lesson: str) -> "WarmUp":
    """Three cards of earlier lessons that you have opened: the longest overdue first, then some not seen yet.

    Args:
        lesson: the two digits of the lesson that it opens, as in "02".
    Raises:
        ContentError: `lesson` is no lesson's number, or a file with mistakes.
    """
    require_number(lesson)
    if not re.fullmatch(r"\d\d", lesson):
        raise ContentError(f'"{lesson}" is not a lesson; write its two digits, as in "02"')
    earlier = {card.id: card for content in _backwards() if content.lesson < lesson for card in content.cards}
    try:
        opened = opened_lessons()
        cards = {id: card for id, card in earlier.items() if id[:2] in opened}
        chosen = [cards[id] for id in due(cards, limit=3)]
        note = "" if chosen else NOTHING_DUE if cards else NOT_OPENED if earlier else FIRST_LESSON
    except ProgressError as problem:
        chosen, note = [], str(problem)
    note_opened(lesson)
    return WarmUp(lesson, chosen, list(earlier.values())[:3], note)


def due_cards() -> "DueCards":
    """All cards that are due now, of all lessons, the longest overdue first; only cards that were graded before.

    Raises:
        ContentError: a file with mistakes.
    """
    cards = {card.id: card for content in _backwards() for card in content.cards}
    reviewed = [id for id in due_times() if id in cards]
    return DueCards([cards[id] for id in due(reviewed, limit=len(reviewed))])


def _backwards() -> list[Lesson]:
    return list(reversed(load_all().values()))


class Flashcards(StudyWidget):
    """A deck. `state` has {known, rating, at} by card id: the last grade, and when it was made, in ms since 1970.

    `due_text` has a sentence by card id, for each card that was graded here: when it comes back.
    """

    script = "flashcards"
    kind = "card"

    due_text = traitlets.Dict().tag(sync=True)

    def __init__(self, lesson: str, title: str, cards: Sequence[Card], seed: int = 0, **other: str) -> None:
        self.lesson, self.title, self.cards = lesson, title, list(cards)
        sides = [{"id": c.id, "front_html": to_html(c.front), "back_html": to_html(c.back)} for c in self.cards]
        data = {
            "title": self.plain(),
            "seed": seed,
            "cards": sides,
            "print_page": self.print_html(),
            "print_call": f'flashcards("{lesson}").save_print("cards.html")',
        }
        super().__init__(data | other, ids=[card.id for card in self.cards])

    def remember(self, id: str, value: dict[str, Any]) -> None:
        # A grade that waited in the browser counts from when it was made, and the browser's clock may be ahead.
        at = min(datetime.fromtimestamp(value["at"] / 1000, UTC), datetime.now(UTC))

        def note(kept: Transaction) -> datetime | None:
            if kept.get(self.kind, id) == value:  # another notebook was given the same grade, and was faster
                return None
            kept.put(self.kind, id, value)
            return review(kept, id, value["rating"], at)

        if back := progress().atomically(note):
            self.due_text = {**self.due_text, id: due_text(back)}

    def print_html(self) -> str:
        """A page for the printer, for both sides of the paper: a card's question, and on the back of it the answer.

        The text is made smaller where it must be to fit. It sets no paper size, so that the printer's own is used.
        """
        sides = [
            (i, side, text)
            for i, c in enumerate(self.cards, 1)
            for side, text in (("front", c.front), ("back", c.back))
        ]
        sheets = "\n".join(
            f'<section class="card"><p class="from">{static_text(self.title)}, card {i} of {len(self.cards)}'
            f'{", answer" if side == "back" else ""}</p><div class="{side}">{to_html(text)}</div></section>'
            for i, side, text in sides
        )
        parts = {
            "title": escape(show_direction(self.plain())),
            "cards": sheets,
        }  # in one pass, since a title may say {{cards}}
        return re.sub(r"\{\{(title|cards)\}\}", lambda found: parts[found[1]], read_static("print.html"))

    def save_print(self, path: str | Path) -> Path:
        """Write `print_html()` to a file, for a front end that opens no window. Returns the file's full path."""
        path = Path(path).expanduser().absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.print_html(), encoding="utf-8")
        return path

    def plain(self) -> str:
        return f"Flashcards: {self.title} ({len(self.cards)} card{'s' if len(self.cards) != 1 else ''})"

    def static_html(self) -> str:
        return f"<p><strong>{static_text(self.plain())}</strong></p>{_static(self.cards)}"


class WarmUp(Flashcards):
    """The cards due now. What it shows without a kernel does not depend on what is due, or no notebook would stay."""

    def __init__(self, lesson: str, cards: Sequence[Card], examples: Sequence[Card], note: str) -> None:
        self.examples = list(examples)
        super().__init__(lesson, "warm-up", cards, note=note, print_page="")

    def plain(self) -> str:
        return "Warm-up: cards of earlier lessons"

    def static_html(self) -> str:
        head = f"<p><strong>{self.plain()}</strong></p>"
        if not self.examples:
            return f"{head}<p>{FIRST_LESSON}</p>"
        why = "Run this cell for those that are due for you. These stand for them here:"
        return f"{head}<p>{why}</p>{_static(self.examples)}"


class DueCards(Flashcards):
    """All cards that are due. What it shows without a kernel is one sentence."""

    def __init__(self, cards: Sequence[Card]) -> None:
        super().__init__("", "due", cards, note="No card is due now.", print_page="")

    def plain(self) -> str:
        return "All cards that are due"

    def static_html(self) -> str:
        return f"<p><strong>{self.plain()}</strong></p><p>Run this cell to see them.</p>"


def _static(cards: Sequence[Card]) -> str:
    def text(value: str) -> str:
        return to_html(value, raw_math=True)

    return "".join(f"<details><summary>{text(c.front)}</summary><div>{text(c.back)}</div></details>" for c in cards)
