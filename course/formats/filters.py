"""Which answers should not be imitated: too short, too long, with broken markup, or another model's boilerplate.

Serves notebook 02. A record may speak about what the filters look for. Code and quotations are therefore left out
before they look, and a text about HTML or about special tokens may name them.
"""

import re
from collections.abc import Callable, Collection
from html import unescape

from course.formats.records import Record
from course.text import canonical, word_count

REASONS = ("too short", "too long", "broken markup", "refusal boilerplate")

LEFTOVER = re.compile(
    r"<[|\uff5c][^\s<>|\uff5c]{1,30}[|\uff5c]>|(?<!\w)\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:unk|pad|[be]os)>",
    re.IGNORECASE,
)
"""The markers of another chat template or tokenizer."""
S_TAG = re.compile(r"</s>|^\s*<s>|(?<!\w)<s>(?!\w)", re.IGNORECASE)
"""A tokenizer's marker, or HTML's tag for what is struck out."""
ABOUT_TOKENS = re.compile(
    r"\b(?:tokens?|tokeni[sz]ers?|templates?|markers?|delimiters?|chatml|llama|gpt|u\+fffd|replacement character)\b",
    re.IGNORECASE,
)
AT_THE_END = re.compile(r"[^\s(]<\|[^\s<>|]{1,30}\|>\s*$")
"""Whatever the text is about, this is a marker that was left in."""
TAG = re.compile(
    r"</(?:p|div|span|ul|ol|li|a|b|i|em|strong|table|tr|td|h[1-6]|font|center|script|style|body|html)\s*>|<[bh]r\s*/?>"
    r"|(?<!\w)<(?:p|div|span|a|img|font|iframe)\s+[a-z-]+=[^<>]*>|<!--",
    re.IGNORECASE,
)
"""Tags of web pages. A lone `<b>` is no sign of a web page: it is a type, a comparison, or a word about HTML."""
ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|[lr][sd]quo|[mn]dash|hellip|[a-z](?:acute|grave|circ|uml|tilde)|#x?[\da-f]+);", re.I
)
ABOUT_MARKUP = re.compile(
    r"\b(?:x?html|xml|svg|jsx|css|markup|markdown|react|vue|dom|tags?|entit(?:y|ies)|escap\w+|ampersand|apostrophe"
    r"|elements?|browsers?|web ?pages?)\b",
    re.IGNORECASE,
)
_MODEL = r"an? (?:(?:large|ai|artificial intelligence)[ -])*language model\b(?! \w+(?:er|ist)\b)"
REFUSAL = re.compile(
    rf"(?:^|[.!?,;:*] ?|\b(?:and|because|but|since|so|sorry|that) )as {_MODEL}(?=[^.!?;]*\b(?:I|my|me)\b)"
    rf"|\bI(?:,| (?:can|do|am|have|was)(?: ?no|n['\u2019]t|['\u2019]t| unable)[^.!?;]{{0,200}}) as {_MODEL}"
    rf"|\bmy \w+ as {_MODEL}|\bI(?: am|['\u2019]m) {_MODEL}"
    r"|\bas an (?:ai|artificial intelligence)(?: model| assistant)?,? I\b|\bmy knowledge cut-?off\b",
    re.IGNORECASE,
)
"""Another model talking about itself. A refusal in the answer's own words is not boilerplate."""
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
QUOTATION = re.compile(
    r"(?<!\w)\"(?=\S)(?:[^\"\n]|\n(?!\n))*(?<=\S)\"(?!\w)|(?<!\w)'(?=\S)(?:[^'\n]|\b'\b|\n(?!\n))*(?<=\S)'(?!\w)"
    r"|\u201e[^\u201c-\u201e]*[\u201c\u201d]|\u201c[^\u201c-\u201e]*\u201d|\u2018[^\u2018\u2019]*\u2019"
    r"|\u00ab[^\u00ab\u00bb]*\u00bb|\u300c[^\u300c\u300d]*\u300d|\u300e[^\u300e\u300f]*\u300f|^ *>.*$",
    re.MULTILINE,
)
FENCE = re.compile(r"\s*(?:(?:[-*+>]|\d+[.)])\s+)?(`{3,}|~{3,})(.*)")


def fault(
    record: Record,
    min_words: int,
    max_words: int,
    keep: Callable[[Record], bool] | None = None,
    wanted: Collection[str] = REASONS,
) -> str | None:
    """The first reason among `wanted`, if any, not to learn from this conversation; your own filter comes last."""
    texts = [turn["content"] for turn in record["messages"]]
    answers = [turn["content"] for turn in record["messages"] if turn["role"] == "assistant"]
    sizes = [word_count(answer) for answer in answers]
    found = {
        "too short": lambda: min(sizes) < min_words,
        "too long": lambda: max(sizes) > max_words,
        "broken markup": lambda: _is_broken(texts),
        "refusal boilerplate": lambda: any(REFUSAL.search(canonical(_own_words(answer)[0])) for answer in answers),
    }
    for reason, holds in found.items():
        if reason in wanted and holds():
            return reason
    if keep is not None and not keep(record):
        name = getattr(keep, "__name__", "<no name>")
        return "not kept by your filter" if name.startswith("<") else f"not {name}"  # a lambda is called <lambda>
    return None


def _is_broken(texts: list[str]) -> bool:
    """Whether code is cut off, or markers, tags or entities are left over outside code and quotations."""
    prose, cut_off = zip(*map(_own_words, texts), strict=True)
    tokens = any(map(LEFTOVER.search, prose)) or any("\ufffd" in text for text in texts)  # decoded wrongly
    markup = any(map(TAG.search, prose)) or any(map(_has_entity, prose))
    either = any(map(S_TAG.search, prose))
    left = (tokens, [ABOUT_TOKENS]), (markup, [ABOUT_MARKUP]), (either, [ABOUT_TOKENS, ABOUT_MARKUP])
    about_else = any(found and not any(s.search(text) for s in subjects for text in texts) for found, subjects in left)
    return about_else or any(cut_off) or any(map(AT_THE_END.search, prose))


def _has_entity(text: str) -> bool:
    """Whether it holds an entity such as &lt;, and not the character itself, which a text about entities would."""
    rest = ENTITY.sub("", text)
    return any(unescape(entity) not in rest for entity in ENTITY.findall(text))


def _own_words(text: str) -> tuple[str, bool]:
    """The text outside of code (fenced, indented, inline) and quotations, and whether a fence is never closed."""
    lines, fence, info, indented = [], "", "", True
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark and "`" not in mark[2]:
            fence, info = mark.groups()
        elif not (indented and line.startswith(("    ", "\t"))):
            lines.append(line)
            indented = not line.strip()
    cut_off = bool(fence) and len(info.split()) <= 1  # "``` opens a block" is a sentence
    return QUOTATION.sub(" ", INLINE_CODE.sub(" ", "\n".join(lines))), cut_off
