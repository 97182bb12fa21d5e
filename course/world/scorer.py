"""The true score of an answer: what every reward in this course is a stand-in for.

Serves every lesson. An answer is read sentence by sentence with the very wordings that the world writes, so that
generated answers are scored exactly; bare values, pronouns, lead-ins and extra sentences are understood as well.
A right value about the wrong subject, a right value denied, or two values at once are wrong.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from course.world.phrases import (
    ANIMAL_RELATIONS,
    CLOSERS,
    COUNTRY_RELATIONS,
    FACTS,
    NUMBER_WORDS,
    OPENERS,
    STATEMENTS,
    Question,
)
from course.world.tables import ANIMALS, COUNTRIES, INVENTED, OPPOSITES

BRIEF = 14  # words up to which an answer counts as short; the longest plain demonstration has 12
LONG = 44  # words from which an answer has lost all credit for brevity
WEIGHT_FORM, WEIGHT_BREVITY, FALSE_SENTENCE = 0.15, 0.15, 0.25

Claim = tuple[str, str, str]  # relation, subject, value


@dataclass(frozen=True)
class Score:
    """The true score of one answer.

    Attributes:
        fact: the answer states the right value for what was asked, and no other.
        form: it is made of plain full sentences, without markup, role names or a question back.
        words: its length.
        false_sentences: other sentences that state something untrue of the world.
        total: between 0 and 1; 0 without the fact, else 0.7 plus up to 0.15 for form and up to 0.15 for brevity,
            minus 0.25 for each false sentence.
        reason: why, in words.
    """

    fact: bool
    form: bool
    words: int
    false_sentences: int
    total: float
    reason: str


def score(question: Question, text: str) -> Score:
    """Score an answer to a question against the tables.

    A question about an invented country has no true answer: whatever is stated as its value is wrong.
    """
    sentences = _sentences(text)
    claims = [claim for sentence in sentences for claim in _claims(sentence, question)]
    asked = (question.relation, _key(question.subject))
    stated = {value for relation, subject, value in claims if (relation, _key(subject)) == asked}
    if not stated:
        stated = set(_bare_values(sentences, question, claims))
    fact = bool(question.answer) and {_key(value) for value in stated} == {_key(question.answer)}
    false = sum(
        any(not _is_true(claim) for claim in _claims(sentence, question) if (claim[0], _key(claim[1])) != asked)
        for sentence in sentences
    )
    form, words = _good_form(text, question.relation), len(text.split())
    brevity = min(1.0, max(0.0, (LONG - words) / (LONG - BRIEF)))
    total = fact * max(0.0, 0.7 + WEIGHT_FORM * form + WEIGHT_BREVITY * brevity - FALSE_SENTENCE * false)
    return Score(fact, form, words, false, round(total, 4), _reason(question, stated, fact, form, false, words))


def _reason(question: Question, stated: set[str], fact: bool, form: bool, false: int, words: int) -> str:
    if not fact:
        if not question.answer:
            return f"{question.subject} does not exist; nothing said about it can be true"
        if not stated:
            return f"it does not say that the answer is {question.answer}"
        return f"it says {' and '.join(sorted(stated))}; right is {question.answer}"
    faults = []
    if not form:
        faults.append("not a plain full sentence")
    if false:
        faults.append(f"{false} untrue extra sentence{'s' * (false > 1)}")
    if words > BRIEF:
        faults.append(f"{words} words")
    return "right" + (", but " + ", ".join(faults) if faults else "")


def _key(value: str) -> str:
    """A value as it is compared: lower case, no article, numbers of legs as digits."""
    value = re.sub(r"^(?:the|a|an)\s+", "", value.strip().strip("\"'*").lower())
    value = re.sub(r"\s+", " ", value)
    return str(NUMBER_WORDS.index(value)) if value in NUMBER_WORDS else value


def _sentences(text: str) -> list[str]:
    parts = re.split(r"(?<=[.!?])\s+|\n+", text.strip())
    return [part for part in (re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", p).strip() for p in parts) if part]


_LEAD_IN = re.compile(
    r"^(?:(?:yes|no|sure|certainly|of course|well|so|then|first|actually|indeed|answer|a|the answer is)\s*[,:.!]\s+(?=\S)|"
    r"(?:i (?:think|believe|am sure)(?: that)?|(?:so )?the answer is(?: that)?|it is (?:true|known) that)\s+)",
    re.I,
)


def _bare(sentence: str) -> str:
    """The sentence without lead-ins and final stop."""
    previous = None
    while previous != sentence:
        previous, sentence = sentence, _LEAD_IN.sub("", sentence)
    return sentence.rstrip(" .!\"'*").strip("*\"'")


def _subjects_of(relation: str) -> list[str]:
    if relation in COUNTRY_RELATIONS:
        return [country.name for country in COUNTRIES] + list(INVENTED)
    if relation in ANIMAL_RELATIONS:
        return [animal.name for animal in ANIMALS]
    return [word for pair in OPPOSITES for word in pair]


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    patterns = []
    for relation, wordings in STATEMENTS.items():
        if relation == "sum":
            continue
        names = "|".join(sorted(map(re.escape, _subjects_of(relation)), key=len, reverse=True))
        for wording in wordings:
            text = re.escape(wording.rstrip(".")).replace(r"\ ", " ")
            text = re.sub(r"([Aa])\\\(n\\\) ", r"(?:an?|the) ", text)
            text = text.replace(r"\{s\}", f"(?P<s>{names})").replace(r"\{v\}", "(?P<v>.+?)")
            patterns.append((relation, re.compile(text, re.I)))
    return patterns


def _claims(sentence: str, question: Question) -> Iterator[Claim]:
    """What a sentence states, as far as it is said in one of the world's wordings."""
    said = _resolve(_bare(sentence), question)
    for a, b, value in re.findall(r"(\d+)\s*(?:\+|plus)\s*(\d+)\s*(?:=|is|makes|equals)\s*(\d+)", said):
        yield "sum", f"{a} + {b}", value
    for first, second, value in re.findall(r"sum of (\d+) (?:\+|and) (\d+) is (\d+)", said):
        yield "sum", f"{first} + {second}", value
    for relation, pattern in _patterns():
        if match := pattern.fullmatch(said):
            value = match["v"]
            if relation == "continent" and _key(value) not in _values("continent") | {_key(question.answer)}:
                continue  # "Lima is in Peru", "You can find Peru in an atlas": not about a continent
            if relation == "home" and match["s"].lower() not in _subjects_of("home"):
                continue
            # "is not Quito" and "is not Quito but Lima" deny a value; "is Lima, not Quito" states and denies
            value = re.sub(r"^not .+? but (?:rather )?", "", value)
            value = re.sub(r",? (?:and )?not .+$", "", value)
            if not re.match(r"(?:not|never)\b", value):
                yield relation, match["s"], _trim(relation, value)


