"""Text for a terminal: short, plain when piped, harmless whatever the log says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import loganalyze as la
from loganalyze.finding import Check, Level, Outcome, Verdict
from loganalyze.report.sheet import columns
from loganalyze.report.sparkline import BARS
from loganalyze.report.text import FEWEST_BARS, render
from loganalyze.run import Where
from tests.builders import make_run

ROOT = Path(__file__).resolve().parents[2] / "sample_logs"
SAMPLES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def sick():
    return la.diagnose(la.load(ROOT / "report-280-classes"))


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request):
    return la.diagnose(la.load(ROOT / request.param))


def crowded(diagnosis, count: int = 40):
    """A diagnosis with many findings of long titles, and long causes."""
    finding = diagnosis.findings[0]
    many = tuple(
        dataclasses.replace(finding, id=f"finding-{n}", title="A long title " * 8, where=(Where("a.log", n),))
        for n in range(count)
    )  # fmt: skip
    causes = tuple(
        dataclasses.replace(
            cause,
            clues=tuple(
                dataclasses.replace(c, text=c.text + " and so on" * 9) for c in cause.clues
            ),
            undecided="Not separated from others. " * 6,
        )
        for cause in diagnosis.causes
    )
    return dataclasses.replace(diagnosis, findings=many, causes=causes)


def test_it_starts_with_the_verdict_and_has_no_escape_codes_when_plain(sick) -> None:
    text = render(sick)
    assert text.splitlines()[0].startswith("▲ CRITICAL")
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 52, 66, 80, 120, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_only_a_long_word_leaves_the_width(sample, width, verbose) -> None:
    for line in render(sample, width=width, verbose=verbose).splitlines():
        assert columns(line) <= width or len(line.split()) == 1, line


def test_a_width_beyond_all_measure_is_one_that_can_be_read(sick) -> None:
    assert render(sick, width=1) == render(sick, width=40)
    assert render(sick, width=900) == render(sick, width=200)


def test_letters_of_two_columns_count_twice(sick) -> None:
    run = dataclasses.replace(sick.run, name="학습 실행 이름 " * 12)
    lines = render(dataclasses.replace(sick, run=run), width=60).splitlines()
    assert max(map(columns, lines)) <= 60


def test_it_is_ascii_where_the_terminal_is(sample) -> None:
    assert render(sample, unicode=False).isascii()
    assert render(sample, unicode=False, verbose=True).isascii()


def test_quiet_is_the_verdict_and_verbose_is_everything(sick) -> None:
    quiet, usual, verbose = (
        render(sick, quiet=True),
        render(sick),
        render(sick, verbose=True),
    )
    assert quiet.count("\n") <= 4
    assert len(quiet) < len(usual) < len(verbose)
    assert "ratio_to_log_c" in verbose
    said = " ".join(verbose.split())
    for cause in sick.causes:
        for clue in cause.clues:
            assert clue.text in said
    for check in sick.checks:
        assert check.id in said


def test_it_fits_a_terminal_of_24_lines(sample) -> None:
    assert render(sample).count("\n") <= 24


def test_forty_findings_fit_too_and_the_rest_is_counted(sick) -> None:
    text = render(crowded(sick))
    assert text.count("\n") <= 24
    assert "finding-0" in text
    named = set(re.findall(r"finding-\d+", text))
    assert f" and {40 - len(named)} more: --verbose shows them" in text
    assert all(f"finding-{n} " in render(crowded(sick), verbose=True) for n in range(40))


def test_causes_of_other_findings_are_told_apart_from_rivals(sick) -> None:
    said = " ".join(render(sick).split())
    assert "; also warmup-too-long" in said
    assert said.index("pad-or-mask-bug") < said.index("; also")


def test_a_check_that_broke_is_named(sick) -> None:
    broken = Check("loss-spike", Outcome.ERROR, "No loss spike", "ZeroDivisionError: oops")
    text = render(dataclasses.replace(sick, checks=(broken, *sick.checks)))
    assert "could not run: loss-spike: ZeroDivisionError: oops" in text
    assert "1 could not run" in text


def test_a_narrow_terminal_keeps_the_curve_and_drops_its_ends() -> None:
    diagnosis = la.diagnose(make_run(loss=np.geomspace(2.5, 0.5, 200)))
    wide, narrow = render(diagnosis), render(diagnosis, width=40)
    (long,) = (line for line in wide.splitlines() if line.startswith("  train/loss"))
    (short,) = (line for line in narrow.splitlines() if line.startswith("  train/loss"))
    assert long.endswith("2.5 to 0.5")
    assert set(short.split()[1]) <= set(BARS)
    assert len(short.split()[1]) < FEWEST_BARS


def test_nothing_from_the_log_acts_on_the_terminal(sick) -> None:
    evil = "loss \x1b]0;owned\x07\x1b[2J \u202eevil"
    hostile = dataclasses.replace(
        sick,
        run=dataclasses.replace(sick.run, name=evil, others=(evil,)),
        verdict=dataclasses.replace(sick.verdict, headline=evil),
        findings=(dataclasses.replace(sick.findings[0], title=evil, summary=evil, where=(Where(evil, 1),),
                                      evidence={evil: evil}, fix=(evil,)),),
        causes=(dataclasses.replace(sick.causes[0], fix=(evil,), undecided=evil),),
    )  # fmt: skip
    for options in ({}, {"verbose": True}, {"quiet": True}):
        text = render(hostile, **options)
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert "\\u001b]0;owned" in text


def test_a_line_break_in_a_name_makes_no_line(sick) -> None:
    run = dataclasses.replace(sick.run, name="a\n● HEALTHY  No problem\tfound")
    lines = render(dataclasses.replace(sick, run=run)).splitlines()
    assert not [line for line in lines if line.startswith("●") and "HEALTHY" in line]
    assert "  a ● HEALTHY  No problem found, steps 1 to 20" in "\n".join(lines)


def test_colour_is_all_that_colour_adds(sample) -> None:
    import re

    for verbose in (False, True):
        coloured = render(sample, color=True, verbose=verbose)
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render(sample, verbose=verbose)


def test_causes_of_a_sound_run_stand_under_a_reservation(sick) -> None:
    assert "Most likely causes" in render(sick)
    sound = dataclasses.replace(sick, verdict=Verdict(Level.HEALTHY, "No problem found."))
    assert "If it is not as it should be" in render(sound)
    assert "Most likely" not in render(sound)
