"""Chat templates: how a conversation becomes one line of tokens, and which of them the model answers for.

Serves notebooks 02 (what a template is, S10 and S11) and 03 (the loss mask, S8). ChatML is the form that
Qwen and SmolLM use; the Llama-2 style follows the template published with Llama-2-chat (Touvron et al. 2023),
with this course's document and end-of-turn tokens in the place of `<s>` and `</s>`. Any other model brings its own,
as a program in Jinja that `transformers` runs (`from_jinja`, `template_of`).

A template cuts a conversation into pieces: markers, which are single tokens, and text. To find the pieces of a Jinja
template, it is run once on placeholders in the place of what was said, which shows everything that is its own, and once
on the real turns, which must give the same with the placeholders filled in. For ordinary text the tokens are the
library's, one by one. They differ on purpose where someone's text holds a marker such as `<|im_end|>`: pasted together
and tokenised at once, as libraries do unless told otherwise, it becomes the marker, and whoever writes the text can end
their turn and begin the system's. Here only the template writes markers; inside text the same characters are just
characters.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

from course.formats import ROLES, Message
from course.formats.problems import describe
from course.text import half_character

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
            add_generation_prompt: end with what comes before an answer, for the model to carry on. Without it the
                conversation is one to learn from, and a template that no model can learn from is refused.
        Raises:
            ValueError: no turns, a whole record in their place, an unknown role, a content that is not text,
                or turns that this template cannot hold; names the turn.
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
        return next((piece.text for piece in reversed(pieces) if piece.marker and piece.trained), None)

    def encode(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        messages: Sequence[Message],
        add_generation_prompt: bool = False,
        given: int = 0,
    ) -> Encoded:
        """The conversation as token ids with the assistant mask.

        The mask covers what the assistant says and the token that ends its turn, so that it learns to stop.
        A token that reaches into the assistant's text from the template's own counts as the assistant's.

        Args:
            tokenizer: a fast tokenizer in which the template's markers are single tokens.
            messages, add_generation_prompt: as in `pieces`.
            given: so many messages at the front are masked, whoever wrote them.
        Raises:
            ValueError: as in `pieces`, or the tokenizer does not have the template's markers.
        """
        pieces = self.pieces(messages, add_generation_prompt)
        markers = {text: _marker_id(tokenizer, text, self.name) for text in {p.text for p in pieces if p.marker}}
        length = len(self.render(messages[:given])) if given else 0
        at, learnt, written = 0, [], []
        for piece in pieces:
            if piece.marker:
                written.append((piece, int(piece.trained and at >= length)))
            learnt += [piece.trained and i >= length for i in range(at, at + len(piece.text))]
            at += len(piece.text)
        whole = _tokens(tokenizer, "".join(piece.text for piece in pieces), learnt, split=False)
        control = {*markers.values(), *(i for i, t in tokenizer.added_tokens_decoder.items() if t.special)}
        places = [i for i, token in enumerate(whole.input_ids) if token in control]
        if [whole.input_ids[i] for i in places] == [markers[piece.text] for piece, _ in written]:
            for i, (_, own) in zip(places, written, strict=True):  # some markers swallow white space beside them
                whole.assistant_mask[i] = own
            return whole
        # Someone's text holds a marker, so the stretches between the template's own are read as plain text.
        input_ids, mask, at = [], [], 0
        for is_marker, group in groupby(pieces, key=lambda piece: piece.marker):
            run = list(group)
            if is_marker:
                input_ids += [markers[piece.text] for piece in run]
                mask += [int(piece.trained and at >= length) for piece in run]
                at += sum(len(piece.text) for piece in run)
                continue
            text = "".join(piece.text for piece in run)
            part = _tokens(tokenizer, text, learnt[at : at + len(text)], split=True)
            if not set(markers.values()).isdisjoint(part.input_ids):
                raise ValueError(f"This tokenizer turns a {self.name} marker in someone's text into the marker.")
            input_ids, mask, at = input_ids + part.input_ids, mask + part.assistant_mask, at + len(text)
        return Encoded(input_ids, mask)


def _tokens(tokenizer: "PreTrainedTokenizerBase", text: str, learnt: list[bool], split: bool) -> Encoded:
    """A text's tokens, each with 1 if it holds a character that is learnt; `split` reads markers as plain text."""
    with _true_offsets(tokenizer):
        made = tokenizer(text, add_special_tokens=False, split_special_tokens=split, return_offsets_mapping=True)
    # A token of no character of its own, as some tokenizers put before a text, belongs to what it stands before.
    mask = [int(any(learnt[start : max(end, start + 1)])) for start, end in made["offset_mapping"]]
    return Encoded(made["input_ids"], mask)


