"""Text for a terminal: short, plain when piped, harmless whatever the log says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.report.text import render

ROOT = Path(__file__).resolve().parents[2] / "sample_logs"
SAMPLES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def sick():
    return la.diagnose(la.load(ROOT / "report-280-classes"))


def test_it_starts_with_the_verdict_and_has_no_escape_codes_when_plain(sick) -> None:
    text = render(sick)
    assert text.splitlines()[0].startswith("▲ CRITICAL")
    assert "\x1b" not in text


def test_it_stays_within_the_width(sick) -> None:
    words = max(len(word) for word in render(sick).split())
    assert max(len(line) for line in render(sick, width=80).splitlines()) <= max(80, words)


def test_it_is_ascii_where_the_terminal_is(sick) -> None:
    assert render(sick, unicode=False).isascii()


def test_quiet_is_the_verdict_and_verbose_is_everything(sick) -> None:
    quiet, usual, verbose = (
        render(sick, quiet=True),
        render(sick),
        render(sick, verbose=True),
    )
    assert quiet.count("\n") <= 4
    assert len(quiet) < len(usual) < len(verbose)
    assert "ratio_to_log_c" in verbose


@pytest.mark.parametrize("sample", SAMPLES)
def test_it_fits_a_terminal_of_24_lines(sample) -> None:
    assert render(la.diagnose(la.load(ROOT / sample))).count("\n") <= 24


def test_escape_sequences_from_the_log_do_not_reach_the_terminal(sick) -> None:
    evil = dataclasses.replace(
        sick,
        findings=(
            dataclasses.replace(
                sick.findings[0], summary="loss \x1b]0;owned\x07\x1b[2J \u202eevil"
            ),
        ),
    )
    text = render(evil)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
