"""A chat template in Jinja, which is a program of someone else's: tried out, and cut into markers and text.

Serves `course.templates`. The template is run once on placeholders in the place of what was said, which shows
everything that is its own, and once on the real turns, which must give the same with the placeholders filled in.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from course.formats import Message


class Piece(NamedTuple):
    """A marker or a stretch of text, and which message of the assistant's it belongs to; None if it is not its own."""

    text: str
    marker: bool = False
    turn: int | None = None


Cut = Callable[[Sequence[Message], bool], list[Piece]]

# Places of messages are written between two code points that Unicode keeps free for a program's own use.
_PLACES = re.compile("\ufdd0[0-9]+\ufdd1")
_GENERATION = re.compile(r"\{%(-?)\s*(end)?generation\s*(-?)%\}")


def _place(i: int) -> str:
    return f"\ufdd0{i}\ufdd1"


def _refused(name: str, what: str, mend: str = "Use another template, or leave the conversation out.") -> ValueError:
    return ValueError(f"The {name} template {what}. {mend}")


def cutter(name: str, jinja: str, markers: Sequence[str], variables: Mapping[str, str]) -> Cut:
    """What cuts a conversation, with or without the prompt for an answer, into pieces; see `from_jinja` for arguments.

    Without generation marks the assistant's part begins where the prompt for an answer ends, or else with the content,
    and goes up to the marker that ends the turn.
    """
    found = "|".join(re.escape(marker) for marker in sorted(markers, key=len, reverse=True)) or "(?!)"
    marked = _GENERATION.search(jinja) is not None

    def run(messages: Sequence[Message], prompt: bool) -> tuple[str, list[tuple[int, int]]]:
        from transformers.utils.chat_template_utils import render_jinja_template  # takes torch with it

        try:
            how = {"add_generation_prompt": prompt, "return_assistant_tokens_mask": marked, **variables}
            made, ranges = render_jinja_template([list(messages)], chat_template=jinja, **how)
        except Exception as error:  # it may fail in any way
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
            raise _refused(name, f"refuses these messages ({said})") from error
        return made[0], (ranges[0] if ranges else [])

    def outline(roles: Sequence[str], prompt: bool) -> tuple[str, list[tuple[int, int]]]:
        return run([{"role": role, "content": _place(i)} for i, role in enumerate(roles)], prompt)

    def outline_if_any(roles: Sequence[str], prompt: bool) -> str:
        with suppress(ValueError):  # some refuse a conversation of a system turn alone, and the like
            return outline(roles, prompt)[0]
        return ""

    @lru_cache(maxsize=1)
    def end() -> str | None:
        tail = _PLACES.split(outline(("user", "assistant"), False)[0])[-1]
        return match[0] if (match := re.search(found, tail)) else None

    def turn_ends(text: str, i: int) -> int | None:
        """Where in an outline the marker stands that ends message i, after it; None if there is none."""
        after = text.index(_place(i)) + len(_place(i))
        until = following.start() if (following := _PLACES.search(text, after)) else len(text)
        at = text.find(end(), after, until) if end() else -1
        return at + len(end()) if at >= 0 else None

    def answer(roles: Sequence[str], i: int, text: str, prompt: bool) -> tuple[int, int]:
        """From where to where in the outline the assistant writes message i."""
        place = text.index(_place(i))
        asked = outline_if_any(roles[:i], True) if i else ""
        start = len(asked) if asked and text.startswith(asked) and len(asked) <= place else place
        stop = turn_ends(text, i)
        if stop is None and not prompt:
            what = "writes no token that ends the assistant's turn, so a model that learns from it would never stop"
            raise _refused(name, what, "Use another template.")
        return start, stop or place + len(_place(i))

    def check_earlier_turns(roles: Sequence[str], text: str) -> None:
        """What is written up to the end of each turn stays; after it, some close the conversation by a token."""
        for count in range(1, len(roles)):
            before = outline_if_any(roles[:count], False)
            upto = max((match.end() for match in _PLACES.finditer(before)), default=0)
            if roles[count - 1] == "assistant" and _place(count - 1) in before:
                upto = max(upto, turn_ends(before, count - 1) or 0)
            if not text.startswith(before[:upto]):
                what = f"changes earlier turns once later ones follow, here those before messages[{count}]"
                raise _refused(name, what, "Use conversations of one turn, or another template.")

    @lru_cache(maxsize=512)
    def skeleton(roles: tuple[str, ...], prompt: bool, now: datetime | None) -> list[Piece]:
        text, ranges = outline(roles, prompt)
        for i, role in enumerate(roles):
            if (times := text.count(_place(i))) != 1:
                how = "more than once" if times else "not as it is, or not at all"
                raise _refused(name, f"writes the content of messages[{i}] (the {role}'s) {how}")
            if role != "assistant" and any(start <= text.index(_place(i)) < stop for start, stop in ranges):
                raise _refused(name, f"marks what the {role} says as the assistant's", "Use another template.")
        if not prompt:
            check_earlier_turns(roles, text)
        if not ranges:
            ranges = [answer(roles, i, text, prompt) for i, role in enumerate(roles) if role == "assistant"]
        return _split(text, ranges, found)

    def cut(messages: Sequence[Message], prompt: bool) -> list[Piece]:
        turns = [{"role": message["role"], "content": message["content"]} for message in messages]
        now = datetime.now().replace(microsecond=0) if "strftime_now" in jinja else None  # some write the date
        parts = skeleton(tuple(turn["role"] for turn in turns), prompt, now)
        return _fill(name, parts, [turn["content"] for turn in turns], run(turns, prompt)[0])

    return cut


