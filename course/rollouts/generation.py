"""Sampling text: completions of texts and prompts, with the library's own loop.

Serves every lesson that reads what a model writes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index

import torch
from torch import Tensor
from transformers import GenerationConfig

from course import SEED
from course.batching import pad_left
from course.models import LM, precision, require_list, seeded
from course.plots import progress

BATCH = 128  # prompts in one forward pass


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt.

    Attributes:
        text: decoded, without the stop token and without any special token.
        token_ids: as sampled, the stop token included.
        stopped: the model ended by itself; False when it ran into the limit.
    """

    text: str
    token_ids: list[int]
    stopped: bool


def document_start(lm: LM, text: str) -> list[int]:
    """Token ids of a text at the beginning of a document, as in pretraining.

    Markers written inside the text are read as plain characters, not as markup.
    """
    start = [lm.tokenizer.bos_token_id] if lm.tokenizer.bos_token_id is not None else []
    return start + lm.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


@torch.no_grad()
def generate(
    lm: LM,
    prompts: Sequence[str] | Sequence[list[int]],
    *,
    max_new_tokens: int = 48,
    temperature: float = 0.0,
    seed: int = SEED,
    stop: Sequence[str] = (),
    honour_turns: bool = True,
) -> list[Completion]:
    """Continue each prompt.

    Args:
        lm: the model.
        prompts: texts, each taken as a document's beginning, or lists of token ids, taken as they are.
        max_new_tokens: the limit for one completion.
        temperature: 0 takes the likeliest token each time; above 0 samples from softmax(logits / temperature).
        seed: of the sampling. It leaves torch's global state alone, except on Apple's GPU.
        stop: texts at which a completion ends too, besides the end-of-turn and end-of-document tokens.
        honour_turns: False runs on past the end-of-turn token, as a serving stack that does not know it would.
    Raises:
        ValueError: one text in the place of a list, a prompt is empty or leaves no room in the model's context, or a
            number is out of range, or the model's scores are not numbers.
    """
    require_list(prompts, "prompts")
    require_list(stop, "stop")
    if max_new_tokens < 1 or not 0 <= temperature < math.inf:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be at least 1, temperature={temperature} at least 0.")
    texts = (document_start(lm, prompt) if isinstance(prompt, str) else prompt for prompt in prompts)
    ids = check_room(lm, texts, max_new_tokens)
    ends = lm.ends(honour_turns)
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        temperature=temperature or None,
        top_k=0 if temperature else None,
        top_p=1.0 if temperature else None,
        eos_token_id=ends,
        pad_token_id=lm.tokenizer.pad_token_id,
        stop_strings=list(stop) or None,
    )
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # similar lengths together: less padding
    out: dict[int, Completion] = {}
    with seeded(seed, lm.device), precision(lm.device), _without_own_settings(lm):
        for first in progress(range(0, len(order), BATCH), f"{len(order):,} answers, batches"):
            rows = order[first : first + BATCH]
            input_ids, mask, _ = pad_left([ids[i] for i in rows], lm.tokenizer.pad_token_id)
            places = torch.tensor(rows, device=lm.device)

            def check(ids: Tensor, scores: Tensor, places: Tensor = places, width: int = input_ids.shape[1]) -> Tensor:
                check_scores(scores.log_softmax(-1), places, ids.shape[1] - width)
                return scores

            made = lm.model.generate(
                input_ids=input_ids.to(lm.device),
                attention_mask=mask.to(lm.device),
                generation_config=config,
                logits_processor=[check],
                tokenizer=lm.tokenizer if stop else None,
            )
            for i, row in zip(rows, made[:, input_ids.shape[1] :].tolist(), strict=True):
                out[i] = _completion(lm, row, ends, stop)
    return [out[i] for i in range(len(ids))]


@contextmanager
def _without_own_settings(lm: LM) -> Iterator[None]:
    """Keep a hub model's own settings, such as Qwen's repetition penalty, from changing what is sampled here.

    transformers fills in from them whatever the call leaves open.
    """
    own = lm.model.generation_config
    lm.model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        lm.model.generation_config = own


def check_room(lm: LM, prompts: Iterable[Sequence[int]], new: int) -> list[list[int]]:
    """The prompts as lists, if each has a token and leaves room for `new` more in the model's context.

    Raises:
        ValueError: one does not; names it by its place in the list.
    """
    ids: list[list[int]] = []
    for i, prompt in enumerate(prompts):
        try:
            ids.append(row := [index(token) for token in prompt])
        except TypeError as error:
            what = f"Prompt {i} is no list of token ids: {prompt!r:.60}"
            raise ValueError(f"{what}. Encode it, for instance by `chat_prompts`.") from error
        if not row:
            raise ValueError(f"Prompt {i} is empty. Give it at least one token, for instance the document start.")
        lm.check_tokens(row)
        if not lm.fits(len(row) + new):
            raise ValueError(
                f"Prompt {i} has {len(row)} tokens; with {new} new ones it exceeds the model's context of "
                f"{lm.context}. Shorten the prompt or lower max_new_tokens."
            )
    return ids


def check_scores(logps: Tensor, rows: Tensor, token: int) -> None:
    """Raise ValueError if the log-probabilities (B, V) for this token of the answers `rows`, (B,), are not numbers."""
    if (bad := logps[:, 0].isnan()).any():
        raise ValueError(
            f"The model's scores for token {token} are not numbers (nan) in {int(bad.sum())} answers, the first of "
            f"them answer {int(rows[bad].min())}. Its weights are damaged, most likely by too high a rate: load it "
            "again."
        )


def _completion(lm: LM, row: list[int], ends: list[int], stop: Sequence[str]) -> Completion:
    cut = next((t + 1 for t, token in enumerate(row) if token in ends), None)
    token_ids = row[:cut] if cut else row
    text = lm.tokenizer.decode(token_ids, skip_special_tokens=True)
    at = min((text.find(s) for s in stop if s in text), default=-1)
    if stop and (at >= 0 or not cut):
        # Rows that ended by a stop text were filled up with padding, which in hub models may be an end token too.
        while token_ids and token_ids[-1] == lm.tokenizer.pad_token_id:
            token_ids = token_ids[:-1]
    return Completion(text[:at] if at >= 0 else text, token_ids, stopped=bool(cut) or at >= 0)
