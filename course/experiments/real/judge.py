"""A real model as a judge of answers, and as their editor: lesson 13 (claims A1, A2)."""

import random
from statistics import mean

from course.ai_feedback import AIJudge
from course.experiments.real.start import SEEDS, counted, real_model, right_reward, sampled, to_test
from course.experiments.store import Experiment, Run
from course.feedback import Pair
from course.feedback.constitution import objections, principle_score, write
from course.feedback.judge import IN_FULL, agreement_with, position_bias
from course.preferences import sequence_logps
from course.text import word_count
from course.world import demonstrate
from course.world.phrases import with_wrong_value

JUDGED, EDITED = 40, 32
READ = ("letters", "verdicts", "likelihoods")


def run_judge(condition: str, seed: int) -> Run:
    """A right and a wrong answer to each question, in the same form: which of them the model prefers.

    Read from the letter that it names in both orders, from what it would say of each answer alone, or from how likely
    it is to give each answer itself. `right`: it prefers the right one. Of letters also `says A`, over both orders;
    `changes`, the share of pairs whose winner changes with the order; and `right, one order`.
    """
    lm, rng, principle = real_model(), random.Random(seed), write("true")
    pairs, worths = [], []
    for question in to_test(JUDGED, seed):
        both = [(demonstrate(question), 1.0), (demonstrate(with_wrong_value(question, rng)), -1.0)]
        rng.shuffle(both)
        pairs.append(Pair(question, both[0][0], both[1][0]))
        worths.append(both[0][1])
    judge = AIJudge(lm, [principle], protocol=IN_FULL, objections=objections("true"))
    if condition == "letters":
        found = judge.judgements(principle, pairs)
        measured = {
            "right": agreement_with([one.log_odds for one in found], worths),
            "right, one order": agreement_with([one.given for one in found], worths),
            "says A": mean(odds > 0 for one in found for odds in (one.given, one.swapped)),
            "changes": position_bias(found),
        }
    else:
        asked, firsts, seconds = (list(column) for column in zip(*pairs, strict=True))
        if condition == "verdicts":
            each = judge.verdicts(principle, asked * 2, firsts + seconds)
        else:
            each = sequence_logps(lm, asked * 2, firsts + seconds).mean_logps.tolist()
        odds = [a - b for a, b in zip(each[:JUDGED], each[JUDGED:], strict=True)]
        measured = {"right": agreement_with(odds, worths)}
    return Run("real_judge", condition, seed, lm.name, measured)


def run_revision(condition: str, seed: int) -> Run:
    """The model's own answers, criticised and rewritten by it according to one principle: counts before and after."""
    lm, questions = real_model(), to_test(EDITED, seed)
    before = sampled(lm, questions, seed)
    judge = AIJudge(lm, [write(condition)], protocol=IN_FULL, objections=objections(condition))
    said, after = judge.revisions(write(condition), questions, before.texts())
    measured = {f"{name}, before": value for name, value in counted(before).items() if name != "stopped"} | {
        "right, after": float(right_reward(questions, after).mean()),
        "words, after": mean(map(word_count, after)),
        "keeps to it, before": principle_score([condition], questions, before.texts()),
        "keeps to it, after": principle_score([condition], questions, after),
        "unchanged": mean(a == b for a, b in zip(before.texts(), after, strict=True)),
    }
    shown = [[q.text, *rest] for q, *rest in zip(questions[:3], before.texts(), said, after, strict=False)]
    return Run("real_revision", condition, seed, lm.name, measured, about={"answers": shown})


EXPERIMENTS = (
    Experiment("real_judge", READ, run_judge, SEEDS),
    Experiment("real_revision", ("short", "true"), run_revision, SEEDS),
)
