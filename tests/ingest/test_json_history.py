from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.frame import METRIC_COLUMNS
from loganalyze.ingest import json_history, load, load_all
from loganalyze.ingest.ingester import HEAD_BYTES, Table


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(path: Path, *records: dict[str, Any]) -> Path:
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


def table(path: Path, root: Path | None = None) -> Table:
    assert json_history.claims(path, path.read_bytes()[:HEAD_BYTES])
    (found,) = json_history.read(path, root or path.parent)
    return found


def frame(found: Table) -> pd.DataFrame:
    assert found.metrics is not None
    assert tuple(found.metrics.columns) == METRIC_COLUMNS
    return found.metrics


def curve(found: Table, metric: str) -> list[tuple[int, float]]:
    rows = frame(found)
    rows = rows[rows["metric"] == metric]
    return list(zip(rows["step"].tolist(), rows["value"].tolist(), strict=True))


def test_detectron_counts_iterations_and_times_them(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "metrics.json",
        {
            "data_time": 0.1,
            "iteration": 19,
            "loss_cls": 0.5,
            "lr": 0.01,
            "time": 0.25,
            "total_loss": 2.0,
        },
        {
            "data_time": 0.1,
            "iteration": 39,
            "loss_cls": 0.4,
            "lr": 0.02,
            "time": 0.25,
            "total_loss": 1.5,
        },
        {"bbox/AP": 30.5, "iteration": 39},
    )
    found = table(path)
    assert curve(found, "train/loss") == [(19, 2.0), (39, 1.5)]
    assert curve(found, "perf/step_seconds") == [(19, 0.25), (39, 0.25)]
    assert curve(found, "loss_cls") == [(19, 0.5), (39, 0.4)]
    assert curve(found, "bbox/AP") == [(39, 30.5)]
    assert found.facts.framework == "detectron2"
    assert found.problems == ()
    assert set(frame(found)["row"]) == {1, 2, 3}


def test_lines_that_are_longer_than_the_head_of_the_file(tmp_path: Path) -> None:
    many = {f"rpn/number_{n}": n for n in range(400)}
    records = [{"iteration": step, "total_loss": 1.0 / step, **many} for step in (20, 40)]
    assert len(curve(table(lines(tmp_path / "metrics.json", *records)), "train/loss")) == 2


def test_a_file_that_five_starts_were_appended_to_ends_with_the_last(tmp_path: Path) -> None:
    starts = [(19, 39, 59), (19, 39, 59, 79), (19,), (19, 39), (19, 39, 59)]
    records = [
        {"iteration": step, "lr": 0.1, "total_loss": 100.0 * start + step}
        for start, steps in enumerate(starts)
        for step in steps
    ]
    path = lines(tmp_path / "metrics.json", *records)
    series = load(path).series("train/loss")
    assert series.value.tolist() == [419.0, 439.0, 459.0]
    # The third start logged one point, at the very step where the fourth one began.
    assert frame(table(path))["segment"].max() == 3


def mmcv(epochs: int, length: int, every: int, validation: int | None) -> list[dict[str, Any]]:
    """Return what MMCV's TextLoggerHook writes; newer versions give the length of the validation."""
    records: list[dict[str, Any]] = [
        {"env_info": "sys.platform: linux\n" * 300, "seed": 1, "exp_name": "x.py"}
    ]
    for epoch in range(1, epochs + 1):
        records += [
            {"mode": "train", "epoch": epoch, "iter": place, "lr": 0.1, "memory": 100, "data_time": 0.1,
             "loss_cls": 0.5, "loss": 10.0 / (epoch * length + place), "time": 0.5}
            for place in range(every, length + 1, every)
        ]  # fmt: skip
        records.append(
            {
                "mode": "val",
                "epoch": epoch,
                "iter": validation or length,
                "lr": 0.1,
                "bbox_mAP": epoch / 10,
            }
        )
    return records


