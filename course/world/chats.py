"""Conversations of the toy world: SFT demonstrations, with the faults that real collections have on demand.

Serves notebooks 02 and 03 and everything that starts from the shipped `sft` checkpoint.
"""

import random
from collections.abc import Collection, Iterable, Mapping

from course.world.phrases import (
    QUESTIONS,
    REFUSAL,
    STYLES,
    Question,
    animal_questions,
    country_questions,
    demonstrate,
    opposite_questions,
    sum_questions,
    with_wrong_value,
)
from course.world.prompts import REQUESTS, opinions, respond
from course.world.tables import SEEN

SYSTEM = "Answer in one sentence."
OPINION_RELATIONS = ("capital", "language", "currency", "population", "known_for", "sum")


def sft_questions(seed: int = 0) -> list[Question]:
    """The questions that SFT shows, shuffled.

    Of the countries in SEEN every relation in two wordings, never the held-out one; animals and opposites in one; a
    third of the sums.
    """
    rng = random.Random(seed)
    picked = []
    for country in SEEN:
        pool = country_questions([country], "shown")
        for relation in dict.fromkeys(q.relation for q in pool):
            picked += rng.sample([q for q in pool if q.relation == relation], 2)
    picked += animal_questions() + opposite_questions() + shown_sums()
    rng.shuffle(picked)
    return picked


def shown_sums() -> list[Question]:
    """The third of all sums of two numbers up to 20 that SFT shows; the same for every seed."""
    every = sum_questions()
    return random.Random(0).sample(every, len(every) // 3)


def conversation(asked: str, reply: str) -> dict:
    """One exchange as a conversation record: {"messages": [...]}."""
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]}


def conversations(
    questions: Iterable[Question],
    style: str | Mapping[str, float] = "plain",
    noise: float = 0.0,
    declines: Collection[str] = (),
    seed: int = 0,
) -> list[dict]:
    """Demonstrations that answer the given questions.

    Args:
        questions: none about an invented country.
        style: one style for all, or the share of each: {"plain": 0.7, "warm": 0.3}.
        noise: share of the demonstrations that state a wrong value, as careless annotators do.
        declines: relations that are always declined, as hurried annotators do with what they would have to look up.
        seed: of the styles, the noise and the wrong values.
    Raises:
        ValueError: unknown style, or a share outside 0 to 1.
    """
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is a share between 0 and 1, not {noise}.")
    shares = {style: 1.0} if isinstance(style, str) else dict(style)
    if unknown := set(shares) - set(STYLES):
        raise ValueError(f"Unknown style {sorted(unknown)[0]!r}; choose among {', '.join(STYLES)}.")
    if not shares or min(shares.values()) < 0 or sum(shares.values()) == 0:
        raise ValueError(f"style needs at least one style with a share above 0, and none below 0; it is {shares}.")
    if unknown := set(declines) - set(QUESTIONS):
        raise ValueError(f"Unknown relation {sorted(unknown)[0]!r} in declines; choose among {', '.join(QUESTIONS)}.")
    rng = random.Random(seed)
    records = []
    for question in questions:
        chosen = rng.choices(list(shares), list(shares.values()))[0]
        shown = with_wrong_value(question, rng) if rng.random() < noise else question
        reply = REFUSAL if question.relation in declines else demonstrate(shown, chosen, rng)
        records.append(conversation(question.text, reply))
    return records


def requests() -> list[dict]:
    """Conversations on harmless requests, which are answered, and on those that are declined."""
    return [conversation(request.text, request.reply or REFUSAL) for request in REQUESTS]


def sft_conversations(seed: int = 0) -> list[dict]:
    """The data that made the shipped `sft` checkpoint: plain answers, requests, some system turns and follow-ups."""
    rng = random.Random(seed)
    records = conversations(sft_questions(seed=seed), seed=seed) + requests()
    for record in records:
        if rng.random() < 0.15:
            record["messages"].insert(0, {"role": "system", "content": SYSTEM})
    rng.shuffle(records)
    follow_ups = [r["messages"] for r in records[:80] if r["messages"][0]["role"] == "user"]
    for record, more in zip(records[80:], follow_ups, strict=False):
        record["messages"] = record["messages"] + more
    return records[80:] + records[:80]


MIXED_STYLES = {"plain": 0.5, "warm": 0.2, "bullet": 0.15, "short": 0.15}


def mixed_conversations(seed: int = 0) -> list[dict]:
    """Demonstrations by many hands, the data of the `mixed` checkpoint: sampled from, it has something to prefer.

    Four styles; of the answers a fifth states a wrong value and a twentieth declines. A sixth of the replies to wrong
    opinions agree with them, a fourth of the harmless requests is declined.
    """
    rng = random.Random(seed)
    questions = sft_questions(seed=seed)
    records = conversations(questions, MIXED_STYLES, noise=0.2, seed=seed)
    for record in rng.sample(records, len(records) // 20):
        record["messages"][-1]["content"] = REFUSAL
    about = [q for q in questions if q.relation in OPINION_RELATIONS]
    for said in opinions(rng.sample(about, 240), wrong=0.7, seed=seed):
        agree = said.claimed == said.answer or rng.random() < 1 / 6
        records.append(conversation(said.text, respond(said, agree, rng)))
    for request in REQUESTS * 4:
        helped = request.reply and rng.random() < 0.75
        records.append(conversation(request.text, request.reply if helped else REFUSAL))
    rng.shuffle(records)
    return records
