"""Reads a YAML file so that a mistake can be answered with its line; serves `content` for `quizzes/*.yaml`.

Text, numbers, true and false, lists and mappings only, whatever tags a file carries; numbers as YAML 1.2 has them, so
that 1e3 is a thousand, 010 is ten and 1:30 is text. What a file may hold is limited before anything is built from it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

LARGEST = 1_000_000
"""Bytes of a file."""
LONGEST = 20_000
"""Characters of one text."""
DEEPEST = 20
MOST = 20_000
"""Parts of a file: texts, lists and mappings."""
QUOTED = 300
"""Characters of a line in an error."""


FORMS = {
    "null": ("~nN", r"~|null|Null|NULL|"),
    "bool": ("yYnNtTfFoO", r"(?i:yes|no|true|false|on|off)"),
    "int": ("-+0123456789", r"[-+]?[0-9]+"),
    "float": ("-+.0123456789", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?i:inf)|\.(?i:nan)"),
}
"""What a text without quotes may be: its first characters and the whole of it. No dates, no 1:30, no 0x1F."""


MENDS = {
    "cannot start any token": "put the text in quotes, or indent with spaces if there is a tab",
    "tab character": "indent with spaces",
    "mapping values are not allowed": "put a text that holds `: ` in quotes, and check the indentation",
    "block sequence entries": "start each `- ` on a line of its own, or put the text in quotes",
    "end of stream": "close the quotation marks or brackets that were opened",
    "escape": "write a backslash as two, or use single quotation marks",
    "expected": "check the indentation, and the quotation marks and brackets above",
    "another document": "remove the `---`",
    "unhashable": "a field's name is a word; put it in quotes",
}
"""What to do, by a part of what the parser says."""


# The same nodes, by libyaml where PyYAML was built with it: ten times faster.
class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The safe loader, with the numbers of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _name, (_first, _form) in FORMS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_form})$"), [*_first, ""])
Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(re.sub(r"\.(?=[in])", "", node.value.lower())))


class ContentError(ValueError):
    """A file of questions that cannot be used, or an id that is in none of them. The message says how to fix it."""


def read_mapping(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """The file's value, and the nodes that know where each part of it stands.

    Raises:
        ContentError: it is too large, too deep or uses aliases, or is not UTF-8, not YAML that the safe loader reads,
            or not a mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ContentError(f"{path} is larger than {LARGEST:,} bytes; divide it")
        text = data.decode("utf-8")
        if sign := yaml.reader.Reader.NON_PRINTABLE.search(text):
            line = text.count("\n", 0, sign.start()) + 1
            raise ContentError(f"{path}, line {line}: the character U+{ord(sign[0]):04X} is not allowed; remove it")
        _check_limits(text, path)
        loader = Loader(text)
        node = loader.get_single_node()
        value = loader.construct_document(node) if node else None
    except UnicodeDecodeError as error:
        raise ContentError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        mend = next((f"; {mend}" for part, mend in MENDS.items() if part in error.problem), "")
        raise ContentError(
            f"{path}{line}: this is not YAML that can be read here: {cut(error.problem)}{mend}"
        ) from error
    except yaml.YAMLError as error:
        raise ContentError(f"{path}: this is not YAML that can be read here: {cut(str(error))}") from error
    if not isinstance(value, dict):
        raise ContentError(f"{path}: it must start with `lesson:`, `title:` and lists of questions and cards")
    return value, node


def cut(text: str, longest: int = QUOTED) -> str:
    """A text as an error may quote it: not too long, and without signs that steer a terminal."""
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return text if len(text) <= longest else f"{text[:longest]} ..."


def _check_limits(text: str, path: Path) -> None:
    """Raises what is wrong with the sizes. The parser gives one event after the other and builds nothing."""
    depth = 0
    for n, event in enumerate(yaml.parse(text, Loader=Loader)):
        wrong = ""
        if n > MOST:
            wrong = f"the file has more than {MOST:,} parts; divide it"
        elif getattr(event, "tag", None):
            wrong = "tags (!) are not used here; put the text in quotes if it begins with the sign"
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            wrong = "anchors (&) and aliases (*) are not used here; write the text out, or put it in quotes"
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > LONGEST:
                wrong = f"a text of {len(event.value):,} characters; at most {LONGEST:,} are read, so divide it"
            elif event.implicit[0] and re.fullmatch(r"[-+]?[0-9]{310,}", event.value):
                wrong = f"a number of {len(event.value):,} digits; put it in quotes if it is text"
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                wrong = f"this is nested more than {DEEPEST} levels deep; write the fields of `content.Lesson` only"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if wrong:
            raise ContentError(f"{path}, line {event.start_mark.line + 1}: {wrong}")


def wrong_names(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of each field's name that is no text, or that a mapping has twice: YAML would keep the last
    and say nothing.
    """
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            waiting.extend(value for _, value in node.value)
            seen: set[str] = set()
            for key, _ in node.value:
                if not key.tag.endswith(":str"):
                    yield key.start_mark.line + 1, f"the field's name `{key.value}` is not text; put it in quotes"
                if key.value in seen:
                    yield key.start_mark.line + 1, f"the field `{key.value}` stands there twice; keep one"
                seen.add(key.value)


def line_of(node: yaml.Node, path: tuple[str | int, ...]) -> int:
    """The line, from 1, of the innermost part on this path that the file has."""
    line = node.start_mark.line
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if found:
                line, node = found[0][0].start_mark.line, found[0][1]
    return line + 1
