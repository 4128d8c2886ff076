"""The pairs of runs are whole, and the diff tells them as it should: seeds, known changes, other tasks."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from pathlib import Path

import pytest

from benchmarks.pairs.kept import LOGS, kept_pairs

ROOT = Path(__file__).resolve().parents[1]
PAIRS = kept_pairs()


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_diff", ROOT / "benchmarks" / "diff.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_diff"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_diff"]


@pytest.fixture(scope="module")
def scored(bench):
    return [one for one in bench.score() if one.pair.split == "held-out"]


def test_every_pair_has_its_logs_and_every_log_its_pair() -> None:
    assert {path.name for path in LOGS.iterdir()} == {n for p in PAIRS for n in (p.a, p.b)}
    size = sum(path.stat().st_size for path in LOGS.rglob("*") if path.is_file())
    assert size < 4_000_000


def test_no_task_is_in_both_splits() -> None:
    tasks = {
        split: {p.a.split(".")[0] for p in PAIRS if p.split == split}
        for split in ("dev", "held-out")
    }
    assert not tasks["dev"] & tasks["held-out"]


def test_two_seeds_do_not_differ_beyond_noise(scored, bench) -> None:
    seeds = [one for one in scored if one.pair.kind == "seeds"]
    assert len(seeds) == 40
    assert sum(one.diff.verdict.outcome in bench.ALIKE for one in seeds) >= 0.95 * len(seeds)


def test_a_change_is_found_near_its_step(scored) -> None:
    known = [one for one in scored if one.pair.kind.startswith("known")]
    assert len(known) == 40
    assert sum(one.is_near for one in known) >= 0.9 * len(known)
    same = [one for one in known if one.pair.kind.startswith("known-same-seed")]
    assert all(one.is_near for one in same)


def test_other_tasks_are_never_compared(scored) -> None:
    others = [one for one in scored if one.pair.kind == "different-tasks"]
    assert others
    assert all(one.diff.verdict.outcome.value == "not comparable" for one in others)
    assert all(one.diff.verdict.details for one in others)


@pytest.mark.parametrize("word", [b"/tmp/", b"/root", b"/work"])
def test_no_log_names_a_folder_of_the_machine_that_made_it(word: bytes) -> None:
    for path in LOGS.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
            assert word not in text.replace(b"/workspace", b""), path
