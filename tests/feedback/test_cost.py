"""What labels cost (F3)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.feedback import annotation_cost


def test_the_published_figures():
    """Claim F3: 13,000 demonstrations and 33,000 comparisons (Ouyang et al. 2022, table 6)."""
    assert annotation_cost(13_000).demonstrations == 130_000
    one = annotation_cost(comparisons=1)
    assert (one.comparisons, one.written_instead) == (3.5, 25.0)
    assert int(one.written_instead // one.comparisons) == 7
    both = annotation_cost(13_000, 33_000)
    assert (both.comparisons, both.total) == (115_500, 245_500)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 9))
def test_cost_is_linear_in_each_amount(demonstrations, comparisons, votes):
    cost = annotation_cost(demonstrations, comparisons, votes)
    assert cost.total == 10 * demonstrations + 3.5 * comparisons * votes
    twice = annotation_cost(2 * demonstrations, 2 * comparisons, votes)
    assert twice.total == 2 * cost.total
    assert cost.written_instead == pytest.approx(cost.comparisons / 3.5 * 25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"demonstrations": -1}, "number of demonstrations is -1; it must be a finite number of at least 0"),
        ({"comparisons": math.inf}, "number of comparisons is inf"),
        ({"votes": 0}, "number of votes is 0; it must be a finite number of at least 1"),
    ],
)
def test_amounts_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        annotation_cost(**arguments)
