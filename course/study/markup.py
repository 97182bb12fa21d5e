"""A text of `quizzes/*.yaml` as HTML: Markdown and `$math$`, and nothing that can run.

Serves every study widget. The texts are data that anyone may send in: HTML in them is shown and not obeyed, links
lead to http(s) and mailto only, pictures are not loaded, and math may use only commands that typeset (MathJax's
`\\href` and its like are refused).
"""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from typing import Any
from xml.etree.ElementTree import tostring

from latex2mathml import commands
from latex2mathml.converter import convert_to_element
from latex2mathml.symbols_parser import convert_symbol
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from mdit_py_plugins.dollarmath import dollarmath_plugin

from course.text import show_direction

LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
NOT_IN_MATH = {"href", "class", "style", "def", "newcommand", "newenvironment", "DeclareMathOperator"}


def _known_commands(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value.removeprefix("\\")
    elif isinstance(value, dict | tuple | set | frozenset):
        for item in value:
            yield from _known_commands(item)


COMMANDS = set(_known_commands(tuple(vars(commands).values()))) - NOT_IN_MATH


def to_mathml(tex: str, display: bool = False) -> str:
    """One formula as MathML, which browsers draw without a script.

    Raises:
        ValueError: it is not valid LaTeX, or uses a command that is unknown or does more than typeset.
    """
    for name in re.findall(r"\\([A-Za-z]+)", tex):
        if name in NOT_IN_MATH or (name not in COMMANDS and convert_symbol(f"\\{name}") is None):
            raise ValueError(f"the formula ${tex}$ uses \\{name}, which is not available here")
    try:
        element = convert_to_element(tex, display="block" if display else "inline")
    except Exception as error:  # the library has twelve exceptions without a common base
        raise ValueError(f"the formula ${tex}$ is not valid LaTeX ({type(error).__name__})") from error
    # The library's own `convert` undoes the escaping of < in the formula, so the tree is written out here.
    for node in element.iter():
        node.text = unescape(node.text) if node.text else node.text
    element.set("alttext", tex)  # what stands for it where a label can only be text
    return tostring(element, encoding="unicode")


def static_text(text: str) -> str:
    """Plain text for the static face: escaped, signs of direction written out, each $ and \\ in an element of its own.

    Readers typeset `$...$` and `\\(...\\)` wherever they find them in a run of text, with all that LaTeX may do there.
    """
    return re.sub(r"[$\\]", r"<span>\g<0></span>", escapeHtml(show_direction(text)))


def _markdown(raw_math: bool) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).disable("image")
    # markdown-it's own check lets through whatever is not known to be harmful, such as the schemes of other programs.
    markdown.validateLink = lambda url: LINK.match(url) is not None  # type: ignore[method-assign]
    dollarmath_plugin(markdown, allow_space=False, allow_digits=False, allow_labels=False)

    def math(self: Any, tokens: Any, i: int, options: Any, env: Any) -> str:
        block = tokens[i].type == "math_block"
        tex = tokens[i].content.strip()
        if raw_math:
            return f"<p>$${escapeHtml(tex)}$$</p>\n" if block else f"${escapeHtml(tex)}$"
        return f"<p>{to_mathml(tex, display=True)}</p>\n" if block else to_mathml(tex)

    def text(self: Any, tokens: Any, i: int, options: Any, env: Any) -> str:
        return static_text(tokens[i].content)

    def link_open(self: Any, tokens: Any, i: int, options: Any, env: Any) -> str:
        tokens[i].attrs |= {"target": "_blank", "rel": "noopener noreferrer"}  # else it would replace the notebook
        return self.renderToken(tokens, i, options, env)

    markdown.add_render_rule("math_inline", math)
    markdown.add_render_rule("math_block", math)
    markdown.add_render_rule("link_open", link_open)
    if raw_math:
        markdown.add_render_rule("text", text)
    return markdown


@cache
def to_html(text: str, raw_math: bool = False) -> str:
    """Markdown with `$math$` as HTML that is safe to show. One paragraph comes without its `<p>`.

    Args:
        text: CommonMark; HTML in it is escaped, pictures are left as text, signs that turn the direction of the text
            are written out.
        raw_math: leave `$...$` as it is, for the static face: readers there strip MathML and typeset LaTeX.
    Raises:
        ValueError: a formula that `to_mathml` refuses.
    """
    html = _markdown(raw_math).render(show_direction(text)).strip()
    inner = html.removeprefix("<p>").removesuffix("</p>")
    return inner if html.startswith("<p>") and "<p>" not in inner and inner.count("</p>") == 0 else html