def _split(text: str, ranges: list[tuple[int, int]], found: str) -> list[Piece]:
    """The outline as its pieces, the places of contents among them."""
    parts: list[Piece] = []
    for first, last in pairwise(sorted({0, len(text), *(edge for pair in ranges for edge in pair)})):
        turn = None
        if any(start <= first < stop for start, stop in ranges):
            within = _PLACES.search(text, first, last) or [*_PLACES.finditer(text, 0, last)][-1]
            turn = int(within[0][1:-1])
        for number, part in enumerate(re.split(f"({_PLACES.pattern}|{found})", text[first:last])):
            if part:  # every second one is a place or a marker
                parts.append(Piece(part, number % 2 == 1 and not _PLACES.match(part), turn))
    return parts


def _fill(name: str, parts: list[Piece], contents: Sequence[str], rendered: str) -> list[Piece]:
    """The pieces with the contents in their places, as the template has written them: some cut white space off."""
    said = [contents[int(part.text[1:-1])] if _PLACES.match(part.text) else part.text for part in parts]
    steps: list[dict[int, int]] = [{0: 0}]  # after each part: every place that may be reached, and from where
    for number, (part, text) in enumerate(zip(parts, said, strict=True)):
        reached: dict[int, int] = {}
        for at in steps[-1]:
            fixed = [at + len(text)] * rendered.startswith(text, at)
            for stop in fixed if part.marker else _stops(text, rendered, at):
                reached.setdefault(stop, at)
        if not reached:
            at = max(steps[-1])
            places = [one.text for one in parts[number:] if _PLACES.match(one.text)]
            i = places[0][1:-1] if places else len(contents) - 1
            how = f"it writes {rendered[at : at + 40]!r} where {text[:40]!r} is expected"
            raise _refused(name, f"changes the content of messages[{i}] or what stands beside it: {how}")
        steps.append(reached)
    if len(rendered) not in steps[-1]:
        added = rendered[max(steps[-1]) :][:40]
        raise _refused(name, f"adds {added!r} because of what a content says")
    stops = [len(rendered)]
    for reached in reversed(steps[1:]):
        stops.append(reached[stops[-1]])
    spans = zip(parts, pairwise(reversed(stops)), strict=True)
    return [part._replace(text=rendered[start:stop]) for part, (start, stop) in spans]


def _stops(text: str, rendered: str, at: int) -> Iterator[int]:
    """Where the text that is rendered from `at` on may end: all of it first, then without white space at its ends."""
    for skipped in range(len(text) - len(text.lstrip()) + 1):
        least = max(len(text.rstrip()) - skipped, 0)
        pairs = zip(text[skipped:], rendered[at : at + len(text) - skipped], strict=False)
        most = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        yield from range(at + most, at + least - 1, -1)


def without_marks(jinja: str) -> str:
    """The template with plain blocks in the place of its generation marks."""
    return _GENERATION.sub(lambda tag: f"{{%{tag[1]} {'endif' if tag[2] else 'if true'} {tag[3]}%}}", jinja)


@lru_cache
def try_out(jinja: str) -> None:
    """Run a template on a few turns, in a process of its own that may be ended.

    Raises:
        ValueError: it is not valid Jinja, does what a template may not, or takes too much time or memory.
    """
    given = json.dumps({"jinja": without_marks(jinja), "seconds": TRIAL_SECONDS}).encode()
    command = [sys.executable, "-P", str(Path(__file__).with_name("jinja_trial.py"))]
    own = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, input=given, capture_output=True, env=own, timeout=6 * TRIAL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"The chat template runs on without end (for over {6 * TRIAL_SECONDS} seconds).") from error
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode or said != "sound":
        raise ValueError(f"The chat template {said or f'runs on for more than {TRIAL_SECONDS} seconds'}.")


TRIAL_SECONDS = 5
