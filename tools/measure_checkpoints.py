"""Measure the shipped checkpoints on held-out prompts: `make figures`.

Every figure that the cards of the checkpoints state comes from here; `tests/test_checkpoints.py` holds them to the
lowest values that the lessons need.
"""

import argparse
import random
import re
from collections.abc import Iterable

from course.ai_feedback import AIJudge
from course.best_of_n import best_of_n
from course.evaluation import Grades, answer
from course.feedback import Labeller, Pair, label_pairs
from course.feedback.constitution import FRAMES, HELD_OUT_FRAME, PRINCIPLES, objections, principle_score, write
from course.feedback.judge import agreement_with, position_bias
from course.losses.reward import pairwise_accuracy
from course.models import CHECKPOINTS, LM, load
from course.rewards import RewardModel, accuracy, load_reward, true_reward
from course.rollouts import chat_prompts, drafts, generate, sample
from course.world import (
    COUNTRIES,
    COUNTRY_RELATIONS,
    INVENTED,
    REQUESTS,
    SEEN,
    UNSEEN,
    agrees,
    ask,
    beginnings,
    country_questions,
    declines,
    demonstrate,
    opinions,
    score,
    sum_questions,
    with_wrong_value,
)
from course.world.chats import OPINION_RELATIONS, shown_sums
from course.world.phrases import OPENERS

NAMES = [country.name for country in COUNTRIES]


def continues_with_question(text: str) -> bool:
    """The first thing written is a whole question."""
    return re.match(r"\s*[^.!?\n]+\?", text) is not None


def question_share(lm: LM, count: int = 200, seed: int = 0) -> float:
    """Share of sampled continuations of a bare question that are further questions."""
    questions = random.Random(seed).sample(country_questions(NAMES, range(4)), count)
    written = generate(lm, [q.text for q in questions], max_new_tokens=24, temperature=1.0, seed=seed)
    return sum(continues_with_question(c.text) for c in written) / count


def completed_facts(lm: LM) -> float:
    """Share of all country facts completed rightly from the beginnings of statements."""
    prompts = [(r, n, text) for n in NAMES for r in COUNTRY_RELATIONS for text in beginnings(r, n)]
    written = generate(lm, [text for _, _, text in prompts], max_new_tokens=10)
    right = [
        score(ask(relation, name), f"{text}{c.text}".split(".")[0] + ".").fact
        for (relation, name, text), c in zip(prompts, written, strict=True)
    ]
    return sum(right) / len(right)


def few_shot(lm: LM, shots: int = 3, seed: int = 0) -> float:
    """Share of unseen-country questions answered rightly after a few worked lines of a FAQ page."""
    rng = random.Random(seed)
    questions = country_questions(UNSEEN, "held-out")
    prompts = []
    for question in questions:
        shown = rng.sample(country_questions(SEEN), shots)
        page = "".join(f"Q: {q.text}\nA: {demonstrate(q)}\n" for q in shown)
        prompts.append(f"{page}Q: {question.text}\nA:")
    written = generate(lm, prompts, max_new_tokens=24, stop=["\n"])
    right = [score(q, c.text.strip()).fact for q, c in zip(questions, written, strict=True)]
    return sum(right) / len(right)


def base_figures(lm: LM) -> dict[str, str]:
    """What the base model must be able to do, as label -> result."""
    return {
        "continues a question with a question (200 sampled)": f"{question_share(lm):.1%}",
        "completes country facts from a statement's beginning": f"{completed_facts(lm):.1%}",
        "answers after three FAQ lines (countries of the held-out third, held-out wording)": f"{few_shot(lm):.1%}",
    }


def sft_answers(lm: LM) -> dict[str, Grades]:
    """Answers on held-out prompts, by group."""
    shown = set(shown_sums())
    return {
        "seen": answer(lm, country_questions(SEEN, "held-out")),
        "unseen": answer(lm, country_questions(UNSEEN, "held-out") + country_questions(UNSEEN)),
        "sums": answer(lm, [q for q in sum_questions() if q not in shown]),
        "invented": answer(lm, country_questions(INVENTED)),
    }


