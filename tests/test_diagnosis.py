"""The verdict, and what the user tells."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loganalyze.diagnosis import LONGEST_HEADLINE, diagnose, verdict
from loganalyze.finding import Check, Finding, Level, Outcome, Severity
from loganalyze.run import GIVEN
from loganalyze.settings import Settings
from tests.builders import make_run

HEALTHY = np.geomspace(2.3, 0.4, 400) * (1 + np.random.default_rng(0).normal(0, 0.03, 400))


def finding(severity: Severity, identifier: str = "x", summary: str = "It is 3.") -> Finding:
    return Finding(identifier, severity, 1.0, identifier, summary)


def test_a_healthy_run_has_no_cause_and_says_what_was_checked() -> None:
    diagnosis = diagnose(make_run(loss=HEALTHY, lr=np.full(400, 1e-3), config={"num_classes": 10}))
    assert diagnosis.causes == ()
    assert diagnosis.verdict.level is Level.HEALTHY
    judged = sum(check.outcome is Outcome.PASSED for check in diagnosis.checks)
    rest = len(diagnosis.checks) - judged
    assert diagnosis.verdict.headline.startswith(f"No problem found in {judged} checks; {rest} ")


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_the_worst_finding_gives_the_level_and_the_headline(severity: Severity) -> None:
    worded = verdict((finding(severity), finding(Severity.INFO, "y", "Else.")), (), ())
    assert worded.level == severity.value
    assert worded.headline == "It is 3."


def test_remarks_alone_are_healthy() -> None:
    checks = (Check("x", Outcome.FOUND, "X"), Check("y", Outcome.PASSED, "Y"))
    worded = verdict((finding(Severity.INFO),), checks, ())
    assert worded.level is Level.HEALTHY
    assert worded.headline == "No problem found in 2 checks."


def test_too_few_data_are_no_good_health() -> None:
    diagnosis = diagnose(make_run(loss=[2.3, 2.2]))
    assert diagnosis.verdict.level is Level.INSUFFICIENT
    assert diagnosis.causes == ()


def test_too_few_data_do_not_hide_a_fault() -> None:
    few = finding(Severity.INFO, "insufficient-data")
    assert verdict((finding(Severity.CRITICAL), few), (), ()).level is Level.CRITICAL


def test_a_long_summary_is_cut_between_words() -> None:
    headline = verdict((finding(Severity.WARNING, summary="word " * 100),), (), ()).headline
    assert len(headline) <= LONGEST_HEADLINE <= 200
    assert headline.endswith("word ...")


def test_what_the_user_tells_is_used_and_its_place_is_named() -> None:
    run = make_run(loss=HEALTHY * 8 * math.log(20) / 2.3)
    told = diagnose(run, Settings(given={"num_classes": 20, "gradient_accumulation_steps": 8}))
    assert diagnose(run).causes == ()
    assert told.causes[0].id == "loss-not-normalized"
    number = told.run.setting("num_classes")
    assert number is not None
    assert number.where == GIVEN


def test_changed_settings_are_kept_with_the_diagnosis() -> None:
    settings = Settings(changed={"spike.z": 9.0})
    assert diagnose(make_run(loss=HEALTHY), settings).settings == {"spike.z": 9.0}
