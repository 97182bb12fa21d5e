"""Sampling from a model, and how likely what it wrote was.

`generate` serves every lesson that reads what a model writes. From notebook 08 on, `sample` does where tensors are
needed as well: the tokens, and the log-probability that each had when it was drawn. `response_logps` computes these
again, with gradients, for the policies of notebooks 09 (PPO, Ziegler et al. 2019), 11 and 14.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig

from course import SEED
from course.batching import pad
from course.models import LM, precision, seeded
from course.templates import CHATML, Template
from course.world import Question


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
    batch_size: int = 128,
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
        batch_size: prompts in one forward pass.
    Raises:
        ValueError: a prompt is empty or leaves no room in the model's context, or a number is out of range.
    """
    ids = [document_start(lm, prompt) if isinstance(prompt, str) else list(prompt) for prompt in prompts]
    if max_new_tokens < 1 or temperature < 0 or batch_size < 1:
        raise ValueError(
            f"max_new_tokens={max_new_tokens} and batch_size={batch_size} are at least 1, temperature={temperature} at "
            "least 0."
        )
    _check_room(lm, ids, max_new_tokens)
    ends = _ends(lm, honour_turns)
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
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            input_ids = pad([ids[i] for i in rows], lm.tokenizer.pad_token_id, side="left")
            mask = pad([[1] * len(ids[i]) for i in rows], 0, side="left")
            made = lm.model.generate(
                input_ids=input_ids.to(lm.device),
                attention_mask=mask.to(lm.device),
                generation_config=config,
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


def _ends(lm: LM, honour_turns: bool = True) -> list[int]:
    """The tokens that end an answer: that of the document and that of the turn, where the tokenizer has them."""
    markers = [lm.tokenizer.bos_token_id] + [lm.tokenizer.eos_token_id] * honour_turns
    return sorted({i for i in markers if i is not None})


def _check_room(lm: LM, ids: list[list[int]], new: int) -> None:
    room = lm.model.config.max_position_embeddings
    for i, row in enumerate(ids):
        if not row:
            raise ValueError(f"Prompt {i} is empty. Give it at least one token, for instance the document start.")
        if len(row) + new > room:
            raise ValueError(
                f"Prompt {i} has {len(row)} tokens; with {new} new ones it exceeds the model's context of {room}. "
                "Shorten the prompt or lower max_new_tokens."
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


def chat_prompts(lm: LM, questions: Sequence[Question], template: Template = CHATML) -> list[list[int]]:
    """Each question as a user's turn, up to where the answer begins.

    Args:
        lm: whose tokenizer is used.
        questions: anything that has a `.text`.
        template: the envelope in which the question is sent.
    Returns:
        Token ids, one list for each question.
    """
    turns = [[{"role": "user", "content": question.text}] for question in questions]
    return [template.encode(lm.tokenizer, turn, add_generation_prompt=True).input_ids for turn in turns]


@dataclass(frozen=True)
class Rollouts:
    """Prompts and sampled answers as tensors: B answers, P columns of prompts, R columns of responses.

    Prompts are padded on the left and responses on the right, so that every response begins in the same column.

    Attributes:
        prompt_ids: int64 (B, P).
        prompt_mask: int64 (B, P), 1 on the prompt's tokens and 0 on padding.
        response_ids: int64 (B, R), the stop token included.
        mask: float32 (B, R), 1.0 on the tokens that count, the stop token included, 0.0 after it.
        logps: float32 (B, R), natural log of each token's probability when it was sampled; 0.0 where the mask is 0.
        texts: the answers, decoded, without special tokens.
        stopped: whether the model ended the answer by itself, or ran into the limit.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    response_ids: Tensor
    mask: Tensor
    logps: Tensor
    texts: list[str]
    stopped: list[bool]

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, indices: Sequence[int]) -> "Rollouts":
        """These answers in this order, without the columns in which none of them has a token.

        Raises:
            ValueError: no indices.
        """
        if not len(indices):
            raise ValueError("There are no rows to take: the list of indices is empty.")
        at = torch.as_tensor(indices, device=self.mask.device)
        prompt, response = int(self.prompt_mask[at].sum(1).max()), int(self.mask[at].sum(1).max())
        return Rollouts(
            self.prompt_ids[at, self.prompt_ids.shape[1] - prompt :],
            self.prompt_mask[at, self.prompt_ids.shape[1] - prompt :],
            self.response_ids[at, :response],
            self.mask[at, :response],
            self.logps[at, :response],
            [self.texts[i] for i in at.tolist()],
            [self.stopped[i] for i in at.tolist()],
        )


@torch.no_grad()
def sample(
    lm: LM, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, temperature: float = 1.0, seed: int = SEED
) -> Rollouts:
    """Let the model answer each prompt, and keep the log-probability of every token that it draws.

    A token is drawn where the running sum of the probabilities passes a random number. An answer has its own row of
    random numbers, so that it does not depend on which other answers are in the batch or when they end.

    Args:
        lm: the model, in evaluation mode.
        prompts: lists of token ids, as from `chat_prompts`.
        max_new_tokens: the limit for one answer.
        temperature: samples from softmax(logits / temperature), whose log-probabilities are recorded. 0 takes the
            likeliest token each time, as `generate` does, and records log-probabilities at temperature 1.
        seed: of the sampling. torch's global state is left alone.
    Raises:
        ValueError: no prompts, a prompt is empty or leaves no room in the model's context, a number is out of range,
            or the model's scores are not numbers.
    """
    if max_new_tokens < 1 or temperature < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} is at least 1, temperature={temperature} at least 0.")
    if not prompts:
        raise ValueError("There are no prompts: give at least one list of token ids.")
    _check_room(lm, prompts, max_new_tokens)
    device, filler, ends = lm.device, lm.tokenizer.pad_token_id, torch.tensor(_ends(lm), device=lm.device)
    prompt_ids = pad(prompts, filler, side="left").to(device)
    prompt_mask = pad([[1] * len(prompt) for prompt in prompts], 0, side="left").to(device)
    count, width = prompt_ids.shape
    response_ids = torch.full((count, max_new_tokens), filler, device=device)
    mask, logps = torch.zeros(2, count, max_new_tokens, device=device)
    # In (0, 1]: the first token whose running sum reaches such a number always has a probability above 0.
    numbers = 1 - torch.rand(count, max_new_tokens, generator=torch.Generator().manual_seed(seed)).to(device)

    rows = torch.arange(count, device=device)  # the answers that have not ended, in the order of the batch
    seen = torch.cat([prompt_mask, prompt_mask.new_ones(count, max_new_tokens)], dim=1)
    tokens, positions, cache = prompt_ids, _positions(prompt_mask), None
    for t in range(max_new_tokens):
        with precision(device):
            out = lm.model(
                input_ids=tokens,
                attention_mask=seen[rows, : width + t],
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        cache = out.past_key_values
        scores = (out.logits[:, -1].float() / (temperature or 1.0)).log_softmax(-1)
        if scores[:, 0].isnan().any():
            raise ValueError(_not_numbers(rows[scores[:, 0].isnan()].tolist(), t))
        if temperature:
            sums = scores.exp().cumsum(-1)
            drawn = torch.searchsorted(sums, numbers[rows, t, None] * sums[:, -1:])
        else:
            drawn = scores.argmax(-1, keepdim=True)
        response_ids[rows, t] = drawn[:, 0]
        logps[rows, t] = scores.gather(1, drawn)[:, 0]
        mask[rows, t] = 1.0
        going = ~torch.isin(drawn[:, 0], ends)
        if not going.all():  # answers that have ended leave the batch
            rows = rows[going]
            if not len(rows):
                break
            cache.batch_select_indices(going.nonzero()[:, 0])
        tokens, positions = drawn[going], positions[going, -1:] + 1
    lengths = mask.sum(1).int().tolist()
    ids = [row[:n] for row, n in zip(response_ids.tolist(), lengths, strict=True)]
    last = torch.tensor([row[-1] for row in ids], device=device)
    return Rollouts(
        prompt_ids,
        prompt_mask,
        response_ids[:, : max(lengths)],
        mask[:, : max(lengths)],
        logps[:, : max(lengths)],
        [lm.tokenizer.decode(row, skip_special_tokens=True) for row in ids],
        torch.isin(last, ends).tolist(),
    )


def response_logits(lm: LM, rollouts: Rollouts, temperature: float = 1.0) -> Tensor:
    """The model's scores for each token of the responses, divided by the temperature; gradients flow.

    Args:
        lm: the model.
        rollouts: B prompts and responses.
        temperature: above 0, that of the sampling.
    Returns:
        float32 (B, R, V). Entry (b, t) is what the model says before it reads token t of response b. Where the mask
        is 0 the entries mean nothing.
    Raises:
        ValueError: the temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature={temperature} is to be above 0; greedy answers are scored at 1.")
    width = rollouts.response_ids.shape[1]
    # Padding behind a response needs no mask, since nothing that counts comes after it.
    seen = torch.cat([rollouts.prompt_mask, torch.ones_like(rollouts.response_ids)], dim=1)
    with precision(lm.device):
        logits = lm.model(
            input_ids=torch.cat([rollouts.prompt_ids, rollouts.response_ids], dim=1),
            attention_mask=seen,
            position_ids=_positions(seen),
            logits_to_keep=width + 1,
            use_cache=False,
        ).logits
    return logits[:, :-1].float() / temperature


def response_logps(lm: LM, rollouts: Rollouts, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token of the responses under the model; gradients flow.

    Equals `rollouts.logps` if this model sampled them at this temperature.

    Args:
        lm, rollouts, temperature: as in `response_logits`.
    Returns:
        float32 (B, R), natural log, 0.0 where the mask is 0.
    Raises:
        ValueError: as in `response_logits`.
    """
    scores = response_logits(lm, rollouts, temperature).log_softmax(-1)
    return scores.gather(2, rollouts.response_ids[:, :, None])[:, :, 0] * rollouts.mask


def _positions(mask: Tensor) -> Tensor:
    """Place of each token in its own row, counted from its first real one, for a mask of shape (B, T)."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _not_numbers(rows: list[int], t: int) -> str:
    return (
        f"The model's scores for token {t} of answer {rows[0]} are not numbers (nan), as are those of "
        f"{len(rows) - 1} other answers. Its weights are damaged, most likely by a step at too high a learning rate: "
        "load it again."
    )