@pytest.mark.parametrize(
    ("length", "every", "validation", "learned"),
    [(100, 50, None, 100), (120, 50, None, 120), (120, 50, 7, 100), (120, 50, 5000, 100)],
)
def test_places_in_the_epochs_of_mmcv_are_counted_on(
    tmp_path: Path, length: int, every: int, validation: int | None, learned: int
) -> None:
    path = lines(tmp_path / "20220101_000000.log.json", *mmcv(3, length, every, validation))
    assert len(path.read_bytes().splitlines()[0]) > HEAD_BYTES
    found = table(path)
    steps = [step for step, _ in curve(found, "train/loss")]
    assert steps == [epoch * learned + place for epoch in range(3) for place in (50, 100)]
    assert curve(found, "eval/bbox_map") == [(learned, 0.1), (2 * learned, 0.2), (3 * learned, 0.3)]
    assert set(frame(found)["segment"]) == {0}
    assert len(curve(found, "train/learning_rate")) == 6  # of the training, not of the evaluation
    assert "eval/lr" not in set(frame(found)["metric"])
    assert any(f"{learned} of them" in problem.text for problem in found.problems)


def test_the_iterations_of_mmcv_s_other_runner_are_steps(tmp_path: Path) -> None:
    # IterBasedRunner: iterations go on, and an evaluation is called "train" with its own length.
    train = {"mode": "train", "lr": 0.1, "memory": 1, "data_time": 0.1, "time": 0.5}
    path = lines(
        tmp_path / "None.log.json",
        {"env_info": "x"},
        {**train, "epoch": 5, "iter": 15_950, "loss": 3.25},
        {
            "mode": "train",
            "epoch": 6,
            "iter": 500,
            "lr": 0.1,
            "memory": 1,
            "aAcc": 0.9,
            "mIoU": 0.5,
        },
        {**train, "epoch": 6, "iter": 16_050, "loss": 3.0},
    )
    found = table(path)
    assert curve(found, "train/loss") == [(15_950, 3.25), (16_050, 3.0)]
    assert curve(found, "eval/miou") == [(15_950, 0.5)]
    assert set(frame(found)["segment"]) == {0}


@pytest.mark.parametrize("extra", [{}, {"iter": 1}])
def test_an_evaluation_of_mmengine_counts_epochs_and_stands_after_its_training(
    tmp_path: Path, extra: dict[str, int]
) -> None:
    records: list[dict[str, Any]] = []
    for step in (10, 20, 30, 40):
        counter = {"iter": step} if extra else {}
        records.append(
            {"lr": 0.1, "data_time": 0.1, "loss": 100.0 / step, "time": 0.5, "epoch": 1 + step // 21,
             **counter, "memory": 5, "step": step}
        )  # fmt: skip
        if step % 20 == 0:
            records.append(
                {"coco/bbox_mAP": step / 100, "data_time": 0.1, "time": 0.2, "step": step // 20}
            )
    path = lines(tmp_path / "20230101_000000" / "vis_data" / "scalars.json", *records)
    found = table(path, tmp_path)
    assert [step for step, _ in curve(found, "train/loss")] == [10, 20, 30, 40]
    assert curve(found, "eval/coco/bbox_map") == [(20, 0.2), (40, 0.4)]
    assert len(curve(found, "perf/step_seconds")) == 4
    assert set(frame(found)["segment"]) == {0}
    assert found.run == "20230101_000000"


def test_the_two_copies_that_mmengine_writes_are_read_once(tmp_path: Path) -> None:
    records = [{"lr": 0.1, "loss": 1.0 / n, "iter": n, "step": n} for n in range(1, 4)]
    folder = tmp_path / "20230101_000000" / "vis_data"
    lines(folder / "scalars.json", *records)
    copy = lines(folder / "20230101_000000.json", *records)
    (run,) = load_all(tmp_path)
    assert run.series("train/loss").step.tolist() == [1, 2, 3]
    assert len(run.metrics) == 6
    assert json_history.read(copy, tmp_path) == []
    (folder / "scalars.json").unlink()
    assert len(load(tmp_path).metrics) == 6


HISTORY = {"accuracy": [0.5, 0.6], "loss": [2.0, 1.5], "val_loss": [2.5, 2.25], "lr": [0.1, 0.1]}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(HISTORY),
        json.dumps(HISTORY, indent=2),
        json.dumps({"history": HISTORY, "params": {"epochs": 2}, "epoch": [0, 1]}),
        pd.DataFrame(HISTORY).to_json(),
        pd.DataFrame(HISTORY).to_json(orient="records", indent=1).replace('"accuracy"', '"epoch":0,"accuracy"', 1)
        .replace('"accuracy":0.6', '"epoch":1,"accuracy":0.6'),
    ],
    ids=["plain", "indented", "wrapped", "pandas", "records"],
)  # fmt: skip
def test_the_history_of_keras_counts_epochs_from_zero(tmp_path: Path, text: str) -> None:
    found = table(write(tmp_path / "history.json", text))
    assert curve(found, "train/loss") == [(0, 2.0), (1, 1.5)]
    assert curve(found, "eval/loss") == [(0, 2.5), (1, 2.25)]
    assert frame(found)["epoch"].tolist()[-1] == 1.0
    assert frame(found)["row"].tolist()[-1] == 2


