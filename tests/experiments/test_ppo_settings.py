"""The stored measurements belong to the settings that there are, and the table says what is stored."""

import math
from dataclasses import fields, replace
from statistics import mean

from course.experiments import ppo_settings
from course.experiments.ppo_settings import DIALS, EXPERIMENTS, MIDDLE, condition_of, dial_table, middle_score
from course.experiments.store import over_seeds, stored
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


def test_a_setting_is_changed_alone_and_all_share_the_middle():
    names = EXPERIMENTS[0].conditions
    assert len(names) == len(set(names)) == 1 + sum(len(dial.tried) - 1 for dial in DIALS)
    for dial in DIALS:
        for value in dial.tried:
            settings = ppo_settings._SETTINGS[condition_of(dial, value)]
            changed = {f.name for f in fields(PPOConfig) if getattr(settings, f.name) != getattr(MIDDLE, f.name)}
            assert changed == ({dial.name} if value != getattr(MIDDLE, dial.name) else set())


def test_the_table_has_a_row_for_each_dial_with_a_number_for_each_value():
    rows = dial_table()
    assert [row["setting"] for row in rows] == [dial.name for dial in DIALS]
    for row, dial in zip(rows, DIALS, strict=True):
        assert all(len(row[column].split(" · ")) == len(dial.tried) for column in ("tried here", "true score", "KL"))
    whiten = next(row for row in rows if row["setting"] == "whiten_advantages")
    assert whiten["tried here"] == "off · on"
    rate = next(row for row in rows if row["setting"] == "learning_rate")
    assert rate["true score"].split(" · ")[0] == f"{mean(each('learning_rate: 1e-05')):.2f}"
    assert f"{middle_score():.2f}" in rate["true score"].split(" · ")


def each(condition: str) -> list[float]:
    return over_seeds(stored("dials"), condition, "true score")


def test_what_the_lesson_says_of_the_table_holds_for_every_seed():
    for worse in (each("learning_rate: 0.001"), each("lam: 0.0"), each("temperature: 0.5")):
        assert all(low < score - 0.03 for low, score in zip(worse, each("middle"), strict=True))
    lowest = min(min(each(condition)) for condition in EXPERIMENTS[0].conditions)
    assert lowest in each("learning_rate: 0.001")
    for name in ("epochs", "mini_batch_size", "clip", "value_learning_rate"):  # these differ by little, as is said
        dial = next(dial for dial in DIALS if dial.name == name)
        means = [mean(each(condition_of(dial, value))) for value in dial.tried]
        assert max(means) - min(means) < 0.05
