"""Claims: what a lesson says, checked by the run that you have just made. Serves every lesson.

Each lesson ends with a few cells such as `claim("S10", right["Llama-2"] < right["ChatML"] - 0.2, right)`.
The cell prints the statement and the numbers behind it, and fails the notebook when the condition is false.
A statement that the small model did not show, after an honest try, is recorded with `reproduced=False`.

`make claims` runs the notebooks over several seeds with COURSE_CLAIMS_LOG naming a file; every call then
appends one line of JSON to it, and a table is made of those lines.
"""

import json
import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course import SEED
from course.show import plain, short

STATEMENTS: dict[str, str] = {
    "B1": "The base model meets a question by writing further questions, because that is how such a page goes on.",
    "B2": "Shown one sum, the base model goes on with a worksheet of sums.",
    "B3": "The base model has the fact already: begin the statement, and it completes it correctly.",
    "B4": "A few worked examples in the prompt win back much of what SFT gives, at a price in tokens per query.",
    "S1": "After SFT the model answers the question once, and then stops.",
    "S2": "SFT teaches the form and leaves the knowledge as it was: countries without a demonstration are answered "
    "nearly as well as those with one, and invented countries in the same confident form, wrongly.",
    "S3": "Answers take on the length and the tone of the demonstrations.",
    "S4": "The share of each style among the answers follows its share among the demonstrations.",
    "S5": "Few clean demonstrations beat many noisy ones on held-out questions, whatever the training losses say.",
    "S6": "With more epochs the training loss keeps falling while the loss on held-out data turns upwards.",
    "S7": "LoRA comes close to full fine-tuning with a few per cent of the weights, at a higher learning rate.",
    "S8": "The masked loss is the mean cross-entropy over the assistant's tokens alone; no other token is a target.",
    "S9": "Without the loss mask the model learns to write the user's turns too, and answers no better for it.",
    "S10": "Called with another chat template than it was trained on, the model loses accuracy or does not stop.",
    "S11": "Our rendered conversation and its mask agree with the library's, token by token, in both templates.",
    "S14": "With the end-of-turn token as padding, and padding masked out, the model never learns to end its turn.",
    "D5": "Preparing SFT data is four steps, format, filter, de-duplicate and balance, and each counts what it drops.",
    "F1": "A ranking of K answers holds K(K-1)/2 comparisons, ratings hold one for each pair that differs, and what a "
    "conversion keeps can be brought back.",
    "F2": "Where two labellers agree on 73% of the comparisons, no reward model foresees more of their labels than "
    "their noise allows.",
    "F3": "With the published prices the calculator gives the published costs.",
    "F4": "What you click in the notebook is a preference file that a trainer reads.",
    "R1": "A constant added to all scores leaves the Bradley-Terry loss as it was, equal scores give log 2, and the "
    "library's loss is the same.",
    "R2": "Accuracy on held-out comparisons rises with the number of comparisons and flattens below the noise bound.",
    "R3": "Of the comparisons to which the reward model gives a probability, about that share comes out as it says.",
    "R4": "From labellers who like length, the reward model learns to score the longer of two right answers higher.",
    "R5": "Reward models that differ in their seed alone agree on usual answers and differ on odd ones.",
    "N1": "The expected best score grows with N with falling returns, at or below the curve for normally distributed "
    "scores.",
    "N2": "The KL of best-of-N from its model is at most log N - (N-1)/N, and equals it where drawn answers never tie.",
    "N3": "One round of fine-tuning on the best of four drafts raises mean reward and true score without any RL.",
    "N4": "Over rounds of rejection sampling by a length-loving reward model answers get much longer, and in the end "
    "the true score falls.",
    "N5": "As N grows, the reward of the best answer keeps rising, while its true score turns early and falls below a "
    "single draft's.",
    "O1": "With its adapter switched off the policy equals a frozen copy of the reference, and the two together take "
    "less than half the bytes.",
    "O2": "GAE is the return minus the value at lambda 1 and the one-step error at lambda 0, and its recursion equals "
    "the explicit sum.",
    "O3": "A token whose ratio has left the range on the side that its advantage pushes to has no gradient, and on the "
    "other side it keeps one.",
    "O4": "PPO raises the reward, also on questions that were never asked in training, while the KL stays bounded.",
    "O5": "A larger beta gives a smaller KL and, where it is large, a smaller gain.",
    "O6": "The adaptive controller brings the KL near its target.",
    "O7": "Rolled out greedily, all answers to a question are one, so none is better than expected and the gradient "
    "is 0.",
    "O8": "Gradient checkpointing leaves the gradients as they are and keeps fewer activations, and a run with the "
    "switches on has the numbers of one without.",
    "O9": "The estimates k1 and k3 of the KL have no bias and k2 has little near the reference, where k3 spreads far "
    "less than k1.",
    "H1": "On a judge that likes length, with a small beta, answers grow and the judge's score rises while the true "
    "score falls.",
    "H2": "On a judge that likes agreement, the policy comes to agree with wrong opinions.",
    "H3": "On a judge that likes lists, most answers become lists.",
    "H4": "A larger beta and clipping save the true score and let answers grow all the same; the minimum of an "
    "ensemble holds the length back where its members had other labellers, and not where they shared the labels.",
    "H5": "While the reward is high, entropy and the number of different answers fall, and an entropy bonus keeps more "
    "of them.",
    "H6": "Helping with requests, for which the reward never asks, decays, and mixing SFT batches in keeps more of it.",
    "H7": "From comparisons that love refusing, the policy learns to decline harmless requests that were not in them.",
    "H8": "Questions put to a run's curves in a fixed order name its fault, also on seeds that they were not made "
    "from; two faults whose curves look alike are told apart by what the reward says of pairs of answers.",
    "S12": "SFT's likelihoods follow the mix of styles in its data and the length of the answers, whichever style is "
    "preferred; after DPO each model ranks as its own labels do.",
    "X1": "In a world small enough to enumerate, the formula for the best policy near a reference, DPO on comparisons "
    "alone and PPO on the reward end at the same policy.",
    "X2": "DPO begins at log 2, a pair weighs the more the more wrongly it is ranked, and every step is the library's.",
    "X3": "Two preference sets, concise and expansive, make two differently opinionated models from one model.",
    "X5": "On the same pairs DPO opens the gap between chosen and rejected answers wider than SFT on the chosen ones "
    "does, and the chosen answers themselves can become less likely meanwhile.",
    "X8": "On the same comparisons DPO holds two models where PPO holds four, takes less time, and ends with a true "
    "score that is no lower.",
    "X4": "With a larger beta the first gradient is larger in proportion, and at the end the policy is nearer to the "
    "reference.",
    "X6": "From pairs in which the longer answer mostly wins the answers grow longer, and means over tokens with ten "
    "times the beta, or pairs balanced by length, keep them shorter.",
    "X7": "With a reference that moves along after each pass, the same labels and the same beta take the model further "
    "from where it began.",
    "X9": "Too much DPO on one kind of question spoils a skill that no pair is about, and SFT mixed into the batches, "
    "a lower rate or a larger beta keep more of it.",
    "S13": "What the demonstrations state wrongly and always alike is still stated after reward modelling and DPO on "
    "comparisons of the model's own samples, even by labellers who know better.",
    "V1": "On a comparison that always comes out the same way IPO's margin comes to rest at 1 / (2 beta), while DPO's "
    "keeps growing.",
    "V2": "With labels swapped at random IPO loses less of the true score than DPO.",
    "V3": "KTO learns the same preference from single answers labelled good or bad, also in unequal numbers, and its "
    "reference point is scored on answers to other prompts.",
    "V4": "ORPO takes a base model to a preferred assistant in one run and without a reference, which DPO does not.",
    "V5": "Where the better answers are the longer ones, answers grow less under SimPO than under DPO.",
    "V6": "Each loss and its gradient equal the library's on the same numbers.",
    "A1": "A model that reads written principles agrees with the true order of answers well above chance; asked "
    "for a letter, it names another answer in some pairs when the two are swapped, and the mean of both orders, which "
    "cannot, finds the better answer more often.",
    "A2": "Critique and revision raises the share of the principles that answers keep to, and training on the revised "
    "answers raises it in new ones.",
    "A3": "Training on the judge's labels raises the true score by at least half as much as training on labels of "
    "people who agree in 73% of the cases.",
    "A4": "From the same pairs and the same judge, opposite constitutions move length and kind words of the answers in "
    "opposite directions.",
}
"""The ledger: one sentence for each claim that a lesson makes. A new lesson adds its own lines."""


