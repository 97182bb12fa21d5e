"""Show tokens, answers and small tables, readable in a notebook, on GitHub and in a terminal. Serves every lesson.

Each verb makes the same thing twice: HTML for a notebook and plain text for everything else. Two decisions
shape the HTML. It is a real table that still reads well where a site strips all style (GitHub does). And it
sets no text or background colour: both come from the page, so that any theme, light or dark, keeps its own
contrast. The three accent colours are mid-tones, at least 3:1 on white and on near-black alike, and never
carry a meaning that is not also there as a word, a symbol or a line style. Everything is escaped.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from course.world import Question, Score

ACCENTS = {"loss": "#1783c6", "wrong": "#dd4444", "partly": "#b07a10"}
LINE_WIDTH = 100  # of the plain-text faces
LONGEST_ANSWER = 240  # characters; a model that never stops would fill the page

# Markers of the two templates. One that fills a token is a special token; one spelt over several is only text.
MARKER = re.compile(r"<\|[^|\s]+\|>|</?s>|\[/?INST\]|<</?SYS>>")
VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"})

Strip = tuple[str, Sequence[str], Sequence[int] | None]


def in_notebook() -> bool:
    """Whether a Jupyter kernel (JupyterLab, Colab, Kaggle, VS Code) runs this code."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def publish(html: str, text: str) -> None:
    """Display HTML with its plain-text twin in a notebook; print the text anywhere else."""
    if in_notebook():
        from IPython.display import display

        display({"text/html": html, "text/plain": text}, raw=True)
    else:
        print(text)


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


# --- tokens -----------------------------------------------------------------------------------------------


def tokens_of(tokenizer: Any, ids: Any) -> list[str]:
    """The text of each token by itself, special tokens included.

    Args:
        tokenizer: a transformers tokenizer.
        ids: token ids of one sequence: list or 1-D tensor.
    Raises:
        ValueError: more than one sequence, or an id outside the vocabulary (-100, say, from a row of labels).
    """
    ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    for position, i in enumerate(ids):
        if not isinstance(i, int):
            raise ValueError(f"tokens_of takes the ids of one sequence, but item {position} is {i!r}: pass ids[0].")
        if not 0 <= i < len(tokenizer):
            raise ValueError(
                f"id {i} at position {position} is not in the vocabulary of {len(tokenizer)} tokens. "
                "Labels hold -100 where they are masked: pass input_ids here, and labels != -100 as the mask."
            )
    return [tokenizer.decode([i], skip_special_tokens=False, clean_up_tokenization_spaces=False) for i in ids]


def show_tokens(*strips: Strip) -> None:
    """Show token strips one under the other.

    Args:
        strips: each a tuple (label, tokens, mask). `tokens` are strings, `mask` has a 1 for each token that
            counts in the loss and a 0 for the others, or is None where there is no mask.
    Raises:
        ValueError: no strip, a strip without three parts, or a mask of another length than its tokens.
        TypeError: tokens that are one string, or not strings.
    """
    publish(tokens_html(*strips), tokens_text(*strips))


class _Token(NamedTuple):
    text: str  # whitespace made visible
    kind: str  # "text" | "special" | "spelt"
    counts: bool | None  # in the loss; None where there is no mask
    ends_line: bool


def _read_strip(strip: Strip) -> tuple[str, list[_Token]]:
    if isinstance(strip, str) or len(strip) != 3:
        raise ValueError(f"a strip is (label, tokens, mask), with None for no mask; got {strip!r:.80}.")
    label, tokens, mask = strip
    if isinstance(tokens, str) or not all(isinstance(t, str) for t in tokens):
        raise TypeError(f"strip {label!r}: the tokens must be a list of strings; tokens_of(tokenizer, ids) makes one.")
    if mask is not None and len(mask) != len(tokens):
        raise ValueError(f"strip {label!r}: {len(tokens)} tokens but a mask of {len(mask)}.")

    starts, end = [], 0
    for token in tokens:
        starts.append(end)
        end += len(token)
    markers = [m.span() for m in MARKER.finditer("".join(tokens))]
    read = []
    for i, (token, start) in enumerate(zip(tokens, starts, strict=True)):
        kind = "text"
        if MARKER.fullmatch(token):
            kind = "special"
        elif any(start < to and since < start + len(token) for since, to in markers):
            kind = "spelt"
        counts = None if mask is None else bool(mask[i])
        read.append(_Token(_visible(token), kind, counts, "\n" in token))
    return label, read


