from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import loganalyze as la
from loganalyze.cli import group
from loganalyze.ingest import load_all
from loganalyze.ingest.mlflow_uri import parse_address
from loganalyze.run import Run, Status
from tests.mlflow_server import LONG, SPECIAL, TIME, Server, free_port

PAGE = 3_000


def from_file(server: Server, name: str) -> Run:
    return la.load(f"mlflow:sqlite:///{server.database}#{server.ids[name]}")


def sorted_rows(run: Run) -> pd.DataFrame:
    rows = run.metrics.drop(columns=["source", "row"]).astype({"metric": str, "name": str})
    return rows.sort_values(["name", "time", "step"], ignore_index=True)


@pytest.mark.parametrize("name", ["long", "failed", "trial-a"])
def test_a_server_and_its_database_give_the_same_run(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.tracking._tracking_service.client as service

    monkeypatch.setattr(service, "GET_METRIC_HISTORY_MAX_RESULTS", PAGE)
    run, same = server.load(name), from_file(server, name)
    pd.testing.assert_frame_equal(sorted_rows(run), sorted_rows(same))
    assert run.status is same.status
    assert (run.started, run.ended) == (same.started, same.ended)
    values = {key: item.value for key, item in run.config.items()}
    assert values == {key: item.value for key, item in same.config.items()}
    problems = [problem.text for source in run.sources for problem in source.problems]
    assert problems == [problem.text for source in same.sources for problem in source.problems]


def test_every_point_of_a_long_metric_comes_back(server: Server) -> None:
    series = server.load("long").series("train/loss")
    assert series.step.tolist() == list(range(1, LONG + 1))
    expected = [SPECIAL.get(step, 5.0 / step) for step in range(1, LONG + 1)]
    np.testing.assert_array_equal(series.value, expected)
    np.testing.assert_allclose(series.time, [(TIME + at) / 1000 for at in range(LONG)], atol=1e-6)


def test_a_failed_run_is_a_crash_and_a_killed_one_too(server: Server) -> None:
    run = server.load("failed")
    assert run.status is Status.CRASHED
    assert run.name == "failed"
    assert run.series("train/loss").value.tolist() == [9.0, 5.0, 4.0]
    assert server.load("trial-a").status is Status.CRASHED
    assert server.load("long").status is Status.COMPLETED


def test_without_an_id_the_newest_run_with_metrics_is_read_and_all_are_named(
    server: Server,
) -> None:
    run = la.load(f"mlflow:{server.uri}")
    assert run.name == "search/trial-b"
    assert run.others == ("empty", "search/trial-a", "search", "failed", "long")
    chosen = la.load(f"mlflow:{server.uri}", run="failed")
    assert chosen.status is Status.CRASHED
    with pytest.raises(la.UsageError, match="no run is called 'nobody'"):
        la.load(f"mlflow:{server.uri}", run="nobody")


def test_all_runs_with_metrics_can_be_read(server: Server) -> None:
    names = [run.name for run in load_all(f"mlflow:{server.uri}")]
    assert names == ["search/trial-b", "search/trial-a", "failed", "long"]


def test_only_a_bounded_number_of_runs_is_listed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loganalyze.ingest.mlflow_server.MAX_RUNS", 3)
    run = la.load(f"mlflow:{server.uri}")
    assert len(run.others) == 2
    (problem,) = run.sources[0].problems
    assert "only the newest 3 runs" in problem.text


def test_a_parent_without_metrics_names_its_nested_runs(server: Server) -> None:
    address = f"mlflow:{server.uri}#{server.ids['search']}"
    with pytest.raises(la.NothingReadable, match=r"search/trial-b, search/trial-a"):
        la.load(address)
    run = la.load(address, run="search/trial-a")
    assert run.metrics["value"].tolist() == [2.0]
    assert run.others == ("search", "search/trial-b")


def test_a_wrong_id_is_one_clear_line(server: Server) -> None:
    for identifier in ("0" * 32, "x"):
        with pytest.raises(la.NothingReadable) as caught:
            la.load(f"mlflow:{server.uri}#{identifier}")
        assert str(caught.value).startswith(f"no run {identifier} in {server.uri}")
        assert "\n" not in str(caught.value)


def test_the_password_in_an_address_is_shown_nowhere(server: Server) -> None:
    address = server.uri.replace("http://", "http://me:hunter2@")
    run = la.load(f"mlflow:{address}#{server.ids['failed']}")
    shown = [run.path, *(source.path for source in run.sources), *run.metrics["source"].unique(),
             *(item.where for item in run.config.values()), la.diagnose(run).to_json()]  # fmt: skip
    assert run.path == f"mlflow:{server.uri}#{server.ids['failed']}"
    assert not [text for text in shown if "hunter2" in text]
    with pytest.raises(la.NothingReadable) as caught:
        la.load(f"mlflow:http://me:hunter2@127.0.0.1:{free_port()}#{'0' * 32}")
    assert "hunter2" not in str(caught.value)


def test_nothing_stays_changed_in_the_environment(server: Server) -> None:
    before = dict(os.environ)
    server.load("failed")
    nobody = f"mlflow:http://127.0.0.1:{free_port()}"
    with pytest.raises(la.NothingReadable):
        la.load(nobody)
    assert dict(os.environ) == before


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    port = free_port()
    with pytest.raises(la.NothingReadable) as caught:
        la.load(f"mlflow:http://127.0.0.1:{port}")
    assert str(caught.value) == (
        f"cannot reach http://127.0.0.1:{port}: is the tracking server running, at this address?"
    )


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(la.NothingReadable, match="does not answer in time"):
            la.load(f"mlflow:http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html>hello</html>", "does not answer as an MLflow tracking server"),
        (404, b"not here", "does not answer as an MLflow tracking server"),
        (200, b'{"experiments": 3}', "does not answer as an MLflow tracking server"),
        (200, b"{}", "holds no run"),
        (401, b"who are you?", "set MLFLOW_TRACKING_USERNAME"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', "set MLFLOW_TRACKING_USERNAME"),
    ],
)  # fmt: skip
def test_whatever_answers_gives_one_line(status: int, body: bytes, told: str) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is the base class's

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            with pytest.raises(la.NothingReadable, match=told) as caught:
                la.load(f"mlflow:http://127.0.0.1:{other.server_port}")
        finally:
            other.shutdown()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["sqlite:///", "file://"])
