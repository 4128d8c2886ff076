"""Which files are one run, by their names; and what is never followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loganalyze.fleet.discover import find
from loganalyze.fleet.listing import Entry, tree_of
from loganalyze.fleet.units import groups

MLFLOW = "mlruns/0/0a/meta.yaml mlruns/0/0a/metrics/loss"


def names(paths: str) -> list[str]:
    tree = tree_of(Entry(path, 10, "", 0.0) for path in paths.split())
    return sorted(group.shown or "." for group in groups(tree))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("a/train.log b/train.log", ["a", "b"]),
        (f"trainer_state.json train.log runs/host/events.out.tfevents.1.x {MLFLOW}", ["."]),
        ("checkpoint-10/trainer_state.json checkpoint-20/trainer_state.json", ["."]),
        ("a/logs/train.log a/tb/events.out.tfevents.1.x b/train.log", ["a", "b"]),
        ("a/tb/events.out.tfevents.1.x", ["a"]),
        ("sweep.log a/train.log b/train.log", [".", "a", "b"]),
        ("a/train/events.out.tfevents.1.x a/validation/events.out.tfevents.1.x", ["a"]),
        ("mlruns/0/0a/meta.yaml mlruns/0/0a/metrics/loss mlruns/0/0b/meta.yaml mlruns/0/0b/params/lr",
         ["mlruns/0/0a", "mlruns/0/0b"]),
        ("wandb/run-20260101_000000-ab/files/output.log wandb/run-20260101_000000-cd/files/output.log",
         ["wandb/run-20260101_000000-ab", "wandb/run-20260101_000000-cd"]),
        ("job/rank_0.log job/rank_1.log job/rank_2.log", ["job"]),
        ("job/attempt_0/0/stdout.log job/attempt_0/1/stdout.log", ["job"]),
        ("a/config.yaml a/model.py", []),
        ("a/losses.txt", ["a"]),
        (".git/train.log a/node_modules/x.log a/train.log", ["a"]),
    ],
)  # fmt: skip
def test_files_are_sorted_into_runs(paths: str, expected: list[str]) -> None:
    assert names(paths) == expected


def test_a_folder_of_many_logs_is_as_many_runs() -> None:
    many = " ".join(f"exp-{number:03d}.log exp-{number:03d}.err" for number in range(80))
    found = groups(tree_of(Entry(path, 10, "", 0.0) for path in many.split()))
    assert len(found) == 80
    assert all(len(group.files) == 2 for group in found)


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "train.log").write_text("{'loss': 1.0}\n")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "train.log").write_text("{'loss': 2.0}\n")
    (root / "b").symlink_to(outside)
    (root / "a" / "other.log").symlink_to(outside / "train.log")
    (root / "a" / "self").symlink_to(root)
    os.mkfifo(root / "a" / "pipe.log")
    (unit,) = find(str(root))
    assert [file.path for file in unit.files] == ["a/train.log"]
