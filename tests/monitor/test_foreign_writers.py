"""MLflow and W&B start threads, processes and migrations of their own: each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loganalyze.ingest import load

PROGRAM = """
import sys
from loganalyze.monitor import Monitor
config = {"learning_rate": 0.001, "api_key": "abcdef123456"}
monitor = Monitor(sys.argv[1], writers=[sys.argv[2]], config=config)
for step in range(1, 31):
    monitor.log(step, loss=3.0 / step if step != 7 else float("nan"), grad_norm=1.0)
monitor.finish()
assert monitor._writers[0]._quiet.failures == 0
"""
LOSS = [3.0 / step if step != 7 else np.nan for step in range(1, 31)]


@pytest.mark.parametrize(
    ("writer", "left"), [("mlflow", "mlflow.db"), ("wandb", "wandb/offline-run-*")]
)
def test_what_is_written_is_read_back(tmp_path: Path, writer: str, left: str):
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "MLFLOW", "PYTHONWARN"))
    }
    environment = {**kept, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "exp"), writer],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "exp").glob(left)  # W&B without a key is offline
    run = load(path)
    series = run.series("train/loss")
    assert list(series.step) == list(range(1, 31))
    np.testing.assert_allclose(series.value, LOSS)
    assert run.number("learning_rate") == 0.001
    assert "abcdef123456" not in str(dict(run.config))
