import random
from pathlib import Path

import pytest

from loganalyze.diagnosis import diagnose
from loganalyze.errors import NothingReadable
from loganalyze.ingest import load
from loganalyze.settings import Settings
from loganalyze.watch.watch import IDLE, LAST_WORDS, Watch


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(first: int, last: int, nan_from: int = 10**9, total: int = 500) -> str:
    noise = random.Random(first)
    return "".join(
        f"step {s}/{total} loss {'nan' if s >= nan_from else f'{2 / s + 1 + noise.random() / 50:.4f}'}\n"
        for s in range(first, last + 1)
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(tmp_path: Path, clock: Clock) -> Watch:
    return Watch(str(tmp_path / "train.log"), Settings(), clock=clock)


def append(tmp_path: Path, text: str) -> None:
    with (tmp_path / "train.log").open("a") as file:
        file.write(text)


def test_findings_appear_are_confirmed_and_clear(tmp_path: Path, watch: Watch, clock: Clock):
    assert watch.refresh() is None, "it has not begun"
    append(tmp_path, lines(1, 60))
    assert not watch.refresh().diagnosis.findings
    append(tmp_path, lines(61, 70, nan_from=68))
    clock.now += 5
    found = watch.refresh()
    assert [f.id for f in found.changes.appeared] == ["loss-nonfinite"]
    assert not found.changes.confirmed
    append(tmp_path, lines(71, 75, nan_from=68))
    clock.now += 5
    assert [f.id for f in watch.refresh().changes.confirmed] == ["loss-nonfinite"]
    (tmp_path / "train.log").write_text(lines(1, 90))  # restarted from scratch, into the same file
    clock.now += 5
    watch.refresh()
    append(tmp_path, lines(91, 95))
    clock.now += 5
    assert [f.id for f in watch.refresh().changes.recovered] == ["loss-nonfinite"]


def test_nothing_new_is_not_judged_again(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 60))
    assert watch.refresh() is not None
    clock.now += 5
    watch.refresh()  # the last line may be finished now
    clock.now += 5
    assert watch.refresh() is None
    assert watch.silent == 10


def test_a_costly_look_is_taken_more_rarely(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 60))
    watch.refresh()
    watch._cost = 1.0
    append(tmp_path, lines(61, 62))
    clock.now += 19
    assert watch.refresh() is None
    clock.now += 2
    assert watch.refresh() is not None


def test_a_truncated_log_is_no_finding_while_it_grows(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 60))
    assert not watch.refresh().diagnosis.findings
    assert not watch.is_over()
    clock.now += IDLE + 1
    assert watch.is_over()
    last = watch.conclude()
    assert [f.id for f in last.changes.confirmed] == ["run-truncated"]


def test_the_end_is_seen(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 500))
    watch.refresh()
    assert not watch.is_over(), "something may be written after it"
    clock.now += LAST_WORDS
    assert watch.is_over()


def test_an_error_that_comes_last_ends_the_run(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 60))
    append(
        tmp_path,
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: x\n\n',
    )
    assert not watch.refresh().diagnosis.findings, "it may be caught"
    clock.now += LAST_WORDS
    watch.refresh()
    assert watch.is_over()
    assert "crash" in {finding.id for finding in watch.conclude().diagnosis.findings}


def test_an_error_that_is_caught_ends_nothing(tmp_path: Path, watch: Watch, clock: Clock):
    append(tmp_path, lines(1, 60))
    append(
        tmp_path,
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: x\n\n',
    )
    watch.refresh()
    append(tmp_path, lines(61, 80))
    clock.now += 5
    watch.refresh()
    clock.now += LAST_WORDS
    assert not watch.is_over()


def test_a_run_with_long_pauses_gets_more_time(tmp_path: Path, watch: Watch, clock: Clock):
    for number in range(4):
        append(tmp_path, lines(20 * number + 1, 20 * number + 20))
        watch.refresh()
        clock.now += 100
    clock.now += IDLE
    assert not watch.is_over()
    clock.now += 20 * 100
    assert watch.is_over()


def test_the_last_word_is_that_of_reading_at_the_end(tmp_path: Path, watch: Watch, clock: Clock):
    for first in range(1, 500, 83):
        append(tmp_path, lines(first, min(first + 82, 500), nan_from=420))
        watch.refresh()
        clock.now += 5
    last = watch.conclude().diagnosis
    read = diagnose(load(tmp_path / "train.log"))
    assert (last.findings, last.causes, last.verdict) == (read.findings, read.causes, read.verdict)


def test_a_run_that_never_begins(watch: Watch, clock: Clock):
    assert watch.refresh() is None
    clock.now += IDLE + 1
    assert watch.is_over()
    with pytest.raises(NothingReadable):
        watch.conclude()
