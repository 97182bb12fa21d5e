"""Reading what an answer states, in the world's own wordings.

Serves the scorer, and so every lesson. A text is cut into sentences and clauses, and each is read with the very
patterns that write it; a few further wordings, bare values, pronouns, lead-ins and markup are understood as well. What
fits no wording states nothing.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from course.world.phrases import ANIMAL_RELATIONS, COUNTRY_RELATIONS, FACTS, NUMBER_WORDS, STATEMENTS, Question
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
_ABOUT = "about |around |roughly |some |approximately "
_NOT_WORDS = r"(?:not|never|no longer|hardly|anything but)\b"


class Claim(NamedTuple):
    """That something is so, or, if denied, that it is not."""

    relation: str
    subject: str
    value: str
    denied: bool = False


def read(question: Question, text: str) -> list[list[Claim]]:
    """What each sentence of an answer states, as far as it is said in a known wording.

    A bare value and "it" are taken to be about what was asked. A sentence such as "Sorry, that is wrong." takes back
    what was said of it before. Questions state nothing.
    """
    asked = (question.relation, subject_key(question.subject))
    sentences: list[list[Claim]] = []
    focus = question.subject
    for sentence in _sentences(text, question):
        if _RETRACTION.fullmatch(_LEAD_IN.sub("", sentence)) and question.relation != "opposite":
            sentences = [[c for c in claims if (c.relation, subject_key(c.subject)) != asked] for claims in sentences]
        if not sentence.endswith("?"):
            sentences.append([c for said, denied in _clauses(sentence) for c in _claims(said, denied, question, focus)])
        focus = _focus(sentence, question, focus)
    return sentences


def is_true(claim: Claim) -> bool:
    if claim.relation == "sum":
        return _evaluate(claim.subject) == int(claim.value)
    return key(claim.relation, claim.value) == facts().get((claim.relation, subject_key(claim.subject)))


# --- cutting an answer into sentences --------------------------------------------------------------------------------


def _plain(text: str) -> str:
    """The text without accents, emphasis, quotation marks and wide spaces, and with numbers written in one way."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = text.replace("’", "'").replace("\u2018", "'").replace("−", "-")
    text = re.sub(r"[_`\"“”«»]|\*(?=\S)|(?<=\S)\*|(?<!\w)'|'(?!\w)", "", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"(?<![0-9.])([0-9]{1,4})000000(?![0-9])", r"\1 million", text)
    return text.replace("n't ", " not ")


def _sentences(text: str, question: Question) -> list[str]:
    text = re.sub(r"(?<=[^.!?:\n])\n ?(?=[a-z])", " ", _plain(text))  # a line broken inside a sentence
    lines = (_without_mark(line, question) for line in text.splitlines())
    parts = (part.strip() for line in lines for part in re.split(r"(?<=[.!?]) ", line))
    return [part for part in parts if part]


def _without_mark(line: str, question: Question) -> str:
    """A line of a list without its mark. The number in "19. I hope this helps." is no mark but the answer."""
    line = re.sub(r"^ ?[-*•#]+ ", "", line)
    rest = re.sub(r"^ ?[0-9]{1,2}[.)] ", "", line)
    return rest if question.relation not in ("sum", "legs") or question.subject in rest else line


def _focus(sentence: str, question: Question, focus: str) -> str:
    """Whom a pronoun in the next sentence means: the subject asked about if it was named here, else who was."""
    named = [match[0].lower() for match in re.finditer(rf"\b(?:{names(question.relation)})\b", sentence, re.I)]
    if not named or question.subject.lower() in named:
        return question.subject if named else focus
    return next(subject for subject in subjects(question.relation) if subject.lower() == named[0])


# --- reading a sentence ----------------------------------------------------------------------------------------------

