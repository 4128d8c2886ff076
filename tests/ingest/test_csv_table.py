from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.frame import METRIC_COLUMNS
from loganalyze.ingest import csv_table, load
from loganalyze.ingest.ingester import HEAD_BYTES, Table
from loganalyze.ingest.loss_terms import with_totals


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def table(path: Path) -> Table:
    assert csv_table.claims(path, path.read_bytes()[:HEAD_BYTES])
    (found,) = csv_table.read(path, path.parent)
    return found


def curve(found: Table, metric: str) -> list[tuple[int, float]]:
    assert found.metrics is not None
    rows = found.metrics[found.metrics["metric"] == metric]
    return list(zip(rows["step"].tolist(), rows["value"].tolist(), strict=True))


def frame(found: Table) -> pd.DataFrame:
    assert found.metrics is not None
    assert tuple(found.metrics.columns) == METRIC_COLUMNS
    return found.metrics


LIGHTNING = """\
epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss
,0.001,0,,,
0,,9,,2.5,
0,,19,,2.25,
0,,19,,,2.0
0,,19,2.375,,
1,,29,,nan,
1,,39,,inf,
"""


def test_the_sparse_rows_of_lightning_hold_what_was_logged_and_nothing_else(tmp_path: Path) -> None:
    found = table(write(tmp_path / "metrics.csv", LIGHTNING))
    losses = curve(found, "train/loss")
    assert losses[:2] == [(9, 2.5), (19, 2.25)]
    assert math.isnan(losses[2][1])
    assert losses[3] == (39, math.inf)
    assert curve(found, "eval/loss") == [(19, 2.0)]
    assert curve(found, "train/learning_rate") == [(0, 0.001)]
    assert curve(found, "train_loss_epoch") == [(19, 2.375)]  # a mean is no point of the curve
    rows = frame(found)
    assert rows["row"].tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert set(rows["segment"]) == {0}
    assert rows["epoch"].tolist()[-1] == 1
    assert found.problems == ()


def test_the_mean_of_an_epoch_is_the_loss_where_there_is_no_other(tmp_path: Path) -> None:
    text = "epoch,step,train_loss_epoch,val_loss_epoch\n0,9,2.0,\n0,9,,2.5\n1,19,1.0,\n1,19,,2.0\n"
    found = table(write(tmp_path / "metrics.csv", text))
    assert curve(found, "train/loss") == [(9, 2.0), (19, 1.0)]
    assert curve(found, "eval/loss") == [(9, 2.5), (19, 2.0)]


def test_the_epochs_of_keras_count_from_zero(tmp_path: Path) -> None:
    # tf.keras.callbacks.CSVLogger("training.log") writes this, with its sorted columns.
    text = (
        "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,0.5,2.0,0.4,2.5\r\n1,0.6,1.5,0.5,2.25\r\n"
    )
    found = table(write(tmp_path / "training.log", text))
    assert curve(found, "train/loss") == [(0, 2.0), (1, 1.5)]
    assert curve(found, "eval/accuracy") == [(0, 0.4), (1, 0.5)]
    assert curve(found, "train/accuracy") == [(0, 0.5), (1, 0.6)]
    assert frame(found)["epoch"].tolist()[-1] == 1.0


def test_the_terms_of_ultralytics_keep_their_names_and_their_sum_is_the_loss(
    tmp_path: Path,
) -> None:
    text = (
        "                  epoch,         train/box_loss,         train/cls_loss,         train/dfl_loss,"
        "       metrics/mAP50(B),           val/box_loss,           val/cls_loss,           val/dfl_loss, lr/pg0\n"
        "                      1,                    1.5,                    2.5,                    1.0,"
        "                    0.1,                    1.0,                    2.0,                    0.5, 0.01\n"
    )
    found = with_totals(table(write(tmp_path / "results.csv", text)))
    assert curve(found, "train/box_loss") == [(1, 1.5)]
    assert curve(found, "metrics/mAP50(B)") == [(1, 0.1)]
    assert curve(found, "train/loss") == [(1, 5.0)]
    assert curve(found, "eval/loss") == [(1, 3.5)]
    assert curve(found, "train/learning_rate") == [(1, 0.01)]
    assert found.facts.framework == "ultralytics"
    assert [problem.text for problem in found.problems] == [
        "train/loss is the sum train/box_loss + train/cls_loss + train/dfl_loss",
        "eval/loss is the sum eval/box_loss + eval/cls_loss + eval/dfl_loss",
    ]
    assert not any(problem.lossy for problem in found.problems)