def test_stores_on_this_machine_are_read_as_files(server: Server, scheme: str) -> None:
    identifier = server.ids["failed"]
    run = la.load(f"mlflow:{scheme}{server.database}#{identifier}")
    assert run.path == f"mlflow:{scheme}{server.database}#{identifier}"
    pd.testing.assert_frame_equal(sorted_rows(run), sorted_rows(server.load("failed")))
    assert "long" in la.load(f"mlflow:{scheme}{server.database}", run="failed").others


def test_a_run_that_a_store_on_this_machine_lacks_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(la.NothingReadable, match="nothing readable in mlflow:sqlite:///"):
        la.load(f"mlflow:sqlite:///{server.database}#{'0' * 32}")
    missing = tmp_path / "none.db"
    with pytest.raises(la.NothingReadable, match="does not exist"):
        la.load(f"mlflow:sqlite:///{missing}")
    assert not missing.exists()


@pytest.mark.parametrize(
    "text",
    ["mlflow:", "mlflow:abc", "mlflow:http://", "mlflow:postgresql://u:secret@h/db", "mlflow:http://[",
     "mlflow:http://h#a b", "mlflow:http://h#", "mlflow:http://h#../x"],
)  # fmt: skip
def test_an_address_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(la.UsageError) as caught:
        la.load(text)
    assert "secret" not in str(caught.value)
    assert "http://" in str(caught.value)


def test_what_may_be_secret_in_an_address_is_not_shown() -> None:
    address = parse_address("mlflow:https://me:pass%40word@host:8443/base?token=abc#run1")
    assert address is not None
    assert address.shown == "mlflow:https://host:8443/base#run1"
    assert address.uri == "https://me:pass%40word@host:8443/base?token=abc"


def test_other_paths_are_no_addresses() -> None:
    assert parse_address("runs/mlflow:x") is None
    assert parse_address("mlflow.db") is None


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(group, arguments, catch_exceptions=False, standalone_mode=False)


def test_every_command_takes_an_address(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"mlflow:{server.uri}#{server.ids['trial-a']}"
    invoke("report", address)
    invoke("export", address, "-o", "metrics.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.csv", "trial-a-postmortem.html",
    ]  # fmt: skip
    assert '"trial-a"' in invoke("diagnose", address, "--format", "json").stdout
    assert "mlflow-server" in invoke("inspect", address).stdout
