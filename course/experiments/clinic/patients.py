"""The patients of the clinic: nine runs with one fault each, and a tenth that has one and is not ill.

Serves notebook 10 (claim H8), where the curves come first: if you want to guess, read no further. Each fault is code
that somebody could have written; the healthy lines are in `run.py`.
"""

import ast
import difflib
import inspect
import random
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from course import SEED
from course.experiments.clinic.run import Setup
from course.formats import Record
from course.losses.policy import entropy
from course.losses.reward import pairwise_accuracy
from course.models import LM
from course.numerics import tied
from course.rewards import RewardFunction, RewardModel, fit_reward, new_reward_model, true_reward
from course.rollouts import chat_prompts, sample
from course.show import publish
from course.templates import LLAMA2
from course.text import word_count
from course.world import SEEN, Question, country_questions

# --- the faults: each function stands in the place of the one of that name in run.py, or of the reward ----------------


def above_the_group(prompts: Sequence[Question], texts: Sequence[str]) -> Tensor:
    """The true score, less the mean over the answers to the same prompt."""
    groups = true_reward(prompts, texts).view(-1, 1)  # one answer to each prompt
    return (groups - groups.mean(1, keepdim=True)).flatten()


def policy_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """The old log-probabilities taken from the policy itself, as the two are equal before the step."""
    ratio = (logps - logps.clone()).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(gain * mask).sum() / mask.sum()


def prompts(policy: LM, questions: Sequence[Question]) -> list[list[int]]:
    """The questions in the envelope of another model."""
    return chat_prompts(policy, questions, LLAMA2)


def brief(prompts: Sequence[Question], texts: Sequence[str]) -> Tensor:
    """The true score, less a penalty for length, so that nobody is rewarded for talking."""
    words = torch.tensor([float(word_count(text)) for text in texts])
    return true_reward(prompts, texts) - 1.0 * words


def comparison(prompt: str, better: str, worse: str) -> Record:
    """A labeller's choice as a record."""
    return {"prompt": prompt, "chosen": better, "rejected": worse}


def swapped_comparison(prompt: str, better: str, worse: str) -> Record:
    """A labeller's choice as a record, the sides the wrong way round."""
    return {"prompt": prompt, "chosen": worse, "rejected": better}


def exploration(logits: Tensor, mask: Tensor) -> Tensor:
    """The entropy of the next token, summed over all tokens of the batch."""
    return (entropy(logits) * mask).sum()


