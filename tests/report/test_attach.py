"""A diagnosis attached to its run on MLflow: a real server on loopback, real stores on this machine."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import loganalyze as la
from loganalyze.report.attach import FOLDER, attach, attachable, tags
from loganalyze.report.html import render
from tests.builders import make_run
from tests.mlflow_server import QUIET, Server, free_port


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in QUIET.items():
        monkeypatch.setenv(key, value)


def client(uri: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)


def attached(uri: str, run_id: str, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The tags of ours that a run has, and the artifacts with their text."""
    store = client(uri)
    run = store.get_run(run_id)
    files = {}
    for item in store.list_artifacts(run_id, FOLDER):
        files[item.path] = Path(store.download_artifacts(run_id, item.path, str(folder))).read_text(
            "utf-8"
        )
    return {k: v for k, v in run.data.tags.items() if k.startswith("loganalyze.")}, files


@pytest.mark.usefixtures("quiet")
def test_a_run_on_a_server_gets_report_json_and_verdict(
    server: Server, call, tmp_path: Path
) -> None:
    address = f"mlflow:{server.uri}#{server.ids['failed']}"
    before = call("diagnose", address, "--format", "json")[1]
    code, _, err = call("report", address, "-o", "r.html", "--json", "r.json", "--log-to-mlflow")
    assert code == 0
    assert f"Attached to {address}" in err
    (tmp_path / "got").mkdir()
    told, files = attached(server.uri, server.ids["failed"], tmp_path / "got")
    document = json.loads(before)
    assert told["loganalyze.verdict"] == document["verdict"]["level"]
    assert told["loganalyze.headline"] == document["verdict"]["headline"]
    assert told["loganalyze.version"] == la.__version__
    assert files == {
        "loganalyze/postmortem.html": Path("r.html").read_text("utf-8"),
        "loganalyze/diagnosis.json": Path("r.json").read_text("utf-8"),
    }
    # What was attached is not evidence: the diagnosis stays the same, from the server and from its database.
    assert call("diagnose", address, "--format", "json")[1] == before
    local = f"mlflow:sqlite:///{server.database}#{server.ids['failed']}"
    assert not [key for key in la.load(local).config if "loganalyze" in key]
    # Again: what was attached is replaced.
    assert call("report", address, "-o", "r.html", "--log-to-mlflow")[0] == 0
    assert len(attached(server.uri, server.ids["failed"], tmp_path / "got")[1]) == 2


@pytest.mark.usefixtures("quiet")
def test_without_an_id_the_run_that_was_read_gets_it(server: Server, call) -> None:
    _, _, err = call(
        "report", f"mlflow:{server.uri}", "--run", "search/trial-a", "-o", "t.html", "--log-to-mlflow"
    )  # fmt: skip
    assert f"Attached to mlflow:{server.uri}#{server.ids['trial-a']}" in err
    run = client(server.uri).get_run(server.ids["trial-a"])
    assert run.data.tags["loganalyze.findings"] == "crash, insufficient-data"


def test_a_report_alone_changes_nothing_on_the_server(server: Server, call) -> None:
    call("report", f"mlflow:{server.uri}#{server.ids['long']}", "-o", "t.html")
    assert client(server.uri).list_artifacts(server.ids["long"]) == []
    assert not [
        k for k in client(server.uri).get_run(server.ids["long"]).data.tags if "loganalyze" in k
    ]


def store(folder: Path, kind: str) -> tuple[str, str]:
    """Write a run with MLflow into a store on this machine; return the store's address and the id."""
    uri = f"sqlite:///{folder}/mlflow.db" if kind == "sqlite" else f"file://{folder}/mlruns"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = client(uri)
        place = f"file://{folder}/mlruns/artifacts" if kind == "sqlite" else None
        run = made.create_run(made.create_experiment("sample", artifact_location=place))
        for step in range(1, 61):
            made.log_metric(run.info.run_id, "loss", 3 - step / 30, step=step)
        made.set_terminated(run.info.run_id)
    return uri, run.info.run_id