def test_lists_of_other_lengths_are_left_out_and_told(tmp_path: Path) -> None:
    text = json.dumps({"train_loss": [3, 2, 1], "val_loss": [3, 2, 1], "batch_loss": [1.0] * 30})
    found = table(write(tmp_path / "log.json", text))
    assert curve(found, "train/loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert found.problems[0].text == "lists that are not 3 long were left out: batch_loss"
    assert found.problems[0].lossy


def test_a_list_of_steps_is_the_axis_of_the_others(tmp_path: Path) -> None:
    text = json.dumps({"steps": [10, 20], "loss": [2.0, 1.0]})
    assert curve(table(write(tmp_path / "h.json", text)), "train/loss") == [(10, 2.0), (20, 1.0)]


def test_the_epochs_of_allennlp_are_one_run(tmp_path: Path) -> None:
    for epoch in range(12):
        metrics = {
            "best_epoch": 0, "peak_worker_0_memory_MB": 5.5, "training_duration": "0:01:00",
            "training_start_epoch": 0, "training_epochs": epoch, "epoch": epoch,
            "training_accuracy": 0.5, "training_loss": 1.0 / (1 + epoch), "validation_loss": 2.0,
            "best_validation_loss": 2.0,
        }  # fmt: skip
        write(tmp_path / f"metrics_epoch_{epoch}.json", json.dumps(metrics, indent=2))
    write(tmp_path / "metrics.json", json.dumps(metrics, indent=2))
    (run,) = load_all(tmp_path)
    series = run.series("train/loss")
    assert series.step.tolist() == list(range(12))
    assert run.framework == "allennlp"
    assert set(run.metrics["segment"]) == {0}
    assert len(run.metrics[run.metrics["metric"] == "train/loss"]) == 12
    assert not [name for name in run.metrics["metric"].cat.categories if "best" in name]
    (tmp_path / "metrics_epoch_11.json").unlink()
    assert load(tmp_path).series("train/loss").step.tolist() == list(range(12))


def test_tokens_of_python_are_values_on_either_road(tmp_path: Path) -> None:
    uniform = '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": -Infinity}\n'
    for text in (uniform, uniform + '{"step": 4, "loss": "text"}\n'):
        values = [
            value for _, value in curve(table(write(tmp_path / "log.json", text)), "train/loss")
        ]
        assert values[0] == 2.0
        assert math.isnan(values[1])
        assert values[2] == -math.inf
        assert len(values) == 3


def test_a_line_that_is_cut_off_costs_itself_only(tmp_path: Path) -> None:
    text = '{"step": 1, "loss": 2.0}\n\n{"step": 2, "loss": 1.5}\nKilled\n{"step": 3, "lo'
    found = table(write(tmp_path / "metrics.json", text))
    assert curve(found, "train/loss") == [(1, 2.0), (2, 1.5)]
    assert frame(found)["row"].tolist() == [1, 3]
    assert [problem.row for problem in found.problems] == [4, 5]


def test_a_last_line_that_is_cut_off_is_told_with_its_number(tmp_path: Path) -> None:
    text = '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.5}\n{"step": 3, "lo'
    found = table(write(tmp_path / "metrics.json", text))
    assert curve(found, "train/loss") == [(1, 2.0), (2, 1.5)]
    assert [problem.row for problem in found.problems] == [3]


def test_a_list_that_is_cut_off_keeps_its_complete_entries(tmp_path: Path) -> None:
    text = '[{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1.5}, {"epoch": 3, "tr'
    found = table(write(tmp_path / "log.json", text))
    assert curve(found, "train/loss") == [(1, 2.0), (2, 1.5)]
    assert "2 complete records" in found.problems[0].text


def test_nested_records_and_named_splits(tmp_path: Path) -> None:
    nested = lines(
        tmp_path / "a" / "log.json", {"epoch": 1, "train": {"loss": 2.0}, "val": {"loss": 2.5}}
    )
    parted = lines(
        tmp_path / "b" / "log.json",
        {"epoch": 1, "split": "train", "loss": 2.0},
        {"epoch": 1, "split": "val", "loss": 2.5},
    )
    for path in (nested, parted):
        found = table(path)
        assert curve(found, "train/loss") == [(1, 2.0)]
        assert curve(found, "eval/loss") == [(1, 2.5)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("all_results.json", {"epoch": 3.0, "train_loss": 1.5, "train_runtime": 12.5}),
        ("eval_results.json", {"epoch": 3.0, "eval_loss": 1.5, "eval_runtime": 12.5}),
        ("metrics.json", {"accuracy": 0.5, "f1": 0.5, "confusion": {"tp": 1}}),
        ("config.json", {"vocab_size": 10, "loss_weights": [1.0, 2.0], "epochs": 3}),
        ("config.json", {"epoch": 3, "loss": "mse", "lr": 0.1}),
        ("best.json", {"epoch": 3, "loss": 0.25, "path": "a.pt"}),
        ("splits.json", {"train_idx": [1, 2], "val_idx": [3], "test_idx": [4]}),
        ("predictions.json", [{"id": 1, "loss": 0.5}]),
        ("vocab.json", {"loss": 17, "step": 18}),
        ("tokenizer.json", {"version": "1.0", "model": {"vocab": {"step": 1, "loss": 2}}}),
    ],
)
def test_other_files_are_left_alone(name: str, value: object) -> None:
    text = json.dumps(value, indent=2)
    assert not json_history.claims(Path(name), text.encode())


