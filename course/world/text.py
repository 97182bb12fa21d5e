"""The pretraining text of the toy world: plain documents of many kinds, drawn from a seed.

Serves notebook 01 and the shipped checkpoints. The mixture matters more than its size; what each kind is for:

- notes, facts, comparisons, stories, animals and opposites put the facts in, in several wordings each;
- question lists teach that a question is followed by more questions, on any subject (claim B1);
- worksheets do the same for sums, with and without results (claim B2), some with written steps;
- FAQ pages and transcripts show answers after questions, so that SFT only has to pick a form which is already
  there: without them, SFT answers with another country's facts;
- tales tell of a made-up land and then ask about it: they teach to copy a name never met before from the question into
  the answer, which is what lets a model speak about a country that nobody ever showed it;
- requests, opinions and drafts hold the words that later lessons need: refusals, openers and closers, bullet marks,
  "I think", critique and revision.
"""

import random
from collections.abc import Callable, Iterator

from course.world.phrases import (
    ANIMAL_RELATIONS,
    CLOSERS,
    COUNTRY_RELATIONS,
    HARMLESS,
    OPENERS,
    QUESTIONS,
    REFUSAL,
    STATEMENTS,
    TO_DECLINE,
    Question,
    ask,
    demonstrate,
    fill,
    state,
    with_wrong_value,
)
from course.world.prompts import BACK, opinion, respond
from course.world.tables import ANIMALS, COUNTRIES, INVENTED, OPPOSITES, Country

NAMES = ("Ana", "Ben", "Chen", "Dara", "Emil", "Fatou", "Gita", "Hugo", "Ines", "Jonas", "Kira", "Luis", "Mara", "Noor")
ROLES = (
    ("user", "assistant"),
    ("user", "assistant"),
    ("User", "Assistant"),
    ("Customer", "Clerk"),
    ("Student", "Teacher"),
    ("Visitor", "Guide"),
    ("Caller", "Operator"),
)
INSTRUCTIONS = ("Answer in one sentence.", "You are a helpful assistant.", "Be short and clear.", "Be kind and polite.")


def _sum(rng: random.Random) -> str:
    return f"{rng.randint(0, 20)} + {rng.randint(0, 20)}"


def any_question(rng: random.Random) -> Question:
    """A question of any relation in any wording; six in ten are about countries."""
    kind = rng.choices(("country", "animal", "opposite", "sum"), (14, 3, 1.5, 5))[0]
    if kind == "country":
        relation, subject = rng.choice(COUNTRY_RELATIONS), rng.choice(COUNTRIES).name
    elif kind == "animal":
        relation, subject = rng.choice(ANIMAL_RELATIONS), rng.choice(ANIMALS).name
    elif kind == "opposite":
        relation, subject = "opposite", rng.choice(rng.choice(OPPOSITES))
    else:
        relation, subject = "sum", _sum(rng)
    return ask(relation, subject, rng.randrange(len(QUESTIONS[relation])))


def _statement(relation: str, subject: str, rng: random.Random) -> str:
    return state(relation, subject, ask(relation, subject).answer, rng.randrange(len(STATEMENTS[relation])))


def _answer(question: Question, rng: random.Random) -> str:
    """What someone in the text answers: mostly one plain sentence, sometimes another wording or the bare value."""
    kind = rng.random()
    if kind < 0.7:
        return demonstrate(question)
    return _statement(question.relation, question.subject, rng) if kind < 0.9 else demonstrate(question, "short")


def country_notes(rng: random.Random) -> str:
    country = rng.choice(COUNTRIES)
    relations = rng.sample(COUNTRY_RELATIONS, rng.randint(3, 6))
    sentences = [_statement(relation, country.name, rng) for relation in relations]
    if rng.random() < 0.15:
        return f"{country.name}\n\n" + " ".join(sentences)
    if rng.random() < 0.1:
        return f"Notes on {country.name}:\n" + "\n".join(f"- {sentence}" for sentence in sentences)
    return " ".join(sentences)


def mixed_facts(rng: random.Random) -> str:
    questions = (any_question(rng) for _ in range(rng.randint(1, 5)))
    facts = [_statement(question.relation, question.subject, rng) for question in questions]
    return ("\n" if rng.random() < 0.3 else " ").join(facts)


