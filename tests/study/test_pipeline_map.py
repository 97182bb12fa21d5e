"""The pipeline map: six whole stages, and notebooks that are named as they are."""

import re

import pytest

from course.study import content, pipeline_map
from course.study.pipeline_map import STAGES


def test_six_stages_with_every_part_filled():
    stages = pipeline_map().data["stages"]
    assert len(stages) == 6
    for stage in stages:
        assert all(stage[part] for part in ("name", "reads", "in_html", "out_html", "why_html", "record", "notebooks"))
        assert stage["known"] and all(known["text_html"] for known in stage["known"])


def test_no_text_became_a_list_or_a_formula_by_accident():
    for stage in pipeline_map().data["stages"]:
        for html in [stage["in_html"], stage["out_html"], stage["why_html"], *(k["text_html"] for k in stage["known"])]:
            assert not re.search(r"<(ol|ul|h\d|blockquote)", html), html
            assert html.count("<math") <= 1


def test_the_lessons_of_the_course_each_have_their_place():
    named = [number for stage in STAGES for number in stage.notebooks]
    assert named == sorted(named) == [f"{i:02d}" for i in range(1, 15)]


def test_a_notebook_that_is_not_there_yet_is_said_to_come(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    assert pipeline_map().data["stages"][0]["notebooks"] == "01 the base model (to come)"
    (tmp_path / "01.yaml").write_text('lesson: "01"\ntitle: T\n')
    (tmp_path / "02.yaml").write_text('lesson: "02"\ntitle: T\n')
    stages = pipeline_map().data["stages"]
    assert stages[0]["notebooks"] == "01 the base model"
    assert stages[1]["notebooks"].startswith("02 chat data; 03 SFT, 04 packing")


@pytest.mark.parametrize("figure", ["13,000", "27,000", "1,000", "52,000", "33,000", "73%", "$3.50", "$25"])
def test_known_figures_are_shown(figure):
    static = pipeline_map().static_html().replace("<span>", "").replace("</span>", "")
    assert figure in static


def test_static_map_folds_each_stage():
    html = pipeline_map().static_html()
    assert html.count("<details>") == 6 and "<math" not in html and html == pipeline_map().static_html()
    assert pipeline_map().plain().startswith("Pipeline map: Pretraining → ")
