import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest.hf_trainer import parse
from loganalyze.run import EventKind, Status


def state(steps, **more):
    history = [
        {"epoch": s / 10, "grad_norm": 1.0 + s, "learning_rate": 1e-5, "loss": 2.0 - s / 100, "step": s}
        for s in steps
    ]  # fmt: skip
    return {"global_step": max(steps), "max_steps": 100, "num_train_epochs": 3,
            "log_history": history, "logging_steps": 10, "save_steps": 50} | more  # fmt: skip


def write(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_all_checkpoints_of_an_output_directory_are_one_run(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint-50/trainer_state.json", state(range(10, 51, 10)))
    write(tmp_path / "checkpoint-100/trainer_state.json", state(range(10, 101, 10)))
    run = la.load(tmp_path)
    assert run.others == ()
    assert run.series("train/loss").step.tolist() == list(range(10, 101, 10))
    assert run.metrics["segment"].max() == 0
    assert run.status is Status.COMPLETED
    assert run.planned_steps == 100


def test_steps_that_the_latest_state_lacks_are_an_earlier_segment(tmp_path: Path) -> None:
    first = state(range(10, 91, 10))
    first["log_history"][-1]["loss"] = 9.0  # step 90 of a start that was given up
    write(tmp_path / "checkpoint-90/trainer_state.json", first)
    write(tmp_path / "checkpoint-100/trainer_state.json", state([*range(10, 81, 10), 90, 100]))
    run = la.load(tmp_path)
    assert sorted(run.metrics["segment"].unique()) == [0, 1]
    loss = run.series("train/loss")
    assert loss.value_at(90) == pytest.approx(1.1)
    kept = run.metrics[(run.metrics["metric"] == "train/loss") & (run.metrics["value"] == 9.0)]
    assert len(kept) == 1  # the superseded row stays


def test_the_summary_row_is_no_training_step(tmp_path: Path) -> None:
    data = state(range(10, 101, 10))
    data["log_history"].append({"step": 100, "train_loss": 55.0, "train_runtime": 12.5})
    run = la.load(write(tmp_path / "trainer_state.json", data))
    assert 55.0 not in run.metrics["value"].tolist()
    assert len(run.events_of(EventKind.TRAIN_END)) == 1


def test_nan_and_infinity_tokens_are_values_and_strings_stay_whole(tmp_path: Path) -> None:
    text = (
        '{"global_step": 3, "max_steps": 3, "note": "NaN: Infinity, [NaN]", "log_history": ['
        '{"step": 1, "loss": NaN}, {"step": 2, "loss": -Infinity}, {"step": 3, "loss": Infinity}]}'
    )
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    values = la.load(path).series("train/loss").value
    assert np.isnan(values[0])
    assert values[1:].tolist() == [-np.inf, np.inf]
    assert parse(text.encode())[0]["note"] == "NaN: Infinity, [NaN]"


def test_numbers_as_strings_and_the_old_format_are_read(tmp_path: Path) -> None:
    new = {"log_history": [{"step": 1, "loss": "1.976", "ok": True}], "global_step": 1}
    run = la.load(write(tmp_path / "new/trainer_state.json", new))
    assert run.series("train/loss").value.tolist() == [1.976]
    assert "ok" not in set(run.metrics["metric"])
    old = {"log_history": [{"step": 500, "loss": 1.5, "learning_rate": 1e-5, "epoch": 0.5}]}
    run = la.load(write(tmp_path / "old/trainer_state.json", old))
    assert run.series("train/loss").step.tolist() == [500]


def test_a_cut_off_state_keeps_its_complete_entries(tmp_path: Path) -> None:
    text = json.dumps(state(range(10, 101, 10)))
    path = tmp_path / "trainer_state.json"
    path.write_text(text[: text.index('"step": 70')])
    run = la.load(path)
    assert run.series("train/loss").step.tolist() == [10, 20, 30, 40, 50, 60]
    assert run.planned_steps is None or run.planned_steps == 100
    (problem,) = run.sources[0].problems
    assert "6 complete entries" in problem.text


def test_a_dump_of_the_history_alone_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "log_history.json", state(range(10, 51, 10))["log_history"])
    assert len(la.load(path).series("train/loss")) == 5


def test_a_step_that_falls_back_opens_a_segment(tmp_path: Path) -> None:
    data = state([10, 20, 30, 20, 30, 40], global_step=40)
    run = la.load(write(tmp_path / "trainer_state.json", data))
    assert run.metrics["segment"].max() == 1
    assert run.series("train/loss").step.tolist() == [10, 20, 30, 40]


number = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=60, deadline=None)
@given(st.lists(number, min_size=1, max_size=30), st.text(max_size=40))
def test_any_history_survives_the_round_trip(losses: list[float], note: str) -> None:
    history = [{"step": i, "loss": value, "note": note} for i, value in enumerate(losses, 1)]
    data = json.dumps({"log_history": history, "global_step": len(losses)}).encode()
    parsed = parse(data)[0]["log_history"]
    assert [float(entry["loss"]) for entry in parsed] == pytest.approx(losses, nan_ok=True)
    assert {entry["note"] for entry in parsed} == {note}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_state_or_a_value_error(data: bytes) -> None:
    try:
        parse(b'{"log_history": [' + data)
    except ValueError:
        return
