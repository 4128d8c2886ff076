"""Excerpts in the manner of bug reports, one for each sign that tells a cause from its look-alikes.

`signatures/` holds them, written for this test. The name of a file says which cause must come first (any of
those joined by ``+``), or ``healthy`` where nothing may be warned of, nor a cause be likelier than none.
"""

from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.finding import Severity

EXCERPTS = sorted((Path(__file__).parent / "signatures").glob("*.txt"))


@pytest.mark.parametrize("path", EXCERPTS, ids=lambda path: path.stem)
def test_an_excerpt_names_its_cause_first(path: Path, tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    diagnosis = la.diagnose(la.load(tmp_path))
    wanted = path.name.split(".")[0]
    if wanted == "healthy":
        assert [f.id for f in diagnosis.findings if f.severity is not Severity.INFO] == []
        assert [cause.id for cause in diagnosis.causes if cause.probability >= 0.5] == []
    else:
        assert diagnosis.causes, "no cause was named"
        assert diagnosis.causes[0].id in wanted.split("+")


def test_there_is_an_excerpt_for_most_causes() -> None:
    named = {cause for path in EXCERPTS for cause in path.name.split(".")[0].split("+")}
    assert len(named) >= 30
