from __future__ import annotations

import math
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest import mlflow, mlflow_files, mlflow_sqlite
from loganalyze.ingest.discover import discover
from loganalyze.ingest.ingester import Table
from loganalyze.run import Status

LOSSES = [2.5, 1.25, math.nan, math.inf, -math.inf, 0.5]
Write = Callable[..., Any]


@pytest.fixture(params=["files", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of an empty store in `tmp_path`."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports
        from mlflow import MlflowClient

        uri = (tmp_path / "mlruns").as_uri()
        if request.param == "sqlite":
            uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        client = MlflowClient(tracking_uri=uri)
        client.create_experiment("sample", artifact_location=(tmp_path / "artifacts").as_uri())
        yield client
        engine = getattr(client._tracking_client.store, "engine", None)
        if engine is not None:
            engine.dispose()


def start(store: Any, name: str = "first") -> str:
    experiment = store.get_experiment_by_name("sample").experiment_id
    return str(store.create_run(experiment, run_name=name).info.run_id)


def log_losses(store: Any, run: str, values: list[float] = LOSSES) -> None:
    for step, value in enumerate(values, start=1):
        store.log_metric(run, "train/loss", value, step=step, timestamp=1_700_000_000_000 + step)


def tables(root: Path) -> list[Table]:
    return discover(root, [mlflow.FILE_STORE, mlflow.DATABASE]).tables


def test_every_value_comes_back_with_its_step_and_time(store: Any, tmp_path: Path) -> None:
    run = start(store)
    log_losses(store, run)
    (table,) = tables(tmp_path)
    assert table.run == f"mlflow:{run}"
    assert table.metrics is not None
    rows = table.metrics.sort_values("step")
    assert list(rows["step"]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(rows["value"], LOSSES)
    np.testing.assert_allclose(rows["time"], 1_700_000_000 + rows["step"] / 1000, rtol=0, atol=1e-6)
    assert set(rows["metric"]) == {"train/loss"}
    assert (rows["segment"] == 0).all()


@pytest.mark.parametrize(
    ("ended", "status"),
    [("FINISHED", Status.COMPLETED), ("FAILED", Status.CRASHED), ("KILLED", Status.CRASHED)],
)
def test_how_a_run_ended_is_read(store: Any, tmp_path: Path, ended: str, status: Status) -> None:
    run = start(store)
    store.set_terminated(run, ended, end_time=1_800_000_000_500)
    (table,) = tables(tmp_path)
    assert table.facts.status is status
    assert table.facts.ended == 1_800_000_000.5
    assert table.facts.name == "first"
    assert table.facts.framework is None


def test_a_run_in_progress_is_running(store: Any, tmp_path: Path) -> None:
    start(store)
    (table,) = tables(tmp_path)
    assert table.facts.status is Status.RUNNING
    assert table.facts.ended is None


def test_parameters_and_tags_become_settings(store: Any, tmp_path: Path) -> None:
    run = start(store)
    store.log_param(run, "optimizer/lr", 1e-5)
    store.log_param(run, "bf16", True)
    store.set_tag(run, "team", "vision")
    store.set_tag(run, "history", "x" * 2_000)
    (table,) = tables(tmp_path)
    assert table.config["optimizer/lr"].value == 1e-5
    assert "params" in table.config["optimizer/lr"].where
    assert table.config["bf16"].value is True
    assert table.config["tags.team"].value == "vision"
    assert "tags.history" not in table.config


def test_points_logged_without_steps_are_counted(store: Any, tmp_path: Path) -> None:
    run = start(store)
    for number, value in enumerate([3.0, 2.0, 1.0]):
        store.log_metric(run, "loss", value, timestamp=1_700_000_000_000 + 1000 * number)
    (table,) = tables(tmp_path)
    assert table.metrics is not None
    rows = table.metrics.sort_values("step")
    assert list(rows["step"]) == [1, 2, 3]
    assert list(rows["value"]) == [3.0, 2.0, 1.0]
    (problem,) = table.problems
    assert "counted" in problem.text
    assert not problem.lossy


def test_a_restart_supersedes_what_it_logs_again(store: Any, tmp_path: Path) -> None:
    run = start(store)
    for time, (step, value) in enumerate([(1, 9.0), (2, 8.0), (3, 7.0), (2, 5.0), (3, 4.0)]):
        store.log_metric(run, "loss", value, step=step, timestamp=1_700_000_000_000 + time)
    series = la.load(tmp_path).series("train/loss")
    assert list(series.step) == [1, 2, 3]
    assert list(series.value) == [9.0, 5.0, 4.0]


def test_each_run_of_a_store_is_a_run(store: Any, tmp_path: Path) -> None:
    for name in ("first", "second"):
        log_losses(store, start(store, name), [1.0, 0.5, 0.25])
    run = la.load(tmp_path, run="first")
    assert run.name == "first"
    assert run.others == ("second",)
    assert len(run.series("train/loss")) == 3


def test_deleted_runs_are_read_only_if_there_is_no_other(store: Any, tmp_path: Path) -> None:
    gone = start(store, "gone")
    log_losses(store, gone)
    store.delete_run(gone)
    assert [table.facts.name for table in tables(tmp_path)] == ["gone"]
    log_losses(store, start(store, "kept"))
    assert [table.facts.name for table in tables(tmp_path)] == ["kept"]


def test_reading_changes_and_adds_no_file(store: Any, tmp_path: Path) -> None:
    log_losses(store, start(store))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tables(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run's folder as MLflow 1.0 wrote it: no steps, a number for the status."""
    run = tmp_path / "mlruns" / "0" / "abc"
    (run / "metrics").mkdir(parents=True)
    (run / "meta.yaml").write_text("artifact_uri: ./x\nrun_uuid: abc\nstatus: 4\nname: ''\n")
    return run


def test_broken_lines_are_named_and_the_rest_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "metrics" / "loss").write_bytes(
        b"1000 2.5 1\nhalf a li\n2000 2.0 2\n3000 nan 3\n\n40"
    )
    (table,) = tables(tmp_path)
    assert table.metrics is not None
    assert list(table.metrics["row"]) == [1, 3, 4]
    assert set(table.metrics["source"]) == {"mlruns/0/abc/metrics/loss"}
    (problem,) = table.problems
    assert problem.lossy
    assert problem.row == 2
    assert "2 broken lines" in problem.text


def test_an_old_store_without_steps_is_read(folder: Path, tmp_path: Path) -> None:
    (folder / "metrics" / "loss").write_text("1000 2.5\n2000 2.0\n")
    (table,) = tables(tmp_path)
    assert table.metrics is not None
    assert list(table.metrics["step"]) == [1, 2]
    assert table.facts.status is Status.CRASHED
    assert table.run == "mlflow:abc"


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("1000 2.5 1\n")
    (folder / "metrics" / "loss").symlink_to(outside)
    (table,) = tables(folder)
    assert table.metrics is not None
    assert len(table.metrics) == 0


def test_a_hostile_meta_file_costs_only_what_it_says(folder: Path, tmp_path: Path) -> None:
    (folder / "meta.yaml").write_text("run_uuid: abc\nartifact_uri: x\nname: " + "[" * 50_000)
    (folder / "metrics" / "loss").write_text("1000 2.5 1\n")
    (table,) = tables(tmp_path)
    assert table.metrics is not None
    assert len(table.metrics) == 1
    assert table.facts.status is None


def test_other_folders_are_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    assert not mlflow_files.claims_run_folder(tmp_path, b"")
    (tmp_path / "meta.yaml").write_text("experiment_id: 0\nartifact_location: x\n")
    assert not mlflow_files.claims_run_folder(tmp_path, b"")


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


OLD_SCHEMA = (
    "create table runs (run_uuid text, name text, status text)",
    "create table metrics (key text, value real, timestamp integer, run_uuid text)",
    "insert into runs values ('abc', 'old', 'FINISHED')",
    "insert into metrics values ('loss', 2.0, 1000, 'abc'), ('loss', 1.0, 2000, 'abc')",
)


def test_an_old_schema_without_steps_is_read(tmp_path: Path) -> None:
    (table,) = mlflow_sqlite.read_database(database(tmp_path / "mlflow.db", *OLD_SCHEMA), tmp_path)
    assert table.metrics is not None
    assert list(table.metrics["step"]) == [1, 2]
    assert table.facts.name == "old"


def test_the_path_of_a_database_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a b?#%41.db"
    assert len(mlflow_sqlite.read_database(database(path, *OLD_SCHEMA), tmp_path)) == 1


def test_what_a_writer_has_not_yet_folded_in_is_read(tmp_path: Path) -> None:
    path = database(tmp_path / "mlflow.db", "pragma journal_mode = wal", *OLD_SCHEMA[:3])
    writer = sqlite3.connect(path)
    writer.execute("insert into metrics values ('loss', 3.0, 3000, 'abc')")
    writer.commit()
    before = sorted((item.name, item.stat().st_mtime_ns) for item in tmp_path.iterdir())
    (table,) = mlflow_sqlite.read_database(path, tmp_path)
    assert sorted((item.name, item.stat().st_mtime_ns) for item in tmp_path.iterdir()) == before
    writer.close()
    assert table.metrics is not None
    assert list(table.metrics["value"]) == [3.0]


def test_another_program_s_database_yields_nothing(tmp_path: Path) -> None:
    path = database(tmp_path / "app.db", "create table runs (id integer)")
    assert mlflow_sqlite.read_database(path, tmp_path) == []


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = database(tmp_path / "mlflow.db", *OLD_SCHEMA)
    data = bytearray(path.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged database"):
        mlflow_sqlite.read_database(path, tmp_path)


POINT = st.tuples(
    st.integers(0, 2**42), st.floats(allow_nan=True, allow_infinity=True), st.integers(-9, 2**60)
)


@given(points=st.lists(st.one_of(POINT, st.sampled_from([b"", b"x y z", b"12", b"1 2 3.5 4"]))))
def test_the_lines_that_are_points_are_kept_and_the_others_numbered(points: list[Any]) -> None:
    lines = [
        item if isinstance(item, bytes) else f"{item[0]} {item[1]} {item[2]}".encode()
        for item in points
    ]
    good = [(n, item) for n, item in enumerate(points, start=1) if isinstance(item, tuple)]
    time, value, step, row, bad = mlflow_files.parse_metric(b"\n".join(lines))
    assert list(row) == [number for number, _ in good]
    np.testing.assert_array_equal(value, np.array([item[1] for _, item in good], dtype=float))
    assert list(step) == [item[2] for _, item in good]
    np.testing.assert_allclose(time, np.array([item[0] / 1000 for _, item in good], dtype=float))
    assert bad == [n for n, line in enumerate(lines, 1) if line in (b"x y z", b"12", b"1 2 3.5 4")]


@given(data=st.binary(max_size=200))
def test_any_bytes_are_points_or_bad_lines(data: bytes) -> None:
    time, value, step, row, bad = mlflow_files.parse_metric(data)
    assert len(time) == len(value) == len(step) == len(row)
    assert len(row) + len(bad) == sum(bool(line.split()) for line in data.split(b"\n"))
