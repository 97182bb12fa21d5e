"""The reward model: a language model with another head, trained on comparisons.

Serves notebook 07, and 08 to 10, which choose and train answers by it. The SFT model without its last layer, with one
linear map to a scalar in its place, read where the answer ends (Stiennon et al. 2020; Ouyang et al. 2022, section 3.5).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from course import SEED
from course.batching import Example, pad, read_by_length, read_in_parts
from course.formats import Message, Record, validate
from course.losses.reward import bradley_terry_loss, pairwise_accuracy
from course.models import LM, CannotLoad, Pretrained, merged, open_checkpoint, precision, seeded
from course.resume import Run, deferred_interrupt
from course.rewards.functions import RewardFunction, rewards_of
from course.templates import until_end
from course.train import Learnt, Prompt, Recipe, answer_examples, encode_answers, loop

READ_AT_ONCE = 64


@dataclass(frozen=True)
class RewardModel(Pretrained):
    """A model that scores answers: a transformers model for sequence classification with one output.

    Only differences of scores for the same prompt were trained, so a score's zero and the mean for a prompt mean
    nothing. An answer is scored as if it ended where its text does, also one that had run into a limit. The tokenizer's
    chat template stops at the token that ends the turn, where the score is read, so that libraries read it there too;
    many, such as ChatML, go on with a line break.
    """

    @property
    def trunk(self) -> PreTrainedModel:
        """The transformer below the head: from tokens to vectors."""
        return getattr(self.model, self.model.base_model_prefix)

    @property
    def head(self) -> nn.Linear:
        """From the vector at the last token to the score."""
        return self.model.score

    def scores(self, prompts: Sequence[Prompt], texts: Sequence[str] | Sequence[list[Message]]) -> Tensor:
        """The score of each answer to its prompt, whatever else is in the list.

        Args:
            prompts: what was asked, N of them.
            texts: the answers, N texts (or lists of messages).
        Returns:
            float32 (N,), on the CPU, without gradient.
        Raises:
            ValueError: nothing to score, not as many texts as prompts, a conversation longer than the model's context,
                or weights that give no number.
        """
        scores = _measure(self, [row["input_ids"] for row in answer_examples(self, prompts, texts)])
        if not scores.isfinite().all():
            first = int((~scores.isfinite()).int().argmax())
            raise ValueError(
                f"The score of texts[{first}] is {float(scores[first])}: the reward model's weights are damaged, most "
                "likely by a step at too high a learning rate. Load it or train it again."
            )
        return scores

    __call__ = scores


def new_reward_model(lm: LM, seed: int = SEED) -> RewardModel:
    """A reward model made of a copy of the language model; its head is random, so its scores mean nothing yet.

    Args:
        lm: stays as it is. LoRA adapters are merged into the copy.
        seed: draws the head, from a normal distribution as the model's other weights were at first.
    Raises:
        ValueError: transformers has no such model that gives scores.
    """
    base = merged(lm)
    config = copy.deepcopy(base.config)
    config.num_labels, config.problem_type, config.pad_token_id = 1, None, lm.tokenizer.pad_token_id
    try:
        with seeded(seed, torch.device("cpu")):
            model = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        what = f"transformers has no {config.model_type} model that gives scores, so {lm.name!r} cannot become one"
        raise ValueError(f"{what}. Make the reward model of another family, such as llama or qwen2.") from error
    setattr(model, model.base_model_prefix, getattr(base, base.base_model_prefix))
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.chat_template = until_end(lm.template.jinja)
    return RewardModel(lm.name, model.requires_grad_(True).to(lm.device).eval(), tokenizer)


@deferred_interrupt()
def fit_reward(
    model: RewardModel,
    pairs: Sequence[Record],
    *,
    epochs: int = 1,
    learning_rate: float = 5e-4,
    batch_size: int = 16,
    accumulate: int = 1,
    held_out: Sequence[Record] = (),
    seed: int = SEED,
    title: str = "Reward model",
    state: Path | str | None = None,
) -> Run:
    """Train a reward model in place to score the chosen answer of each pair higher than the rejected one.

    Takes the steps of `course.train.fit`, and is interrupted and resumed like it.

    Args:
        model: weights that do not require gradients stay as they are; those of a new one all do, the trunk's too.
        pairs: preference records (`course.formats`), of texts or of messages.
        epochs: one is enough for a thousand pairs (Ouyang et al. 2022 took one too); a few hundred gain by a second.
        learning_rate, seed, title, state: as in `fit`.
        batch_size, accumulate: as in `course.preferences.fit_preferences`, in pairs.
        held_out: pairs whose loss is measured at the start and after each epoch.
    Returns:
        The losses are in nats per pair: log 2 for a model that guesses.
    Raises:
        DataError: a record is no preference record; lists every fault with its row, such as two equal answers.
        TrainingStopped: as `fit`.
        ValueError: no pairs, none that fits the model's context, or a count below 1.
    """
    items = _pair_items(model, pairs)
    others = _pair_items(model, held_out) if held_out else []

    def step_fn(batches: list[list[Example]]) -> Learnt:
        batch = list(chain.from_iterable(batches))
        rows = _rows(batch, "chosen") + _rows(batch, "rejected")
        scores = read_in_parts(rows, len, len(batches), lambda part: _scores(model, part))
        if not scores.isfinite().all():
            return Learnt(float("nan"), 0)  # the loop says where and stops before the weights change
        loss = bradley_terry_loss(*scores.chunk(2))
        loss.backward()
        return Learnt(float(loss.detach()), sum(map(len, rows)))

    def mean_loss() -> float:
        return float(bradley_terry_loss(*(_measure(model, _rows(others, side)) for side in ("chosen", "rejected"))))

    return loop(
        model.model,
        items,
        step_fn,
        Recipe(epochs, learning_rate, batch_size, accumulate, seed=seed),
        held_out=others,
        measure=mean_loss,
        title=title,
        y="loss (nats per pair)",
        state=state,
    )


def accuracy(reward: RewardFunction, pairs: Sequence[Record]) -> float:
    """Share of preference records whose chosen answer gets the higher reward; equal rewards count one half.

    Raises:
        DataError: a record is no preference record; lists every fault with its row.
        ValueError: no pairs, or as `RewardModel.scores`.
    """
    validate(pairs, "preference")
    prompts = [pair["prompt"] for pair in pairs]
    sides = ([pair[side] for pair in pairs] for side in ("chosen", "rejected"))
    return pairwise_accuracy(*(rewards_of(reward, prompts, answers) for answers in sides))


def load_reward(name: str | Path = "reward", device: torch.device | str | None = None) -> RewardModel:
    """Load a reward model: the embedded checkpoint "reward", a folder, or a hub name.

    Raises:
        CannotLoad: as `course.models.load`; also when it is a language model, or gives several numbers.
    """
    loaded = RewardModel(str(name), *open_checkpoint(name, AutoModelForSequenceClassification, device))
    if (numbers := loaded.model.config.num_labels) != 1:
        raise CannotLoad(f"{str(name)!r} gives {numbers} numbers for an answer, and a reward model one.")
    return loaded


# --- from conversations to scores -------------------------------------------------------------------------------------


def _pair_items(model: RewardModel, pairs: Sequence[Record]) -> list[dict[str, list[int]]]:
    """Each pair as `prompt_ids`, `chosen_ids` and `rejected_ids`; those that are too long are left out, and counted.

    They are not cut: the score is read at the end.
    """
    validate(pairs, "preference")
    items = []
    for pair in pairs:
        prompt, (chosen, rejected) = encode_answers(model, pair["prompt"], [pair["chosen"], pair["rejected"]])
        if model.fits(len(prompt) + max(len(chosen), len(rejected))):
            items.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    if len(items) < len(pairs):
        left = len(pairs) - len(items)
        said = f"{left} of {len(pairs)} pairs are longer than {model.context} tokens and were left out."
        if not items:
            raise ValueError(f"{said} No pair is left.")
        print(said)
    return items


def _rows(items: Sequence[Example], side: str) -> list[list[int]]:
    """The conversations of one side, "chosen" or "rejected"."""
    return [[*item["prompt_ids"], *item[f"{side}_ids"]] for item in items]


def _scores(model: RewardModel, rows: list[list[int]]) -> Tensor:
    """float32 (N,) on the model's device, with gradient.

    No attention mask: padding stands at the right, so under causal attention no real token can see it.
    """
    ids = pad(rows, model.tokenizer.pad_token_id).to(model.device)
    last = torch.tensor([len(row) - 1 for row in rows], device=model.device)
    with precision(model.device):
        states = model.trunk(input_ids=ids, use_cache=False).last_hidden_state
        return model.head(states[torch.arange(len(rows), device=model.device), last])[:, 0].float()


@torch.no_grad()
def _measure(model: RewardModel, rows: list[list[int]]) -> Tensor:
    model.model.eval()
    return read_by_length(rows, len, READ_AT_ONCE, lambda part: _scores(model, part)).cpu()
