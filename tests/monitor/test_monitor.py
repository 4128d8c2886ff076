import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loganalyze.diagnosis import diagnose
from loganalyze.errors import SettingsError, UsageError
from loganalyze.ingest import load
from loganalyze.live.judge import judge
from loganalyze.monitor import Monitor
from loganalyze.settings import Settings


def course(step: int, noise: random.Random) -> dict[str, float]:
    """A healthy training."""
    loss = 2.5 * math.exp(-step / 60) + 0.5 + noise.gauss(0, 0.02)
    return {"loss": loss, "grad_norm": 1 + noise.random(), "lr": 1e-3}


def told(diagnosis) -> list[tuple]:
    return [(f.id, f.severity, f.summary, f.steps, dict(f.evidence)) for f in diagnosis.findings]


def same(left: list[tuple], right: list[tuple]) -> None:
    for a, b in zip(left, right, strict=True):
        assert a[:4] == b[:4]
        assert a[4].keys() == b[4].keys()
        for key, value in a[4].items():
            assert value == b[4][key] or (value != value and b[4][key] != b[4][key])


VALUES = st.one_of(
    st.floats(0.01, 10),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e9, 2.302585, 1e-12]),
)
POINT = st.fixed_dictionaries(
    {"loss": VALUES},
    optional={
        "grad_norm": VALUES,
        "lr": st.floats(0, 1e-2),
        "eval_loss": VALUES,
        "eval_accuracy": VALUES,
    },
)


@settings(max_examples=25)
@given(
    points=st.lists(POINT, min_size=1, max_size=60),
    gaps=st.lists(st.integers(1, 7), min_size=60, max_size=60),
    back=st.one_of(st.none(), st.integers(1, 59)),
    z=st.sampled_from([4.0, 6.0, 9.0]),
)
def test_the_monitor_sees_what_reading_the_directory_gives(tmp_path_factory, points, gaps, back, z):
    folder = tmp_path_factory.mktemp("run")
    thresholds = Settings(changed={"spike.z": z})
    monitor = Monitor(
        folder, planned_steps=500, config={"learning_rate": 1e-3}, settings=thresholds
    )
    step = 0
    for number, values in enumerate(points):
        step = gaps[0] if number == back else step + gaps[number]  # a restart falls back
        monitor.log(step, **values)
        if number % 20 == 19 or number == len(points) - 1:
            live = monitor.judge()
            offline = load(folder)
            same(told(live), told(judge(offline, thresholds)))
            pd.testing.assert_frame_equal(monitor.run().metrics, offline.metrics)
            assert monitor.run().config == offline.config
            assert monitor.run().planned_steps == offline.planned_steps == 500
    same(told(monitor.finish()), told(diagnose(load(folder), thresholds)))


def test_every_look_of_the_monitor_is_at_the_data_so_far(tmp_path: Path, monkeypatch):
    seen = []
    monitor = Monitor(tmp_path)
    look = monitor.judge

    def looking():
        found = look()
        seen.append((told(found), told(judge(load(tmp_path), Settings()))))
        return found

    monkeypatch.setattr(monitor, "judge", looking)
    noise = random.Random(0)
    for step in range(1, 120):
        values = course(step, noise)
        monitor.log(step, **({**values, "loss": 9.0} if step == 70 else values))
    assert len(seen) > 10
    for live, offline in seen:
        same(live, offline)
    monitor.finish()


def test_nan_stops_at_the_second_look(tmp_path: Path):
    monitor, noise = Monitor(tmp_path, stop_on="critical"), random.Random(0)
    stopped = next(
        step
        for step in range(1, 200)
        if monitor.log(
            step, **{**course(step, noise), "loss": math.nan if step >= 100 else 1.0 / step}
        )
    )
    assert 101 <= stopped <= 110
    assert monitor.stopped_by.id == "loss-nonfinite"
    assert monitor.should_stop
    found = monitor.finish()
    assert "run-truncated" not in {finding.id for finding in found.findings}, "it says why it ended"


def test_one_nan_that_recovers_stops_nothing(tmp_path: Path):
    monitor, noise = Monitor(tmp_path, stop_on="critical"), random.Random(0)
    for step in range(1, 200):
        values = course(step, noise)
        assert not monitor.log(step, **({**values, "loss": math.nan} if step == 100 else values))
    monitor.finish()


def test_without_stop_on_nothing_stops(tmp_path: Path):
    monitor = Monitor(tmp_path)
    assert not any(monitor.log(step, loss=math.nan) for step in range(1, 30))
    assert "loss-nonfinite" in {finding.id for finding in monitor.finish().findings}


def test_a_healthy_run_is_judged_healthy(tmp_path: Path):
    noise = random.Random(0)
    with Monitor(tmp_path, planned_steps=300, stop_on="warning") as monitor:
        for step in range(1, 301):
            assert not monitor.log(step, **course(step, noise))
    assert monitor.diagnosis.verdict.level.value == "healthy"
    assert (tmp_path / "postmortem.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "diagnosis.json").read_text())["run"]["status"] == "completed"


def test_steps_in_between_are_not_looked_at(tmp_path: Path):
    class Untouchable:
        def item(self) -> float:
            raise AssertionError("waited for the accelerator")

        __float__ = item

    monitor = Monitor(tmp_path, every=10)
    for step in range(1, 41):
        monitor.log(step, loss=Untouchable() if step % 10 else 2.0 / step)
    assert len(monitor.run().series("train/loss")) == 4
    assert monitor._keeping.failures == 0
    monitor.finish()


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path):
    monitor = Monitor(tmp_path)
    monitor.log(
        1,
        loss=np.float32(2.5),
        note="text",
        flag=True,
        nothing=None,
        nested={"a": 1.0},
        many=np.ones(3),
    )
    assert set(monitor.run().metrics["name"]) == {"loss", "nested/a"}
    monitor.finish()


