import math
from pathlib import Path

import numpy as np

from loganalyze.ingest import load
from loganalyze.ingest import tensorboard as event_files
from loganalyze.monitor import Monitor
from loganalyze.monitor.recorder import JOURNAL, NUMBERS

LOSS = [2.0, 1.5, math.nan, 1.25, 1.125]


def logged(tmp_path: Path, writer: str) -> Path:
    monitor = Monitor(tmp_path / "exp", writers=[writer])
    for step, loss in enumerate(LOSS, 1):
        monitor.log(10 * step, loss=loss, grad_norm=1.0)
    monitor.finish()
    assert all(writer._quiet.failures == 0 for writer in monitor._writers)
    for name in (NUMBERS, JOURNAL, "diagnosis.json", "postmortem.html"):
        (tmp_path / "exp" / name).unlink()  # what the writer left must stand alone
    return tmp_path / "exp"


def test_what_is_written_is_read_back(tmp_path: Path):
    series = load(logged(tmp_path, "tensorboard")).series("train/loss")
    assert list(series.step) == [10, 20, 30, 40, 50]
    np.testing.assert_allclose(series.value, LOSS)


def test_the_moving_averages_are_there_for_a_dashboard(tmp_path: Path):
    folder = logged(tmp_path, "tensorboard") / "tensorboard"
    (table,) = (event_files.read(path, folder)[0] for path in folder.iterdir())
    assert {
        "train/loss",
        "train/grad_norm",
        "monitor/loss_ema",
        "monitor/grad_norm_ema",
        "monitor/findings",
    } <= set(table.frame["name"])


def test_both_places_are_one_run(tmp_path: Path):
    monitor = Monitor(tmp_path / "exp", writers=["tensorboard"])
    for step in range(1, 60):
        monitor.log(step, loss=2 / step + 1, grad_norm=1.0)
    diagnosis = monitor.finish()
    assert not diagnosis.run.others
    assert not {"sources-disagree", "steps-overlap"} & {
        finding.id for finding in diagnosis.findings
    }


def test_a_writer_that_fails_costs_its_own_numbers(tmp_path: Path, monkeypatch, caplog):
    monitor = Monitor(tmp_path, writers=["tensorboard"])

    def broken(*arguments: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(monitor._writers[0]._writer, "write", broken)
    for step in range(1, 11):
        monitor.log(step, loss=1.0)
    assert len(monitor.run().series("train/loss")) == 10
    assert sum("away" in record.message for record in caplog.records) == 1
    monitor.finish()