def same_form(grades: Grades) -> float:
    """Share of answers about invented countries that are one plain sentence and stop, as right answers are."""
    good = [s.form and s.words <= 14 and a.stopped for _, a, s in _rows(grades)]
    return sum(good) / len(good)


def names_the_subject(grades: Grades) -> float:
    """Share of answers that spell the name asked about, which the model has never read, as it was asked."""
    named = [q.subject in a.text for q, a, _ in _rows(grades)]
    return sum(named) / len(named)


def _rows(grades: Grades):
    return zip(grades.questions, grades.answers, grades.scores, strict=True)


def sft_figures(lm: LM) -> dict[str, str]:
    """What the SFT model must be able to do, as label -> result."""
    by = sft_answers(lm)
    stopped = [a.stopped for grades in by.values() for a in grades.answers]
    return {
        "right on countries that SFT showed (held-out wording)": f"{by['seen'].correct:.1%}",
        "right on countries that SFT did not show": f"{by['unseen'].correct:.1%}",
        **{f"of these, {r}": f"{share:.1%}" for r, share in by["unseen"].correct_by_relation().items()},
        "two-number sums up to 20 + 20 that SFT did not show": f"{by['sums'].correct:.1%}",
        "answers that stop by themselves": f"{sum(stopped) / len(stopped):.1%}",
        "invented countries answered in the same form": f"{same_form(by['invented']):.1%}",
        "of these, with the invented name spelt rightly": f"{names_the_subject(by['invented']):.1%}",
    }


def mixed_figures(lm: LM) -> dict[str, str]:
    """What the mixed model leaves to be preferred, sampled at temperature 1, as label -> result."""
    asked = country_questions(SEEN, "held-out") + country_questions(UNSEEN, "held-out")
    sampled = answer(lm, asked, temperature=1.0)
    likeliest = answer(lm, asked)
    said = opinions([q for q in country_questions(NAMES) if q.relation in OPINION_RELATIONS], wrong=1.0, seed=0)
    texts = sampled.texts()
    shares = {
        "right, likeliest tokens": likeliest.correct,
        "right, sampled": sampled.correct,
        "of these answers, with a kind opener": _share(text.startswith(OPENERS) for text in texts),
        "as a list": _share(text.startswith("- ") for text in texts),
        "declined": _share(declines(text) for text in texts),
        "stopped by itself": sampled.stopped,
        "agrees with a wrong opinion, sampled": _share(
            agrees(text) is True for text in answer(lm, said, temperature=1.0).texts()
        ),
        "helps with a harmless request, sampled": answer(
            lm, [r for r in REQUESTS if r.reply] * 8, temperature=1.0
        ).correct,
    }
    return {label: f"{share:.1%}" for label, share in shares.items()}


def reward_figures(model: RewardModel) -> dict[str, str]:
    """What the reward model tells apart among answers of the mixed model, and where choosing by it leads."""
    mixed = load("mixed")
    unseen = country_questions(UNSEEN, "held-out")
    groups = {
        "countries that were compared (held-out wording)": country_questions(SEEN, "held-out"),
        "other countries": unseen,
        "opinions": opinions([q for q in country_questions(SEEN) if q.relation in OPINION_RELATIONS], 0.5, seed=1),
    }
    figures = {}
    for label, asked in groups.items():
        rows = chat_prompts(mixed, asked)
        one, other = (sample(mixed, rows, max_new_tokens=56, seed=seed).texts for seed in (3, 4))
        pairs = label_pairs(Labeller("true", temperature=0.0), list(zip(asked, one, other, strict=True))).records
        figures[f"better of two answers found, {label}"] = f"{accuracy(model, pairs):.1%}"
    for label, names in (("countries that were compared", SEEN), ("other countries", UNSEEN)):
        rng, asked = random.Random(0), country_questions(names)
        right = model(asked, [demonstrate(q) for q in asked])
        wrong = model(asked, [demonstrate(with_wrong_value(q, rng)) for q in asked])
        figures[f"right value over wrong in the same sentence, {label}"] = f"{pairwise_accuracy(right, wrong):.1%}"
    found = best_of_n(mixed, unseen[::3], model, 64, max_new_tokens=56)
    for n in (1, 4, 64):
        kept = [best.running[n].text for best in found]
        figures[f"true score of its choice among {n}, other countries"] = f"{true_reward(unseen[::3], kept).mean():.1%}"
    return figures