def test_the_terms_of_rt_detr_are_not_all_there_and_are_not_summed(tmp_path: Path) -> None:
    text = "epoch,train/giou_loss,train/cls_loss,train/l1_loss\n1,1.0,2.0,3.0\n"
    found = with_totals(table(write(tmp_path / "results.csv", text)))
    assert curve(found, "train/loss") == []


def test_stable_baselines_counts_timesteps(tmp_path: Path) -> None:
    # Columns that come later are added to the header, and the older lines are padded.
    text = (
        "rollout/ep_rew_mean,time/fps,time/iterations,time/total_timesteps,train/loss\n"
        "21.5,1500,1,2048,\n35.0,1200,2,4096,6.5\n"
    )
    found = table(write(tmp_path / "progress.csv", text))
    assert curve(found, "rollout/ep_rew_mean") == [(2048, 21.5), (4096, 35.0)]
    assert curve(found, "train/loss") == [(4096, 6.5)]
    assert curve(found, "time/fps") == [(2048, 1500.0), (4096, 1200.0)]
    assert found.facts.framework == "stable-baselines3"


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("run-version_0-tag-train_loss.csv", "train/loss"),
        ("run-.-tag-train_learning_rate.csv", "train/learning_rate"),
        ("exp_tag-eval_loss (1).csv", "eval/loss"),
        ("loss.csv", "train/loss"),
    ],
)
def test_a_download_from_tensorboard_is_named_by_its_file(
    tmp_path: Path, name: str, metric: str
) -> None:
    path = tmp_path / name.replace("exp_tag", "run-exp-tag")
    found = table(write(path, "Wall time,Step,Value\n1690000000.5,10,2.5\n1690000010.5,20,1.5\n"))
    assert curve(found, metric) == [(10, 2.5), (20, 1.5)]
    assert frame(found)["time"].tolist() == [1690000000.5, 1690000010.5]


def test_a_chart_from_weights_and_biases_loses_the_run_and_the_bounds(tmp_path: Path) -> None:
    text = (
        '"Step","fine-sun-7 - train/loss","fine-sun-7 - train/loss__MIN","fine-sun-7 - train/loss__MAX"\n'
        '"1","2.5","2.5","2.5"\n"2","2.0","2.0","2.0"\n'
    )
    found = table(write(tmp_path / "wandb_export.csv", text))
    assert curve(found, "train/loss") == [(1, 2.5), (2, 2.0)]
    assert set(frame(found)["metric"]) == {"train/loss"}


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("timestamp", ("2023-07-22 04:26:40", "2023-07-22 04:26:50"), 1690000000.0),
        ("timestamp", ("2023-07-22T04:26:40", "2023-07-22T04:26:50.125"), 1690000000.0),
        ("timestamp", ("1690000000", "1690000010"), 1690000000.0),
        ("_timestamp", ("1690000000000", "1690000010000"), 1690000000.0),
        ("time", ("12.5", "25.0"), math.nan),  # seconds since the start: a number of its own
    ],
)
def test_only_a_time_of_day_is_a_time(
    tmp_path: Path, column: str, cells: tuple[str, str], expected: float
) -> None:
    text = f"step,{column},loss\n1,{cells[0]},2\n2,{cells[1]},1\n"
    found = table(write(tmp_path / "log.csv", text))
    assert frame(found)["time"].iloc[0] == pytest.approx(expected, nan_ok=True)
    assert (column in set(frame(found)["metric"])) is math.isnan(expected)


