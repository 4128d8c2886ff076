"""What every engineer has met: the cause that everybody would name must come first, and nothing on a sound run."""

from __future__ import annotations

from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis, Severity
from tests.classics.healthy import HEALTHY
from tests.classics.sick import SICK


def _diagnosis(text: str, folder: Path) -> Diagnosis:
    (folder / "train.log").write_text(text, encoding="utf-8")
    return la.diagnose(la.load(folder))


@pytest.mark.parametrize("name", SICK)
def test_the_classic_cause_comes_first(name: str, tmp_path: Path) -> None:
    make, causes = SICK[name]
    found = _diagnosis(make(), tmp_path)
    assert found.causes, "no cause was named"
    assert found.causes[0].id in causes


@pytest.mark.parametrize("name", HEALTHY)
def test_a_sound_run_gets_no_warning_and_no_likely_cause(name: str, tmp_path: Path) -> None:
    found = _diagnosis(HEALTHY[name](), tmp_path)
    assert [f.id for f in found.findings if f.severity is not Severity.INFO] == []
    assert [cause.id for cause in found.causes if cause.probability >= 0.6] == []
