"""Reads a YAML file so that a mistake can be answered with its line; used by `content` for `quizzes/*.yaml`.

The safe loader makes text, numbers, lists and mappings only, whatever tags a file carries.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# The same nodes, by libyaml where PyYAML was built with it: ten times faster.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ContentError(ValueError):
    """A file of questions that cannot be used, or an id that is in none of them. The message says what to mend."""


def read_mapping(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """The file's value, and the nodes that know where each part of it stands.

    Raises:
        ContentError: it is not UTF-8, not YAML that the safe loader reads, or not a mapping.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=LOADER)
        value = yaml.SafeLoader("").construct_document(node) if node else None
    except UnicodeDecodeError as error:
        raise ContentError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ContentError(f"{path}{line}: this is not YAML that can be read here: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ContentError(f"{path}: this is not YAML that can be read here: {error}") from error
    if not isinstance(value, dict):
        raise ContentError(f"{path}: it must start with `lesson:`, `title:` and lists of questions and cards")
    return value, node


def doubles(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """(line, name) of each key that a mapping has twice; YAML would keep the last and say nothing."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias may point back
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            waiting.extend(value for _, value in node.value)
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for i, (key, _) in enumerate(node.value):
                if isinstance(key, yaml.ScalarNode) and key.value in names[:i]:
                    yield key.start_mark.line + 1, key.value


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