def test_a_header_in_the_middle_begins_the_next_start(tmp_path: Path) -> None:
    text = "step,loss\n1,3\n2,2\nstep,loss,lr\n3,1.5,0.1\n4,1.25,0.1\n"
    rows = frame(table(write(tmp_path / "log.csv", text)))
    losses = rows[rows["metric"] == "train/loss"]
    assert losses["segment"].tolist() == [0, 0, 1, 1]
    assert losses["row"].tolist() == [2, 3, 5, 6]
    assert rows[rows["metric"] == "train/learning_rate"]["step"].tolist() == [3, 4]


def test_a_step_that_falls_back_is_a_restart_and_supersedes(tmp_path: Path) -> None:
    text = "step,loss,val_loss\n1,4,\n2,3,\n2,,3.5\n3,2.5,\n2,2.75,\n2,,3.25\n3,2,\n"
    path = write(tmp_path / "log.csv", text)
    rows = frame(table(path))
    assert rows["segment"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    run = load(path)
    assert run.series("train/loss").value.tolist() == [4, 2.75, 2]
    assert run.series("eval/loss").value.tolist() == [3.25]


def test_a_place_in_the_epoch_is_counted_on(tmp_path: Path) -> None:
    lines = [
        f"{epoch},{batch},{1 / (epoch * 4 + batch + 1)}" for epoch in range(3) for batch in range(4)
    ]
    found = table(write(tmp_path / "log.csv", "\n".join(["epoch,batch,loss", *lines]) + "\n"))
    assert frame(found)["step"].tolist() == list(range(12))
    assert set(frame(found)["segment"]) == {0}
    assert [problem.lossy for problem in found.problems] == [False]


def test_broken_lines_are_told_with_their_numbers_and_the_rest_is_kept(tmp_path: Path) -> None:
    text = 'step,loss\n1,"3.0"\n\nKilled\n2,oops\n3,2.0\n4,1.5,9\n5,tensor(1.25)\n6'
    found = table(write(tmp_path / "log.csv", text))
    assert curve(found, "train/loss") == [(1, 3.0), (3, 2.0), (5, 1.25)]
    assert frame(found)["row"].tolist() == [2, 6, 8]
    assert [(problem.row, problem.lossy) for problem in found.problems] == [
        (4, True), (7, True), (9, True), (None, True),
    ]  # fmt: skip
    assert (
        found.problems[-1].text == "column 'loss': 1 of its cells hold no number and were left out"
    )


def test_marks_commas_tabs_and_other_alphabets(tmp_path: Path) -> None:
    expected = [(1, 2.5), (2, 1.25)]
    german = write(tmp_path / "a.csv", "\ufeffstep;loss\r\n1;2,5\r\n2;1,25\r\n")
    tabs = write(tmp_path / "b.tsv", "step\tloss\tnote\n1\t2.5\ta\n2\t1.25\tb\n")
    wide = write(tmp_path / "c.csv", "step,loss\n1,2.5\n2,1.25\n".encode("utf-16"))
    latin = write(tmp_path / "d.csv", "step,loss,größe\n1,2.5,1\n2,1.25,ä\n".encode("latin-1"))
    for path in (german, tabs, wide, latin):
        assert curve(table(path), "train/loss") == expected


def test_two_columns_of_one_name_are_two_metrics(tmp_path: Path) -> None:
    found = table(write(tmp_path / "log.csv", "step,loss,loss,,\n1,2.5,9,1,1\n2,2.0,8,2,2\n"))
    assert curve(found, "train/loss") == [(1, 2.5), (2, 2.0)]
    assert curve(found, "loss.1") == [(1, 9.0), (2, 8.0)]
    assert frame(found)["metric"].nunique() == 2


def test_a_file_of_the_validation_holds_no_training_loss(tmp_path: Path) -> None:
    found = table(write(tmp_path / "val_log.csv", "epoch,loss,acc\n1,2.5,0.5\n2,2.0,0.75\n"))
    assert curve(found, "eval/loss") == [(1, 2.5), (2, 2.0)]
    assert curve(found, "eval/accuracy") == [(1, 0.5), (2, 0.75)]


def test_rows_that_name_their_split_are_parted(tmp_path: Path) -> None:
    text = "epoch,phase,loss,lr\n1,train,3,0.1\n1,val,3.5,0.1\n2,train,2,0.1\n2,Val,2.5,0.1\n"
    found = table(write(tmp_path / "log.csv", text))
    assert curve(found, "train/loss") == [(1, 3.0), (2, 2.0)]
    assert curve(found, "eval/loss") == [(1, 3.5), (2, 2.5)]


def test_of_two_losses_in_an_evaluation_neither_is_of_the_training(tmp_path: Path) -> None:
    found = table(write(tmp_path / "val_log.csv", "epoch,loss,total_loss\n1,3,4\n2,2,3\n"))
    assert set(frame(found)["metric"]) == {"eval/loss", "eval/total_loss"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.csv", "id,text,label\n1,good,1\n"),
        ("iris.csv", "sepal,petal,class\n0.1,0.2,a\n"),
        ("predictions.csv", "id,prediction,target\n1,0.5,0\n"),
        ("sensors.csv", "time,acc_x,acc_y\n1,0.5,0\n"),
        ("eeg.csv", "epoch,channel,value\n1,2,0.5\n"),
        ("numbers.csv", "1,2,3\n4,5,6\n"),
        ("words.txt", "The step, the loss, and the rest of it\nare prose.\n"),
        ("said.txt", "step,loss\nare the two columns, of a table, that is explained here\n"),
        ("empty.csv", ""),
        ("one.csv", "loss\n1\n"),
        ("step.json", "step,loss\n1,2\n"),
    ],
)
def test_other_tables_are_left_alone(name: str, text: str) -> None:
    assert not csv_table.claims(Path(name), text.encode())


