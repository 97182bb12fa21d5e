"""The wordings that an answer is read with: as patterns, and how their values are compared.

Serves `reading`, and through it the scorer. The world's own statements are here as patterns, and beside them wordings
that it never writes and that mean the same.
"""

import functools
import re
from collections.abc import Iterable

from course.world.phrases import ANIMAL_RELATIONS, COUNTRY_RELATIONS, FACTS, NUMBER_WORDS, STATEMENTS
from course.world.tables import ANIMALS, COUNTRIES, INVENTED, OPPOSITES, by_relation

# Wordings that the world never writes and that are understood all the same, if they name a value of the tables.
READINGS = by_relation("""
capital    | {s} has the capital {v} | {s}'s capital city is {v} | {v} is {s}'s capital | {v} is the capital city of {s}
           | In {s} the capital is {v} | {s}: {v}
continent  | {s} is on the continent of {v} | {s} is located in {v} | {s} is part of {v} | {s} belongs to {v}
           | The continent of {s} is {v} | {s}: {v}
language   | {v} is spoken in {s} | The official language of {s} is {v} | {s}'s language is {v}
           | In {s}, people speak {v} | People speak {v} in {s} | {s}: {v}
currency   | People in {s} use the {v} | {s} uses the {v} | In {s} people pay with the {v} | {s}: {v}
population | {s}'s population is {v} | There are {v} in {s} | {s} has {v} | {s}: {v}
known_for  | {s} is best known for {v} | {s}: {v}
group      | A(n) {s} is a {v} | A(n) {s}'s group is {v}
legs       | A(n) {s} has {v} | A(n) {s} walks on {v}
food       | A(n) {s}'s food is {v}
home       | A(n) {s}'s home is {v}
young      | A(n) {s}'s young is called {v} | A baby {s} is called {v} | A young {s} is {v}
           | The young of a(n) {s} is {v}
opposite   | {s}'s opposite is {v}
""")


# --- comparing -------------------------------------------------------------------------------------------------------


def with_unit(relation: str, value: str) -> str:
    return f"{value} million" if relation == "population" and value else value


def key(relation: str, value: str) -> str:
    """A value as it is compared: lower case, no article, numbers of legs as digits."""
    value = re.sub(r"^(?:called |named )?(?:the |an? )?", "", value.strip(" .!'").lower())
    if relation == "capital":
        value = value.removeprefix("city of ")
    if relation == "population":
        value = re.sub(r"^(?:about|around|roughly|some|approximately) | (?:people|inhabitants)$", "", value)
    if relation == "legs":
        value = re.sub(r" legs?$", "", value)
        value = {"none": "0", "zero": "0"}.get(value) or value
        value = str(NUMBER_WORDS.index(value)) if value in NUMBER_WORDS else value
    return value


def subject_key(subject: str) -> str:
    """A subject as it is compared; a sum is the same in any order."""
    if re.fullmatch(r"[0-9]+(?: \+ [0-9]+)+", subject):
        return " + ".join(sorted(subject.split(" + "), key=int))
    return subject.lower()


@functools.cache
def facts() -> dict[tuple[str, str], str]:
    return {(r, subject_key(s)): key(r, with_unit(r, value)) for (r, s), value in FACTS.items()}


@functools.cache
def values(relation: str) -> frozenset[str]:
    return frozenset(value for (r, _), value in facts().items() if r == relation)


# --- patterns --------------------------------------------------------------------------------------------------------

ABOUT = "about |around |roughly |some |approximately "
NOT_WORDS = r"(?:not|never|no longer|hardly|anything but)\b"


@functools.cache
def subjects(relation: str) -> tuple[str, ...]:
    if relation in COUNTRY_RELATIONS:
        return (*(country.name for country in COUNTRIES), *INVENTED)
    if relation in ANIMAL_RELATIONS:
        return tuple(animal.name for animal in ANIMALS)
    return tuple(word for pair in OPPOSITES for word in pair) if relation == "opposite" else ()


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True)) or r"(?!)"


@functools.cache
def names(relation: str) -> str:
    return _any_of(subjects(relation))


@functools.cache
def value_pattern(relation: str) -> str:
    """What looks like a value of the relation."""
    if relation == "sum":
        return "-?[0-9]+"
    if relation == "population":
        return r"-?[0-9]+(?:\.[0-9]+)?(?: (?:thousand|million|billion))*"
    if relation == "legs":
        return _any_of(NUMBER_WORDS) + "|none|zero|[0-9]+"
    return _any_of(values(relation))


@functools.cache
def bare_pattern(relation: str) -> re.Pattern[str]:
    return re.compile(
        r"(?:(?:it|that|this|they|the (?:sum|result|total|word))"
        r"(?: is|'s| are| would be| must be| makes| equals) |you get )?"
        rf"(?:called |in |for |on |= ?)?(?:{ABOUT})?(?:the |an? )?(?:city of )?"
        rf"(?P<v>{value_pattern(relation)})(?: people| inhabitants| legs)?(?P<more>, .+)?",
        re.I,
    )


@functools.cache
def patterns() -> list[tuple[str, bool, re.Pattern[str]]]:
    """Every wording as (relation, whether the world writes it, pattern); sums are read as equations."""
    patterns = []
    for wordings, exact in ((STATEMENTS, True), (READINGS, False)):
        for relation in READINGS:
            for wording in wordings[relation]:
                text = re.sub(r"about \{v\} million", "{v}", wording.rstrip("."), flags=re.I)
                text = re.sub(r"\b(?:the|a) \{v\}", "{v}", text, flags=re.I)
                text = re.escape(text).replace(r"\ ", " ")
                text = re.sub(r"a\\\(n\\\) ", "(?:an?|the) ", text, flags=re.I)
                text = text.replace(r"\{s\}'s", r"\{s\}(?:'s|')?")
                text = text.replace(r"\{s\}", f"(?P<s>{names(relation)})")
                text = text.replace(r"\{v\}", rf"(?P<v>(?!{NOT_WORDS}).+?)")
                patterns.append((relation, exact, re.compile(text, re.I)))
    return patterns
