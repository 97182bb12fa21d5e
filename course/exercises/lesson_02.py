"""Exercises of lesson 02: the assistant's mask, two renderings compared, duplicates."""

from collections.abc import Callable
from typing import Any

from course.exercises.definition import Exercise, Sign

Turn = tuple[str, int, int, int]


def _mask(trained: Callable[[str, int, int, int], list[int]]) -> Callable[[list[Turn]], list[int]]:
    """A mask over all turns from a rule for one turn (role, header tokens, content tokens, end tokens)."""
    return lambda turns: [value for turn in turns for value in trained(*turn)]


def _marks(header: bool, content: bool, end: bool) -> Callable[[int, int, int], list[int]]:
    return lambda n_header, n_content, n_end: [int(header)] * n_header + [int(content)] * n_content + [int(end)] * n_end


_nothing, _answer = _marks(False, False, False), _marks(False, True, True)


def assistant_mask(turns: list[Turn]) -> list[int]:
    """1 for the assistant's contents and ends of turn, 0 elsewhere."""
    return _mask(lambda role, *counts: (_answer if role == "assistant" else _nothing)(*counts))(turns)


def _only_last_answer(turns: list[Turn]) -> list[int]:
    answers = [n for n, turn in enumerate(turns) if turn[0] == "assistant"]
    kept = [("past", *turn[1:]) if n in answers[:-1] else turn for n, turn in enumerate(turns)]
    return assistant_mask(kept)


def find_the_difference(served: list[int], trained: list[int]) -> int | None:
    """Index of the first token that differs; where one list ends first, the index at which it ends."""
    if served == trained:
        return None
    pairs = enumerate(zip(served, trained, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(served), len(trained)))


def _one_later(served: list[int], trained: list[int]) -> int | None:
    first = find_the_difference(served, trained)
    return None if first is None else first + 1


def _same_length_only(served: list[int], trained: list[int]) -> int | None:
    pairs = enumerate(zip(served, trained, strict=False))
    return next((n for n, (one, other) in pairs if one != other), None)


def _last_difference(served: list[int], trained: list[int]) -> int | None:
    if len(served) != len(trained):
        return max(len(served), len(trained)) - 1
    return max((n for n in range(len(served)) if served[n] != trained[n]), default=None)


def _minus_one_for_equal(served: list[int], trained: list[int]) -> int:
    first = find_the_difference(served, trained)
    return -1 if first is None else first


def _bare(text: str) -> str:
    return " ".join("".join(c for c in text if c.isalnum() or c.isspace()).split())


def _normal(text: str) -> str:
    return _bare(text.lower())


def dedupe(texts: list[str], normal: Callable[[str], str] = _normal) -> list[str]:
    """The texts in their order, without those that equal an earlier one in all but case, space, punctuation."""
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(normal(text), text)
    return list(first.values())


def _same_but_for_order(got: Any, expected: list[str]) -> bool:
    return isinstance(got, list | set | frozenset) and sorted(map(str, got)) == sorted(expected)


