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
        text = re.sub(r"<!--.*?-->", "", page.read_text("utf-8"))  # what is not shown yet
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_two_commands_come_first() -> None:
    first, second = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[:2]
    assert first == "pip install . && loganalyze report sample_logs/report-280-classes\n"
    assert second == "pip install '.[test]' && pytest -n auto\n"


def test_every_figure_beside_other_tools_stands_where_it_was_measured() -> None:
    measured = "".join(
        (ROOT / "docs" / name).read_text("utf-8") for name in ("accuracy.md", "performance.md")
    )
    table = README.partition("## Beside other tools")[2].partition("\n## ")[0]
    figures = re.findall(r"[\d.]+ % \(\d+/\d+\)|[\d.]+ x faster", table)
    assert len(figures) >= 12
    assert [figure for figure in figures if figure not in measured] == []


def test_what_is_promised_to_stand_in_the_readme_does() -> None:
    for name in (
        "cli",
        "json",
        "python",
        "ci",
        "extending",
        "accuracy",
        "performance",
        "findings",
        "causes",
    ):
        assert f"(docs/{name}.md)" in README
    assert "docs/screenshot.png" in README
    for name in COMMANDS:
        assert f"loganalyze {name} " in README


def test_every_option_stands_on_the_page_of_commands() -> None:
    from importlib import import_module

    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name in COMMANDS:
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for option in import_module(f"loganalyze.cli.{name}").command.params:
            for spelling in (o for o in option.opts if o.startswith("--")):
                assert spelling in section, f"{name} {spelling}"


def test_every_sample_stands_in_its_readme() -> None:
    text = (ROOT / "sample_logs" / "README.md").read_text("utf-8")
    for path in (ROOT / "sample_logs").iterdir():
        if path.is_dir():
            assert f"`{path.name}`" in text


def test_every_command_has_help_with_an_example() -> None:
    for name in COMMANDS:
        text = CliRunner().invoke(group, [name, "--help"]).output
        assert "Example: loganalyze" in text