_RETRACTION = re.compile(
    r"(?:that|this|it) (?:is|was) (?:wrong|false|untrue|incorrect|a lie|not (?:right|true|correct))[.!]*", re.I
)
_LEAD_IN = re.compile(
    r"^(?:(?:yes|no|sure|sorry|certainly|of course|in fact|well|so|then|first|actually|indeed|(?:final )?answer|a|"
    r"the answer is)[,:.!]+ (?=\S)|(?:so )?the (?:right |correct )?answer is(?: that)? |"
    r"so (?=\S)|i (?:think|believe|know|mean|am sure)(?: that)? |it is (?:true|known) that )+",
    re.I,
)
_DENYING_LEAD = re.compile(
    r"^(?:it is (?:false|wrong|untrue|not true)|i do not (?:think|believe)|i doubt|nobody (?:says|thinks))(?: that)? ",
    re.I,
)
_NOT = re.compile(rf"(?:^| ){_NOT_WORDS} ?", re.I)
_NEGATIONS = (  # so that a denied clause without its "not" is a wording again
    (r"\bdo(?:es)? not have (?:any )?legs\b", "has no legs"),
    (r"\bdoes not have\b", "not has"),
    (r"\bdoes not (\w+)", r"not \1s"),
    (r"\bdo not\b", "not"),
)
_WRONG = re.compile(r"\b(?:not|false|wrong|untrue|incorrect)\b", re.I)
_NEXT_CLAUSE = re.compile(
    r"; |, (?=(?:it is|its|it has) )|,? (?:and|but) "
    r"(?=(?:it|its|people|they|the (?:capital|currency|language|population|home|food|young)) )",
    re.I,
)


def _clauses(sentence: str) -> Iterator[tuple[str, bool]]:
    """The parts of a sentence without their lead-ins, each with whether its lead-in denies it."""
    for clause in _NEXT_CLAUSE.split(sentence):
        said = _LEAD_IN.sub("", clause).rstrip(" .!")
        yield _DENYING_LEAD.sub("", said), _DENYING_LEAD.match(said) is not None


def _claims(said: str, denied: bool, question: Question, focus: str) -> list[Claim]:
    said = said.replace(" (", ", ").replace(")", "").replace(" is: ", " is ")
    for pattern, replacement in _NEGATIONS:
        said = re.sub(pattern, replacement, said, flags=re.I)
    said = re.sub(r" not [^,]{1,60}? but (?:rather )?", " ", said)  # "is not Quito but Lima"
    said = re.sub(r"(?:,| and) not [^,]+$", "", said)  # "is Lima, not Quito"
    claims = [Claim(question.relation, question.subject, value) for value in _bare_values(said, question.relation)]
    claims = claims or [*_equations(said), *_in_known_wordings(_resolve(said, question.relation, focus))]
    if not claims and not denied and _NOT.search(said):
        return _claims(_NOT.sub(" ", said, count=1).strip(), True, question, focus)
    return [claim._replace(denied=denied or claim.denied) for claim in claims]


def _resolve(said: str, relation: str, focus: str) -> str:
    """Put the subject where a pronoun or nothing stands, and say of one animal what is said of all."""
    thing = f"a {focus}" if relation in ANIMAL_RELATIONS else focus
    steps = [
        (r"\bits\b", f"{thing}'s"),
        (r"^it\b", thing),
        (r"\b(find|know) it\b", rf"\1 {thing}"),
        (r"^the (capital|capital city|continent|language|currency|population|opposite) is\b", rf"The \1 of {thing} is"),
        (r"^the (group|food|home|young) is\b", rf"{thing}'s \1 is"),
    ]
    if relation in COUNTRY_RELATIONS:
        steps += [
            (r"^(?:they|people(?: there)?) (?=speak|pay|use)", f"People in {focus} "),
            (r"\bthere$", f"in {focus}"),
            (r"^visitors come(?: there)? for\b", f"Visitors come to {focus} for"),
            (r"\bis the (capital|capital city|currency|language)$", rf"is the \1 of {focus}"),
        ]
    for pattern, replacement in steps:
        said = re.sub(pattern, replacement, said, count=1, flags=re.I)
    if many := re.match(rf"(?:they|({names('legs')})s?|geese) (\w+)", said, re.I):
        one = many[1] or ("goose" if said[:5].lower() == "geese" else focus)
        said = f"A {one} {_ONE_DOES.get(many[2].lower(), many[2])}{said[many.end() :]}"
    return said


