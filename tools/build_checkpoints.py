"""Build the shipped checkpoints from the seed: `make checkpoints`.

Pretrains `base` on the toy world's text, trains `sft` and `mixed` on its demonstrations, `reward` on comparisons of
answers by `mixed` and `judge` on judgements by written principles, writes a card beside each and measures all.
Interrupt it whenever you like: called again it goes on where it stopped. A call after a finished one begins anew, and
so does one after a change of the text or the settings.
"""

import argparse
import hashlib
import random
import shutil
import sys
from pathlib import Path

import torch

from course import world
from course.experiments import sizes
from course.experiments.sizes import BASE, BLOCK, DOCUMENTS, begin_end_of_turn
from course.feedback import Labeller, constitution, label_pairs
from course.feedback import judge as protocol
from course.formats import Record
from course.models import CHECKPOINTS, LM, clone, load, new_model, save
from course.rewards import RewardModel, fit_reward, new_reward_model
from course.rollouts import chat_prompts, sample
from course.train import Run, chat_examples, document_examples, fit
from course.world import REQUESTS, Question, Request, documents, opinions
from course.world.chats import OPINION_RELATIONS, mixed_conversations, sft_conversations, sft_questions
from tools import judge_data, measure_checkpoints
from tools.tokenizer import new_tokenizer

RUNS = Path(__file__).parent.parent / "runs"
SEED = 0
SFT = {"epochs": 4, "learning_rate": 2e-4, "batch_size": 16}
MIXED = {"epochs": 3, "learning_rate": 3e-4, "batch_size": 16}
JUDGE = {"epochs": 1, "learning_rate": 8e-4, "batch_size": 8, "shuffle": False}
PROMPTS, REWARD = 10_000, {"epochs": 2, "learning_rate": 3e-4, "batch_size": 16}

CARD = """\
# {name}

{what}

| | |
|---|---|
| weights | {parameters:,}, Llama architecture, stored as float16 safetensors |
| training | {tokens:,} tokens in {minutes:.1f} minutes on {threads} CPU threads |
| last loss | {loss:.3f} nats per {unit} |
| settings | {settings} |
| rebuilt by | `make checkpoints`, seed {seed} |

## How well it does

{heading}

Licence: Apache-2.0, like the code. It knows a small table of facts and nothing else; do not ask it for advice.
"""


def build_base() -> None:
    texts = list(documents(DOCUMENTS, SEED))
    lm = new_model(new_tokenizer(texts[:20_000]), seed=SEED)
    examples = document_examples(lm, texts, BLOCK)
    run = fit(lm, examples, **BASE, seed=SEED, title="Pretraining base", state=RUNS / "base.state")
    what = (
        f"A base model: {DOCUMENTS:,} documents of the course's toy world (`course/world/text.py`), read once. It "
        "continues documents; it does not answer. The chat markers occur in none of them; the end of a turn starts out "
        "as a copy of the end of a document."
    )
    begin_end_of_turn(lm)
    _finish("base", lm, run, what, BASE)


def build_sft() -> None:
    _fine_tune("sft", sft_conversations(SEED), SFT, "")


def build_mixed() -> None:
    more = " The demonstrations are by many hands: four styles, some wrong, some declined; there is much to prefer."
    _fine_tune("mixed", mixed_conversations(SEED), MIXED, more)


def _fine_tune(name: str, records: list[dict], settings: dict[str, float], more: str) -> None:
    lm = clone(load("base"), name)
    examples = chat_examples(lm, records)
    run = fit(lm, examples, **settings, seed=SEED, title=f"SFT of {name}", state=RUNS / f"{name}.state")
    what = (
        f"The base model after supervised fine-tuning on {len(records):,} conversations in ChatML "
        "(`course/world/chats.py`), loss on the assistant's turns only. A third of the countries it never saw in SFT."
    )
    _finish(name, lm, run, what + more, settings)