@contextmanager
def _true_offsets(tokenizer: "PreTrainedTokenizerBase") -> Iterator[None]:
    """Without the step that many tokenizers take last, which cuts white space from the places of tokens."""
    if not tokenizer.is_fast:
        raise ValueError("This tokenizer does not say where its tokens stand in a text; use its fast version.")
    backend = tokenizer.backend_tokenizer
    own, backend.post_processor = backend.post_processor, None
    try:
        yield
    finally:
        backend.post_processor = own


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
        if half := half_character(message["content"]):
            raise ValueError(f"messages[{i}].content holds half of a character ({half}); write the whole one.")


def _marker_id(tokenizer: "PreTrainedTokenizerBase", text: str, name: str) -> int:
    token_id = tokenizer.convert_tokens_to_ids(text)
    # What is not in the vocabulary gets the unknown token's id, which for some tokenizers is a marker's own.
    if token_id is None or tokenizer.convert_ids_to_tokens(token_id) != text:
        raise ValueError(
            f"The tokenizer has no token {text!r}, which the {name} template needs. Add it as a special "
            "token and enlarge the model's embedding, or use the template that the model was made for."
        )
    return token_id


# --- templates in Jinja -----------------------------------------------------------------------------------------------


class _Slot(NamedTuple):
    """Where a Jinja template writes what message `i` says."""

    i: int
    trained: bool


# Places of messages are written between two code points that Unicode keeps free for a program's own use.
_PLACE = "\ufdd0{}\ufdd1"
_GENERATION = re.compile(r"\{%(-?)\s*(end)?generation\s*(-?)%\}")
_PLACES = re.compile("\ufdd0([0-9]+)\ufdd1")


def from_jinja(name: str, jinja: str, markers: Sequence[str], variables: Mapping[str, str] | None = None) -> Template:
    """A template from its source in Jinja, run in the sandbox of `transformers`.

    The assistant's part is what the template marks by `{% generation %}`. Without such marks it begins where the
    prompt for an answer ends and goes up to the marker that ends the turn.

    Args:
        name: what errors call it.
        jinja: the source.
        markers: the texts that are single tokens where the template writes them.
        variables: what else it may read, such as `bos_token`.
    """
    found = "|".join(re.escape(marker) for marker in sorted(markers, key=len, reverse=True)) or "(?!)"

    def run(messages: Sequence[Message], prompt: bool) -> tuple[str, list[tuple[int, int]]]:
        from transformers.utils.chat_template_utils import render_jinja_template  # takes torch with it

        marked = _GENERATION.search(jinja) is not None
        try:
            made = render_jinja_template(
                [list(messages)],
                chat_template=jinja,
                add_generation_prompt=prompt,
                return_assistant_tokens_mask=marked,
                **(variables or {}),
            )
        except Exception as error:  # the template is a program of someone else's, and may fail in any way
            raise ValueError(f"The {name} template refuses these messages ({_first_line(error)}).") from error
        return made[0][0], (made[1][0] if marked and made[1] else [])

    def outline(roles: Sequence[str], prompt: bool) -> tuple[str, list[tuple[int, int]]]:
        return run([{"role": role, "content": _PLACE.format(i)} for i, role in enumerate(roles)], prompt)

    @lru_cache(maxsize=1)
    def end() -> str | None:
        tail = _PLACES.split(outline(("user", "assistant"), False)[0])[-1]
        return match[0] if (match := re.search(found, tail)) else None

    @lru_cache(maxsize=512)
    def skeleton(roles: tuple[str, ...], prompt: bool, today: date) -> list[Piece | _Slot]:  # some write the date
        text, ranges = outline(roles, prompt)
        places = {int(match[1]): match for match in _PLACES.finditer(text)}
        for i, role in enumerate(roles):
            if text.count(_PLACE.format(i)) != 1:
                what = "more than once" if i in places else "not as it is, or not at all"
                raise ValueError(
                    f"The {name} template writes the content of messages[{i}] (the {role}'s) {what}, so it cannot be "
                    "said which tokens are its own. Leave the turn out, or use another template."
                )
        if not prompt:
            _check_earlier_turns(name, roles, text, lambda count: outline(roles[:count], False)[0])
        if not ranges:
            ranges = [r for i, role in enumerate(roles) if role == "assistant" for r in answer(roles, i, text, prompt)]
        return _split(text, ranges, found)

    def answer(roles: tuple[str, ...], i: int, text: str, prompt: bool) -> list[tuple[int, int]]:
        """From where to where in the outline the assistant writes message i."""
        place = text.index(_PLACE.format(i))
        try:
            asked = outline(roles[:i], True)[0] if i else ""
        except ValueError:
            asked = ""
        start = len(asked) if asked and text.startswith(asked) and len(asked) <= place else place
        after = place + len(_PLACE.format(i))
        until = following.start() if (following := _PLACES.search(text, after)) else len(text)
        stop = text.find(end(), after, until) if end() else -1
        if stop < 0 and not prompt:
            raise ValueError(
                f"The {name} template writes no token that ends the assistant's turn, so a model that learns from it "
                "would never stop. Use another template."
            )
        return [(start, stop + len(end()) if stop >= 0 else after)]

    def cut(messages: Sequence[Message], prompt: bool) -> list[Piece]:
        parts = skeleton(tuple(message["role"] for message in messages), prompt, date.today())
        turns = [{"role": message["role"], "content": message["content"]} for message in messages]
        return _fill(name, parts, [turn["content"] for turn in turns], run(turns, prompt)[0])

    return Template(name, cut, jinja)


