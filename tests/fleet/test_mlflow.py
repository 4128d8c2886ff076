"""Runs of MLflow: each of a database and of a server is a unit of its own."""

from __future__ import annotations

import warnings
from pathlib import Path

from loganalyze.fleet.plan import Plan
from loganalyze.fleet.scan import scan
from tests.mlflow_server import Server


def logged(database: Path, names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{database}")
        for name in names:
            run = client.create_run("0", run_name=name)
            for step in range(1, 60):
                client.log_metric(run.info.run_id, "loss", 1 / step, step=step)
            client.set_terminated(run.info.run_id)


def test_each_run_of_a_database_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    logged(folder / "mlflow.db", ["one", "two"])
    plan = Plan(index=tmp_path / "index", workers=1)
    found = scan(folder, plan=plan)
    assert len(found.rows) == 2
    assert all(row.path.startswith(f"mlflow:sqlite:///{folder}/mlflow.db#") for row in found.rows)
    assert all(row.last_step == 59 for row in found.rows)
    logged(folder / "mlflow.db", ["three"])
    again = scan(folder, plan=plan)
    assert (len(again.rows), again.costs.known) == (3, 2)


def test_runs_of_a_server_are_listed_once_and_then_known(server: Server, tmp_path: Path) -> None:
    plan = Plan(index=tmp_path / "index", workers=1)
    found = scan(f"mlflow:{server.uri}", plan=plan)
    assert {row.path for row in found.rows} <= {
        f"mlflow:{server.uri}#{i}" for i in server.ids.values()
    }
    assert len(found.rows) >= 2
    assert found.costs.requests > 0
    again = scan(f"mlflow:{server.uri}", plan=plan)
    assert (again.costs.known, again.costs.requests) == (again.costs.units, 0)
    assert again.rows == found.rows
