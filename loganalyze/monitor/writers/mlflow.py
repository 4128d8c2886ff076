"""MLflow: a run in the store of ``MLFLOW_TRACKING_URI``, or in ``mlflow.db`` of the run's directory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loganalyze.monitor.writers.writer import Kind
from loganalyze.names import canonical
from loganalyze.report.redact import redact_value

EXPERIMENT = "loganalyze"
MOST_TEXT = 500  # characters of a parameter; MLflow takes no more


class MLflowWriter:
    """Writes metrics with MLflow's client; it sends them from a thread of its own."""

    def __init__(self, directory: Path, run: str, config: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{directory / 'mlflow.db'}"
        self._client = MlflowClient(place)
        known = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT)
        self._run = self._client.create_run(experiment, run_name=run).info.run_id
        told = [
            Param(str(key), str(redact_value(str(key), value))[:MOST_TEXT])
            for key, value in config.items()
        ]
        if told:
            self._client.log_batch(self._run, params=told)
        self._sent: Any = None  # what was handed over last

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Hand the numbers over to the client's thread."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(canonical(name), value, now, step) for name, value in found.items()]
        self._sent = self._client.log_batch(self._run, metrics=metrics, synchronous=False)

    def close(self) -> None:
        """Wait for what is on its way, and end the run."""
        if self._sent is not None:
            self._sent.wait()  # all before it were sent before it
        self._client.set_terminated(self._run)


KIND = Kind("mlflow", MLflowWriter)
