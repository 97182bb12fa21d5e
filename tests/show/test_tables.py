"""Small tables of numbers."""

import numpy as np
import pytest
import torch

from course.show import show_table
from tests.show.conftest import text_of, tree


def test_a_table_has_headings_numbers_to_the_right_and_gaps(shown: list[tuple[str, str]]) -> None:
    rows = [{"step": "read <all>", "left": 12000, "share": np.float64(1.0)}, {"step": "a\nb", "left": torch.tensor(7)}]
    show_table(rows, "What each step leaves")
    [(markup, text)] = shown
    table = tree(markup)
    assert text_of(table.find(".//caption")) == "What each step leaves"
    assert [cell.get("scope") for cell in table.iter("th")] == ["col", "col", "col", "row", "row"]
    assert [text_of(cell) for cell in table.iter("td")] == ["12,000", "1", "7", ""]
    assert all("text-align:right" in cell.get("style", "") for cell in list(table.iter("td"))[:3])
    assert text.splitlines()[1:] == ["step          left  share", "read <all>  12,000      1", "a ⏎ b            7"]
    with pytest.raises(ValueError, match="'empty' has no rows"):
        show_table([], "empty")