def _check_earlier_turns(name: str, roles: Sequence[str], text: str, outline: Callable[[int], str]) -> None:
    for count in range(1, len(roles)):
        try:
            before = outline(count)
        except ValueError:
            continue  # some refuse a conversation of a system turn alone, and the like
        if not text.startswith(before):
            raise ValueError(
                f"The {name} template changes earlier turns once later ones follow: the first {count} messages are "
                f"written differently when messages[{count}] comes after them. A model cannot learn from such a "
                "conversation what it is to write in each turn: use conversations of one turn, or another template."
            )


def _split(text: str, ranges: list[tuple[int, int]], found: str) -> list[Piece | _Slot]:
    """The outline as its pieces, with slots where the contents are to stand."""
    parts: list[Piece | _Slot] = []
    edges = sorted({0, len(text), *(edge for pair in ranges for edge in pair)})
    for first, last in pairwise(edges):
        trained = any(start <= first < stop for start, stop in ranges)
        at = first
        for match in re.compile(f"{_PLACES.pattern}|{found}").finditer(text, first, last):
            if match.start() > at:
                parts.append(Piece(text[at : match.start()], trained=trained))
            parts.append(_Slot(int(match[1]), trained) if match[1] else Piece(match[0], True, trained))
            at = match.end()
        if at < last:
            parts.append(Piece(text[at:last], trained=trained))
    return parts


def _fill(name: str, parts: list[Piece | _Slot], contents: Sequence[str], rendered: str) -> list[Piece]:
    """The pieces with the contents in their slots, as the template has written them: some cut white space off."""
    steps: list[dict[int, tuple[int, str]]] = [{0: (0, "")}]  # after each part: place reached, from where, by what
    for part in parts:
        text = contents[part.i] if isinstance(part, _Slot) else part.text
        ways = [text] if isinstance(part, Piece) and part.marker else [text, text.strip(), text.lstrip(), text.rstrip()]
        reached: dict[int, tuple[int, str]] = {}
        for at in steps[-1]:
            for way in dict.fromkeys(ways):
                if rendered.startswith(way, at):
                    reached.setdefault(at + len(way), (at, way))
        if not reached:
            at = max(steps[-1])
            where = f"of messages[{part.i}]" if isinstance(part, _Slot) else "of a message"
            raise ValueError(
                f"The {name} template changes the content {where}: it writes {rendered[at : at + 40]!r} where "
                f"{text[:40]!r} is expected. It cannot be said which tokens are whose: use another template."
            )
        steps.append(reached)
    if len(rendered) not in steps[-1]:
        raise ValueError(
            f"The {name} template adds {rendered[max(steps[-1]) :][:40]!r} because of what a content says."
        )
    at, texts = len(rendered), []
    for reached in reversed(steps[1:]):
        at, way = reached[at]
        texts.append(way)
    return [
        Piece(text, marker=isinstance(part, Piece) and part.marker, trained=part.trained)
        for part, text in zip(parts, reversed(texts), strict=True)
    ]