def test_nothing_that_fails_reaches_the_training(tmp_path: Path, monkeypatch, caplog):
    monitor = Monitor(tmp_path, stop_on="critical")

    def broken(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(monitor._recorder, "add", broken)
    assert not monitor.log(1, loss=1.0)
    assert not monitor.log(2, loss=1.0)
    assert sum("No space left" in record.message for record in caplog.records) == 1, "told once"
    monkeypatch.setattr("loganalyze.monitor.ending.load", broken)
    monitor.finish()


def test_an_error_is_in_the_postmortem(tmp_path: Path):
    noise = random.Random(0)
    monitor = Monitor(tmp_path, planned_steps=500)

    def train() -> None:
        with monitor:
            for step in range(1, 50):
                monitor.log(step, **course(step, noise))
            raise ZeroDivisionError("in the loop")

    with pytest.raises(ZeroDivisionError):
        train()
    crash = next(finding for finding in monitor.diagnosis.findings if finding.id == "crash")
    assert crash.evidence["exception"] == "ZeroDivisionError"
    assert str(crash.evidence["frame"]).startswith("test_monitor.py:")
    assert monitor.diagnosis.run.status.value == "crashed"


def test_a_run_goes_on_in_its_directory(tmp_path: Path):
    noise = random.Random(0)
    points = [(step, course(step, noise)) for step in range(1, 101)]
    whole = Monitor(tmp_path / "whole")
    for step, values in points:
        whole.log(step, **values)
    first = Monitor(tmp_path / "parts")
    for step, values in points[:50]:
        first.log(step, **values)
    second = Monitor(tmp_path / "parts")  # the first one was killed
    for step, values in points[50:]:
        second.log(step, **values)
    columns = ["metric", "step", "value", "segment", "row"]
    left, right = (m.run().metrics[columns].astype({"metric": str}) for m in (whole, second))
    pd.testing.assert_frame_equal(left, right)
    assert second._wires.loss.slow.value == pytest.approx(whole._wires.loss.slow.value)
    assert second._pace.points == whole._pace.points
    pd.testing.assert_frame_equal(second.run().metrics, load(tmp_path / "parts").metrics)
    whole.finish()
    second.finish()


def test_a_restart_at_an_earlier_step_supersedes(tmp_path: Path):
    first = Monitor(tmp_path)
    for step in range(1, 21):
        first.log(step, loss=3.0)
    second = Monitor(tmp_path)
    for step in range(11, 21):
        second.log(step, loss=1.0)
    series = second.run().series("train/loss")
    assert list(series.value) == [3.0] * 10 + [1.0] * 10
    second.finish()


KILLED = """
import os, signal, sys
from loganalyze.monitor import Monitor
monitor = Monitor(sys.argv[1], planned_steps=1000, config={"learning_rate": 0.001})
for step in range(1, 31):
    monitor.log(step, loss=3.0 / step, grad_norm=1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_readable_directory(tmp_path: Path):
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)],
        env={**os.environ, **path},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    run = load(tmp_path)
    assert len(run.series("train/loss")) == 30, "every point that was logged"
    assert run.number("learning_rate") == 0.001
    assert run.status.value == "truncated"
    assert not any(problem.lossy for source in run.sources for problem in source.problems)


def test_a_line_cut_off_by_the_kill_costs_itself(tmp_path: Path):
    monitor = Monitor(tmp_path)
    for step in range(1, 11):
        monitor.log(step, loss=1.0)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step":11,"time":17')
    assert len(load(tmp_path).series("train/loss")) == 10
    resumed = Monitor(tmp_path)
    resumed.log(11, loss=1.0)
    pd.testing.assert_frame_equal(resumed.run().metrics, load(tmp_path).metrics)
    assert not load(tmp_path).sources[1].problems
    resumed.finish()


def test_the_time_that_judging_takes_is_no_time_of_a_step(tmp_path: Path, monkeypatch):
    import time

    def slow(run: object, settings: object) -> None:
        time.sleep(0.2)
        raise ValueError

    monkeypatch.setattr("loganalyze.live.judge.judge", slow)
    monitor = Monitor(tmp_path)
    for step in range(1, 12):
        monitor.log(step, loss=1.0 + step)
    times = monitor.run().series("train/loss").time
    assert times[-1] - times[0] < 0.2
    monitor.finish()


def test_wrong_use_is_told_before_the_training(tmp_path: Path):
    with pytest.raises(UsageError, match="fatal"):
        Monitor(tmp_path / "a", stop_on="fatal")
    with pytest.raises(UsageError, match="no writer is called 'csv'"):
        Monitor(tmp_path / "b", writers=["csv"])
    with pytest.raises(SettingsError, match=r"spike\.zz"):
        Monitor(tmp_path / "c", settings=Settings(changed={"spike.zz": 3}))
