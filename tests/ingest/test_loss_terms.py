"""The sum of the terms that some trainers log in place of their loss."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import loganalyze as la
from loganalyze.frame import metrics_frame
from loganalyze.ingest.ingester import Table
from loganalyze.ingest.loss_terms import with_totals


def table(metrics: list[str], **columns: object) -> Table:
    return Table("log", "tfevents", ".", metrics_frame({"metric": metrics, **columns}))


def test_the_terms_in_event_files_are_summed(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(5):
            for name, value in (("box", 0.5), ("obj", 0.25), ("cls", 1.0 / (step + 1))):
                writer.add_scalar(f"train/{name}_loss", value, step)
    loss = la.load(tmp_path).series("train/loss")
    assert loss.step.tolist() == list(range(5))
    np.testing.assert_allclose(loss.value, [0.75 + 1 / (step + 1) for step in range(5)])


def test_only_steps_with_all_terms_are_summed_and_nan_stays() -> None:
    names = [
        "train/box_loss",
        "train/cls_loss",
        "train/box_loss",
        "train/box_loss",
        "train/cls_loss",
    ]
    found = with_totals(table(names, step=[1, 1, 2, 3, 3], value=[1.0, 2.0, 5.0, np.nan, 1.0]))
    total = found.frame[found.frame["metric"] == "train/loss"]
    assert total["step"].tolist() == [1, 3]
    np.testing.assert_array_equal(total["value"], [3.0, np.nan])
    assert total["name"].tolist() == ["train/box_loss + train/cls_loss"] * 2


@pytest.mark.parametrize(
    "names",
    [
        ["train/box_loss"],
        ["train/box_loss", "train/cls_loss", "train/loss"],
        ["train/box_loss", "train/cls_loss", "train/giou_loss"],
    ],
)
def test_one_term_or_unknown_ones_are_left_alone(names: list[str]) -> None:
    given = table(names, step=[1] * len(names), value=[1.0] * len(names))
    assert with_totals(given) is given
