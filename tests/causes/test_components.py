"""Which terms of a loss broke tells a bad target from broken weights."""

from pathlib import Path

import pytest

import loganalyze as la

LINE = (
    "[epoch 1][iter {step}/5000] loss: {loss}, lr: {lr}\n"
    "\t\tfg/bg=(10/118), time cost: 0.2\n"
    "\t\trpn_cls: {a}, rpn_box: {b}, rcnn_cls: {c}, rcnn_box {d}\n"
)


def causes(folder: Path, *rows: tuple[object, ...], lr: str = "1.0e-03") -> list[str]:
    names = ("step", "loss", "a", "b", "c", "d")
    text = "".join(LINE.format(**dict(zip(names, row, strict=True)), lr=lr) for row in rows)
    (folder / "train.log").write_text(text, encoding="utf-8")
    run = la.load(folder)
    assert len(run.series("rpn_box")) == len(rows)
    return [cause.id for cause in la.diagnose(run).causes]


def test_one_broken_term_is_the_data(tmp_path: Path) -> None:
    first = (0, 2.1, 0.7, 0.1, 1.2, 0.1)
    rows = [(step, "nan", 0.6, "nan", 0.9, 0.1) for step in (100, 200, 300)]
    assert causes(tmp_path, first, *rows)[0] == "nan-in-data"


def test_all_terms_broken_in_the_middle_are_the_weights(tmp_path: Path) -> None:
    rows = [(step, "nan", "nan", "nan", "nan", "nan") for step in (4000, 4100, 4200)]
    found = causes(tmp_path, *rows, lr="3.0e-03")
    assert found[0] == "lr-too-high"


@pytest.mark.parametrize("names", ["note", "remark"])
def test_lines_that_do_not_follow_regularly_are_prose(tmp_path: Path, names: str) -> None:
    text = "iter 1 loss 2.0\niter 2 loss 1.9\nrpn_box: 3\niter 3 loss 1.8\niter 4 loss 1.7\n"
    (tmp_path / "train.log").write_text(f"{names}\n{text}", encoding="utf-8")
    assert not la.load(tmp_path).has("rpn_box")
