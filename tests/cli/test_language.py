"""``--lang``, its variable and its setting reach every output but JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loganalyze.cli import group, main
from loganalyze.cli.language import of_complaints

HANGUL = re.compile("[가-힣]")


@pytest.fixture
def spike(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOGANALYZE_LANG", raising=False)
    return str(samples / "spike")


def out(*arguments: str) -> str:
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    return result.stdout


@pytest.mark.parametrize("style", ["text", "markdown", "github", "junit"])
def test_each_format_for_readers_is_korean(spike: str, style: str) -> None:
    assert HANGUL.search(out("diagnose", spike, "--lang", "ko", "--format", style))
    assert not HANGUL.search(out("diagnose", spike, "--format", style))


def test_json_is_english(spike: str) -> None:
    korean = out("diagnose", spike, "--lang", "ko", "--format", "json")
    assert korean == out("diagnose", spike, "--format", "json")


def test_the_page_is_korean_and_the_json_in_it_english(spike: str, tmp_path: Path) -> None:
    assert (
        CliRunner().invoke(group, ["report", spike, "--lang", "ko", "-o", "x.html"]).exit_code == 0
    )
    page = (tmp_path / "x.html").read_text("utf-8")
    assert '<html lang="ko">' in page
    assert HANGUL.search(page)
    assert not HANGUL.search(
        json.dumps(json.loads(out("inspect", "x.html", "--format", "json")), ensure_ascii=False)
    )


def test_the_variable_and_the_settings_file_count_too(
    spike: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loganalyze.toml").write_text('lang = "ko"\n', encoding="utf-8")
    assert HANGUL.search(out("diagnose", spike))
    assert not HANGUL.search(out("diagnose", spike, "--isolated"))
    monkeypatch.setenv("LOGANALYZE_LANG", "en")
    assert not HANGUL.search(out("diagnose", spike))
    assert HANGUL.search(out("diagnose", spike, "--lang", "ko"))


def test_explain_and_inspect_answer_in_korean(spike: str) -> None:
    assert HANGUL.search(out("explain", "loss-spike", "--lang", "ko"))
    assert HANGUL.search(out("explain", "--lang", "ko"))
    assert HANGUL.search(out("inspect", spike, "--lang", "ko"))


def test_a_language_that_there_is_not_is_refused(spike: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(group, ["diagnose", spike, "--lang", "xx"]).exit_code == 2
    (tmp_path / "loganalyze.toml").write_text('lang = "xx"\n', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", spike])
    assert ended.value.code == 2


def test_errors_are_korean(spike: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["diagnose", "nowhere", "--lang=ko"])
    assert HANGUL.search(capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main(["diagnose", spike, "--set", "a.b=3", "--lang", "ko"])
    assert "알 수 없는 설정" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["diagnose"], ["diagnose", "x", "--langg"], ["diagnose", "x", "--classes", "1"], ["diagnoze"],
     ["diagnose", "x", "--format", "pdf"], ["diagnose", "x", "--run"], ["diagnose", "x", "y"]],
)  # fmt: skip
def test_wrong_usage_is_answered_in_korean(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGANALYZE_LANG", "ko")
    with pytest.raises(SystemExit):
        main(arguments)
    assert HANGUL.search(capsys.readouterr().err)


def test_the_last_language_on_the_line_counts_for_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOGANALYZE_LANG", raising=False)
    assert of_complaints(["x", "--lang", "ko"]) == "ko"
    assert of_complaints(["x", "--lang"]) == "en"
    assert of_complaints(["x", "--lang=ko", "--lang=en"]) == "en"
    monkeypatch.setenv("LOGANALYZE_LANG", "ko")
    assert of_complaints(["x"]) == "ko"


def test_a_terminal_without_unicode_gets_english(spike: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loganalyze", "diagnose", spike, "--lang", "ko"],
        capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert b"jumps" in done.stdout
