"""Values that a learner returned: as plain Python, compared, and in words."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.study.compare import brief, plain, same, show

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_every_value_equals_itself(value):
    assert same(value, value, 1e-5)


@given(VALUES, VALUES)
def test_comparing_never_raises_and_has_no_side(one, other):
    assert same(one, other, 1e-5) == same(other, one, 1e-5)
    assert isinstance(show(one), str)


def test_whole_numbers_are_exact_and_floats_are_not():
    assert not same(1_000_000, 1_000_001, 1e-5)
    assert same(1_000_000.0, 1_000_001.0, 1e-5)
    assert not same(1.0, 1.001, 1e-5)
    assert same(float("inf"), float("inf"), 1e-5) and not same(float("inf"), -float("inf"), 1e-5)
    assert same(float("nan"), float("nan"), 1e-5) and not same(float("nan"), 0.0, 1e-5)
    assert same([True, False], [1, 0], 1e-5)
    assert not same("1", 1, 1e-5) and not same([1], 1, 1e-5) and not same(None, 0, 1e-5)
    assert not same({1, 2}, [1, 2], 1e-5) and same({(1, 2)}, {(1, 2)}, 1e-5)


def test_a_value_that_refuses_comparison_is_different():
    class Odd:
        def __eq__(self, other):
            raise TypeError("do not compare me")

    assert not same(Odd(), "x", 1e-5)


def test_tensors_arrays_and_tuples_are_plain_lists():
    assert plain((torch.tensor([[1, 2]]), np.float32(0.5), {"a": torch.tensor(3.0)})) == [[[1, 2]], 0.5, {"a": 3.0}]
    assert plain(torch.tensor([1.0], dtype=torch.bfloat16, requires_grad=True)) == [1.0]


def test_numpys_numbers_and_texts_are_shown_as_numbers_and_texts():
    assert brief(plain([np.float64(0.5), np.int64(3), np.str_("a"), np.bool_(True)])) == "[0.5, 3, 'a', True]"


def test_show_is_short():
    assert show(torch.zeros(3, 2)) == "shape (3, 2): [[0, 0], [0, 0], [0, 0]]"
    assert show(torch.tensor(0.1)) == "0.1"
    assert show([("user", 1)]) == "[('user', 1)]"
    assert len(show(torch.rand(100, 100, 10))) < 700 and len(show("x" * 1000)) < 100
