import pytest

from loganalyze.detect.oom_gpu import DETECTOR, GIB, OomSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Source, Where
from tests.builders import make_run

S = OomSettings()


def oom(step: int | None, text: str = "CUDA out of memory", **gib: float) -> Event:
    data = {name: value * GIB for name, value in gib.items()}
    return Event(EventKind.OOM_GPU, text, Where("train.log", 9), step, None, data)


def test_a_run_that_ended_so_is_critical_and_keeps_its_effective_batch() -> None:
    run = make_run(
        loss=[2.0, 1.9],
        events=[oom(2, tried=2.0, allocated=21.5, capacity=24.0, reserved=22.0)],
        config={"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4},
    )
    (found,) = detect(run, S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["tried_gib"] == pytest.approx(2.0)
    assert found.evidence["fragmentation"] == "no"
    assert "8 -> 4" in found.fix[0]
    assert "4 -> 8" in found.fix[0]


def test_reserved_far_above_allocated_is_fragmentation() -> None:
    (found,) = detect(
        make_run(loss=[2.0], events=[oom(1, allocated=10, capacity=24, reserved=22)]), S
    )
    assert found.evidence["fragmentation"] == "likely"


def test_training_that_went_on_is_a_warning() -> None:
    (found,) = detect(make_run(loss=[2.0, 1.9, 1.8], events=[oom(1)]), S)
    assert found.severity is Severity.WARNING


def test_an_error_in_the_evaluation_says_so() -> None:
    (found,) = detect(make_run(loss=[2.0], events=[oom(1, 'File "t.py", in evaluation_loop')]), S)
    assert found.evidence["phase"] == "evaluation"


def test_without_text_it_is_not_judged_and_without_the_error_it_passes() -> None:
    assert isinstance(
        detect(make_run(loss=[1.0], sources=[Source("e", "tfevents", 1)]), S), NotApplicable
    )
    assert detect(make_run(loss=[1.0]), S) == ()
