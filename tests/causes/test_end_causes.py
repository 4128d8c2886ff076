"""Why a run ended: memory, an error in the code, or somebody else."""

from __future__ import annotations

from typing import Any

import numpy as np

from loganalyze.diagnosis import diagnose
from loganalyze.finding import Cause, Diagnosis
from loganalyze.run import Event, EventKind, Status, Where
from tests.builders import make_run

GIB = 2.0**30
LOSS = np.geomspace(3, 1, 100)


def ended(
    kind: EventKind, text: str = "", step: int | None = 100, **more: Any
) -> tuple[Diagnosis, dict[str, Cause]]:
    event = Event(
        kind, text or kind.value, Where("train.log", 200), step, data=more.pop("data", {})
    )
    loss = LOSS if step is None else LOSS[:step]
    diagnosis = diagnose(make_run(loss=loss, events=[event], **more))
    return diagnosis, {cause.id: cause for cause in diagnosis.causes}


def memory(step: int, allocated: float, reserved: float, text: str = "") -> dict[str, Cause]:
    sizes = {"tried": 2.0, "allocated": allocated, "reserved": reserved, "capacity": 24.0}
    data = {name: size * GIB for name, size in sizes.items()}
    config = {"train_batch_size": 16}
    return ended(EventKind.OOM_GPU, text, step, data=data, config=config)[1]


def test_full_memory_at_the_first_steps_is_the_batch() -> None:
    found = memory(2, 23.1, 23.4)
    assert next(iter(found)) == "batch-too-large"
    assert found["batch-too-large"].probability > 0.85
    assert "16 -> 8" in found["batch-too-large"].fix[0]


def test_a_batch_of_one_cannot_be_halved() -> None:
    data = {"allocated": 23 * GIB, "reserved": 23.4 * GIB, "capacity": 24 * GIB}
    one = ended(EventKind.OOM_GPU, step=2, data=data, config={"train_batch_size": 1})[1]
    assert one["batch-too-large"].probability < memory(2, 23, 23.4)["batch-too-large"].probability


def test_much_reserved_and_little_allocated_is_fragmentation() -> None:
    found = memory(80, 9.0, 23.0)
    assert next(iter(found)) == "memory-fragmentation"
    assert (
        "23.0 GiB were reserved and only 9.0 allocated"
        in found["memory-fragmentation"].clues[0].text
    )


def test_an_error_inside_the_evaluation_is_its_logits() -> None:
    found = memory(80, 23.1, 23.4, "File trainer.py, in evaluation_loop\nOutOfMemoryError")
    assert next(iter(found)) == "eval-accumulates-logits"
    assert found["eval-accumulates-logits"].probability > 0.7


def test_the_host_s_memory_is_its_own_cause() -> None:
    _, found = ended(EventKind.OOM_HOST, "Killed")
    assert next(iter(found)) == "host-memory-exhausted"


def test_one_huge_request_of_the_host_is_a_shape_and_no_worker() -> None:
    _, found = ended(EventKind.OOM_HOST, "can't allocate memory", data={"tried": 500 * GIB})
    assert "shapes" in found["host-memory-exhausted"].fix[0]


def test_a_traceback_is_a_bug_with_its_exception_and_frame() -> None:
    data = {"exception": "KeyError", "message": "'labels'", "frame": "train.py:88 in collate"}
    _, found = ended(EventKind.TRACEBACK, data=data)
    assert next(iter(found)) == "software-bug"
    assert found["software-bug"].clues[0].text == (
        "The run ended with KeyError at train.py:88 in collate."
    )
    assert found["software-bug"].probability > 0.85


def test_ctrl_c_is_no_bug() -> None:
    diagnosis, found = ended(EventKind.TRACEBACK, data={"exception": "KeyboardInterrupt"})
    assert found == {}
    assert diagnosis.verdict.level == "healthy"


def test_running_out_of_accelerator_memory_is_no_bug() -> None:
    assert "software-bug" not in memory(2, 23.1, 23.4)


def test_a_termination_signal_is_a_kill() -> None:
    _, found = ended(
        EventKind.SIGNAL, "slurmstepd: error: JOB 1 CANCELLED AT 12:00 DUE TO PREEMPTION"
    )
    assert next(iter(found)) == "killed"


def test_a_segmentation_fault_is_no_kill() -> None:
    _, found = ended(EventKind.SIGNAL, "Segmentation fault (core dumped)")
    assert found["software-bug"].probability > found["killed"].probability


def test_a_collective_that_timed_out_is_no_kill() -> None:
    _, found = ended(EventKind.NCCL_TIMEOUT, "Watchdog caught collective operation timeout")
    assert next(iter(found)) == "communication-timeout"
    killed = found.get("killed")
    assert killed is None or killed.probability < 0.15


def test_a_log_that_just_ends_was_killed() -> None:
    run = make_run(loss=LOSS, planned_steps=1000, status=Status.UNKNOWN)
    cause, *others = diagnose(run).causes
    assert cause.id == "killed"
    assert {other.id for other in others} <= {"time-limit"}