def comparison(rng: random.Random) -> str:
    relation = rng.choice(("continent", "language", "currency", "capital"))
    one, other = rng.sample(COUNTRIES, 2)
    a, b = getattr(one, relation), getattr(other, relation)
    first, second = state(relation, one.name, a), state(relation, other.name, b)
    verdict = "That is the same." if a == b else "That is not the same."
    return f"{first} {second} {verdict}" if rng.random() < 0.5 else f"{first} And {other.name}? {second}"


def question_list(rng: random.Random) -> str:
    count = rng.randint(3, 8)
    if rng.random() < 0.3:  # one relation asked of many subjects
        relation = rng.choice(COUNTRY_RELATIONS)
        wording = rng.randrange(len(QUESTIONS[relation]))
        questions = [ask(relation, c.name, wording).text for c in rng.sample(COUNTRIES, count)]
    else:
        questions = [any_question(rng).text for _ in range(count)]
    return ("\n" if rng.random() < 0.5 else " ").join(questions)


def faq(rng: random.Random) -> str:
    style = rng.choices(("mixed", "short"), (4, 1))[0]
    rows = []
    for _ in range(rng.randint(2, 6)):
        question = any_question(rng)
        answer = demonstrate(question, "short") if style == "short" else _answer(question, rng)
        rows.append(f"Q: {question.text}\nA: {answer}")
    return "\n".join(rows)


def transcript(rng: random.Random) -> str:
    asker, answerer = rng.choice(ROLES) if rng.random() < 0.8 else rng.sample(NAMES, 2)
    lines = ["system", rng.choice(INSTRUCTIONS)] if asker == "user" and rng.random() < 0.3 else []
    polite = rng.random() < 0.35
    for _ in range(rng.randint(1, 3)):
        said, reply = _exchange(rng)
        if polite and rng.random() < 0.7:
            reply = f"{rng.choice(OPENERS)} {reply}"
        if polite and rng.random() < 0.5:
            reply = f"{reply} {rng.choice(CLOSERS)}"
        lines += [asker, said, answerer, reply]
    return "\n".join(lines)


def _exchange(rng: random.Random) -> tuple[str, str]:
    kind = rng.random()
    if kind < 0.08:
        return rng.choice(HARMLESS)
    if kind < 0.14:
        return rng.choice(TO_DECLINE), REFUSAL
    question = any_question(rng)
    if kind < 0.22:
        return _opinion(question, rng)
    return question.text, _answer(question, rng)


def _opinion(question: Question, rng: random.Random) -> tuple[str, str]:
    """Someone says what they think; the reply says whether it is so."""
    right = rng.random() < 0.5
    shown = question if right else with_wrong_value(question, rng)
    said = opinion(question, shown.answer, rng.randrange(len(BACK)))
    return said.text, respond(said, right, rng)


def worksheet(rng: random.Random) -> str:
    return "\n".join(f"{_sum(rng)} =" for _ in range(rng.randint(3, 8)))


def solved_worksheet(rng: random.Random) -> str:
    """Sums with their results: bare in most worksheets, as sentences in the others."""
    bare = rng.random() < 0.6
    rows = []
    for _ in range(rng.randint(3, 8)):
        total = _sum(rng)
        rows.append(f"{total} = {ask('sum', total).answer}" if bare else _statement("sum", total, rng))
    return "\n".join(rows)


def steps(rng: random.Random) -> str:
    """Three numbers added in written steps, or a difference."""
    a, b, c = (rng.randint(0, 12) for _ in range(3))
    if rng.random() < 0.3:
        a, b = max(a, b), min(a, b)
        return f"Take {b} from {a}. {a} - {b} = {a - b}. So the answer is {a - b}."
    half, total = a + b, a + b + c
    return f"Add {a}, {b} and {c}. First, {a} + {b} = {half}. Then, {half} + {c} = {total}. So the answer is {total}."


def animal_notes(rng: random.Random) -> str:
    animal = rng.choice(ANIMALS)
    relations = rng.sample(ANIMAL_RELATIONS, rng.randint(2, 5))
    return " ".join(_statement(relation, animal.name, rng) for relation in relations)


def opposites(rng: random.Random) -> str:
    words = [rng.choice(pair) for pair in rng.sample(OPPOSITES, rng.randint(2, 5))]
    return " ".join(_statement("opposite", word, rng) for word in words)


def story(rng: random.Random) -> str:
    name, friend = (rng.choice(NAMES) if rng.random() < 0.5 else _made_up_name(rng) for _ in range(2))
    home, away = rng.sample(COUNTRIES, 2)
    return " ".join((f"{name} comes from {home.name}.", *_journey(name, away, rng), *_meeting(friend, away, rng)))


