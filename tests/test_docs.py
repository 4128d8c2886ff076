"""The pages say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loganalyze.cli import COMMANDS, group

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_generated_pages_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_readme_shows_what_the_program_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    arguments = ["diagnose", "sample_logs/report-280-classes", "--isolated"]
    printed = CliRunner().invoke(group, arguments).stdout
    assert printed in README


def test_every_link_of_the_pages_resolves() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_sample_stands_in_its_readme() -> None:
    text = (ROOT / "sample_logs" / "README.md").read_text("utf-8")
    for path in (ROOT / "sample_logs").iterdir():
        if path.is_dir():
            assert f"`{path.name}`" in text


def test_every_command_has_help_with_an_example() -> None:
    for name in COMMANDS:
        text = CliRunner().invoke(group, [name, "--help"]).output
        assert "Example: loganalyze" in text
