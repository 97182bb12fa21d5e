"""The toy in three sizes, about 0.3, 2 and 8 million weights: which way an effect goes as a model grows.

Serves the parts "On a real model" of lessons 02, 03, 07, 08 and 11 (claims S2, S4, S10, R2, N5, X3). All are made from
the same text and by the same recipe; `make sizes` builds the two that are not shipped, in `runs/`, and runs them all.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from course.best_of_n import best_of_n
from course.evaluation import answer
from course.experiments.store import Experiment, Run
from course.feedback import Labeller, label_pairs
from course.models import LM, clone, load, new_model, save
from course.preferences import DPO, fit_preferences
from course.rewards import accuracy, fit_reward, new_reward_model, true_reward
from course.rollouts import answers, drafts
from course.stops import unfinished
from course.templates import LLAMA2
from course.text import word_count
from course.train import chat_examples, document_examples, fit
from course.world import INVENTED, SEEN, UNSEEN, Question, country_questions, documents
from course.world.chats import conversations, mixed_conversations, sft_questions
from course.world.phrases import OPENERS

SIZES = {"0.3M": 64, "2M": 192, "8M": 384}
"""By name, the width of a model of four layers; that of 2M is the shipped one."""

DOCUMENTS, BLOCK = 170_000, 192
BASE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 12, "accumulate": 2, "warmup": 0.05, "weight_decay": 0.1}
"""What the shipped `base` read, and how."""

FOLDER = Path(__file__).parents[2] / "runs"


def begin_end_of_turn(lm: LM) -> None:
    """Give the end-of-turn token, which no document holds, the embedding of the end of a document.

    Pretraining pushes the scores of tokens that never come down together; started from there, or from the mean of all
    embeddings, SFT on a few hundred answers does not raise the end of turn above chance when answers are sampled.
    """
    weight = lm.model.get_input_embeddings().weight.data
    weight[lm.tokenizer.eos_token_id] = weight[lm.tokenizer.bos_token_id]


def base_of(size: str) -> LM:
    """The base model of a size, pretrained if it is not there yet; interrupted, it goes on where it stopped."""
    if size == "2M":
        return load("base")
    folder = FOLDER / f"base-{size}"
    if not (folder / "config.json").exists():
        lm = new_model(load("base").tokenizer, hidden=SIZES[size], seed=0)
        examples = document_examples(lm, list(documents(DOCUMENTS, 0)), BLOCK)
        fit(lm, examples, **BASE, seed=0, title=f"Pretraining {size}", state=FOLDER / f"base-{size}.state")
        if unfinished:
            raise KeyboardInterrupt
        begin_end_of_turn(lm)
        save(lm, folder)
    return load(folder)


def run_size(condition: str, seed: int) -> Run:
    """What five lessons measure, of one size.

    Measured: `right`, `right, invented` and `right, wrong template` after SFT; `polite, a quarter` and `polite, three
    quarters` by the share in the data; the reward model's `accuracy` on held-out pairs, and what the best of 16 by it
    is worth beside a single answer; `words` of the start, of the concise and of the expansive model.
    """
    base, rng = base_of(condition), random.Random(seed)
    test = rng.sample(country_questions(UNSEEN, "held-out"), 100)
    shown = sft_questions(seed=seed)[:320]
    sft = clone(base)
    fit(sft, chat_examples(sft, conversations(shown, seed=seed)), epochs=2, seed=seed, title=f"SFT {condition}")
    measured = {
        "right": answer(sft, test).correct,
        "right, invented": answer(sft, country_questions(INVENTED)).correct,
        "right, wrong template": answer(sft, test, LLAMA2).correct,
    }
    for name, share in (("a quarter", 0.25), ("three quarters", 0.75)):
        mix = clone(base)
        records = conversations(shown, {"plain": 1 - share, "warm": share}, seed=seed)
        fit(mix, chat_examples(mix, records), epochs=2, seed=seed, title=f"{name} polite, {condition}")
        texts = answer(mix, test, temperature=1.0, seed=seed).texts()
        measured[f"polite, {name}"] = mean(text.startswith(OPENERS) for text in texts)
    mixed = clone(base)
    fit(mixed, chat_examples(mixed, mixed_conversations(seed)), epochs=3, seed=seed, title=f"Mixed, {condition}")
    measured |= _rewarded(mixed, test, seed) | _opinions(mixed, test, seed)
    return Run("sizes", condition, seed, condition, measured, about={"weights": base.parameters})


def _rewarded(mixed: LM, test: Sequence[Question], seed: int) -> dict[str, float]:
    asked = random.Random(seed).sample(country_questions(SEEN, (0, 1)), 300)
    records = label_pairs(Labeller("true", 0.0), drafts(mixed, asked, each=3, seed=seed), seed=seed).records[:500]
    reward = new_reward_model(mixed, seed)
    fit_reward(reward, records[:400], epochs=2, seed=seed, title="Reward model")
    best = best_of_n(mixed, test[:48], reward, 16, watch=true_reward, seed=seed)
    return {
        "accuracy": accuracy(reward, records[400:]),
        "one answer": mean(float(one.watched.mean()) for one in best),
        "best of 16": float(true_reward(test[:48], [one.text for one in best]).mean()),
    }


def _opinions(mixed: LM, test: Sequence[Question], seed: int) -> dict[str, float]:
    asked = random.Random(seed).sample(country_questions(SEEN, (0, 1)), 150)
    pairs = [p for p in drafts(mixed, asked, each=4, seed=seed) if abs(word_count(p.a) - word_count(p.b)) >= 3]
    words = {"words, start": mean(map(word_count, answers(mixed, test, seed)))}
    for name, taste in (("concise", "short"), ("expansive", "long")):
        policy, records = clone(mixed), label_pairs(Labeller(taste, 0.0), pairs, seed=seed).records[:288]
        fit_preferences(policy, records, DPO(0.1), learning_rate=2e-4, seed=seed, title=f"DPO, {name}")
        words[f"words, {name}"] = mean(map(word_count, answers(policy, test, seed)))
    return words


EXPERIMENTS = (Experiment("sizes", tuple(SIZES), run_size, seeds=(0, 1, 2)),)
