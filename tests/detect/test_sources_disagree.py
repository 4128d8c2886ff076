from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from loganalyze.detect.sources_disagree import DETECTOR, DisagreeSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Run, Source, metrics_frame
from tests.builders import make_run

RNG = np.random.default_rng(0)
LOSS = 2 + RNG.normal(0, 0.2, 200)


def two(theirs: np.ndarray, steps: np.ndarray | None = None) -> Run:
    """Return a run whose loss stands in train.log and, as `theirs`, in events.out."""
    run = make_run(loss=LOSS)
    other = metrics_frame(
        {
            "metric": "train/loss",
            "step": np.arange(1, len(theirs) + 1) if steps is None else steps,
            "value": theirs,
            "source": "events.out",
            "name": "loss",
        }
    )
    both = pd.concat([run.metrics.astype(dict.fromkeys(("metric", "source", "name"), str)), other])
    both = both.reset_index(drop=True).astype(
        dict.fromkeys(("metric", "source", "name"), "category")
    )
    return replace(run, metrics=both, sources=(*run.sources, Source("events.out", "tfevents", 200)))


def test_values_that_nothing_explains_are_a_warning_with_both_places() -> None:
    (found,) = detect(two(LOSS[::-1] + 1), DisagreeSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert [place.source for place in found.where] == ["train.log", "events.out"]
    assert found.evidence["points_compared"] == 200


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_rounding_is_no_difference(digits: int) -> None:
    assert detect(two(np.round(LOSS, digits)), DisagreeSettings()) == ()


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (LOSS * 100, "percent"),
        (np.r_[LOSS[1:], LOSS[:1]], "shifted"),
        (np.convolve(LOSS, np.ones(20) / 20, mode="same"), "averages"),
    ],
)
def test_a_difference_that_the_numbers_explain_is_a_note(theirs: np.ndarray, words: str) -> None:
    (found,) = detect(two(theirs), DisagreeSettings())
    assert found.severity is Severity.INFO
    assert words in found.summary


def test_one_source_alone_cannot_disagree() -> None:
    assert isinstance(detect(make_run(loss=LOSS), DisagreeSettings()), NotApplicable)


def test_a_few_common_points_are_not_judged() -> None:
    assert isinstance(detect(two(LOSS[:4] * 9), DisagreeSettings()), NotApplicable)
