"""What `quizzes/*.yaml` holds: the models that check it, and errors that say line and mend.

Serves every lesson. The fields of a file are those of `Lesson`. Ids are kebab-case, start with the lesson's two
digits and are unique over all files, since the learner's answers and cards are kept under them. YAML is read by the
safe loader, which makes text, numbers, lists and mappings only; `markup` makes the texts safe to show.
"""

import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from course.study.markup import to_html
from course.study.yaml_lines import LARGEST, ContentError, cut, line_of, read_mapping, wrong_names

PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = PACKAGE / "quizzes" if (PACKAGE / "quizzes").is_dir() else PACKAGE.parent / "quizzes"
"""Where the files are: inside the package in an installed wheel, beside it in a checkout."""


SHOWN = 50
"""So many mistakes of a file are written out."""


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; write the text or remove the field")
    to_html(text)  # a formula that cannot be shown is found now and not in front of a learner
    return text


def _check_id(id: str) -> str:
    if not re.fullmatch(r"[0-9]{2}(-[a-z0-9]+)+", id):
        raise ValueError(f'"{id}" is not an id; write the lesson and lower-case words, such as 01-carries-on')
    return id


Text = Annotated[str, AfterValidator(_check_text)]
Id = Annotated[str, AfterValidator(_check_id)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Option(_Checked):
    """One answer to choose, and the feedback for having chosen it."""

    text: Text
    right: bool = False
    why: Text


class _Choice(_Checked):
    id: Id
    prompt: Text
    options: list[Option] = Field(min_length=2)
    explanation: Text | None = None

    @model_validator(mode="after")
    def _check_options(self) -> "_Choice":
        texts = Counter(option.text.strip() for option in self.options)
        if twice := [text for text, n in texts.items() if n > 1]:
            raise ValueError(f'the option "{twice[0]}" stands there twice; remove or reword one of them')
        return self


class Single(_Choice):
    """Exactly one option is right."""

    type: Literal["single"]

    @model_validator(mode="after")
    def _check_right(self) -> "Single":
        n = sum(option.right for option in self.options)
        if n != 1:
            raise ValueError(f"{n or 'no'} option{'s are' if n > 1 else ' is'} right; mark exactly one `right: true`")
        return self


class Several(_Choice):
    """One or more options are right, and not all of them."""

    type: Literal["several"]

    @model_validator(mode="after")
    def _check_right(self) -> "Several":
        n = sum(option.right for option in self.options)
        if n in (0, len(self.options)):
            raise ValueError(f"{'all options are' if n else 'no option is'} right; at least one must be and one not")
        return self


class Near(_Checked):
    """A wrong number that has a known cause, with the feedback that names it."""

    value: Finite
    why: Text


class Numeric(_Checked):
    """A number, right within a tolerance."""

    id: Id
    type: Literal["numeric"]
    prompt: Text
    answer: Finite
    tolerance: Finite = Field(ge=0)
    unit: str = ""
    near: list[Near] = []
    explanation: Text

    @model_validator(mode="after")
    def _check_near(self) -> "Numeric":
        values = Counter(near.value for near in self.near)
        if twice := [value for value, n in values.items() if n > 1]:
            raise ValueError(f"near {twice[0]:g} stands there twice; keep the text that fits")
        for near in self.near:
            if abs(near.value - self.answer) <= self.tolerance:
                raise ValueError(
                    f"near {near.value:g} lies within the tolerance, so it is right; move it or narrow that"
                )
        return self


class Short(_Checked):
    """An answer in the learner's own words, compared by the learner with a model answer and its points."""

    id: Id
    type: Literal["short"]
    prompt: Text
    answer: Text
    rubric: list[Text] = Field(min_length=1)


Question = Annotated[Single | Several | Numeric | Short, Field(discriminator="type")]
QUESTION_TYPES = ("single", "several", "numeric", "short")


class Card(_Checked):
    """A flashcard."""

    id: Id
    front: Text
    back: Text


class ExerciseText(_Checked):
    """The texts of an exercise; its cases and its solution as code are in the package `course.exercises`."""

    id: Id
    title: Text
    task: Text
    mistakes: dict[str, Text] = {}
    hints: list[Text] = Field(min_length=1)
    solution: Text


class Lesson(_Checked):
    """One file: what a lesson asks."""

    lesson: str = Field(pattern=r"^[0-9]{2}$")
    title: Text
    questions: list[Question] = []
    cards: list[Card] = []
    exercises: list[ExerciseText] = []

    def items(self) -> Iterator[tuple[str, int, str]]:
        """Where each id stands: (field, index in it, id)."""
        for field in ("questions", "cards", "exercises"):
            for i, item in enumerate(getattr(self, field)):
                yield field, i, item.id


def load_lesson(lesson: str) -> Lesson:
    """The checked content of one lesson.

    Args:
        lesson: its two digits, as in "01".
    Raises:
        ContentError: there is no such lesson, or its file has mistakes (all are listed).
    """
    require_number(lesson)
    paths = [path for path in _files() if _number(path) == lesson]
    if not paths:
        first, there = lesson[:2], lesson_numbers()
        if lesson[2:3] == "-" and first in there:
            raise ContentError(f'"{lesson}" is an id; the lesson comes before it, as in ("{first}", "{lesson}")')
        raise ContentError(f'there is no lesson "{lesson}" in {FOLDER}; there is: {", ".join(there) or "none"}')
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise ContentError(f'{names} both say `lesson: "{lesson}"`; one lesson has one file')
    return read_lesson(paths[0])


def require_number(lesson: object) -> None:
    """Raises ContentError where this is not a lesson's number in quotes."""
    if not isinstance(lesson, str):
        raise ContentError(f'{lesson!r} is not a lesson; write its two digits in quotes, as in "01"')


def load_all() -> dict[str, Lesson]:
    """Every lesson by its two digits, in order. No id is in two of them, since ids begin with their lesson.

    Raises:
        ContentError: a file has mistakes, or two files share a lesson.
    """
    lessons: dict[str, Lesson] = {}
    for path in _files():
        lesson = read_lesson(path)
        if lesson.lesson in lessons:
            raise ContentError(f'{path.name}: lesson "{lesson.lesson}" already has a file; one lesson has one file')
        lessons[lesson.lesson] = lesson
    return dict(sorted(lessons.items()))


def lesson_numbers() -> list[str]:
    """The two digits of every lesson that has a file, in order; files are not checked for this."""
    return sorted(filter(None, map(_number, _files())))


def read_lesson(path: Path) -> Lesson:
    """One file, checked.

    Raises:
        ContentError: with a line for each mistake: line, item, field, what is wrong and what to do.
    """
    return _read(path, path.stat().st_mtime_ns)


def pick(lesson: Lesson, field: Literal["questions", "cards", "exercises"], ids: tuple[str, ...]) -> list[Any]:
    """The named items of a lesson in the order of the names; all of them when none is named.

    Raises:
        ContentError: an id that the lesson does not have, with the nearest one that it has.
    """
    items = {item.id: item for item in getattr(lesson, field)}
    for id in ids:
        if not isinstance(id, str):
            example = ", ".join(f'"{name}"' for name in list(items)[:2])
            raise ContentError(f"{id!r} is not the id of one of its {field}; write each id in quotes, as in {example}")
        if id not in items:
            near = get_close_matches(str(id), items, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(items) or 'none'}"
            raise ContentError(f'lesson "{lesson.lesson}" has no {field[:-1]} "{id}"; {hint}')
    return [items[id] for id in ids] if ids else list(items.values())


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


def _number(path: Path) -> str:
    """The lesson that a file says it is, without reading the rest: one broken file must not stop the others."""
    with path.open(encoding="utf-8", errors="replace") as file:
        found = re.search(r"^lesson:\s*[\"']?(\w{1,9})", file.read(LARGEST), re.MULTILINE)
    return found[1] if found else ""


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Lesson:
    value, node = read_mapping(path)
    more = 0
    problems = list(wrong_names(node))
    try:
        lesson = Lesson.model_validate(value)
        problems += _id_problems(lesson, node)
    except ValidationError as error:
        errors = [one for one in error.errors(include_url=False) if one["type"] != "invalid_key"]  # said above
        more = len(errors[20 * SHOWN :])  # to find the lines of thousands would take minutes
        problems += [_problem(details, value, node) for details in errors[: 20 * SHOWN]]
    if problems:
        lines = [f"  line {line}: {cut(text)}" for line, text in sorted(problems)]
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"  ... and {len(lines) - SHOWN + more} more"]
        raise ContentError("\n".join([f"{path} needs mending:", *lines]))
    return lesson