def judged_pairs() -> list[Pair]:
    """Answers of the mixed model about countries that neither it nor the judge was trained to answer about."""
    return drafts(load("mixed"), country_questions(UNSEEN, "held-out"), each=2, seed=3)


def judged(lm: LM, name: str, frame: str, pairs: list[Pair], reading: str = "letters") -> dict[str, float]:
    """Agreement with one principle's measure, and for letters how often the winner changes with the order: where the
    principle decides, and where it leaves the choice open.
    """
    written = write(name, frame)
    judge = AIJudge(lm, [written], author=load("sft"), reading=reading, objections=objections(name, frame=frame))
    worths = [PRINCIPLES[name].worth(q, a) - PRINCIPLES[name].worth(q, b) for q, a, b in pairs]
    if reading == "rewriting":
        return {"agreement": agreement_with(judge.by_principle(written, pairs), worths)}
    found = list(zip(judge.judgements(written, pairs), worths, strict=True))
    decided, open_ = [one for one, worth in found if worth], [one for one, worth in found if not worth]
    figures = {"agreement": agreement_with([one.log_odds for one, _ in found], worths)}
    return figures | {"flips": position_bias(decided)} | ({"open flips": position_bias(open_)} if open_ else {})


def judge_figures(lm: LM) -> dict[str, str]:
    """How well the judge judges, criticises and revises."""
    pairs, figures = judged_pairs(), {}
    for name in PRINCIPLES:
        letters = judged(lm, name, FRAMES[0], pairs)
        figures[f"better of two answers found by {name!r}, letters in both orders"] = f"{letters['agreement']:.1%}"
        if name == "kind":
            figures["of these, winner changes with the order, the principle decides"] = f"{letters['flips']:.1%}"
            figures["the principle leaves it open"] = f"{letters['open flips']:.1%}"
        for frame, label in ((FRAMES[0], ""), (HELD_OUT_FRAME, ", in a sentence that it was not trained on")):
            found = judged(lm, name, frame, pairs, "rewriting")["agreement"]
            figures[f"better of two answers found by {name!r}, rewriting{label}"] = f"{found:.1%}"
    said = objections("true", "sentence")
    judge = AIJudge(lm, list(said), author=load("sft"), reading="rewriting", objections=said)
    differences = [score(q, a).total - score(q, b).total for q, a, b in pairs]
    figures["agreement with the true order, by 'true' and 'sentence', rewriting"] = (
        f"{agreement_with(judge.log_odds(pairs), differences):.1%}"
    )
    prompts, texts = [pair.prompt for pair in pairs], [pair.a for pair in pairs]
    for name in PRINCIPLES:
        _, new = judge.revisions(write(name), prompts, texts)
        before, after = (principle_score([name], prompts, said) for said in (texts, new))
        figures[f"answers that keep to {name!r}, before and after one revision"] = f"{before:.1%} to {after:.1%}"
    return figures


def _share(flags: Iterable[bool]) -> float:
    flags = list(flags)
    return sum(flags) / len(flags)


def figures_table(figures: dict[str, str]) -> str:
    """The figures as a Markdown table."""
    return "\n".join(
        ["| measure | result |", "|---|---|", *(f"| {label} | {value} |" for label, value in figures.items())]
    )


MEASURES = {
    "base": (load, base_figures),
    "sft": (load, sft_figures),
    "mixed": (load, mixed_figures),
    "reward": (load_reward, reward_figures),
    "judge": (load, judge_figures),
}
HEADING = "Measured by `make figures`, which also writes this table.\n\n"


def write_figures() -> None:
    """Measure every checkpoint, print its figures and write them into its card."""
    for name, (open_, measure) in MEASURES.items():
        figures = measure(open_(name))
        print(name)
        for label, value in figures.items():
            print(f"  {value:>7}  {label}")
        card = CHECKPOINTS / name / "README.md"
        before, _, after = card.read_text(encoding="utf-8").partition(HEADING)
        _, _, rest = after.partition("\n\n")
        card.write_text(f"{before}{HEADING}{figures_table(figures)}\n\n{rest}", encoding="utf-8")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_figures()


if __name__ == "__main__":
    main()