@pytest.mark.parametrize("kind", ["file", "sqlite"])
@pytest.mark.usefixtures("quiet")
def test_a_run_in_a_store_on_this_machine_gets_them_too(
    kind: str, call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as allowed:
        allowed.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        uri, run_id = store(tmp_path, kind)
    code, _, err = call("report", f"mlflow:{uri}#{run_id}", "-o", "r.html", "--log-to-mlflow")
    assert code == 0, err
    (tmp_path / "got").mkdir()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    told, files = attached(uri, run_id, tmp_path / "got")
    assert told["loganalyze.verdict"] == "healthy"
    assert files["loganalyze/postmortem.html"] == Path("r.html").read_text("utf-8")


@pytest.mark.usefixtures("quiet")
def test_a_store_that_points_elsewhere_is_not_followed(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "s").mkdir()
    uri, run_id = store(tmp_path / "s", "file")
    (meta,) = (tmp_path / "s").rglob(f"{run_id}/meta.yaml")
    lines = [
        f"artifact_uri: file://{tmp_path}/victim" if line.startswith("artifact_uri") else line
        for line in meta.read_text("utf-8").splitlines()
    ]
    meta.write_text("\n".join(lines), "utf-8")
    code, _, err = call("report", f"mlflow:{uri}#{run_id}", "-o", "r.html", "--log-to-mlflow")
    assert code == 2
    assert "lies outside of the store" in err
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("runs/x", "name it as mlflow:URI#RUN_ID"),
        ("-", "name it as mlflow:URI#RUN_ID"),
        ("mlflow.db", "name it as mlflow:URI#RUN_ID"),
        ("mlflow:file:///srv/mlruns", "needs the run's id: mlflow:file:///srv/mlruns#RUN_ID"),
    ],
)
def test_what_nothing_can_be_attached_to_is_told_before_it_is_read(call, path, told) -> None:
    code, out, err = call("report", path, "--log-to-mlflow")
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("quiet")
def test_a_database_that_mlflow_would_have_to_migrate_is_left_alone(tmp_path: Path) -> None:
    uri, run_id = store(tmp_path, "sqlite")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")
    database.close()
    before = (tmp_path / "mlflow.db").read_bytes()
    done = subprocess.run(  # MLflow looks at a database once in a process
        [sys.executable, "-m", "loganalyze", "report", f"mlflow:{uri}#{run_id}", "--log-to-mlflow"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(la.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 2
    assert "nothing was attached: MLflow cannot use sqlite:///" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_server_that_is_gone_is_one_line_and_nothing_stays_changed() -> None:
    diagnosis = la.diagnose(make_run(loss=[3.0, 2.0]))
    before = dict(os.environ)
    address = attachable(f"mlflow:http://me:hunter2@127.0.0.1:{free_port()}#{'0' * 32}")
    with pytest.raises(la.UsageError, match="nothing was attached: cannot reach") as caught:
        attach(diagnosis, address, render(diagnosis))
    assert "hunter2" not in str(caught.value)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("uri", "artifacts", "told"),
    [
        ("http://127.0.0.1:5000", "mlflow-artifacts:/1/a", None),
        ("http://127.0.0.1:5000", "/srv/artifacts", None),
        ("http://far.example:5000", "mlflow-artifacts:/1/a", None),
        ("http://far.example:5000", "s3://bucket/a", None),
        ("http://far.example:5000", "/srv/artifacts", "does not serve them"),
        ("http://far.example:5000", "file:///srv/artifacts", "does not serve them"),
        ("file:///srv/mlruns", "s3://bucket/a", "are in s3://bucket/a"),
        ("file:///srv/mlruns", "file:///srv/mlruns/1/a", None),
        ("file:///srv/mlruns", "file:///srv/mlruns/../../etc", "outside of the store"),
    ],
)
def test_where_artifacts_may_go(uri: str, artifacts: str, told: str | None) -> None:
    from loganalyze.report.attach import _check_place

    address = attachable(f"mlflow:{uri}#abc")
    if told is None:
        _check_place(artifacts, address)
    else:
        with pytest.raises(la.UsageError, match=told):
            _check_place(artifacts, address)


def test_tags_are_short_and_hold_no_secret() -> None:
    import dataclasses

    diagnosis = la.diagnose(make_run(loss=[3.0, 2.0]))
    verdict = dataclasses.replace(diagnosis.verdict, headline="token=abcdefgh " + "x" * 9_000)
    told = tags(dataclasses.replace(diagnosis, verdict=verdict))
    assert max(map(len, told.values())) <= 500
    assert "abcdefgh" not in told["loganalyze.headline"]