EXERCISES: dict[str, Exercise] = {
    "02-assistant-mask": Exercise(
        cases=[
            ([("user", 2, 3, 1), ("assistant", 2, 4, 1)],),
            ([("system", 2, 5, 1), ("user", 2, 3, 1), ("assistant", 3, 2, 1)],),
            (
                [
                    ("system", 1, 2, 1),
                    ("user", 2, 6, 2),
                    ("assistant", 2, 3, 2),
                    ("user", 2, 1, 2),
                    ("assistant", 2, 5, 2),
                ],
            ),
        ],
        solution=assistant_mask,
        why="The mask follows who writes: the template writes the header, the model its content and its end.",
        special={
            "the chat does not end with the assistant": [
                ([("user", 2, 3, 1), ("assistant", 2, 2, 1), ("user", 2, 3, 1)],),
            ],
            "the answer is empty": [([("user", 2, 4, 1), ("assistant", 2, 0, 1)],)],
            "a role is neither system, user nor assistant": [
                ([("admin", 1, 2, 1), ("user", 2, 3, 1), ("assistant", 2, 2, 1), ("tool", 3, 4, 1)],),
            ],
            "a header or an end has no tokens": [
                ([("user", 0, 3, 1), ("assistant", 0, 3, 1), ("assistant", 2, 1, 0)],),
                ([("user", 2, 3, 1), ("assistant", 2, 0, 0), ("user", 2, 1, 1)],),
            ],
        },
        mistakes={
            "everyone": _mask(lambda role, *n: _answer(*n)),
            "end_alone": _mask(lambda role, *n: _marks(False, False, role == "assistant")(*n)),
            "end_left_header_in": _mask(lambda role, *n: _marks(role == "assistant", role == "assistant", False)(*n)),
            "one_per_turn": lambda turns: [int(turn[0] == "assistant") for turn in turns],
            "others_left_out": lambda turns: assistant_mask(
                [turn if turn[0] == "assistant" else (turn[0], turn[1], 0, 0) for turn in turns]
            ),
            "wrong_side": _mask(lambda role, *n: (_answer if role == "user" else _nothing)(*n)),
            "upside_down": lambda turns: [1 - value for value in assistant_mask(turns)],
            "no_end": _mask(lambda role, *n: _marks(False, role == "assistant", False)(*n)),
            "with_system": _mask(lambda role, *n: (_nothing if role == "user" else _answer)(*n)),
            "with_header": _mask(lambda role, *n: [int(role == "assistant")] * sum(n)),
            "everyones_end": _mask(lambda role, *n: _marks(False, role == "assistant", True)(*n)),
            "last_answer_only": _only_last_answer,
            "headers_left_out": lambda turns: [
                value for role, _, content, end in turns for value in [int(role == "assistant")] * (content + end)
            ],
            "header_behind": lambda turns: [
                value for turn in turns for value in [int(turn[0] == "assistant")] * (turn[2] + turn[3]) + [0] * turn[1]
            ],
            "assistant_alone": lambda turns: assistant_mask([turn for turn in turns if turn[0] == "assistant"]),
            "ends_left_out": lambda turns: assistant_mask(
                [(role, header, content, 0) for role, header, content, _ in turns]
            ),
            "header_twice": lambda turns: [
                value
                for role, header, content, end in turns
                for value in [0] * header + [int(role == "assistant")] * (header + content + end)
            ],
            "one_for_the_header": lambda turns: [
                value
                for role, header, content, end in turns
                for value in [0] + [int(role == "assistant")] * (header - 1 + content + end)
            ],
            "from_the_first_answer_on": lambda turns: [
                value
                for n, (_, header, content, end) in enumerate(turns)
                for value in [0] * header
                + [int(any(turn[0] == "assistant" for turn in turns[: n + 1]))] * (content + end)
            ],
        },
    ),
    "02-find-the-difference": Exercise(
        cases=[
            ([1, 7, 5], [1, 8, 5]),
            ([1, 5, 9, 5, 2, 7], [1, 5, 8, 5, 3, 7]),
            ([2, 2, 6, 2], [2, 2, 2, 6]),
            ([4, 1, 9, 6, 6], [4, 1, 9, 7, 6]),
        ],
        solution=find_the_difference,
        why="When a good model answers badly, one request beside one training example is the first comparison.",
        special={
            "the two are equal": [([3, 4, 4, 9], [3, 4, 4, 9]), ([], [])],
            "one list is the beginning of the other": [
                ([5, 6], [5, 6, 7, 8]),
                ([2, 2, 2, 9, 1], [2, 2]),
                ([], [4]),
            ],
            "the first tokens differ": [([4, 1], [6, 1])],
            "one list is longer and they differ before": [([1, 2, 3], [1, 9]), ([7, 8], [7, 5, 6, 1])],
        },
        mistakes={
            "token": lambda served, trained: next((a for a, b in zip(served, trained, strict=False) if a != b), None),
            "every_index": lambda served, trained: [
                n for n, (a, b) in enumerate(zip(served, trained, strict=False)) if a != b
            ],
            "yes_or_no": lambda served, trained: served != trained,
            "one_later": _one_later,
            "length_forgotten": _same_length_only,
            "last_difference": _last_difference,
            "minus_one": _minus_one_for_equal,
            "anywhere": lambda served, trained: next((n for n, a in enumerate(served) if a not in trained), None),
            "how_many": lambda served, trained: sum(a != b for a, b in zip(served, trained, strict=False)),
            "last_equal": lambda served, trained: (
                None if served == trained else find_the_difference(served, trained) - 1
            ),
            "from_the_end": lambda served, trained: next(
                (n for n, (a, b) in enumerate(zip(served[::-1], trained[::-1], strict=False)) if a != b), None
            ),
            "sorted_before": lambda served, trained: find_the_difference(sorted(served), sorted(trained)),
            "both_tokens": lambda served, trained: next(
                ((a, b) for a, b in zip(served, trained, strict=False) if a != b), None
            ),
            "longer_by": lambda served, trained: abs(len(served) - len(trained)) or None,
        },
    ),
    "02-dedupe": Exercise(
        cases=[
            (["What is the capital of Peru?", "Name a fish.", "what is the capital of peru"],),
            (
                [
                    "Name three rivers.",
                    "Name three rivers of Peru.",
                    "  Name  three rivers ",
                    "Translate: good morning",
                    "Step 1",
                    "Add two and four!",
                    "step 2",
                    "NAME THREE RIVERS!!!",
                    "Add two and four",
                    "translate good morning.",
                    "Add four and two.",
                    "Who wrote it?",
                    "Who, wrote it",
                    "Who  wrote it?",
                    "Good morning",
                    "good morning",
                ],
            ),
        ],
        solution=dedupe,
        why="A text that stands there twice is learnt twice, so copies go before the mix of the data is decided.",
        special={
            "the text that is kept has odd spaces or punctuation": [(["  Two   spaces, kept! ", "two spaces kept"],)],
            "a text comes a third time": [(["Why?", "why", "Who?", "WHY!", "why?"],)],
            "there are no texts": [([],)],
            "a text is exactly repeated": [(["One fish.", "Two fish.", "One fish."],)],
            "two texts differ in their digits": [(["Step 1", "step 2", "Step 1."],)],
        },
        mistakes={
            "ends_only": lambda texts: dedupe(texts, lambda text: text.lower().strip(" .,:!?")),
            "letters_only": lambda texts: dedupe(texts, lambda text: "".join(c for c in text.lower() if c.isalpha())),
            "neighbours": lambda texts: [
                text for n, text in enumerate(texts) if not n or _normal(text) != _normal(texts[n - 1])
            ],
            "no_copy_kept": lambda texts: [text for text in texts if [*map(_normal, texts)].count(_normal(text)) == 1],
            "keys": lambda texts: ["".join(_normal(text).split()) for text in dedupe(texts)],
            "not_normalised": lambda texts: list(dict.fromkeys(texts)),
            "case_only": lambda texts: dedupe(texts, str.lower),
            "punctuation_kept": lambda texts: dedupe(texts, lambda text: " ".join(text.lower().split())),
            "case_kept": lambda texts: dedupe(texts, _bare),
            "normalised_kept": lambda texts: [_normal(text) for text in dedupe(texts)],
            "last_kept": lambda texts: dedupe(texts[::-1])[::-1],
            "last_overwrites": lambda texts: list({_normal(text): text for text in texts}.values()),
            "order_lost": Sign(_same_but_for_order),
            "spaces_kept": lambda texts: dedupe(
                texts, lambda text: "".join(c for c in text.lower() if c.isalnum() or c.isspace())
            ),
            "copies": lambda texts: [text for n, text in enumerate(texts) if _normal(text) in map(_normal, texts[:n])],
            "lower_kept": lambda texts: [text.lower() for text in dedupe(texts)],
            "words_as_a_set": lambda texts: dedupe(texts, lambda text: " ".join(sorted(set(_normal(text).split())))),
            "first_word": lambda texts: dedupe(texts, lambda text: _normal(text).split()[0]),
        },
    ),
}