def test_a_header_alone_is_refused_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "step,loss\n")
    with pytest.raises(ValueError, match="no number below it"):
        csv_table.read(path, tmp_path)


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "step,loss\n" * 2_000)
    with pytest.raises(ValueError, match="repeated 2,000 times"):
        csv_table.read(path, tmp_path)


def test_a_table_that_several_runs_share_says_so(tmp_path: Path) -> None:
    text = "step,loss\n" + "".join(f"{n % 2},{n}\n" for n in range(60))
    found = table(write(tmp_path / "log.csv", text))
    assert any("several runs seem to share" in problem.text for problem in found.problems)


def test_a_table_of_mostly_empty_cells_is_refused_before_it_fills_the_memory(
    tmp_path: Path,
) -> None:
    names = ["step", "loss", *(f"c{n}" for n in range(1_500))]
    text = ",".join(names) + "\n" + ("1,2" + "," * 1_500 + "\n") * 21_000
    with pytest.raises(ValueError, match="too many to read"):
        csv_table.read(write(tmp_path / "log.csv", text), tmp_path)


@given(
    losses=st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=1, max_size=30),
    evals=st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=30, max_size=30),
)
def test_what_a_writer_wrote_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    losses: list[float | None],
    evals: list[float | None],
) -> None:
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    rows = [(n, a, b) for n, (a, b) in enumerate(zip(losses, evals, strict=False))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "train_loss", "val_loss"])
        writer.writerows([["" if cell is None else repr(cell) for cell in row] for row in rows])
    if not any(a is not None or b is not None for _, a, b in rows):
        return
    found = table(path)
    for column, metric in ((1, "train/loss"), (2, "eval/loss")):
        expected = [(row[0], row[column]) for row in rows if row[column] is not None]
        got = curve(found, metric)
        assert [step for step, _ in got] == [step for step, _ in expected]
        np.testing.assert_array_equal([v for _, v in got], [v for _, v in expected])
    assert frame(found)["row"].min() >= 2


@given(body=st.binary(max_size=300))
def test_any_bytes_below_a_header_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "log.csv"
    path.write_bytes(b"step,loss\n" + body)
    try:
        (found,) = csv_table.read(path, path.parent)
    except ValueError:
        return
    assert len(frame(found)) > 0


@given(head=st.binary(max_size=200))
def test_claiming_never_raises(head: bytes) -> None:
    csv_table.claims(Path("x.csv"), head)
    csv_table.claims(Path("x.csv"), b"step,loss\n" + head)
