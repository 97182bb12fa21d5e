"""Sampling tensors: answers with the log-probability that each token had, and the same computed again to train on.

Serves the lessons in which a policy learns from its own answers: 08 (best-of-N), 09 and 10 (PPO, Ziegler et al. 2019),
11 and 14.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import Cache

from course import SEED
from course.batching import pad_left, positions_of
from course.losses.sft import token_logps
from course.models import LM, precision, require_list
from course.plots import progress
from course.rollouts.generation import check_room, check_scores
from course.templates import Template
from course.world import Question, Request


def chat_prompts(lm: LM, questions: Sequence[Question | Request], template: Template | None = None) -> list[list[int]]:
    """Each question as a user's turn, up to where the answer begins.

    Args:
        lm: whose tokenizer is used.
        questions: anything that has a `.text`.
        template: the envelope in which the question is sent; the model's own if not given.
    Returns:
        Token ids, one list for each question.
    Raises:
        ValueError: `questions` is a text, or something in it has no `.text`.
    """
    require_list(questions, "questions")
    if bad := [i for i, question in enumerate(questions) if not isinstance(getattr(question, "text", None), str)]:
        raise ValueError(
            f"questions[{bad[0]}] has no `.text`: {questions[bad[0]]!r:.80}. Write course.world.Request(text, '')."
        )
    asked = replace(lm, template=template) if template else lm
    turns = [[{"role": "user", "content": question.text}] for question in questions]
    return [asked.encode(turn, add_generation_prompt=True).input_ids for turn in turns]


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

    def inputs(self) -> dict[str, Tensor]:
        """Prompts and responses joined, as a model reads them; the responses are the last R columns.

        Returns:
            `input_ids`, `attention_mask` and `position_ids`, each int64 (B, P + R). Positions count from each prompt's
            first token. Padding behind a response is not masked, since nothing that counts comes after it.
        """
        mask = torch.cat([self.prompt_mask, torch.ones_like(self.response_ids)], dim=1)
        ids = torch.cat([self.prompt_ids, self.response_ids], dim=1)
        return {"input_ids": ids, "attention_mask": mask, "position_ids": positions_of(mask)}

    def rows(self, indices: Sequence[int]) -> "Rollouts":
        """These answers in this order, without the columns in which none of them has a token.

        Raises:
            ValueError: no indices.
        """
        if not len(indices):
            raise ValueError("There are no rows to take: the list of indices is empty.")
        at = torch.as_tensor(indices, device=self.mask.device)
        start = self.prompt_ids.shape[1] - int(self.prompt_mask[at].sum(1).max())
        end = int(self.mask[at].sum(1).max())
        return Rollouts(
            *(x[at, start:] for x in (self.prompt_ids, self.prompt_mask)),
            *(x[at, :end] for x in (self.response_ids, self.mask, self.logps)),
            *([kept[i] for i in at.tolist()] for kept in (self.texts, self.stopped)),
        )


@torch.no_grad()
def sample(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int | torch.Generator = SEED,
) -> Rollouts:
    """Let the model answer each prompt, and keep the log-probability of every token that it draws.

    A token is drawn where the running sum of the probabilities reaches a random number. Each answer has a row of random
    numbers for itself, so that it does not hang on what the others in the batch are or when they end.

    Args:
        lm: the model; it samples in evaluation mode, whichever it is in.
        prompts: lists of token ids, as from `chat_prompts`.
        max_new_tokens: the limit for one answer.
        temperature: samples from softmax(logits / temperature), whose log-probabilities are recorded. 0 takes the
            likeliest token each time, as `generate` does, and records log-probabilities at temperature 1.
        seed: of the sampling. torch's global state is left alone. With a generator (on the CPU), several calls
            draw from it what one call with all their prompts would.
    Raises:
        ValueError: no prompts, a prompt is empty or leaves no room in the model's context, a number is out of range,
            or the model's scores are not numbers.
    """
    if max_new_tokens < 1 or not 0 <= temperature < math.inf:
        raise ValueError(f"max_new_tokens={max_new_tokens} is at least 1, temperature={temperature} at least 0.")
    require_list(prompts, "prompts")
    if not (prompts := check_room(lm, prompts, max_new_tokens)):
        raise ValueError("There are no prompts: give at least one list of token ids.")
    device, filler = lm.device, lm.tokenizer.pad_token_id
    ends = torch.tensor(lm.ends(), dtype=torch.long, device=device)
    prompt_ids, prompt_mask, positions = (t.to(device) for t in pad_left(prompts, filler))
    count, width = prompt_ids.shape
    response_ids = torch.full((count, max_new_tokens), filler, device=device)
    mask, logps = torch.zeros(2, count, max_new_tokens, device=device)
    stopped = torch.zeros(count, dtype=torch.bool, device=device)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    numbers = torch.rand(count, max_new_tokens, generator=generator).to(device)

    rows = torch.arange(count, device=device)  # the answers that have not ended, in the order of the batch
    seen = torch.cat([prompt_mask, prompt_mask.new_ones(count, max_new_tokens)], dim=1)
    first, same = _distinct(prompts, device)  # a prompt that is to get several answers is read once
    with _evaluating(lm.model), precision(device):
        logits, cache = _read(lm, prompt_ids[first], prompt_mask[first], positions[first], None)
        if len(first) < count:
            logits = logits[same]
            cache.batch_select_indices(same)
        for t in progress(range(max_new_tokens), f"{count:,} answers, tokens of each"):
            logits = logits / (temperature or 1.0)
            scores = logits.log_softmax(-1)
            check_scores(scores, rows, t)
            drawn = _draw(scores, numbers[rows, t, None]) if temperature else scores.argmax(-1, keepdim=True)
            response_ids[rows, t] = drawn[:, 0]
            logps[rows, t] = token_logps(logits, drawn[:, 0])
            mask[rows, t] = 1.0
            positions = positions[:, -1:] + 1
            stopped[rows] = ended = torch.isin(drawn[:, 0], ends)
            if ended.all() or t + 1 == max_new_tokens:
                break
            if ended.any():  # what has ended leaves the batch, and the rest goes faster
                rows, drawn, positions = rows[~ended], drawn[~ended], positions[~ended]
                cache.batch_select_indices((~ended).nonzero()[:, 0])
            logits, cache = _read(lm, drawn, seen[rows, : width + t + 1], positions, cache)
    lengths = mask.sum(1).int().tolist()
    made, longest = response_ids.tolist(), max(lengths)
    texts = [lm.tokenizer.decode(row[:n], skip_special_tokens=True) for row, n in zip(made, lengths, strict=True)]
    sampled = (x[:, :longest] for x in (response_ids, mask, logps))
    return Rollouts(prompt_ids, prompt_mask, *sampled, texts, stopped.tolist())


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
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature} must be above 0; greedy answers are scored at 1.")
    with precision(lm.device):
        # The scores for a token stand one place before it, so one column more is asked for and the last one dropped.
        keep = rollouts.response_ids.shape[1] + 1
        logits = lm.model(**rollouts.inputs(), logits_to_keep=keep, use_cache=False).logits
    return logits[:, :-1].float() / temperature


def response_logps(lm: LM, rollouts: Rollouts, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token of the responses under the model; gradients flow.

    Equals `rollouts.logps` if this model sampled them at this temperature and drops nothing out.

    Args:
        lm, rollouts, temperature: as in `response_logits`.
    Returns:
        float32 (B, R), natural log, 0.0 where the mask is 0.
    Raises:
        ValueError: as in `response_logits`.
    """
    logps = token_logps(response_logits(lm, rollouts, temperature), rollouts.response_ids)
    return logps.masked_fill(rollouts.mask == 0, 0.0)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, without dropout and with a cache; outside, each part of the model as it was before."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _distinct(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """The places of the distinct prompts, (D,), and for each of the B prompts which of these D it is, (B,)."""
    places: dict[tuple[int, ...], int] = {}
    same = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    first = [same.index(i) for i in range(len(places))]
    return torch.tensor(first, device=device), torch.tensor(same, device=device)


def _read(lm: LM, tokens: Tensor, mask: Tensor, positions: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
    """Let the model read tokens (B, T) after what its cache holds: scores for the next one, (B, V), and the cache."""
    inputs = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}
    out = lm.model(**inputs, use_cache=True, logits_to_keep=1)
    return out.logits[:, -1].float(), out.past_key_values


def _draw(logps: Tensor, numbers: Tensor) -> Tensor:
    """For each row of log-probabilities (B, V) the token at which their running sum reaches a number in [0, 1), (B, 1).

    Taken from 1, such a number is above 0, so that a token of probability 0 is never the first to reach it.
    """
    sums = logps.exp().cumsum(-1)
    return torch.searchsorted(sums, (1 - numbers) * sums[:, -1:])
