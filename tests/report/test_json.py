"""Strict JSON whatever the run holds."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from loganalyze.report.json import plain

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is not strict JSON")


@given(values)
def test_any_value_becomes_strict_json(value: object) -> None:
    json.loads(json.dumps(plain(value), allow_nan=False), parse_constant=refuse)


def test_non_finite_numbers_become_their_names() -> None:
    assert plain([math.nan, math.inf, -math.inf]) == ["NaN", "Infinity", "-Infinity"]


def test_numpy_numbers_are_numbers() -> None:
    import numpy as np

    assert plain({"a": np.float64(1.5), "b": np.int64(3), "c": np.bool_(True)}) == {
        "a": 1.5,
        "b": 3,
        "c": True,
    }
