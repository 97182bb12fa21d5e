"""Chat templates: how a conversation becomes one line of tokens, and which of them the model answers for.

Serves notebooks 02 (what a template is, S10 and S11) and 03 (the loss mask, S8). ChatML is the form that
Qwen and SmolLM use; the Llama-2 style follows the template published with Llama-2-chat (Touvron et al. 2023),
with this course's document and end-of-turn tokens in the place of `<s>` and `</s>`.

A template cuts a conversation into pieces: markers, which are single tokens, and text. Both `render` and
`encode` read the same pieces, and `jinja` is the same template in the language of `transformers`, for the
libraries. For ordinary text the two agree token by token. They differ on purpose where someone's text holds a
marker such as `<|im_end|>`: pasted together and tokenised at once, as libraries do unless told otherwise, it
becomes the marker, and whoever writes the text can end their turn and begin the system's. Here only the
template writes markers; inside text the same characters are just characters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from course.formats import ROLES, Message
from course.formats.records import describe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCUMENT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


class Piece(NamedTuple):
    """A marker or a stretch of text, and whether the assistant has to produce it."""

    text: str
    marker: bool = False
    trained: bool = False


@dataclass(frozen=True)
class Encoded:
    """Token ids of a conversation, and for each 1 if the assistant writes it and 0 if it is given to it."""

    input_ids: list[int]
    assistant_mask: list[int]


@dataclass(frozen=True)
class Template:
    """A way to write a conversation down. `jinja` is what goes into `tokenizer.chat_template`."""

    name: str
    cut: Callable[[Sequence[Message], bool], list[Piece]]
    jinja: str

    def pieces(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> list[Piece]:
        """The conversation as markers and text, in order.

        Args:
            messages: turns of role and content, at least one. A content may be empty.
            add_generation_prompt: end with what stands before an answer, for the model to carry on.
        Raises:
            ValueError: no turns, a whole record in their place, an unknown role, a content that is not text,
                or turns that this template cannot hold; names the turn.
        """
        _check(messages)
        return self.cut(messages, add_generation_prompt)

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as one string, to read and not to tokenise: in it markers and text look alike."""
        return "".join(piece.text for piece in self.pieces(messages, add_generation_prompt))

    def encode(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        messages: Sequence[Message],
        add_generation_prompt: bool = False,
    ) -> Encoded:
        """The conversation as token ids with the assistant mask.

        The mask covers what the assistant says and the token that ends its turn, so that it learns to stop.
        A token that reaches into the assistant's text from the template's own counts as the assistant's.

        Args:
            tokenizer: a fast, byte-level tokenizer in which the template's markers are single special tokens,
                as in those of this course, SmolLM2 and Qwen2.5.
        Raises:
            ValueError: as in `pieces`, or the tokenizer does not have the template's markers.
        """
        pieces = self.pieces(messages, add_generation_prompt)
        ids: dict[str, int] = {
            text: _marker_id(tokenizer, text, self.name) for text in {p.text for p in pieces if p.marker}
        }
        input_ids: list[int] = []
        mask: list[int] = []
        for is_marker, group in groupby(pieces, key=lambda piece: piece.marker):
            run = list(group)
            if is_marker:
                input_ids += [ids[piece.text] for piece in run]
                mask += [int(piece.trained) for piece in run]
                continue
            # All text between two markers is tokenised in one go, since tokens may cross from the role's line
            # into the content; the offsets then say which of them touch what the assistant wrote.
            tokens = tokenizer(
                "".join(piece.text for piece in run),
                add_special_tokens=False,
                split_special_tokens=True,  # a marker inside the text stays text
                return_offsets_mapping=True,
            )
            trained = [piece.trained for piece in run for _ in piece.text]
            if not set(ids.values()).isdisjoint(tokens["input_ids"]):
                raise ValueError(f"This tokenizer turns a {self.name} marker in someone's text into the marker.")
            input_ids += tokens["input_ids"]
            mask += [int(any(trained[start:end])) for start, end in tokens["offset_mapping"]]
        return Encoded(input_ids, mask)


def _check(messages: Sequence[Message]) -> None:
    if isinstance(messages, dict):
        mend = 'pass record["messages"]' if "messages" in messages else "convert it to a conversation first"
        raise ValueError(f"This is a record ({', '.join(map(str, messages))}) and not its list of messages: {mend}.")
    if not messages:
        raise ValueError("There is no turn to write down: give at least one message.")
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            mend = "write {'role': ..., 'content': ...}"
            raise ValueError(f"messages[{i}] is {describe(message)}, not a message; {mend}.")
        if message.get("role") not in ROLES:
            raise ValueError(f"messages[{i}].role is {message.get('role')!r}; use one of {', '.join(ROLES)}.")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"messages[{i}].content is {message.get('content')!r}, not text; write a string.")


def _marker_id(tokenizer: "PreTrainedTokenizerBase", text: str, name: str) -> int:
    token_id = tokenizer.convert_tokens_to_ids(text)
    # What is not in the vocabulary gets the unknown token's id, which for some tokenizers is a marker's own.
    if token_id is None or tokenizer.convert_ids_to_tokens(token_id) != text:
        raise ValueError(
            f"The tokenizer has no token {text!r}, which the {name} template needs. Add it as a special "
            "token and enlarge the model's embedding, or use the template that the model was made for."
        )
    return token_id


def _cut_chatml(messages: Sequence[Message], add_generation_prompt: bool) -> list[Piece]:
    pieces: list[Piece] = []
    for message in messages:
        answer = message["role"] == "assistant"
        pieces += [
            Piece(START, marker=True),
            Piece(message["role"] + "\n"),
            Piece(message["content"], trained=answer),
            Piece(END, marker=True, trained=answer),
            Piece("\n"),
        ]
    if add_generation_prompt:
        pieces += [Piece(START, marker=True), Piece("assistant\n")]
    return pieces


def _cut_llama2(messages: Sequence[Message], add_generation_prompt: bool) -> list[Piece]:
    """There is no marker before an answer: `[/INST]` is its cue, with or without a generation prompt."""
    system, turns = "", list(messages)
    if turns[0]["role"] == "system":
        # The style has no turn for the system: its text goes into the first of the user's.
        system = f"<<SYS>>\n{turns.pop(0)['content']}\n<</SYS>>\n\n"
        if not turns:
            raise ValueError("Llama-2 style writes the system's text into the user's turn: add a user's turn.")
    pieces: list[Piece] = []
    for i, message in enumerate(turns):
        wanted = ROLES[1 + i % 2]
        if message["role"] != wanted:
            where = len(messages) - len(turns) + i
            raise ValueError(f"messages[{where}] is the {message['role']}'s; Llama-2 style wants the {wanted}'s.")
        if wanted == "user":
            content = (system + message["content"] if i == 0 else message["content"]).strip()
            pieces += [Piece(DOCUMENT, marker=True), Piece(f"[INST] {content} [/INST]")]
        else:
            pieces += [
                Piece(f" {message['content'].strip()} ", trained=True),
                Piece(END, marker=True, trained=True),
            ]
    return pieces


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

CHATML = Template("ChatML", _cut_chatml, _CHATML)
LLAMA2 = Template("Llama-2", _cut_llama2, _LLAMA2)
