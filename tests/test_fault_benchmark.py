"""The labelled runs are whole: every label has its log, every log its label, no task is in two splits."""

import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[1] / "benchmarks" / "faults"
LABELS = [json.loads(line) for line in (FAULTS / "labels.jsonl").read_text().splitlines()]


def test_every_label_has_its_log_and_every_log_its_label():
    logged = {folder.name for folder in (FAULTS / "logs").iterdir()}
    assert logged == {label["id"] for label in LABELS}
    assert all(any((FAULTS / "logs" / name).iterdir()) for name in logged)


def test_ids_are_unique():
    assert len({label["id"] for label in LABELS}) == len(LABELS)


def test_a_task_is_held_out_as_a_whole():
    splits = defaultdict(set)
    for label in LABELS:
        splits[label["task"]].add(label["split"])
    assert all(len(found) == 1 for found in splits.values())
    held_out = sum(found == {"held-out"} for found in splits.values())
    assert 0.15 <= held_out / len(splits) <= 0.5


def test_the_held_out_tasks_meet_nearly_every_cause_that_the_others_meet():
    causes = {
        split: {label["cause"] for label in LABELS if label["split"] == split}
        for split in ("dev", "held-out")
    }
    assert causes["held-out"] <= causes["dev"]
    assert len(causes["held-out"]) >= 0.9 * len(causes["dev"])


def test_there_are_many_healthy_runs_and_none_has_a_finding():
    healthy = [label for label in LABELS if label["healthy"]]
    assert len(healthy) >= 60
    assert not any(label["findings"] or label["cause"] for label in healthy)


def test_the_injected_cause_is_accepted():
    assert all(label["cause"] in label["accepted"] for label in LABELS if not label["healthy"])


@pytest.mark.parametrize("word", [b"/tmp/", b"/root", b"/work"])
def test_no_log_names_a_folder_of_the_machine_that_made_it(word):
    for path in (FAULTS / "logs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
            assert word not in text.replace(b"/workspace", b""), path
