"""The tables behind the toy world: everything that is true in it.

Serves every lesson. Countries, animals and opposites are real and hand-written, the first two in the CSV files beside
this one; populations are rounded to millions (United Nations estimates for 2024). Where a country has several official
languages, the most widely used one stands there. The invented countries occur in no training text: they show what a
model does when there is nothing to know.
"""

import csv
from pathlib import Path
from typing import Any, NamedTuple


class Country(NamedTuple):
    name: str
    capital: str
    continent: str
    language: str
    currency: str
    population: int  # millions
    known_for: str


class Animal(NamedTuple):
    name: str
    group: str
    legs: int
    food: str
    home: str
    young: str


_OPPOSITE_ROWS = """
hot/cold big/small fast/slow old/new happy/sad light/dark
high/low long/short hard/soft wet/dry full/empty open/closed
early/late rich/poor strong/weak clean/dirty loud/quiet near/far
thick/thin wide/narrow deep/shallow sweet/bitter heavy/weightless smooth/rough
sharp/blunt brave/afraid first/last safe/dangerous cheap/expensive true/false
awake/asleep begin/end push/pull buy/sell give/take win/lose
"""

_INVENTED = "Veldoria Quombia Tarsk Ostravia Merrowland Zephany Kolandra Brintania Ulmark Sarovia"


def _read(name: str) -> list[list[Any]]:
    """The rows of a CSV file without its heading; counts as whole numbers."""
    text = Path(__file__).with_name(f"{name}.csv").read_text("utf-8")
    return [[int(cell) if cell.isdigit() else cell for cell in row] for row in csv.reader(text.splitlines()[1:])]


def by_relation(table: str) -> dict[str, tuple[str, ...]]:
    """Wordings by relation: in each row a relation and its wordings, which the next row continues if it names none."""
    read: dict[str, tuple[str, ...]] = {}
    relation = ""
    for line in table.strip().splitlines():
        named, *wordings = map(str.strip, line.split("|"))
        relation = named or relation
        read[relation] = (*read.get(relation, ()), *wordings)
    return read


COUNTRIES: tuple[Country, ...] = tuple(Country(*row) for row in _read("countries"))
ANIMALS: tuple[Animal, ...] = tuple(Animal(*row) for row in _read("animals"))
OPPOSITES: tuple[tuple[str, ...], ...] = tuple(tuple(pair.split("/")) for pair in _OPPOSITE_ROWS.split())
INVENTED: tuple[str, ...] = tuple(_INVENTED.split())

UNSEEN: tuple[str, ...] = tuple(country.name for country in COUNTRIES[2::3])
"""Countries that pretraining reads about and that SFT never shows: every third of the table."""

SEEN: tuple[str, ...] = tuple(country.name for country in COUNTRIES if country.name not in UNSEEN)
"""Countries that SFT shows."""
