"""The stored runs of the clinic: every patient with every curve, and their charts."""

import math

import pytest

from course.experiments.clinic import TITLES, charts, seeds, stored
from tests.experiments.clinic.cases import FINDINGS


def test_every_patient_is_stored_with_every_curve():
    assert len(seeds()) >= 5
    for seed in seeds():
        for name in FINDINGS:
            history = stored(name, seed).curves
            assert set(history) == set(TITLES) and {len(curve) for curve in history.values()} == {10}
            assert all(math.isfinite(number) for curve in history.values() for number in curve)
        assert max(stored("E", seed).measured.values()) < 0.5 < min(stored("D", seed).measured.values())
    assert stored("D").about["last"] and not stored("D", seeds()[-1]).about
    with pytest.raises(ValueError, match=r"No run with 'Z' is stored\. There are: healthy, A, B"):
        stored("Z")


def test_charts_draw_the_patients_beside_the_healthy_run():
    fig = charts("A", "B", curves=["reward", "kl"])
    assert [trace.name for trace in fig.data] == ["healthy", "A", "B"] * 2
    assert fig.layout.title.text == "Patients A and B"
    assert fig.data[0].line.color != fig.data[1].line.color
