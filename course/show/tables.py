"""A small table of measured numbers. Serves every lesson."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from course.show.page import Cell, plain, publish, short, table, with_breaks


def show_table(rows: Sequence[Mapping[str, Any]], caption: str) -> None:
    """Show a small table: one row for each mapping, one column for each key, in the order of first mention.

    Numbers get four significant digits and stand to the right; a missing key leaves its place empty.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError(f"the table {caption!r} has no rows.")
    publish(_rows_html(rows, caption), _rows_text(rows, caption))


def _rows_html(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
    head = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[Cell(with_breaks(short(row.get(key))), right=_is_number(row.get(key))) for key in head] for row in rows]
    return table(cells, head=head, caption=escape(caption))


def _rows_text(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
    head = list(dict.fromkeys(key for row in rows for key in row))
    lines = [[str(key) for key in head]] + [[short(row.get(key)).replace("\n", " ⏎ ") for key in head] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [any(_is_number(row.get(key)) for row in rows) for key in head]
    text = [
        "  ".join(f"{v:{'>' if right else '<'}{w}}" for v, w, right in zip(line, widths, numeric, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([caption, *text])


def _is_number(value: Any) -> bool:
    value = plain(value)
    return isinstance(value, int | float) and not isinstance(value, bool)
