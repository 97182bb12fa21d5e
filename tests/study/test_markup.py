"""The texts of lesson files as HTML: no text can run, and formulas, money and links stay what they are."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.study.markup import static_text, to_html, to_mathml

TAGS = """p em strong code pre ul ol li a br hr blockquote h1 h2 h3 h4 h5 h6 span math mrow mi mo mn mtext mspace
msub msup msubsup mfrac msqrt mroot mover munder munderover mtable mtr mtd mstyle mpadded menclose mmultiscripts"""
ALLOWED = set(TAGS.split())


class Tags(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.bad.append(tag)
        for name, value in attrs:
            scheme = (value or "").strip().lower().split(":")[0]
            if name.startswith("on") or name in ("style", "src", "srcdoc"):
                self.bad.append(name)
            if name == "href" and ":" in (value or "") and scheme not in ("http", "https", "mailto"):
                self.bad.append(f"{name}={value}")


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "</script><script>alert(1)</script>",
    "`</code><script>alert(1)</script>`",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$<script>alert(1)</script>$",
    r"$\text{&lt;script&gt;alert(1)&lt;/script&gt;}$",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} #{7*7} <%= 1 %>",
    "[a]: javascript:alert(1)\n\n[a]",
    "[click](blob:https://example.org/1b2c)",
    "<ms-msdt:/id>",
]


@pytest.mark.parametrize("raw_math", [False, True])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_harmless_html(text, raw_math):
    assert Tags(to_html(text, raw_math=raw_math)).bad == []


@given(st.text(alphabet=st.sampled_from(list("<>&\"'`$\\/=()[]{}!:# \n\tabonscript*_-1")), max_size=60))
def test_no_text_at_all_makes_markup_of_its_own(text):
    for raw_math in (False, True):
        try:
            assert Tags(to_html(text, raw_math=raw_math)).bad == []
        except ValueError as refused:
            assert "formula" in str(refused)


@pytest.mark.parametrize(
    "command", ["href{javascript:alert(1)}{x}", "class{a}{x}", "def\\x{y}", "require{html}", "nosuch"]
)
def test_math_that_does_more_than_typeset_is_refused(command):
    with pytest.raises(ValueError, match="not available"):
        to_mathml(f"\\{command}")


# ---- text ------------------------------------------------------------------------------------------------------


def test_math_is_mathml_when_live_and_latex_when_static():
    live, static = to_html(r"loss $x < \beta$"), to_html(r"loss $x < \beta$", raw_math=True)
    assert "<math" in live and "&lt;" in live and "β" in live
    assert static == r"loss $x &lt; \beta$"


def test_display_math_is_a_block():
    assert 'display="block"' in to_html("$$\nx^2\n$$")
    assert to_html("a\n\n$$\nx^2\n$$", raw_math=True) == "<p>a</p>\n<p>$$x^2$$</p>"


def test_dollars_that_are_money_stay_money():
    text = r"\$10 each, \$3.50 for two, and $10 to $20"
    assert "<math" not in to_html(text)
    # a typesetter must find no pair of dollars in one run of text
    assert to_html(text, raw_math=True).count("<span>$</span>") == 4


def test_backslashes_in_plain_text_are_kept_from_typesetters():
    assert r"<span>\</span>(x<span>\</span>)" in to_html(r"\\(x\\)", raw_math=True)


def test_plain_text_in_the_static_face_holds_no_formula():
    assert static_text(r"$x$ \(\href{a}{b}\) <b>") == (
        r"<span>$</span>x<span>$</span> <span>\</span>(<span>\</span>href{a}{b}<span>\</span>) &lt;b&gt;"
    )


def test_one_paragraph_has_no_p_and_two_have():
    assert to_html("a *b*") == "a <em>b</em>"
    assert to_html("a\n\nb") == "<p>a</p>\n<p>b</p>"
    assert to_html("a\n\n- b").startswith("<p>a</p>")


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u2069"])
@pytest.mark.parametrize("show", [to_html, lambda text: to_html(text, raw_math=True), static_text])
def test_signs_that_turn_the_direction_of_a_text_are_written_out(sign, show):
    for text in (f"right{sign}wrong", f"`right{sign}wrong`"):
        shown = show(text)
        assert sign not in shown and f"U+{ord(sign):04X}" in shown


def test_only_links_to_pages_and_mail_become_links():
    for url in ("https://arxiv.org/abs/1", "HTTP://example.org", "mailto:a@example.org"):
        assert f'href="{url}"' in to_html(f"[x]({url})")
    for url in ("ssh://example.org", "vscode:extension/x", "httpx://example.org", "//example.org/x", "/lab/tree/x"):
        assert "<a" not in to_html(f"[x]({url})")


def test_links_open_beside_the_notebook():
    assert 'target="_blank" rel="noopener noreferrer"' in to_html("[x](https://arxiv.org/abs/2203.02155)")


def test_signs_that_turn_the_direction_are_written_out():
    for made in (to_html("a\u202eb `c\u2067`"), to_html("a\u202eb `c\u2067`", raw_math=True), static_text("a\u202eb")):
        assert "\u27e8U+202E\u27e9" in made and not {"\u202e", "\u2067"} & set(made)
