"""Tokens one by one: what a model reads, which of them are markers, and which count in the loss.

Serves lessons 01 to 04 above all.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from course.show.page import ACCENTS, Cell, publish, table

LINE_WIDTH = 100  # of the plain text
_CODE = "background:none;white-space:normal;line-height:2;padding:0"

# Markers of the two templates. One that fills a token is a special token; one spelt over several is only text.
MARKER = re.compile(r"<\|[^|\s]+\|>|</?s>|\[/?INST\]|<</?SYS>>")
VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"})

Strip = tuple[str, Sequence[str], Sequence[int] | None]


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
        rows.append([Cell(escape(label), note=_size(tokens)), Cell(f'<code style="{_CODE}">{boxes}</code>')])
    return table(rows, caption=escape(_legend([t for _, ts in read for t in ts], "underlined")))


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
