"""Turn each setting of PPO on the course's model, one at a time, and store what came of it: `make dials`.

Writes `results/dials.json`, from which notebook 09 makes its table. Runs that are in the file are kept, so that it
goes on where it was interrupted; after a change of the policy's checkpoint or of the loop, delete the file first. It
takes about ten minutes.
"""

import json
from dataclasses import replace

from course.evaluation import answer
from course.experiments.ppo_settings import BETA, DIALS, ITERATIONS, MIDDLE, STORED
from course.models import clone, load
from course.rewards import true_reward
from course.rl import FixedKL, ppo
from course.world import SEEN, UNSEEN, country_questions

SEEDS = (0, 1, 2)


def measure(seed: int, **changed) -> dict[str, float]:
    """One run with these settings changed: its score on questions that were never asked, and its KL at the end."""
    policy = clone(load("mixed"))
    settings = replace(MIDDLE, **changed)
    run = ppo(
        policy,
        true_reward,
        country_questions(SEEN),
        iterations=ITERATIONS,
        kl=FixedKL(BETA),
        settings=settings,
        seed=seed,
    )
    asked = answer(policy, country_questions(UNSEEN), temperature=1.0, max_new_tokens=32, seed=seed)
    return {"score": round(asked.total, 4), "kl": round(sum(past["kl"] for past in run.history[-3:]) / 3, 4)}


def main() -> None:
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    if STORED.exists():
        found = json.loads(STORED.read_text(encoding="utf-8"))
    middle: dict[int, dict[str, float]] = {}  # the run that all settings share
    for k, seed in enumerate(SEEDS):
        for dial in DIALS:
            for value in dial.tried:
                entry = found.setdefault(dial.name, {}).setdefault(str(value), {"score": [], "kl": []})
                at_middle = value == getattr(MIDDLE, dial.name)
                if len(entry["score"]) > k:
                    if at_middle:
                        middle.setdefault(seed, {name: entry[name][k] for name in entry})
                    continue
                made = middle.get(seed) if at_middle else None
                made = made or measure(seed, **{dial.name: value})
                if at_middle:
                    middle[seed] = made
                for name, number in made.items():
                    entry[name].append(number)
                STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(f"seed {seed}, {dial.name}={value}: {made}", flush=True)


if __name__ == "__main__":
    main()
