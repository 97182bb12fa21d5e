"""What every verb that shows something stands on: where it is shown, numbers as text, and one plain HTML table.

Serves every lesson. Each verb makes the same thing twice: HTML for a notebook and plain text for everything else. Two
decisions shape the HTML. It is a real table that still reads well where a site strips all style (GitHub does). And it
sets no text or background colour: both come from the page, so that any theme, light or dark, keeps its own contrast.
The three accent colours are mid-tones, at least 3:1 on white and on near-black alike, and never carry a meaning that
is not also there as a word, a symbol or a line style. Everything is escaped.
"""

import sys
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from course.stops import half_trained
from course.text import show_direction

ACCENTS = {"loss": "#1783c6", "wrong": "#dd4444", "partly": "#b07a10"}


def in_notebook() -> bool:
    """Whether a Jupyter kernel (JupyterLab, Colab, Kaggle, VS Code) runs this code."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def publish(html: str, text: str) -> None:
    """Display HTML with its plain-text twin in a notebook; print the text anywhere else.

    Signs that turn the direction of text are written out, so that no answer reads otherwise than it is stored.
    """
    html, text = show_direction(html), show_direction(text)
    if in_notebook():
        from IPython.display import display

        display({"text/html": html, "text/plain": text}, raw=True)
    else:
        print(text)
    half_trained()


def plain(value: Any) -> Any:
    """A NumPy or torch scalar as the Python value inside it, lists and arrays as lists of them; the rest as it is."""
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def short(value: Any) -> str:
    """A value as a table shows it: four significant digits, thousands separated, yes and no for truth values."""
    value = plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(short, value))
    return "" if value is None else str(value)


class Cell(NamedTuple):
    """One cell of a table."""

    html: str  # escaped by whoever makes the cell
    note: str = ""  # a second, smaller line; escaped here
    accent: str = ""  # colour of a bar before the cell
    right: bool = False


_CELL = "vertical-align:top;padding:4px 10px;border-bottom:1px solid #88888866"


def table(rows: Sequence[Sequence[Cell]], head: Sequence[str] = (), caption: str = "") -> str:
    """An HTML table; the first cell of each row is its heading, the caption is HTML.

    Too wide for the page, it scrolls in a box of its own.
    """
    columns = ""
    for i, name in enumerate(head):
        side = "right" if any(row[i].right for row in rows) else "left"
        columns += f'<th scope="col" style="text-align:{side};{_CELL}">{escape(str(name))}</th>'
    body = "\n".join("<tr>" + "".join(_td(c, i == 0) for i, c in enumerate(row)) + "</tr>" for row in rows)
    title = f'<caption style="caption-side:top;text-align:left;padding:4px 10px"><small>{caption}</small></caption>\n'
    return (
        '<div style="overflow-x:auto">\n<table style="margin:0;border-collapse:collapse">\n'
        + (title if caption else "")
        + (f"<thead><tr>{columns}</tr></thead>\n" if head else "")
        + f"<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def with_breaks(text: str) -> str:
    """Text escaped, its line ends kept."""
    return escape(text).replace("\n", "<br>")


def _td(cell: Cell, heading: bool) -> str:
    style = f"text-align:{'right' if cell.right else 'left'};{_CELL}"
    if cell.accent:
        style += f";border-left:5px solid {cell.accent}"
    note = f"<br><small>{escape(cell.note)}</small>" if cell.note else ""
    if heading:
        return f'<th scope="row" style="{style};font-weight:normal">{cell.html}{note}</th>'
    return f'<td style="{style}">{cell.html}{note}</td>'
