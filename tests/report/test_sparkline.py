import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.report.sparkline import BARS, BROKEN, sparkline
from tests.builders import make_run


def drawn(values, width=20, steps=None) -> str:
    run = make_run(loss=values, steps=None if steps is None else {"loss": steps})
    series = run.series("train/loss")
    return sparkline(series, width, (int(series.step[0]), int(series.step[-1])))


def test_a_line_rises_from_the_lowest_bar_to_the_highest() -> None:
    assert drawn(np.arange(8.0), 8) == BARS


def test_one_point_among_thousands_is_seen() -> None:
    loss = np.ones(10_000)
    loss[5_000] = 50
    assert drawn(loss).count("█") == 1


def test_numbers_that_are_none_are_crosses_and_gaps_hold_the_value() -> None:
    assert drawn([1.0, 1.0, np.nan, np.nan], 4) == "▁▁" + 2 * BROKEN
    assert drawn([1.0, 2.0], 10, steps=[1, 101]) == "▁▁▁▁▁▁▁▁▁█"
    assert drawn([np.nan] * 3, 3) == 3 * BROKEN


def test_decades_are_told_apart() -> None:
    assert len(set(drawn(np.geomspace(1, 1e-6, 40), 8))) == 8


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=80))
def test_any_values_fit_the_width(values) -> None:
    assert 1 <= len(drawn(values, 13)) <= 13
