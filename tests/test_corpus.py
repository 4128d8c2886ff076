"""Every run of a corpus of real logs is read without an exception, where the corpus is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loganalyze.detect import run_detectors
from loganalyze.errors import NothingReadable
from loganalyze.finding import Outcome
from loganalyze.ingest import load_all
from loganalyze.run import Run

HERE = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("LOGANALYZE_CORPUS", HERE.parent / "shared" / "corpus"))
FOLDERS = ("mlflow", "run_dirs", "tfevents", "trainer_state", "wandb")

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="no corpus of real logs here (LOGANALYZE_CORPUS names one)"
)


def targets() -> list[Path]:
    if not CORPUS.is_dir():
        return []
    runs = [path for folder in FOLDERS for path in sorted((CORPUS / folder).glob("*"))]
    logs = sorted(path for path in (CORPUS / "stdout").rglob("*") if path.is_file())
    states = sorted((CORPUS / "trainer_state").rglob("*.json"))
    return [*runs, *logs, *states]


def readable(path: Path) -> list[Run]:
    """Read a path; what holds no log is refused with one line."""
    try:
        return load_all(path)
    except NothingReadable as refusal:
        if "\n" in str(refusal):
            raise
        return []


@pytest.mark.parametrize("path", targets(), ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_it_is_read_or_refused_in_one_sentence(path: Path) -> None:
    runs = readable(path)
    for run in runs[:5]:
        assert len(run.metrics) or run.events or run.sources
        _, checks = run_detectors(run)
        assert [check.reason for check in checks if check.outcome is Outcome.ERROR] == []


def test_pointers_and_empty_files_are_reported_as_such() -> None:
    with pytest.raises(NothingReadable, match="git-lfs pointer"):
        load_all(CORPUS / "run_dirs" / "Observer-18__nlp")
    with pytest.raises(NothingReadable, match="empty file"):
        load_all(CORPUS / "wandb" / "0merle0__cleo")
