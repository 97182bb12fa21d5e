"""Chat templates: how a conversation becomes one line of tokens, and which of them the model answers for.

Serves notebooks 02 (what a template is, S10 and S11) and 03 (the loss mask, S8). ChatML is the form that Qwen and
SmolLM use; the Llama-2 style is that of Llama-2-chat (Touvron et al. 2023), with this course's tokens in the place of
`<s>` and `</s>`. Any other model brings its own, a program in Jinja that `transformers` runs.

A template cuts a conversation into pieces: markers, which are single tokens, and text (`course.jinja`). The tokens are
the library's, except where someone's text holds a marker such as `<|im_end|>`: tokenised at once, as libraries do, it
becomes the marker, and whoever writes the text can end their turn and begin the system's. Here only the template writes
markers; inside text the same characters are just characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from course.formats import Message
from course.formats.records import check_turn
from course.jinja import Cut, Piece, cutter, try_out, without_marks
from course.text import half_character

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCUMENT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class Encoded:
    """Token ids of a conversation, and for each 1 if the assistant writes it and 0 if it is given to it."""

    input_ids: list[int]
    assistant_mask: list[int]


@dataclass(frozen=True)
class Template:
    """A way to write a conversation down. `jinja` is what goes into `tokenizer.chat_template`."""

    name: str
    cut: Cut
    jinja: str

    def pieces(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> list[Piece]:
        """The conversation as markers and text, in order.

        Args:
            messages: turns of role and content, at least one. A content may be empty.
            add_generation_prompt: end with what comes before an answer, for the model to carry on. Without it, a
                template that no model can learn from is refused.
        Raises:
            ValueError: names the turn that is none, or that this template cannot hold.
        """
        _check(messages)
        return self.cut(messages, add_generation_prompt)

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as one string, to read and not to tokenise: in it markers and text look alike."""
        return "".join(piece.text for piece in self.pieces(messages, add_generation_prompt))

    @property
    def end(self) -> str | None:
        """The marker that ends an assistant's turn, None if there is none."""
        try:
            pieces = self.cut([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], False)
        except ValueError:
            return None
        last = max((i for i, piece in enumerate(pieces) if piece.turn is not None), default=0)
        own = [piece.text for piece in reversed(pieces[: last + 1]) if piece.marker and piece.turn is not None]
        after = [piece.text for piece in pieces[last:] if piece.marker]  # some templates' own marks leave the end out
        return next(iter([*own, *after]), None)

    def encode(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        messages: Sequence[Message],
        add_generation_prompt: bool = False,
        given: int = 0,
    ) -> Encoded:
        """The conversation as token ids with the assistant mask, which covers the token that ends a turn.

        A token that reaches into the assistant's text from the template's own counts as the assistant's.

        Args:
            tokenizer: a fast tokenizer in which the template's markers are single tokens.
            messages, add_generation_prompt: as in `pieces`.
            given: so many messages at the front are masked, whoever wrote them.
        Raises:
            ValueError: as in `pieces`, the tokenizer lacks a marker, or nothing of an answer is the assistant's.
        """
        pieces = [(p, p.turn is not None and p.turn >= given) for p in self.pieces(messages, add_generation_prompt)]
        encoded = _encode(tokenizer, pieces, self.name)
        answers = any(message["role"] == "assistant" for message in messages[given:])
        if answers and not add_generation_prompt and 1 not in encoded.assistant_mask:
            raise ValueError(f"The {self.name} template marks nothing of these messages as the assistant's own.")
        return encoded


def _encode(tokenizer: "PreTrainedTokenizerBase", pieces: list[tuple[Piece, bool]], name: str) -> Encoded:
    """Pieces, each with whether it is learnt, as tokens."""
    markers = {piece.text: _marker_id(tokenizer, piece.text, name) for piece, _ in pieces if piece.marker}
    written = [(markers[piece.text], int(own)) for piece, own in pieces if piece.marker]
    whole = _tokens(tokenizer, pieces, split=False)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    control = {*markers.values(), *special - {tokenizer.unk_token_id}}  # ordinary text may hold what is unknown
    places = [i for i, token in enumerate(whole.input_ids) if token in control]
    if [whole.input_ids[i] for i in places] == [token for token, _ in written]:
        for i, (_, own) in zip(places, written, strict=True):  # some markers swallow white space beside them
            whole.assistant_mask[i] = own
        return whole
    # Someone's text holds a marker, so the stretches between the template's own are read as plain text.
    made = Encoded([], [])
    for is_marker, group in groupby(pieces, key=lambda pair: pair[0].marker):
        run = list(group)
        part = _tokens(tokenizer, run, split=True)
        if is_marker:
            part = Encoded([markers[piece.text] for piece, _ in run], [int(own) for _, own in run])
        elif taken := set(markers.values()).intersection(part.input_ids):
            token = tokenizer.convert_ids_to_tokens(min(taken))
            what = f"This tokenizer turns {token!r} in someone's text into the marker of the {name} template"
            raise ValueError(f"{what}: take it out of the text, or leave the conversation out.")
        made = Encoded(made.input_ids + part.input_ids, made.assistant_mask + part.assistant_mask)
    return made


