"""The stored measurements belong to the settings that there are, and the table says what is stored."""

import math
from dataclasses import fields, replace

from course.experiments.ppo_settings import DIALS, MIDDLE, dial_table, measured, middle_score
from course.rl import PPOConfig


def test_every_dial_is_a_setting_and_was_tried_around_the_middle():
    names = {field.name for field in fields(PPOConfig)}
    assert len({dial.name for dial in DIALS}) == len(DIALS)
    for dial in DIALS:
        assert dial.name in names
        assert getattr(MIDDLE, dial.name) in dial.tried and len(dial.tried) > 1
        numbers = [math.inf if value is None else value for value in dial.tried]  # None: no limit
        assert numbers == sorted(numbers)
        for value in dial.tried:
            replace(MIDDLE, **{dial.name: value})  # PPO refuses what makes no sense


def test_what_is_stored_is_there_for_every_value_and_seed():
    found = measured()
    assert found.keys() == {dial.name for dial in DIALS}
    counts = set()
    for dial in DIALS:
        assert found[dial.name].keys() == {str(value) for value in dial.tried}
        for run in found[dial.name].values():
            assert run.keys() == {"score", "kl"}
            assert all(0 <= score <= 1 for score in run["score"]) and all(map(math.isfinite, run["kl"]))
            counts |= {len(run["score"]), len(run["kl"])}
    assert len(counts) == 1  # as many seeds everywhere


def test_the_middle_is_one_run_for_all_dials():
    found = measured()
    middles = [found[dial.name][str(getattr(MIDDLE, dial.name))] for dial in DIALS]
    assert all(run == middles[0] for run in middles)
    assert middle_score() == sum(middles[0]["score"]) / len(middles[0]["score"])


def test_the_table_has_a_row_for_each_dial_with_a_number_for_each_value():
    rows = dial_table()
    assert [row["setting"] for row in rows] == [dial.name for dial in DIALS]
    for row, dial in zip(rows, DIALS, strict=True):
        assert all(len(row[column].split(" · ")) == len(dial.tried) for column in ("tried here", "true score", "KL"))
    whiten = next(row for row in rows if row["setting"] == "whiten_advantages")
    assert whiten["tried here"] == "off · on"
    rate = next(row for row in rows if row["setting"] == "learning_rate")
    stored = measured()["learning_rate"]["1e-05"]["score"]
    assert rate["true score"].split(" · ")[0] == f"{sum(stored) / len(stored):.2f}"


def test_what_the_lesson_says_of_the_table_holds_for_every_seed():
    found = measured()

    def each(dial: str, value: str) -> list[float]:
        return found[dial][value]["score"]

    middle = each("epochs", "2")
    for worse in (each("learning_rate", "0.001"), each("lam", "0.0"), each("temperature", "0.5")):
        assert all(low < score - 0.03 for low, score in zip(worse, middle, strict=True))
    lowest = min(min(run["score"]) for dial in found.values() for run in dial.values())
    assert lowest in each("learning_rate", "0.001")
    for dial in ("epochs", "mini_batch_size", "clip", "value_learning_rate"):  # these differ by little, as is said
        means = [sum(run["score"]) / len(run["score"]) for run in found[dial].values()]
        assert max(means) - min(means) < 0.05