def template_of(tokenizer: "PreTrainedTokenizerBase") -> Template:
    """The chat template that came with a tokenizer; ChatML if none did.

    Raises:
        ValueError: it is not valid Jinja, or runs on without end.
    """
    jinja = tokenizer.chat_template
    if isinstance(jinja, dict):
        jinja = jinja.get("default")
    if not jinja or jinja == CHATML.jinja:
        return CHATML
    if jinja not in (LLAMA2.jinja, until_end(CHATML.jinja)):
        _try_out(jinja)
    added = tokenizer.added_tokens_decoder.values()
    # A run of spaces that is a token, as in GPT-NeoX, is text like any other.
    markers = [str(token) for token in added if token.special or str(token).strip() == str(token)]
    return from_jinja("model's own chat", jinja, markers, tokenizer.special_tokens_map)


def until_end(jinja: str) -> str:
    """The template without the white space that it writes after the last turn, which then ends with its end token."""
    unmarked = _GENERATION.sub(lambda tag: f"{{%{tag[1]} {'endif' if tag[2] else 'if true'} {tag[3]}%}}", jinja)
    return (
        "{%- set conversation %}\n"
        + unmarked
        + "{%- endset %}{{- conversation if add_generation_prompt else conversation.rstrip() }}"
    )


@lru_cache
def _try_out(jinja: str) -> None:
    """Run a template of someone else's on a few turns, in a process of its own that may be ended.

    Raises:
        ValueError: it is not valid Jinja, does what a template may not, or takes too much time or memory.
    """
    given = {"jinja": jinja, "seconds": TRIAL_SECONDS, "memory": 2**30, "length": 100_000}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL],
            input=json.dumps(given).encode(),
            capture_output=True,
            env=environment,
            timeout=6 * TRIAL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"The chat template runs on without end (for over {6 * TRIAL_SECONDS} seconds).") from error
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode or said != "sound":
        raise ValueError(f"The chat template {said or f'runs on for more than {TRIAL_SECONDS} seconds'}.")


TRIAL_SECONDS = 5
_TRIAL = """\
import json, sys
given = json.load(sys.stdin)
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"], given["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (given["memory"], given["memory"]))
except (ImportError, ValueError, OSError):
    pass
import jinja2, jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment
class Generation(jinja2.ext.Extension):
    tags = {"generation"}
    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)
def refuse(message):
    raise jinja2.exceptions.TemplateError(message)
environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = lambda value, *args, **kwargs: json.dumps(value)
environment.globals.update(raise_exception=refuse, strftime_now=lambda form: form)
try:
    template = environment.from_string(given["jinja"])
except jinja2.TemplateSyntaxError as error:
    sys.exit(print(f"is not valid Jinja (line {error.lineno}: {error.message})"))
except MemoryError:
    sys.exit(print("takes more than a gigabyte of memory"))
for roles in (["user"], ["user", "assistant"], ["system", "user", "assistant", "user"]):
    turns = [{"role": role, "content": f"Text {i}"} for i, role in enumerate(roles)]
    for prompt in (False, True):
        try:
            made = template.render(messages=turns, add_generation_prompt=prompt, tools=None, documents=None)
        except jinja2.exceptions.SecurityError as error:
            sys.exit(print(f"does what a template may not ({error})"))
        except MemoryError:
            sys.exit(print("takes more than a gigabyte of memory"))
        except RecursionError:
            sys.exit(print("calls itself without end"))
        except Exception:
            continue
        if len(made) > given["length"]:
            sys.exit(print(f"writes {len(made):,} characters for {len(roles)} short turns"))
print("sound")
"""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


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
