"""The steps of docs/ci.md, taken out of the page and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xmlschema
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
GITHUB, GITLAB = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
)
STEPS = {step["name"]: step for step in GITHUB["jobs"]["train"]["steps"] if "name" in step}


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Run a command as a CI server does: bash, any failing line fails it."""
    tool = tmp_path / "bin" / "loganalyze"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m loganalyze "$@"\n')
    tool.chmod(0o755)

    def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT),
                 "PATH": f"{tool.parent}:{os.environ['PATH']}", **environment},
        )  # fmt: skip

    return run


def test_a_sick_run_fails_the_step_with_annotations_and_a_summary(
    shell, samples, tmp_path: Path
) -> None:
    step = STEPS["Judge the run"]
    assert set(step["env"]) == {"RUN"}
    summary = tmp_path / "summary.md"
    done = shell(
        step["run"], RUN=str(samples / "report-280-classes"), GITHUB_STEP_SUMMARY=str(summary)
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=")
    assert "**Most likely causes**" in summary.read_text("utf-8")


def test_a_healthy_run_passes_the_step(shell, samples, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = shell(
        STEPS["Judge the run"]["run"], RUN=str(samples / "healthy-hf"), GITHUB_STEP_SUMMARY=str(summary)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("::notice ")
    assert "HEALTHY" in summary.read_text("utf-8")


def test_a_missing_log_fails_the_step(shell, tmp_path: Path) -> None:
    assert shell(STEPS["Judge the run"]["run"], RUN=str(tmp_path / "none")).returncode == 2


def test_the_postmortem_of_the_next_step_is_where_it_is_uploaded_from(
    shell, samples, tmp_path: Path
) -> None:
    done = shell(STEPS["Make the postmortem"]["run"], RUN=str(samples / "nan-data"))
    assert done.returncode == 0, done.stderr
    upload = GITHUB["jobs"]["train"]["steps"][-1]["with"]["path"]
    assert (tmp_path / upload).is_file()


def test_the_other_servers_get_a_report_of_tests(shell, samples, tmp_path: Path) -> None:
    job = GITLAB["diagnose"]
    schema = xmlschema.XMLSchema(ROOT / "tests" / "report" / "junit.xsd")
    for name, code in (("spike", 1), ("healthy-stdout", 0)):
        done = shell("\n".join(job["script"]), RUN=str(samples / name))
        assert done.returncode == code, done.stderr
        schema.validate(tmp_path / job["artifacts"]["reports"]["junit"])
