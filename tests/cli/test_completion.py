"""What a shell gets to complete; asked as the shells ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of `words`."""
    result = subprocess.run(
        [sys.executable, "-m", "loganalyze"], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "_LOGANALYZE_COMPLETE": "bash_complete",
             "COMP_WORDS": " ".join(["loganalyze", *words]), "COMP_CWORD": str(len(words))},
    )  # fmt: skip
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        log = "".join(f"step {n} loss={3 - n / 100} {name}=1\n" for n in range(1, 60))
        (tmp_path / name / "train.log").write_text(log)
    return tmp_path


def test_commands_and_options_complete() -> None:
    assert completed("dia") == ["diagnose"]
    assert "--fail-on" in completed("diagnose", "--fa")
    assert completed("diagnose", "x", "--format", "mark") == ["markdown"]


def test_ids_complete() -> None:
    assert completed("explain", "loss-sp") == ["loss-spike"]
    assert completed("explain", "lr-too-h") == ["lr-too-high"]
    assert completed("diagnose", "x", "--ignore", "loss-sp") == ["loss-spike"]
    assert "lr-too-high" not in completed("diagnose", "x", "--select", "lr-")


def test_names_of_thresholds_complete() -> None:
    assert completed("diagnose", "x", "--set", "spike.z_h") == ["spike.z_high="]


def test_names_of_runs_complete(two_runs: Path) -> None:
    offered = completed("diagnose", str(two_runs), "--run", "")
    assert sorted(offered) == ["first", "second"]
    assert completed("diagnose", str(two_runs), "--run", "sec") == ["second"]
    assert completed("diagnose", "mlflow:http://127.0.0.1:9", "--run", "") == []
    assert completed("diagnose", str(two_runs / "none"), "--run", "") == []


def test_a_large_directory_is_not_read_for_a_press_of_tab(
    two_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click

    from loganalyze.cli import completion
    from loganalyze.cli.diagnose import command

    ctx = click.Context(command)
    ctx.params["path"] = str(two_runs)
    option = command.params[0]
    assert sorted(completion.run_names(ctx, option, "")) == ["first", "second"]
    monkeypatch.setattr(completion, "MOST_BYTES", 100)
    assert completion.run_names(ctx, option, "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_for_each_shell_works(shell: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert f"_LOGANALYZE_COMPLETE={shell}_source loganalyze" in page
    script = subprocess.run(
        [sys.executable, "-m", "loganalyze"], capture_output=True, text=True, check=True,
        env={**os.environ, "_LOGANALYZE_COMPLETE": f"{shell}_source"},
    ).stdout  # fmt: skip
    assert f"{shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