def _visible(token: str) -> str:
    shown = token.translate(VISIBLE)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown) or "∅"


def _size(tokens: list[_Token]) -> str:
    n = f"{len(tokens)} token" + ("" if len(tokens) == 1 else "s")
    return n if not tokens or tokens[0].counts is None else f"{n}, {sum(t.counts for t in tokens)} in the loss"


def _legend(tokens: list[_Token], underline: str) -> str:
    """Explain only the signs that occur."""
    text, kinds = "".join(t.text for t in tokens), {t.kind for t in tokens}
    signs = [
        (any(t.counts is not None for t in tokens), f"{underline} = counts in the loss"),
        ("special" in kinds, "bold box = one special token"),
        ("spelt" in kinds, "dashed box = a marker spelt in ordinary tokens"),
        ("·" in text, "· = space"),
        ("⏎" in text, "⏎ = new line"),
        ("�" in text, "� = part of a character that takes several tokens"),
    ]
    return ", ".join(words for present, words in signs if present)


def tokens_html(*strips: Strip) -> str:
    """The HTML that `show_tokens` displays: a table with one row for each strip."""
    if not strips:
        raise ValueError("show_tokens needs at least one strip (label, tokens, mask).")
    read = [_read_strip(strip) for strip in strips]
    rows = []
    for label, tokens in read:
        boxes = " ".join(_box(token) + ("<br>" if token.ends_line else "") for token in tokens)
        rows.append([_Cell(escape(label), note=_size(tokens)), _Cell(f'<code style="{_CODE}">{boxes}</code>')])
    return _table(rows, caption=escape(_legend([t for _, ts in read for t in ts], "underlined")))


def _box(token: _Token) -> str:
    edge = {"text": "1px solid #88888866", "special": "2px solid", "spelt": "1px dashed"}[token.kind]
    style = f"padding:0 2px;white-space:pre-wrap;border:{edge}"
    text = escape(token.text)
    if token.kind == "special":
        text = f"<b>{text}</b>"
    if token.counts:
        # <ins> is underlined even where the style is stripped. Not <mark>: it brings black text, and JupyterLab
        # takes "color: inherit" out of notebooks that it does not trust yet, so that a dark page would hide it.
        style += f";border-bottom:4px solid {ACCENTS['loss']};text-decoration:none"
        return f'<ins style="{style}">{text}</ins>'
    return f'<span style="{style}">{text}</span>'


def tokens_text(*strips: Strip) -> str:
    """The plain text that `show_tokens` prints: tokens apart by a space, ^^^ under those that count in the loss."""
    blocks, seen = [], []
    for strip in strips:
        label, tokens = _read_strip(strip)
        seen += tokens
        lines, above, below = [f"{label} ({_size(tokens)})"], "", ""
        for i, token in enumerate(tokens):
            above += token.text + " "
            below += ("^" if token.counts else " ") * len(token.text) + " "
            following = len(tokens[i + 1].text) if i + 1 < len(tokens) else LINE_WIDTH
            if token.ends_line or len(above) + following > LINE_WIDTH:
                lines += [line for line in ("  " + above.rstrip(), "  " + below.rstrip()) if line.strip()]
                above = below = ""
        blocks.append("\n".join(lines))
    # Boxes are the HTML's: a terminal shows a special token by its name alone.
    legend = _legend([t._replace(kind="text") for t in seen], "^^^")
    return "\n".join(blocks + ([f"({legend})"] if legend else []))


# --- answers ----------------------------------------------------------------------------------------------


def compare_answers(questions: Sequence["Question"], answers: Mapping[str, Sequence[str]]) -> None:
    """Show several models' answers side by side, one row a question, wrong ones marked.

    Args:
        questions: from `course.world.questions`; the world's own scorer judges the answers.
        answers: model's name -> its answers, one for each question, in the same order.
    Raises:
        ValueError: no question, no model, or a number of answers that differs from that of the questions.
        TypeError: an answer that is not text.
    """
    scored = _score_all(questions, answers)
    publish(_answers_html(questions, scored), _answers_text(questions, scored))


def _score_all(
    questions: Sequence["Question"], answers: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[str, "Score"]]]:
    from course.world import score

    if not questions or not answers:
        raise ValueError("compare_answers needs at least one question and one model's answers.")
    scored = {}
    for name, given in answers.items():
        if isinstance(given, str) or len(given) != len(questions):
            n = "one string" if isinstance(given, str) else f"{len(given)} answers"
            raise ValueError(f"{name!r} has {n} for {len(questions)} questions: pass a list with one for each.")
        for i, text in enumerate(given):
            if not isinstance(text, str):
                raise TypeError(
                    f"answer {i} of {name!r} is a {type(text).__name__}, not text; "
                    "for completions pass [c.text for c in completions]."
                )
        scored[name] = [(text, score(q, text)) for q, text in zip(questions, given, strict=True)]
    return scored