def _trim(relation: str, value: str) -> str:
    """The value without what may follow it: "34 million people", "Lima, of course", "Lima, a large city"."""
    value = value.split(",")[0].strip()
    if relation == "population":
        value = re.sub(r"^(?:about|around|roughly|some)\s+", "", re.sub(r"\s*million.*$", "", value))
    return re.sub(r"\s+legs?$", "", value)


def _resolve(sentence: str, question: Question) -> str:
    """Put the question's subject where a pronoun stands."""
    subject = question.subject
    if question.relation in ANIMAL_RELATIONS:
        sentence = re.sub(r"^it\b", f"A {subject}", sentence, flags=re.I)
        return re.sub(r"^its (home|food|young) is\b", rf"The \1 of a {subject} is", sentence, flags=re.I)
    if question.relation in COUNTRY_RELATIONS:
        sentence = re.sub(r"\bits\b", f"{subject}'s", sentence, flags=re.I)
        sentence = re.sub(r"^it\b", subject, sentence, flags=re.I)
        sentence = re.sub(r"^people there\b", f"People in {subject}", sentence, flags=re.I)
        sentence = re.sub(r"\blive there$", f"live in {subject}", sentence, flags=re.I)
        sentence = re.sub(r"^the (capital|currency|language) is\b", rf"The \1 of {subject} is", sentence, flags=re.I)
    return sentence


@functools.cache
def _values(relation: str) -> frozenset[str]:
    return frozenset(_key(value) for (r, _), value in FACTS.items() if r == relation)


def _bare_values(sentences: list[str], question: Question, claims: list[Claim]) -> Iterator[str]:
    """Values named outside any known wording: "Lima.", "That would be Lima", "= 19".

    Sentences that are about another subject, that deny, or that are one of the polite phrases do not count.
    """
    others = {_key(name) for name in _subjects_of(question.relation)} if question.relation != "sum" else set()
    others -= {_key(question.subject)}
    for sentence in sentences:
        if sentence in OPENERS or sentence in CLOSERS or sentence.endswith("?"):
            continue
        said = _key(_bare(sentence))
        if any(True for _ in _claims(sentence, question)):
            continue
        if re.search(r"\b(?:not|never|cannot|isn't|aren't|don't)\b", said):
            continue
        if question.relation in ("sum", "population"):
            said = said.replace(question.subject, " ")
            numbers = re.findall(r"\d+", said)
            yield from numbers[-1:] if question.relation == "sum" else numbers
            continue
        if question.relation == "legs":
            yield from re.findall(r"^(\w+)(?: legs)?$|\b(\w+) legs\b", said) and [
                said.removesuffix(" legs").split()[-1]
            ]
            continue
        known = sorted(_values(question.relation) | {_key(question.answer)} - {""}, key=len, reverse=True)
        if question.relation == "opposite":
            yield from [said] if said in known else []
            continue
        found = re.findall(r"\b(?:" + "|".join(map(re.escape, known)) + r")\b", said)
        about = re.findall(r"\b(?:" + "|".join(sorted(map(re.escape, others), key=len, reverse=True)) + r")\b", said)
        if not [name for name in about if not any(name in value for value in found)]:
            yield from found


def _is_true(claim: Claim) -> bool:
    relation, subject, value = claim
    if relation == "sum":
        return sum(map(int, re.findall(r"\d+", subject))) == int(value)
    return _key(value) == _facts_by_key().get((relation, _key(subject)))


@functools.cache
def _facts_by_key() -> dict[tuple[str, str], str]:
    return {(relation, _key(subject)): _key(value) for (relation, subject), value in FACTS.items()}


_NOT_PLAIN = re.compile(r"<\||\|>|\[/?INST\]|^\s*[-*•#]|^(?:Q|A|user|assistant|system)\b\s*(?::|$)", re.M)


def _good_form(text: str, relation: str) -> bool:
    text = text.strip()
    if not text or _NOT_PLAIN.search(text) or not re.search(r"[.!]$", text):
        return False
    sentences = _sentences(text)
    if "?" in text or not all(s.endswith((".", "!")) and (s[0].isupper() or s[0].isdigit()) for s in sentences):
        return False
    bare = _values(relation) | {f"{legs} legs" for legs in NUMBER_WORDS}  # a value alone is no sentence
    said = [_key(_bare(s)) for s in sentences if s not in OPENERS and s not in CLOSERS]
    return any(s not in bare and not re.fullmatch(r"\d+(?: million)?", s) for s in said)