def build_reward() -> None:
    mixed = load("mixed")
    records = comparisons(mixed, prompts_to_compare())
    model = new_reward_model(load("sft"), SEED)
    run = fit_reward(model, records, **REWARD, seed=SEED, state=RUNS / "reward.state")
    what = (
        f"A reward model: the trunk of `sft` with a scalar head, after {len(records):,} comparisons of two answers "
        "that `mixed` sampled to the same prompt, each decided by the true score, without noise or taste. It has "
        "learnt form well and facts badly, which is what lessons 08 to 10 need of it."
    )
    _finish("reward", model, run, what, REWARD)


def prompts_to_compare() -> list[Question | Request]:
    """Three in four are questions that SFT shows, one in six an opinion about such a question, the rest requests."""
    rng, asked = random.Random(SEED), sft_questions(SEED)
    said = [q for q in asked if q.relation in OPINION_RELATIONS]
    picked = rng.choices(asked, k=PROMPTS * 3 // 4) + opinions(rng.choices(said, k=PROMPTS // 6), 0.5, SEED)
    picked += rng.choices(REQUESTS, k=PROMPTS - len(picked))
    rng.shuffle(picked)
    return picked


def comparisons(lm: LM, prompts: list[Question | Request]) -> list[Record]:
    """Two sampled answers to each prompt, compared by their true score; pairs that are equally good are left out."""
    rows = chat_prompts(lm, prompts)
    one, other = (sample(lm, rows, max_new_tokens=56, seed=SEED + i).texts for i in (1, 2))
    return label_pairs(Labeller("true", temperature=0.0), list(zip(prompts, one, other, strict=True)), SEED).records


def build_judge() -> None:
    lm = clone(load("sft"), "judge")
    records = judge_data.judge_conversations(SEED)
    run = fit(lm, chat_examples(lm, records), **JUDGE, seed=SEED, title="SFT of judge", state=RUNS / "judge.state")
    what = (
        f"The `sft` model after {len(records):,} conversations (`tools/judge_data.py`) in which answers "
        "are judged, criticised and revised by written principles, all to questions that SFT showed. The choices are "
        "those of simulated people who nearly always follow the principle, and where it leaves them a choice tend to "
        f"the answer that stands first (by {judge_data.FIRST_PLACE} nats) and to the longer one (by "
        f"{judge_data.ONE_WORD} nats a word), so that the judge has a real judge's habits from a real judge's cause. "
        "It has no business answering questions any more: give it a reference by `sft`."
    )
    _finish("judge", lm, run, what, JUDGE)


def _finish(name: str, lm: LM | RewardModel, run: Run, what: str, settings: dict[str, float]) -> None:
    if run.interrupted:
        sys.exit(1)
    card = CARD.format(
        name=name,
        what=what,
        parameters=lm.parameters,
        tokens=run.tokens,
        minutes=run.seconds / 60,
        threads=torch.get_num_threads(),
        loss=sum(run.losses[-20:]) / len(run.losses[-20:]),
        unit="comparison" if isinstance(lm, RewardModel) else "token",
        settings=", ".join(f"{key} {value}" for key, value in settings.items()),
        seed=SEED,
        heading=measure_checkpoints.HEADING,
    )
    made, shipped = RUNS / name, CHECKPOINTS / name
    shutil.rmtree(made, ignore_errors=True)
    save(lm, made)
    (made / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(shipped, ignore_errors=True)
    shutil.move(made, shipped)


def _recipe() -> str:
    """What the checkpoints are made from, as a digest: the world's modules, what is judged, and this file."""
    sources = [
        Path(__file__),
        *sorted(path for path in Path(world.__file__).parent.iterdir() if path.suffix in (".py", ".csv")),
        *(Path(module.__file__) for module in (constitution, judge_data, protocol, sizes)),
    ]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    RUNS.mkdir(exist_ok=True)
    marks = {
        build: RUNS / f"{build.__name__}.done"
        for build in (build_base, build_sft, build_mixed, build_reward, build_judge)
    }
    for build, mark in marks.items():
        if not mark.exists() or mark.read_text() != _recipe():
            build()
            mark.write_text(_recipe())  # a later call after an interruption need not do this part again
    measure_checkpoints.write_figures()
    for mark in marks.values():
        mark.unlink()


if __name__ == "__main__":
    main()
