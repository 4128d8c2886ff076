"""A run with one loss under a name of its own."""

import json

import numpy as np
import pytest

import loganalyze as la


def _run(tmp_path, **columns):
    (tmp_path / "log.jsonl").write_text(
        "".join(
            json.dumps({"step": step, **{name: float(curve[step]) for name, curve in columns.items()}}) + "\n"
            for step in range(40)
        )
    )  # fmt: skip
    return la.load(tmp_path)


CURVE = np.linspace(2, 1, 40)


@pytest.mark.parametrize(
    "name", ["bce_loss", "mse_loss", "contrastive_loss", "train/dice_loss", "loss_ctc", "IDLoss"]
)
def test_the_only_loss_is_the_loss_and_its_source_says_so(tmp_path, name) -> None:
    run = _run(tmp_path, **{name: CURVE})
    assert len(run.series("train/loss")) == 40
    assert str(run.metrics["name"].iloc[0]) == name
    assert any("the only loss that was logged" in p.text for s in run.sources for p in s.problems)


def test_the_evaluation_has_its_own(tmp_path) -> None:
    run = _run(tmp_path, bce_loss=CURVE, val_bce_loss=CURVE + 0.1)
    assert run.series("eval/loss").value[0] == pytest.approx(2.1)


@pytest.mark.parametrize(
    "names",
    [
        ("bce_loss", "dice_loss"),
        ("loss", "bce_loss"),
        ("policy_loss",),
        ("loss_g",),
        ("kl_loss",),
        ("eval_bce_loss",),
        ("final_loss",),
    ],
)
def test_one_of_several_and_a_part_keep_their_names(tmp_path, names) -> None:
    run = _run(tmp_path, **dict.fromkeys(names, CURVE))
    assert len(run.series("train/loss")) == (40 if "loss" in names else 0)
    assert "the only loss" not in str(run.sources) or names == ("eval_bce_loss",)


@pytest.mark.parametrize("name", ["maskLoss", "DLoss", "KLLoss"])
def test_a_part_by_its_humps_is_none(tmp_path, name) -> None:
    assert not _run(tmp_path, **{name: CURVE}).has("train/loss")


def test_few_losses_without_a_step_are_a_curve_where_line_follows_line(tmp_path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"Loss error: {value}\n" for value in (1.1, 0.6, 0.4, 0.3, 0.2)))
    assert la.load(path).series("train/loss").value.tolist() == [1.1, 0.6, 0.4, 0.3, 0.2]