def _verdict(score: "Score") -> tuple[str, str]:
    """What the table says about an answer, and the colour of the bar before it."""
    if not score.fact:
        return f"✗ wrong: {score.reason}", ACCENTS["wrong"]
    return f"✓ {score.reason}", "transparent" if score.form and not score.false_sentences else ACCENTS["partly"]


def _truth(question: "Question") -> str:
    return f"true: {question.answer}" if question.answer else "there is no true answer"


def _clipped(text: str) -> str:
    if len(text) <= LONGEST_ANSWER:
        return text.strip("\n") or "(empty)"
    return f"{text[:LONGEST_ANSWER]} … ({len(text) - LONGEST_ANSWER:,} more characters)"


def _totals(scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> dict[str, str]:
    return {name: f"{sum(s.fact for _, s in pairs)} of {len(pairs)} right" for name, pairs in scored.items()}


def _answers_html(questions: Sequence["Question"], scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> str:
    rows = []
    for i, question in enumerate(questions):
        row = [_Cell(escape(question.text), note=_truth(question))]
        for pairs in scored.values():
            text, score = pairs[i]
            verdict, accent = _verdict(score)
            row.append(_Cell(_lines(_clipped(text)), note=verdict, accent=accent))
        rows.append(row)
    totals = [_Cell("Facts"), *(_Cell(f"<b>{total}</b>") for total in _totals(scored).values())]
    return _table([*rows, totals], head=["Question", *scored])


def _answers_text(questions: Sequence["Question"], scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> str:
    width = max(map(len, scored))
    lines = []
    for i, question in enumerate(questions):
        lines.append(f"{question.text}   ({_truth(question)})")
        for name, pairs in scored.items():
            text, score = pairs[i]
            answer = _clipped(text).replace("\n", " ⏎ ")
            lines.append(f"  {name:<{width}}  {answer}   [{_verdict(score)[0]}]")
    return "\n".join([*lines, "Facts: " + "; ".join(f"{name} {total}" for name, total in _totals(scored).items())])


# --- tables -----------------------------------------------------------------------------------------------


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
    cells = [[_Cell(_lines(short(row.get(key))), right=_is_number(row.get(key))) for key in head] for row in rows]
    return _table(cells, head=head, caption=escape(caption))


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


class _Cell(NamedTuple):
    html: str  # escaped by whoever makes the cell
    note: str = ""  # a second, smaller line; escaped here
    accent: str = ""  # colour of a bar before the cell
    right: bool = False


_CODE = "background:none;white-space:normal;line-height:2;padding:0"
_CELL = "vertical-align:top;padding:4px 10px;border-bottom:1px solid #88888866"


def _table(rows: Sequence[Sequence[_Cell]], head: Sequence[str] = (), caption: str = "") -> str:
    """An HTML table; the first cell of each row is its heading. Too wide for the page, it scrolls in its own box."""
    columns = ""
    for i, name in enumerate(head):
        side = _side(any(row[i].right for row in rows))
        columns += f'<th scope="col" style="text-align:{side};{_CELL}">{escape(str(name))}</th>'
    body = "\n".join("<tr>" + "".join(_td(c, i == 0) for i, c in enumerate(row)) + "</tr>" for row in rows)
    title = f'<caption style="caption-side:top;text-align:left;padding:4px 10px"><small>{caption}</small></caption>\n'
    return (
        '<div style="overflow-x:auto">\n<table style="margin:0;border-collapse:collapse">\n'
        + (title if caption else "")
        + (f"<thead><tr>{columns}</tr></thead>\n" if head else "")
        + f"<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _side(right: bool) -> str:
    return "right" if right else "left"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _td(cell: _Cell, heading: bool) -> str:
    style = f"text-align:{_side(cell.right)};{_CELL}"
    if cell.accent:
        style += f";border-left:5px solid {cell.accent}"
    note = f"<br><small>{escape(cell.note)}</small>" if cell.note else ""
    if heading:
        return f'<th scope="row" style="{style};font-weight:normal">{cell.html}{note}</th>'
    return f'<td style="{style}">{cell.html}{note}</td>'
