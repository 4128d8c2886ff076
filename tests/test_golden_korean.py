"""Two samples' text in Korean, whole, against reviewed files."""

from __future__ import annotations

from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.report.text import render

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "ko"


@pytest.mark.parametrize("name", ["report-280-classes", "overfit"])
def test_a_sample_reads_as_reviewed(name: str, request: pytest.FixtureRequest) -> None:
    text = render(la.diagnose(la.load(ROOT / "sample_logs" / name)), lang="ko", verbose=True)
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text("utf-8") == text
