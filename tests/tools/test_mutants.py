"""Small changes of the shown solutions are refused; `make mutants` tries all of them."""

import pytest

from tools.mutants import EQUIVALENT, all_mutants, mutants, sample, survivors, verdict_of


def test_no_mutant_of_a_sample_survives():
    assert [f"{one.exercise}: {one.change}" for one in survivors(sample(150, seed=0))] == []


def test_what_is_known_to_compute_the_same_survives_and_is_still_a_mutant():
    known = {(one.exercise, one.change): one for one in all_mutants(sorted({id for id, _ in EQUIVALENT}))}
    assert set(known) >= EQUIVALENT
    assert all(verdict_of(known[key]).kind == "right" for key in sorted(EQUIVALENT))


@pytest.mark.parametrize(
    "change",
    ["a + b -> a - b", "a < b -> a <= b", "a[1:] -> a[:]", "f(a, b) -> f(b, a)", "2 -> 3", "-a -> a", "x = a -> pass"],
)
def test_each_kind_of_change_is_made(change):
    old, new = change.split(" -> ")
    statement = old if "=" in old and "<" not in old else f"return {old}"
    changed = new if statement == old else f"return {new}"
    found = mutants("x", f"def f(a, b):\n    {statement}\n    return b")
    assert changed in {one.source.splitlines()[1].strip() for one in found}
