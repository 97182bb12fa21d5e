"""What a text holds: its words in any script, whether it shows anything, and characters that mislead.

Serves every part of the package that counts words or takes a text from outside. No torch.
"""

import unicodedata
from itertools import chain

import regex

# Default-ignorable characters are those that Unicode asks fonts not to draw: U+200B, U+00AD, variation selectors, tags.
_INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb\p{Cc}--\s]", regex.V1)
_BOUNDARY = regex.compile(r"(?V1w)\b")
_WORD = regex.compile(r"[\p{Alphabetic}\p{N}\p{S}]")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_HALF = regex.compile(r"\p{Cs}")
_BIDI = regex.compile(r"[\u202a-\u202e\u2066-\u2069]")


def segments(text: str) -> list[str]:
    """The text cut at Unicode word boundaries (UAX #29), without white space: words, and each sign by itself.

    Where a script puts no spaces between words (Chinese, Japanese, Thai, ...), each character is one.
    """
    parts = [part for part in _BOUNDARY.split(text) if part and not part.isspace()]
    if not _UNSPACED.search(text):
        return parts
    whole = ([part] if len(part) == 1 or not _UNSPACED.search(part) else regex.findall(r"\X", part) for part in parts)
    return list(chain.from_iterable(whole))


def word_count(text: str) -> int:
    """Words: what white space separates, as in `text.split()`; a text of punctuation alone has none.

    Where a script puts no spaces between words, each character is one, and punctuation is none.
    """
    if not _WORD.search(shown := visible(text)):
        return 0
    return sum(
        sum(_WORD.search(part) is not None for part in segments(piece)) if _UNSPACED.search(piece) else 1
        for piece in shown.split()
    )


def visible(text: str) -> str:
    """The text without the characters that show nothing, such as U+200B or a byte-order mark; white space stays."""
    return _INVISIBLE.sub("", text)


def canonical(text: str) -> str:
    """One way of writing a text: NFC, nothing invisible, single spaces. Case and signs stay, for they carry meaning."""
    return " ".join(unicodedata.normalize("NFC", visible(text)).split())


def half_character(text: str) -> str | None:
    """Where a text holds half of a surrogate pair, which UTF-8 and tokenizers refuse; None if it holds none."""
    found = None if text.isascii() else _HALF.search(text)
    return found and f"U+{ord(found[0]):04X} at character {found.start() + 1}"


def show_direction(text: str) -> str:
    """The text with the signs that turn its direction written out, so that it reads in the order it is stored."""
    return _BIDI.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)
