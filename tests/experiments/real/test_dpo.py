"""DPO on a real model: pairs by length, and the same turned round."""

from course.experiments.real.dpo import FAMILY, LABELS, run_family, turned


def test_turned_pairs_prefer_the_other_answer_and_twice_turned_are_as_before() -> None:
    records = [{"prompt": "p", "chosen": "short", "rejected": "a long one"}]
    assert turned(records) == [{"prompt": "p", "chosen": "a long one", "rejected": "short"}]
    assert turned(turned(records)) == records


def test_a_condition_names_labels_and_a_method() -> None:
    assert callable(run_family) and set(FAMILY) == {"DPO", "IPO", "KTO", "ORPO", "SimPO"} and LABELS["clean"] == 0