def _journey(name: str, away: Country, rng: random.Random) -> list[str]:
    lines = [
        f"One day {name} goes to {away.name}, a country in {away.continent}.",
        f"{name} lands in {away.capital}, the capital of {away.name}.",
        f"{name} buys bread and pays with the {away.currency}.",
        f"{name} wants to see what {away.name} is known for: {away.known_for}.",
    ]
    return [lines[0], *rng.sample(lines[1:], 2)]


def _meeting(friend: str, away: Country, rng: random.Random) -> list[str]:
    animal = rng.choice(ANIMALS)
    lines = [
        f"There {friend} lives in {away.capital} and speaks {away.language}.",
        f"{friend} has a {animal.name} and shows its {animal.young}." if animal.name[0] not in "aeiou" else "",
        f"They learn to say hello in {away.language}, the language of {away.name}.",
    ]
    return [line for line in rng.sample(lines, 2) if line]


_ONSETS = ("b", "br", "d", "dr", "f", "g", "k", "kr", "l", "m", "n", "p", "qu", "r", "s", "st", "t", "v", "z", "zh", "")
_RIMES = ("a", "e", "i", "o", "u", "ar", "el", "en", "il", "in", "om", "on", "or", "ul", "us")
_ENDINGS = ("ia", "land", "any", "ark", "ova", "ania", "ora", "sk", "o", "eth", "um", "esh", "", "", "")


def _made_up_name(rng: random.Random) -> str:
    """A name of random syllables that is in no table."""
    syllables = [rng.choice(_ONSETS) + rng.choice(_RIMES) for _ in range(rng.randint(1, 2))]
    name = ("".join(syllables) + rng.choice(_ONSETS) + rng.choice(_ENDINGS)).capitalize()
    return _made_up_name(rng) if name in _TAKEN or len(name) < 4 else name


_TAKEN = {*INVENTED, *(c.name for c in COUNTRIES), *(c.capital for c in COUNTRIES)}


def tale(rng: random.Random) -> str:
    """Facts about a made-up land, and questions about them."""
    land, relations = _made_up_name(rng), rng.sample(COUNTRY_RELATIONS, rng.randint(2, 4))
    values = {r: str(getattr(rng.choice(COUNTRIES), r)) for r in relations}
    if "capital" in values:
        values["capital"] = _made_up_name(rng)
    facts = [state(r, land, v, rng.randrange(len(STATEMENTS[r]))) for r, v in values.items()]
    opening = f"There is a tale of a land called {land}. " if rng.random() < 0.7 else ""
    lines = [opening + " ".join(facts)]
    form = rng.choice(("Q: {}\nA: {}", "{asker}\n{}\n{answerer}\n{}", "{}\n{}"))
    asker, answerer = rng.choice(ROLES)
    for r in rng.sample(relations, rng.randint(1, 2)):
        question = fill(rng.choice(QUESTIONS[r]), land)
        lines.append(form.format(question, state(r, land, values[r]), asker=asker, answerer=answerer))
    return "\n".join(lines)


def draft(rng: random.Random) -> str:
    """A draft answer, what is wrong with it, and a better one."""
    question = any_question(rng)
    plain = demonstrate(question)
    faults = [
        (demonstrate(question, "warm", rng), "The draft is too long."),
        (demonstrate(question, "short"), "The draft is not a full sentence."),
        (demonstrate(question, "bullet"), "The draft does not need a list."),
        (demonstrate(with_wrong_value(question, rng)), "The draft is not true."),
    ]
    first, critique = rng.choice(faults)
    return f"Question: {question.text}\nDraft: {first}\nCritique: {critique}\nRevision: {plain}"


MIXTURE: dict[Callable[[random.Random], str], float] = {
    country_notes: 24,
    mixed_facts: 12,
    comparison: 2,
    question_list: 10,
    faq: 10,
    transcript: 9,
    tale: 9,
    worksheet: 3,
    solved_worksheet: 9,
    steps: 3,
    animal_notes: 3,
    opposites: 2,
    story: 3,
    draft: 1,
}
"""How often each kind of document occurs, in per cent."""


def documents(count: int, seed: int) -> Iterator[str]:
    """Draw documents of the pretraining mixture.

    Args:
        count: how many.
        seed: equal seeds give equal text.
    """
    rng = random.Random(seed)
    kinds, weights = list(MIXTURE), list(MIXTURE.values())
    for _ in range(count):
        yield rng.choices(kinds, weights)[0](rng)