def _id_problems(lesson: Lesson, node: Any) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for field, i, id in lesson.items():
        line = line_of(node, (field, i, "id"))
        if not id.startswith(f"{lesson.lesson}-"):
            yield line, f"{id}: the ids of this file start with {lesson.lesson}-"
        if id in first:
            yield line, f"{id}: this id is already used in line {first[id]}; give it another"
        first.setdefault(id, line)


def _problem(details: Any, value: dict[str, Any], node: Any) -> tuple[int, str]:
    """A pydantic error as the line it is about and a sentence that says what to do."""
    loc = [part for part in details["loc"] if part not in QUESTION_TYPES]  # the union puts its tag into the path
    given, ctx = reprlib.repr(details["input"]), details.get("ctx", {})
    tag = reprlib.repr(ctx.get("tag"))
    fault = "model_type" if details["type"] in ("model_attributes_type", "dict_type") else details["type"]
    message = {
        "missing": "it is missing; add it",
        "extra_forbidden": "there is no such field; remove it or correct its name",
        "string_type": f"{given} is not text; put it in quotes",
        "bool_type": f"{given} is neither true nor false; write one of them, without quotes",
        "float_type": f"{given} is not a number; write it in digits, as in 0.25 or 1e3, and without quotes",
        "finite_number": f"{given} is no finite number; write one in digits, as in 0.25 or 1e3",
        "greater_than_equal": f"{given} is below 0; write 0 or more",
        "list_type": f"{given} is not a list; start each item on a line of its own with a hyphen",
        "model_type": f"{given} is not a set of fields; write each as `name: text` on a line of its own",
        "too_short": f"it has too few items; it needs {ctx.get('min_length')} or more",
        "union_tag_not_found": f"`type` is missing; write one of {', '.join(QUESTION_TYPES)}",
        "union_tag_invalid": f"the type {tag} is unknown; write one of {', '.join(QUESTION_TYPES)}",
    }.get(fault, details["msg"].removeprefix("Value error, "))
    if loc == ["lesson"]:
        message = f'{given} is not a lesson; write its two digits in quotes, as in "01"'
    names = [f"{part + 1}" if isinstance(part, int) else part for part in loc]
    if len(loc) > 1 and isinstance(loc[1], int):
        item = value[loc[0]][loc[1]]
        id = item.get("id") if isinstance(item, dict) else None
        names[:2] = [f"{loc[0][:-1]} {id or f'number {loc[1] + 1}'}"]
    return line_of(node, tuple(loc)), f"{', '.join(names)}: {message}"