def token_rewards(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Each token earns beta for its KL from the reference."""
    rewards = beta * (logps - ref_logps) * mask
    rewards[torch.arange(len(mask)), mask.sum(1).long() - 1] += scores
    return rewards


def summed_policy_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """The policy's loss, summed over all tokens of the batch."""
    ratio = (logps - old_logps).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(gain * mask).sum()


@dataclass(frozen=True)
class Patient:
    """Somebody's run.

    Attributes:
        fault: what is wrong with it.
        finding: the name of the rule in `triage` that should find it.
        entry: the entry of `Setup` that is at fault; "comparison" where it is the data of the reward model.
        sick: what stands there.
        besides: entries that differ from the healthy run and are right.
    """

    fault: str
    finding: str
    entry: str
    sick: Any
    besides: Mapping[str, Any] = field(default_factory=dict)

    def setup(self, policy: LM, seed: int = SEED) -> Setup:
        """The setup with the fault in it; where labels are swapped, a reward model is trained for it."""
        if self.entry == "comparison":
            return Setup(reward=trained_reward(policy, seed, self.sick))
        return Setup(**{self.entry: self.sick, **self.besides})

    def line(self) -> str:
        """The fault as a difference from the healthy lines: what begins with + stands where - should."""
        if self.entry == "reward":  # nothing stands there in a healthy run but the name of the reward
            return textwrap.dedent(inspect.getsource(self.sick)).rstrip()
        healthy = comparison if self.entry == "comparison" else getattr(Setup(), self.entry)
        if not callable(healthy):
            return f"-{self.entry} = {healthy}\n+{self.entry} = {self.sick}"
        changed = difflib.ndiff(_body(healthy), _body(self.sick))
        lines = [line[0] + line[2:] for line in changed if line[0] in " -+"]
        return "\n".join([f" def {healthy.__name__}(...):", *lines])


PATIENTS: dict[str, Patient] = {
    "A": Patient("a reward without a signal", "signal", "reward", above_the_group),
    "B": Patient("a missing stop-gradient", "gradient", "policy_loss", policy_loss),
    "C": Patient("the wrong template", "prompt", "prompts", prompts),
    "D": Patient("a reward that can be had without quality", "reward", "reward", brief),
    "E": Patient("swapped labels", "reward", "comparison", swapped_comparison),
    "F": Patient("too high a learning rate", "rate", "learning_rate", 2e-3),
    "G": Patient("a sum in the place of a mean", "entropy", "exploration", exploration, {"bonus": 0.01}),
    "H": Patient("the penalty's sign the wrong way round", "penalty", "token_rewards", token_rewards, {"beta": 0.3}),
    "I": Patient("a value model that cannot learn", "values", "value_learning_rate", 5e-2),
    "J": Patient("a sum in the place of a mean, where it does no harm", "healthy", "policy_loss", summed_policy_loss),
}


def reveal(*names: str) -> None:
    """Show what these patients are ill with, and the line at fault; in a notebook, folded until it is opened."""
    for name in names:
        fault, line = PATIENTS[name].fault, PATIENTS[name].line()
        summary = f"Commit yourself to an answer above, then open patient {name}"
        html = f"<details><summary>{summary}</summary><p>{escape(fault)}</p><pre>{escape(line)}</pre></details>"
        publish(html, f"Patient {name}: {fault}\n\n{textwrap.indent(line, '    ')}\n")


def _body(function: Callable[..., Any]) -> list[str]:
    """The lines of a function below its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    first = ast.parse(source).body[0].body[1].lineno  # type: ignore[attr-defined]
    return source.splitlines()[first - 1 :]


# --- rewards: the reward model of patient E, and a test for all -------------------------------------------------------


def drafts(policy: LM, questions: Sequence[Question], seed: int) -> list[tuple[Question, str, str]]:
    """(question, better answer, worse answer) by the true score, from three answers that the policy samples to each."""
    asked = [question for question in questions for _ in range(3)]
    texts = sample(policy, chat_prompts(policy, asked), max_new_tokens=24, seed=seed).texts
    scored = list(zip(true_reward(asked, texts).tolist(), texts, strict=True))
    made = []
    for i, question in enumerate(questions):
        for one, other in combinations(scored[3 * i : 3 * i + 3], 2):
            if not tied(one[0], other[0]):
                made.append((question, max(one, other)[1], min(one, other)[1]))
    random.Random(seed).shuffle(made)
    return made


def trained_reward(policy: LM, seed: int = SEED, record: Callable[[str, str, str], Record] = comparison) -> RewardModel:
    """A reward model trained on 300 comparisons of the policy's own drafts, each written down by `record`."""
    made = drafts(policy, country_questions(SEEN), seed)[:300]
    model = new_reward_model(policy, seed=seed)
    fit_reward(model, [record(q.text, better, worse) for q, better, worse in made], seed=seed, title="reward model")
    return model


def agreement(reward: RewardFunction, pairs: Sequence[tuple[Question, str, str]]) -> tuple[float, float]:
    """In how many pairs (question, better answer, worse answer) the better one gets more.

    Returns:
        The share of all pairs, and that of the pairs whose answers have equally many words; equal rewards count half.
    Raises:
        ValueError: no two answers have equally many words.
    """
    even = [pair for pair in pairs if word_count(pair[1]) == word_count(pair[2])]
    if not even:
        raise ValueError(f"Of {len(pairs)} pairs none has answers of equally many words. Draw more drafts.")
    shares = []
    for part in (pairs, even):
        asked, better, worse = (list(column) for column in zip(*part, strict=True))
        shares.append(pairwise_accuracy(reward(asked, better), reward(asked, worse)))
    return shares[0], shares[1]