_ONE_DOES = {"have": "has", "eat": "eats", "like": "likes", "live": "lives", "walk": "walks", "are": "is"}


def _in_known_wordings(said: str) -> Iterator[Claim]:
    if not re.search(rf"\b(?:{names('capital')}|{names('legs')}|{names('opposite')})\b", said, re.I):
        return
    read: set[str] = set()
    for relation, exact, pattern in patterns():
        if relation not in read and (match := pattern.fullmatch(said)):
            for value in _values_in(relation, match["v"], exact):
                read.add(relation)
                yield Claim(relation, match["s"], value)


def _values_in(relation: str, said: str, exact: bool) -> Iterator[str]:
    """The values in what stands at a value's place: "Lima, a large city" holds one, "Lima, Quito or Bogota" three.

    Args:
        exact: the wording is the world's own, so that what it holds is a value even if no table has it.
    """
    if key(relation, said) in values(relation):
        yield said
        return
    value, _, more = said.partition(", ")
    if _WRONG.search(more):
        return  # "Lima, which is wrong"
    if relation == "population":
        plausible = re.fullmatch(rf"(?:{_ABOUT})?{value_pattern(relation)}(?: people| inhabitants)?", value, re.I)
    else:
        plausible = (exact and relation != "continent") or key(relation, value) in values(relation)
    if plausible:
        yield value
        yield from re.findall(rf"\b(?:{value_pattern(relation)})\b", more, re.I)


def _bare_values(said: str, relation: str) -> Iterator[str]:
    """The value that a clause names without a subject: "Lima", "It is Lima", "That makes 19", "In a kennel"."""
    match = bare_pattern(relation).fullmatch(said)
    if not match or re.fullmatch(r"no|(?:that|this|it) is (?:true|false)", said, re.I):
        return
    if not _WRONG.search(match["more"] or ""):
        yield match["v"]
        yield from re.findall(rf"\b(?:{value_pattern(relation)})\b", match["more"] or "", re.I)


_NUMBER = r"(?<![\w.,])-?[0-9]{1,9}(?![\w%]|[.,][0-9])"
_SIDE = rf"{_NUMBER}(?: ?(?:\+|-|plus|minus) ?{_NUMBER}){{0,9}}"
_EQUATION = re.compile(
    rf"(?<![-+*/×÷])(?<![-+*/×÷] ){_SIDE}(?: ?(?:=|is equal to|equals|is|makes) ?{_SIDE}){{1,9}}"
    r"(?! ?[-+*/×÷=]|,? (?:or|to|and) [0-9]+(?![0-9]| ?[-+])| (?:hundred|thousand|million|billion|percent|point))",
    re.I,
)


def _equations(said: str) -> Iterator[Claim]:
    """Every "12 + 7 = 19" in a clause, chains such as "12 + 7 = 20 - 1 = 19" included."""
    said = re.sub(r"(\b(?:sum of|add) |^)([0-9]+) and ([0-9]+)\b", r"\1\2 + \3", said, flags=re.I)
    for match in _EQUATION.finditer(said):
        sides = re.findall(_SIDE, match[0], re.I)
        results = {side for side in sides if re.fullmatch(_NUMBER, side)}
        terms = next((side for side in sides if side not in results), None)
        if terms and results:
            subject = re.sub(r" ?([-+]) ?", r" \1 ", re.sub("minus", "-", re.sub("plus", "+", terms, flags=re.I)))
            for side in (side for side in sides if side != terms):
                yield Claim("sum", subject, str(_evaluate(side)), denied=bool(_WRONG.search(said)))


def _evaluate(side: str) -> int:
    side = side.lower().replace("plus", "+").replace("minus", "-").replace(" ", "")
    return sum(map(int, re.findall(r"-?[0-9]+", side)))


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
        rf"(?:called |in |for |on |= ?)?(?:{_ABOUT})?(?:the |an? )?(?:city of )?"
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
                text = text.replace(r"\{v\}", rf"(?P<v>(?!{_NOT_WORDS}).+?)")
                patterns.append((relation, exact, re.compile(text, re.I)))
    return patterns
