"""`chat({"concise": reply_1, "expansive": reply_2}, questions)`: one question to several models, answers side by side.

Serves lesson 11, where two preference sets make two models out of one. A model is a function from the question's text
to the answer's, so nothing here knows what a model is; the answers are computed in the kernel. The suggested questions
are answered when the cell runs: readers without a kernel see those answers, and can ask nothing else.

Each question stands by itself: what was asked before is not sent along.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from course.study.markup import static_text
from course.study.widget import StudyWidget

MOST_MODELS = 4
MOST_EXCHANGES = 60
"""So many are kept in the widget; older ones leave it."""

Reply = Callable[[str], str]


def chat(models: Mapping[str, Reply], questions: Sequence[str], *, title: str = "Ask them yourself") -> "Chat":
    """Lets the learner ask several models the same question.

    What goes wrong inside a model, such as a question longer than it can read, is said in the place of its answer; the
    question stays in the box.

    Args:
        models: by name, a function that takes the question and returns the answer.
        questions: suggestions, at least one; each becomes a button and is answered at once.
        title: the widget's heading.
    Raises:
        ValueError: no model, or more than fit side by side; no question, an empty one, or the same one twice.
    """
    if not 1 <= len(models) <= MOST_MODELS:
        raise ValueError(f"chat: one to {MOST_MODELS} models fit side by side, and there are {len(models)}")
    asked = [question.strip() for question in questions]
    if not asked or not all(asked) or len(set(asked)) < len(asked):
        raise ValueError(f"chat: it needs at least one suggested question, none empty and none twice, not {asked}")
    if not title.strip() or not all(name.strip() for name in models):
        raise ValueError("chat: the title and the name of every model need at least a letter")
    return Chat(models, asked, title)


class Chat(StudyWidget):
    """The widget. Nothing is kept: it begins anew each time.

    The browser asks by an entry of `state`, {question} under an id of its own. The answer comes back in `exchanges`, a
    list of {id, question, answers}, oldest first, and an answer is {text} or {error}.
    """

    script = "chat"

    exchanges = traitlets.List().tag(sync=True)

    def __init__(self, models: Mapping[str, Reply], questions: Sequence[str], title: str) -> None:
        self.models = dict(models)
        suggestions = [{"question": question, "answers": self.ask(question)} for question in questions]
        super().__init__({"title": title, "names": [*models], "suggestions": suggestions})

    def ask(self, question: str) -> list[dict[str, str]]:
        """What every model says to a question: {text}, or {error} in words."""
        return [_answer(reply, question) for reply in self.models.values()]

    def remember(self, id: str, value: Any) -> None:
        """Answer what the browser asks; an entry that is not our script's is left alone."""
        question = value.get("question") if isinstance(value, dict) else None
        if isinstance(question, str) and question.strip():
            answered = {"id": id, "question": question, "answers": self.ask(question)}
            self.exchanges = [*self.exchanges, answered][-MOST_EXCHANGES:]

    def plain(self) -> str:
        lines = [self.data["title"]]
        for one in self.data["suggestions"]:
            lines += [one["question"], *(f"  {name}: {said}" for name, said in self._named(one))]
        return "\n".join(lines)

    def static_html(self) -> str:
        names = "".join(f"<th>{static_text(name)}</th>" for name in self.data["names"])
        rows = "".join(
            f"<tr><td>{static_text(one['question'])}</td>"
            + "".join(f"<td>{static_text(said).replace(chr(10), '<br>')}</td>" for _, said in self._named(one))
            + "</tr>"
            for one in self.data["suggestions"]
        )
        head = f"<p><strong>{static_text(self.data['title'])}</strong> Run this cell to ask questions of your own.</p>"
        return f"{head}<table><thead><tr><th>Question</th>{names}</tr></thead><tbody>{rows}</tbody></table>"

    def _named(self, exchange: dict[str, Any]) -> list[tuple[str, str]]:
        said = [answer.get("text") or f"({answer.get('error', 'an empty answer')})" for answer in exchange["answers"]]
        return list(zip(self.data["names"], said, strict=True))


def _answer(reply: Reply, question: str) -> dict[str, str]:
    try:
        text = reply(question)
    except Exception as problem:  # whatever it is: it must reach the learner and not the kernel's log
        return {"error": f"{type(problem).__name__}: {problem}"}
    if not isinstance(text, str):
        return {"error": f"The model's function returned {type(text).__name__} instead of text."}
    return {"text": text.strip()}
