"""Run the patients of the clinic and store their curves: `make clinic`.

Runs that are in the file are kept, so that it goes on where it was interrupted. After a change of the policy's
checkpoint or of what the runs are made of, delete `results/clinic.json` first. A run takes about ten seconds.
"""

import argparse
import json
from typing import Any

from course.experiments.clinic.patients import PATIENTS, agreement, drafts
from course.experiments.clinic.run import Record, Setup, small_ppo
from course.experiments.clinic.stored import FILE, HEALTHY
from course.models import load
from course.rewards import true_reward
from course.world import SEEN, UNSEEN, country_questions

ITERATIONS = 10
SEEDS = (0, 1, 2, 3, 4)
DIGITS = 4


def main(seeds: list[int]) -> None:
    """Add what is missing to the file, one run at a time."""
    made = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"iterations": ITERATIONS, "runs": {}}
    for seed in seeds:
        runs = made["runs"].setdefault(str(seed), {})
        for name in (HEALTHY, *PATIENTS):
            if name in runs:
                continue
            policy = load("mixed", device="cpu")
            setup = PATIENTS[name].setup(policy, seed) if name in PATIENTS else Setup()
            record = small_ppo(policy, country_questions(SEEN), setup, iterations=ITERATIONS, seed=seed, title=name)
            runs[name] = _plain(record, with_answers=seed == 0)
            if setup.reward is not true_reward:
                held_out = drafts(load("mixed", device="cpu"), country_questions(UNSEEN), seed)
                runs[name]["agreement"] = [round(share, DIGITS) for share in agreement(setup.reward, held_out)]
            FILE.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
            print(f"seed {seed}, {name}: true score {record.history['true score'][-1]:.2f}", flush=True)


def _plain(record: Record, with_answers: bool) -> dict[str, Any]:
    history = {name: [round(number, DIGITS) + 0.0 for number in curve] for name, curve in record.history.items()}
    answers = {"first": record.first, "last": record.last} if with_answers else {}
    return {"history": history, **answers}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    main(parser.parse_args().seeds)
