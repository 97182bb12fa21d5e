"""Questions and true answers that the tests of reading and scoring share."""

from course.world import COUNTRIES, animal_questions, ask, country_questions, opposite_questions, sum_questions

NAMES = [country.name for country in COUNTRIES]
EVERY = country_questions(NAMES) + animal_questions() + opposite_questions() + sum_questions()[::3]
PERU, MEXICO, GUATEMALA = (ask("capital", name) for name in ("Peru", "Mexico", "Guatemala"))


SUM = ask("sum", "12 + 7")
PEOPLE, CONTINENT, MONEY, FAME, LANGUAGE = (
    ask(relation, "Peru") for relation in ("population", "continent", "currency", "known_for", "language")
)
LEGS, NO_LEGS, FOOD, HOME, YOUNG, GROUP = (
    ask(relation, animal)
    for relation, animal in (
        ("legs", "dog"),
        ("legs", "snake"),
        ("food", "dog"),
        ("home", "dog"),
        ("young", "dog"),
        ("group", "dog"),
    )
)
OPPOSITE = ask("opposite", "hot")
