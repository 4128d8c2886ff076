"""The example package of docs/extending.md, taken out of the page, installed and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import loganalyze as la
from loganalyze import plugins
from loganalyze.detect.detector import Detector

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
FILES = dict(re.findall(r"\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed into."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in FILES.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation",
         "--target", str(folder / "site"), str(folder / "source")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "site"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    lines = ["PULSE 1"]
    for step in range(1, 101):
        lines += [f"{step} loss {3 - step / 50}", f"{step} data/queue {step % 4}"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.pulse").write_text("\n".join(lines) + "\n")
    (tmp_path / "run" / "config.yaml").write_text("num_workers: 2\nlearning_rate: 0.001\n")
    return tmp_path / "run"


def loganalyze(site: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "loganalyze", *map(str, arguments)], capture_output=True, text=True,
        check=False, cwd=site.parent, env={**os.environ, "PYTHONPATH": f"{ROOT}:{site}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_holds_the_whole_package() -> None:
    assert sorted(FILES) == [
        "loganalyze_pulse/__init__.py",
        "loganalyze_pulse/pulse_file.py",
        "loganalyze_pulse/queue_empty.py",
        "loganalyze_pulse/too_few_workers.py",
        "pyproject.toml",
    ]


def test_its_reader_its_check_and_its_cause_take_part(site: Path, run: Path) -> None:
    document = json.loads(loganalyze(site, "diagnose", run, "--format", "json"))
    formats = {source["path"]: source["format"] for source in document["sources"]}
    assert formats["log.pulse"] == "pulse"
    (finding,) = (f for f in document["findings"] if f["id"] == "queue-empty")
    assert finding["where"] == ["log.pulse:17"]
    assert finding["evidence"]["share_of_points"] == pytest.approx(0.25, abs=0.01)
    (cause,) = (c for c in document["causes"] if c["id"] == "too-few-workers")
    assert cause["probability"] > 0.8
    assert cause["fix"] == ["num_workers 2 -> 4"]
    assert {"id": "loss-spike", "outcome": "passed", "reason": ""} in document["checks"]


def test_its_threshold_is_a_setting_and_its_text_is_explained(site: Path, run: Path) -> None:
    document = json.loads(
        loganalyze(site, "diagnose", run, "--format", "json", "--set", "queue.share=0.5")
    )
    assert {"id": "queue-empty", "outcome": "passed", "reason": ""} in document["checks"]
    told = loganalyze(site, "explain", "queue-empty")
    assert "Counts the log points at which the queue held no batch." in told
    assert "queue.share = 0.05" in told
    assert "loganalyze.causes: too-few-workers" in loganalyze(site, "--version", "--verbose")


def test_without_its_metric_the_check_does_not_apply(site: Path, samples: Path) -> None:
    document = json.loads(loganalyze(site, "diagnose", samples / "spike", "--format", "json"))
    (check,) = (c for c in document["checks"] if c["id"] == "queue-empty")
    assert check["outcome"] == "not-applicable"
    assert check["reason"] == "no data/queue was logged"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_package_here:DETECTOR", "cannot be imported: ModuleNotFoundError"),
        ("os:sep", "is no Detector but str"),
    ],
)
def test_a_broken_package_is_named_in_one_line(
    value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered(**_: Any) -> list[EntryPoint]:
        return [EntryPoint("x", value, "loganalyze.detectors")]

    monkeypatch.setattr(plugins, "entry_points", offered)
    with pytest.raises(la.UsageError, match=told) as caught:
        plugins.added("loganalyze.detectors", Detector)
    assert "\n" not in str(caught.value)
