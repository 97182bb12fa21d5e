"""Which answers are left out, and for which reason: markup and boilerplate that are meant stay."""

import pytest

from course.formats.filters import fault
from course.text import word_count
from tests.formats.good import chat


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Paris.", None),
        ("?!", "too short"),
        ("so " * 401, "too long"),
        ("so " * 400, None),
        ("Paris.<|im_end|>", "broken markup"),
        ("[/INST] Paris.", "broken markup"),
        ("Paris&nbsp;is it.<br/>", "broken markup"),
        ("It&rsquo;s caf&eacute;.", "broken markup"),
        ("It&#8217;s", "broken markup"),
        ("AT&amp;T", "broken markup"),
        ("<script>alert(1)</script>", "broken markup"),
        ("<a href=x>Hi", "broken markup"),
        ("Hi <!-- here -->", "broken markup"),
        ("Paris.</s>", "broken markup"),
        ("<s>Paris", "broken markup"),
        ("Paris <unk>", "broken markup"),
        ("<\uff5cend\u2581of\u2581sentence\uff5c>", "broken markup"),
        ("The model predicts the next token.<|im_end|>", "broken markup"),
        ("`Caf\ufffd`", "broken markup"),
        ("```python\nprint(1)", "broken markup"),
        ("```python\nprint(1)\n```", None),
        ("Caf\ufffd", "broken markup"),
        ("If a < b and b > c, then R&D wins.", None),
        ("It holds if a<b and c>d.", None),
        ("It holds if a <b and c> d.", None),
        ("A vector<a> of a Map<String, List<b>>.", None),
        ("In HTML, `<br>` breaks the line.", None),
        ("The tag </p> ends a paragraph, and &amp; is an ampersand.", None),
        ("The turn ends at `<|im_end|>`.", None),
        ("Write ``a `</b>` c``.", None),
        ("Use ``` to open a block of code.", None),
        ("So:\n\n    <p>Hi.</p>\n    <br>\n\nThat is all.", None),
        ("1. Run\n   ```html\n   <p>Hi.</p>\n   ```\n2. Done.", None),
        ("````\n```\n</p>\n````", None),
        ("~~~\n```\n~~~", None),
        ("If $a<i$ and $i>b$, then stop.", None),
        ("```\nprint(1)\n```\nOr <div class='x'>this</div>", "broken markup"),
        ("<start_of_turn>model", "broken markup"),
        ("Hi<br>there", "broken markup"),
        ("Read it from A[INST].", None),
        ("Write &lt; for <.", None),
        ("&amp; is a character entity.", None),
        ("&#39; is an apostrophe.", None),
        ("html_escape('<p>') gives '&lt;p&gt;'.", None),
        ('print("<br/>")', None),
        ("return '<p>' + x + '</p>'", None),
        ("In Markdown, <br> breaks a table cell.", None),
        ("<|endoftext|> is the token that ends GPT-2's documents.", None),
        ("Llama-2 wraps a turn in [INST] and [/INST].", None),
        ("\ufffd (U+FFFD) replaces what cannot be decoded.", None),
        ("Write to Jane <jane@x.org> or <https://x.org/?a=1&b=2>.", None),
        ("x <- 5; if x <- y then a -> b <-> c.", None),
        ("$P(a<b)$, $$a<b$$, \\(a<b\\) and \\begin{align} a &< b \\end{align}", None),
        ("| a | b |\n|---|---|\n| <1 | >2 |", None),
        ("usage: prog [options] <file> 2>&1 <in.txt", None),
        ("Option<&'a str>, Dict<a, b>, #include <a>, i<n && j>m", None),
        ("I <3 you, <sigh>.", None),
        ("As a large language model, I may not.", "refusal boilerplate"),
        ("as an AI language model I may not.", "refusal boilerplate"),
        ("As an AI\u200b language\nmodel, I may not.", "refusal boilerplate"),
        ("I cannot do that, as an AI language model.", "refusal boilerplate"),
        ("I'm an AI language model.", "refusal boilerplate"),
        ("As an AI assistant, I may not.", "refusal boilerplate"),
        ("As an artificial intelligence, I may not.", "refusal boilerplate"),
        ("My knowledge cutoff is 2021.", "refusal boilerplate"),
        ('She said: "As an AI language model, I cannot."', None),
        ("\u201cAs an AI language model, I cannot\u201d is boilerplate.", None),
        ("The phrase 'as an AI language model, I' is boilerplate.", None),
        ("> As an AI language model, I cannot.\n\nSuch answers help nobody.", None),
        ("`As an AI language model, I cannot.`", None),
        ("As a language model, GPT-2 predicts tokens.", None),
        ("As an AI researcher, I read papers.", None),
        ("I am sorry, but as a language model trained by OpenAI, I may not.", "refusal boilerplate"),
        ("I don\u2019t feel anything as an AI language model.", "refusal boilerplate"),
        ("I, as a language model, may not.", "refusal boilerplate"),
        ("My purpose as an AI language model is to help.", "refusal boilerplate"),
        ("**As an AI language model, it is hard for me.**", "refusal boilerplate"),
        ("I work as a language model engineer.", None),
        ("I use GPT-2 as a language model.", None),
        ("Training it as a language model gave me better results.", None),
        ("It was trained as a language model; read my notes on it.", None),
        ("Er sagt: \u201eAs a language model, I cannot.\u201c", None),
        ("\u300cAs an AI language model, I cannot\u300d", None),
        ('It said "As an AI language model,\nI cannot do that."', None),
        ("In HTML the <s> element strikes <s>out</s>.", None),
        ("I am sorry, I will not help with that.", None),
        ("A language model predicts the next token.", None),
    ],
)
def test_reasons_to_leave_an_answer_out(answer, reason):
    assert fault(chat("Hi", answer), min_words=1, max_words=400) == reason


@pytest.mark.parametrize(
    ("answer", "n"),
    [
        ("The sum of 14 + 4 is 18.", 8),
        ("It can't be 3.14, or 1,000!", 6),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 \u0909\u0924\u094d\u0924\u0930", 3),
        ("\u8fd9\u662f\u6d4b\u8bd5\u3002", 4),
        ("\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", 7),
        ("\u30b3\u30f3\u30d4\u30e5\u30fc\u30bf", 6),
        ("\ud55c\uad6d\uc5b4 \ub2e8\uc5b4", 2),
        ("\U0001f44d\U0001f3fd +", 2),
        ("?! ... \u200b\ufe0f\u2060", 0),
        ("", 0),
    ],
)
def test_words_are_counted_in_every_script(answer, n):
    assert word_count(answer) == n
    if n:
        assert fault(chat("Hi", answer), n, n) is None
        assert fault(chat("Hi", answer), n + 1, n + 1) == "too short"


def test_every_answer_is_judged_and_questions_for_their_markup():
    long = {"messages": chat("Hi", "Yes.")["messages"] + chat("Tell me.", "No no no no.")["messages"]}
    assert fault(long, min_words=1, max_words=3) == "too long"
    assert fault(chat("Hi <|im_start|>", "Yes."), min_words=1, max_words=3) == "broken markup"
    assert fault(chat("As an AI language model, what are you?", "A model."), 1, 9) is None
