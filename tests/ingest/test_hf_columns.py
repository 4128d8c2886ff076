"""The quick way through a trainer state gives what the careful one gives, or steps aside."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loganalyze.ingest import hf_columns
from loganalyze.ingest.hf_columns import Columns, from_entries, read_columns
from loganalyze.ingest.hf_trainer import _number, parse

KEYS = st.sampled_from(
    ["loss", "grad_norm", "learning_rate", "epoch", "step", "eval_loss", "eval_long_name_1", "eval_long_name_2",
     "train_runtime", "é", "a b", "x"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.floats(width=64), st.integers(-(2**53), 2**53), st.just(float("nan")), st.just(float("inf"))
)
VALUES = st.one_of(NUMBERS, NUMBERS.map(str), st.none(), st.booleans(), st.text(max_size=6))
ENTRIES = st.lists(st.dictionaries(KEYS, VALUES, max_size=6), min_size=1, max_size=30)


def written(history: list[dict[str, Any]], indent: int | None = 2, **state: Any) -> bytes:
    """Return a state as the Trainer writes it."""
    whole = {"epoch": 1.0, "global_step": 9, "log_history": history, "max_steps": 9, **state}
    return (json.dumps(whole, indent=indent, sort_keys=True) + "\n").encode()


def points(columns: Columns) -> list[tuple[int, str, float]]:
    kept = columns.is_number
    found = zip(columns.entry[kept], columns.code[kept], columns.value[kept], strict=True)
    return sorted(
        (int(entry), columns.keys[code], float("-1e999") if math.isnan(value) else float(value))
        for entry, code, value in found
    )


def careful(data: bytes) -> Columns:
    state, _ = parse(data)
    return from_entries(state["log_history"], _number)


@settings(max_examples=200, deadline=None)
@given(ENTRIES, st.sampled_from([64, 300, 1 << 20]))
def test_any_history_gives_the_same_points_both_ways(history: list[dict], window: int) -> None:
    data = written(history)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf_columns, "WINDOW", window)
        quick = read_columns(data, _number)
    if quick is not None:
        assert points(quick) == points(careful(data))
        assert quick.count == len(history)
        assert json.loads(quick.rest)["max_steps"] == 9


def test_the_trainer_s_own_layout_is_read_the_quick_way() -> None:
    history = [
        {"loss": 1 / n, "epoch": n / 7, "learning_rate": 1e-5, "step": n} for n in range(1, 99)
    ]
    history[3]["loss"] = float("nan")
    history.append({"eval_loss": 0.5, "step": 98})
    quick = read_columns(written(history), _number)
    assert quick is not None
    assert points(quick) == points(careful(written(history)))


@pytest.mark.parametrize(
    "history",
    [
        [{"loss": 1.0, "nested": {"a": 1}, "step": 1}],
        [{"loss": 1.0, "list": [1, 2], "step": 1}],
        [{"loss": 1.0, 'quo"te': 1, "step": 1}],
        [{}],
        [],
    ],
)
def test_any_other_layout_is_left_to_the_careful_way(history: list[dict]) -> None:
    assert read_columns(written(history), _number) is None
    assert read_columns(written([{"loss": 1.0, "step": 1}], indent=None), _number) is None
    assert read_columns(written([{"loss": 1.0, "step": 1}], indent=4), _number) is None


def test_a_key_that_stands_twice_in_an_entry_is_left_to_the_careful_way() -> None:
    data = written([{"loss": 1.0, "step": 1}]).replace(
        b'"loss": 1.0,', b'"loss": 1.0,\n      "loss": 2.0,'
    )
    assert read_columns(data, _number) is None


def test_a_value_that_is_no_json_is_left_to_the_careful_way_which_tells_of_it() -> None:
    data = written([{"loss": 1.5, "step": 1}]).replace(b"1.5,", b"1.5;")
    assert read_columns(data, _number) is None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7), st.booleans())
def test_damage_never_raises(place: int, bit: int, cut: bool) -> None:
    history = [{"epoch": n / 9, "loss": 1 / n, "step": n} for n in range(1, 60)]
    data = bytearray(written(history))
    place %= len(data)
    data[place] ^= 1 << bit
    found = read_columns(bytes(data[:place] if cut else data), _number)
    if found is not None:
        assert len(found.entry) == len(found.value)
        assert np.diff(found.entry).min(initial=0) >= 0
