"""The shipped checkpoints: what is in their folders, and the lowest figures with which the lessons still work."""

import pytest
from safetensors import safe_open

from course.evaluation import Grades
from course.feedback.constitution import FRAMES
from course.models import CHECKPOINTS, LM, embedded, load
from course.rewards import load_reward
from course.world import COUNTRY_RELATIONS, INVENTED, UNSEEN
from course.world.chats import shown_sums
from tools import measure_checkpoints as measure

SHIPPED = ("base", "sft", "mixed", "reward", "judge")
SUFFIXES = {".md", ".json", ".jinja", ".safetensors"}


@pytest.fixture(scope="module")
def base() -> LM:
    return load("base")


@pytest.fixture(scope="module")
def answers() -> dict[str, Grades]:
    return measure.sft_answers(load("sft"))


def test_they_are_shipped():
    assert set(SHIPPED) <= set(embedded())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_folder_is_small_and_holds_weights_as_safetensors_only(name):
    files = [path for path in (CHECKPOINTS / name).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == SUFFIXES
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    with safe_open(CHECKPOINTS / name / "model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118 (not a dict)
            weight = file.get_tensor(key)
            assert weight.isfinite().all() and weight.dtype.itemsize == 2


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_tells_how_it_was_made_and_how_well_it_does(name):
    card = (CHECKPOINTS / name / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    for said in ("weights", "training", "minutes on", "settings", "make checkpoints", "seed", "How well it does", "%"):
        assert said in card
    opened = load_reward(name) if name == "reward" else load(name)
    assert f"{opened.parameters:,}" in card


def test_the_card_states_what_is_measured(answers):
    card = (CHECKPOINTS / "sft" / "README.md").read_text(encoding="utf-8")
    assert f"| two-number sums up to 20 + 20 that SFT did not show | {answers['sums'].correct:.1%} |" in card
    assert f"| right on countries that SFT did not show | {answers['unseen'].correct:.1%} |" in card


def test_base_continues_a_question_with_a_question(base):
    assert measure.question_share(base) >= 0.97


def test_base_completes_facts(base):
    assert measure.completed_facts(base) >= 0.97


def test_base_answers_after_a_few_lines_of_a_faq_page(base):
    assert measure.few_shot(base) >= 0.9


def test_the_held_out_prompts_are_held_out(answers):
    assert {q.subject for q in answers["unseen"].questions} == set(UNSEEN)
    assert not set(shown_sums()) & set(answers["sums"].questions)
    assert {q.subject for q in answers["invented"].questions} == set(INVENTED)


def test_sft_answers_about_countries_that_it_showed(answers):
    assert answers["seen"].correct >= 0.99


def test_sft_answers_about_countries_that_it_did_not_show(answers):
    assert answers["unseen"].correct >= 0.95
    by_relation = answers["unseen"].correct_by_relation()
    assert by_relation.keys() == set(COUNTRY_RELATIONS)
    assert min(by_relation.values()) >= 0.90


def test_sft_adds(answers):
    assert answers["sums"].correct >= 0.95


def test_sft_stops(answers):
    stopped = [answer.stopped for grades in answers.values() for answer in grades.answers]
    assert sum(stopped) / len(stopped) >= 0.99


def test_sft_answers_about_invented_countries_in_the_same_form(answers):
    assert measure.same_form(answers["invented"]) >= 0.95
    assert answers["invented"].correct == 0


def test_the_reward_model_finds_the_better_of_two_and_is_fooled_when_it_chooses_among_many():
    figures = {label: float(share.rstrip("%")) for label, share in measure.reward_figures(load_reward()).items()}
    one, four, many = (share for label, share in figures.items() if label.startswith("true score"))
    assert figures["better of two answers found, countries that were compared (held-out wording)"] >= 85
    assert figures["better of two answers found, other countries"] >= 75
    assert many < one - 10 and many < four - 10


def test_the_judge_finds_the_better_answer_and_leans_to_the_first_place():
    judge, pairs = load("judge"), measure.judged_pairs()
    by_letter = measure.judged(judge, "kind", FRAMES[0], pairs)
    assert by_letter["agreement"] >= 0.8
    assert by_letter["open flips"] >= by_letter["flips"] + 0.2
    assert measure.judged(judge, "true", FRAMES[0], pairs, reading="rewriting")["agreement"] >= 0.65


def test_what_counts_as_a_question_that_follows():
    yes = [" What is the capital of Peru?", "\nWhere is Chile? Where is Peru?"]
    no = [" The capital of Peru is Lima.", " Lima. What is that?", "", " What", "\n\nuser\nWhere is Chile?", "?"]
    assert all(map(measure.continues_with_question, yes))
    assert not any(map(measure.continues_with_question, no))