class ClaimFailed(AssertionError):
    """The run did not show what the lesson says."""


def claim(id: str, condition: Any, evidence: Mapping[str, Any] | str, reproduced: bool = True) -> None:
    """Print a claim with its evidence, record it, and fail when the condition is false.

    Args:
        id: a key of `STATEMENTS`.
        condition: a truth value: bool, or a NumPy or torch scalar of truth values.
        evidence: the measured numbers by name (Python, NumPy or torch scalars, or lists of them), or a sentence.
        reproduced: False where the small model did not show the claim. It is then printed and recorded
            as not reproduced and never raises.
    Raises:
        ClaimFailed: the condition is false; the message holds the statement and the evidence.
        ValueError: unknown id, or no evidence.
        TypeError: the condition is not a truth value (a number or a dict would always pass).
    """
    if id not in STATEMENTS:
        raise ValueError(f"there is no claim {id!r} in the ledger. Known: {', '.join(STATEMENTS)}.")
    held = _truth(id, condition)
    measured = evidence.strip() if isinstance(evidence, str) else {str(k): plain(v) for k, v in evidence.items()}
    if not measured:
        raise ValueError(f"claim {id} came without evidence: pass the numbers that the condition compares.")

    block = describe(id, held, measured, reproduced)
    print(block)
    _record(id, held, measured, reproduced)
    if reproduced and not held:
        raise ClaimFailed(block)