def _tokens(tokenizer: "PreTrainedTokenizerBase", pieces: list[tuple[Piece, bool]], split: bool) -> Encoded:
    """The pieces' text as tokens, each with 1 if it holds a character that is learnt; `split` reads markers as text."""
    text = "".join(piece.text for piece, _ in pieces)
    learnt = [own for piece, own in pieces for _ in piece.text]
    if not tokenizer.is_fast:
        raise ValueError("This tokenizer does not say where its tokens stand in a text: use a fast one.")
    backend = tokenizer.backend_tokenizer
    last_step, backend.post_processor = backend.post_processor, None  # it may cut white space from tokens' places
    try:
        made = tokenizer(text, add_special_tokens=False, split_special_tokens=split, return_offsets_mapping=True)
    finally:
        backend.post_processor = last_step
    # A token of no character of its own, as some tokenizers put before a text, belongs to what it stands before.
    mask = [int(any(learnt[start : max(end, start + 1)])) for start, end in made["offset_mapping"]]
    return Encoded(made["input_ids"], mask)


def _check(messages: Sequence[Message]) -> None:
    if isinstance(messages, dict):
        mend = 'pass record["messages"]' if "messages" in messages else "convert it to a conversation first"
        raise ValueError(f"This is a record ({', '.join(map(str, messages))}) and not its list of messages: {mend}.")
    if hasattr(messages, "tolist"):
        raise ValueError("The messages are an array, not a list: read the records with load_records.")
    if not messages:
        raise ValueError("There is no turn to write down: give at least one message.")
    for i, message in enumerate(messages):
        if faults := [fault for fault in check_turn(message, f"messages[{i}]") if fault.what != "is empty"]:
            raise ValueError(str(faults[0]))
        if half := half_character(message["content"]):
            raise ValueError(f"messages[{i}].content holds half of a character ({half}); write the whole one.")


def _marker_id(tokenizer: "PreTrainedTokenizerBase", text: str, name: str) -> int:
    token_id = tokenizer.convert_tokens_to_ids(text)
    # What is not in the vocabulary gets the unknown token's id, which for some tokenizers is a marker's own.
    if token_id is None or tokenizer.convert_ids_to_tokens(token_id) != text:
        what = f"The tokenizer has no token {text!r}, which the {name} template needs"
        raise ValueError(f"{what}. Use the template that the model was made for, or add the token and its embedding.")
    return token_id


def from_jinja(name: str, jinja: str, markers: Sequence[str], variables: Mapping[str, str] | None = None) -> Template:
    """A template from its source in Jinja, run in the sandbox of `transformers`.

    The assistant's part is what the template marks by `{% generation %}`; without such marks it is found.

    Args:
        name, jinja: what errors call it, and the source.
        markers, variables: texts that are single tokens where it writes them, and what else it reads (`bos_token`).
    """
    return Template(name, cutter(name, jinja, markers, variables or {}), jinja)


def template_of(tokenizer: "PreTrainedTokenizerBase") -> Template:
    """The chat template that came with a tokenizer, ChatML if none did; raises ValueError as `try_out`."""
    jinja = tokenizer.chat_template
    if isinstance(jinja, dict):
        jinja = jinja.get("default")
    if not jinja or jinja == CHATML.jinja:
        return CHATML
    if jinja not in (LLAMA2.jinja, until_end(CHATML.jinja)):
        try_out(jinja)
    added = tokenizer.added_tokens_decoder.values()
    # A run of spaces that is a token, as in GPT-NeoX, is text like any other.
    markers = [str(token) for token in added if token.special or str(token).strip() == str(token)]
    return from_jinja("model's own chat", jinja, markers, tokenizer.special_tokens_map)


def until_end(jinja: str) -> str:
    """The template without the white space that it writes after the last turn, which then ends with its end token."""
    return (
        f"{{%- set conversation %}}\n{without_marks(jinja)}{{%- endset %}}"
        "{{- conversation if add_generation_prompt else conversation.rstrip() }}"
    )


_CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}
            {{- message['content'] + '<|im_end|>' }}
        {%- endgeneration %}
    {%- else %}
        {{- message['content'] + '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

_LLAMA2 = """\
{%- if messages[0]['role'] == 'system' %}
    {%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set system = '' %}
    {%- set turns = messages %}
{%- endif %}
{%- for message in turns %}
    {%- if message['role'] != ('user' if loop.index0 is even else 'assistant') %}
        {{- raise_exception('Turns alternate between user and assistant, and the user starts.') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {%- set content = (system if loop.first else '') + message['content'] %}
        {{- '<|endoftext|>[INST] ' + content.strip() + ' [/INST]' }}
    {%- else %}
        {%- generation %}
            {{- ' ' + message['content'].strip() + ' <|im_end|>' }}
        {%- endgeneration %}
    {%- endif %}
{%- endfor %}
"""

CHATML = from_jinja("ChatML", _CHATML, (DOCUMENT, START, END))
LLAMA2 = from_jinja("Llama-2", _LLAMA2, (DOCUMENT, START, END))
