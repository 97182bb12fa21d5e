"""What the tests of showing share."""

from xml.etree import ElementTree

import pytest

from course.show import answers, tables, tokens
from course.world import Question

QUESTIONS = [
    Question("What is the capital of Peru?", "capital", "Peru", "Lima"),
    Question("What is 12 + 7?", "sum", "12 + 7", "19"),
]


CHAT = (
    "chat",
    ["<|im_start|>", "user", "\n", "Hi", "<|im_end|>", "\n", "Lima", " now", "<|im_end|>"],
    [0] * 6 + [1] * 3,
)


def tree(markup: str) -> ElementTree.Element:
    """The HTML as a tree; it must be well formed, so nothing shown can have broken out of its place."""
    return ElementTree.fromstring(markup.replace("<br>", "<br/>"))


def text_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the verbs publish, as (html, text)."""
    calls: list[tuple[str, str]] = []
    for module in (answers, tables, tokens):
        monkeypatch.setattr(module, "publish", lambda html, text: calls.append((html, text)))
    return calls