def describe(id: str, held: bool, evidence: Mapping[str, Any] | str, reproduced: bool = True) -> str:
    """The block of text that `claim` prints: verdict, statement, and one line for each piece of evidence."""
    if reproduced:
        verdict = "holds" if held else "FAILED"
    else:
        verdict = "was not reproduced on this model" + (" (though it held in this run)" if held else "")
    if isinstance(evidence, str):
        lines = textwrap.wrap(evidence, 94)
    else:
        width = max(len(name) for name in evidence)
        lines = [f"{name:<{width}}  {short(value)}" for name, value in evidence.items()]
    return "\n  ".join([f"Claim {id} {verdict}", *textwrap.wrap(STATEMENTS[id], 94), *lines])


def _truth(id: str, condition: Any) -> bool:
    """The condition as a bool. Anything that merely counts as true in Python is refused."""
    value = plain(condition)
    if not isinstance(value, bool):
        raise TypeError(
            f"claim {id}: the condition must be true or false, but it is {condition!r}. "
            "Compare it with something, and reduce a whole array with .all()."
        )
    return value


def _record(id: str, held: bool, evidence: Any, reproduced: bool) -> None:
    """Append one line of JSON to the file that COURSE_CLAIMS_LOG names, if it names one."""
    log = os.environ.get("COURSE_CLAIMS_LOG")
    if not log:
        return
    line = {"claim": id, "notebook": _notebook(), "seed": SEED, "held": held, "reproduced": reproduced}
    with open(log, "a", encoding="utf-8") as file:  # one write a line: two notebooks may append at once
        file.write(json.dumps({**line, "evidence": _json(evidence)}, allow_nan=False) + "\n")


def _notebook() -> str:
    """Name of the running notebook: given by whoever runs it, or by Jupyter's server; else empty."""
    name = os.environ.get("COURSE_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME", "")
    return Path(name).stem


def _json(value: Any) -> Any:
    """What JSON cannot hold becomes text: NaN, infinity, and objects of other kinds."""
    if isinstance(value, list):
        return [_json(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
