"""The tables: large enough, without doubles, and split into two parts that SFT shows and does not show."""

from collections import Counter

from course.world.phrases import ANIMAL_RELATIONS, COUNTRY_RELATIONS, FACTS, NUMBER_WORDS
from course.world.tables import ANIMALS, COUNTRIES, INVENTED, OPPOSITES, SEEN, UNSEEN

NAMES = [country.name for country in COUNTRIES]


def repeated(values) -> list:
    return [value for value, count in Counter(values).items() if count > 1]


def test_the_world_is_large_enough():
    assert len(COUNTRIES) >= 60
    assert len(ANIMALS) >= 20
    assert len(OPPOSITES) >= 20
    assert len(INVENTED) >= 8


def test_what_must_tell_subjects_apart_occurs_once():
    assert repeated(NAMES) == []
    assert repeated(country.capital for country in COUNTRIES) == []
    assert repeated(country.known_for.lower() for country in COUNTRIES) == []
    assert repeated(animal.name for animal in ANIMALS) == []
    assert repeated(word for pair in OPPOSITES for word in pair) == []
    assert repeated(INVENTED) == []


def test_every_cell_is_filled_and_clean():
    cells = [cell for row in (*COUNTRIES, *ANIMALS, *OPPOSITES) for cell in row]
    assert all(cell == cell.strip() != "" for cell in cells if isinstance(cell, str))
    assert all(text.isascii() for text in (*INVENTED, *(cell for cell in cells if isinstance(cell, str))))
    assert all(0 < country.population < 1500 for country in COUNTRIES)
    assert all(0 <= animal.legs < len(NUMBER_WORDS) for animal in ANIMALS)


def test_names_are_written_large_and_values_as_they_stand_in_a_sentence():
    assert all(text[0].isupper() for c in COUNTRIES for text in (c.name, c.capital, c.continent, c.language))
    assert all(name[0].isupper() for name in INVENTED)
    assert all(country.currency.islower() for country in COUNTRIES)


def test_several_countries_stand_on_every_continent():
    assert min(Counter(country.continent for country in COUNTRIES).values()) >= 3


def test_seen_and_unseen_are_disjoint_and_complete():
    assert not set(SEEN) & set(UNSEEN)
    assert set(SEEN) | set(UNSEEN) == set(NAMES)
    assert len(SEEN) + len(UNSEEN) == len(NAMES)
    assert 0.3 < len(UNSEEN) / len(NAMES) < 0.4


def test_unseen_countries_are_spread_over_the_continents():
    unseen = {country.continent for country in COUNTRIES if country.name in UNSEEN}
    assert unseen == {country.continent for country in COUNTRIES}


def test_invented_countries_are_nowhere_in_the_tables():
    for name in INVENTED:
        assert all(name.lower() not in str(cell).lower() for row in (*COUNTRIES, *ANIMALS) for cell in row)


def test_every_fact_is_of_the_tables():
    expected = len(COUNTRIES) * len(COUNTRY_RELATIONS) + len(ANIMALS) * len(ANIMAL_RELATIONS) + 2 * len(OPPOSITES)
    assert len(FACTS) == expected
    assert all(isinstance(value, str) and value for value in FACTS.values())
    assert FACTS["capital", "Peru"] == "Lima"
    assert FACTS["population", "Peru"] == "34"
    assert FACTS["legs", "spider"] == "eight"
    assert FACTS["opposite", "hot"] == "cold"
    assert FACTS["opposite", "cold"] == "hot"