def test_what_holds_no_record_is_refused_in_words(tmp_path: Path) -> None:
    for text in ('{"loss": [1, 2', "[", '{"loss": {}}'):
        with pytest.raises(ValueError, match="no "):
            json_history.read(write(tmp_path / "history.json", text), tmp_path)


NUMBERS = st.floats(width=32)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "loss": NUMBERS,
        "val_loss": NUMBERS,
        "decode.loss_seg": NUMBERS,
        "deep": st.fixed_dictionaries({"er": st.fixed_dictionaries({"loss": NUMBERS})}),
        "time": st.sampled_from(["2023-07-22T04:26:40", "2023-07-22T04:26:40.250"]),
    },
)


@given(records=st.lists(RECORDS, min_size=2))
def test_either_road_gives_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    steps = [{"step": at, **record} for at, record in enumerate(records)]
    whole = lines(folder / "a.json", *steps)
    count = sum(len(set(record) - {"time"}) for record in records)
    if not count:
        return
    parted = write(folder / "b.json", b"\n" + whole.read_bytes() + b'{"loss": true}')
    listed = write(folder / "c.json", json.dumps(steps, indent=1))
    frames = []
    for path in (whole, parted, listed):
        (found,) = json_history.read(path, folder)
        assert found.problems == ()
        rows = frame(found)
        columns = rows[["metric", "name", "step", "value", "segment", "time"]]
        columns = columns.astype({"metric": str, "name": str})
        frames.append(columns.sort_values(["step", "metric"], ignore_index=True))
        assert len(rows) == count
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for start in (b'{"step": 1, "loss": 2.0}\n', b'[{"step": 1, "loss": 2.0}', b""):
        path = write(folder / "log.json", start + data)
        json_history.claims(path, start + data)
        try:
            json_history.read(path, folder)
        except ValueError:
            continue
