import pytest

from loganalyze.run import Event, EventKind, Where
from loganalyze.signals.restart import told_restarts
from tests.builders import make_run


def resumed(text: str, step: int | None = None) -> Event:
    return Event(EventKind.RESUME, text, Where("train.log", 3), step)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Resuming from checkpoint checkpoints/step_360.pt (step 360)", 360),
        ("Resuming training from out/checkpoint-1200", 1200),
        ("Loading states from /data/global_step45", 45),
        ("resumed from iter_0000120", 120),
    ],
)
def test_a_line_names_the_step(text, step) -> None:
    assert told_restarts(make_run(loss=[3, 2, 1], events=[resumed(text)])).tolist() == [step]


def test_a_line_without_a_number_stands_behind_the_last_step() -> None:
    events = [resumed("Resuming from last.ckpt", 40), resumed("Resuming from last.ckpt")]
    assert told_restarts(make_run(loss=[3, 2, 1], events=events)).tolist() == [40]


@pytest.mark.parametrize("key", ["resume_from_checkpoint", "resume_from", "train.resume"])
def test_the_settings_name_the_checkpoint(key) -> None:
    run = make_run(loss=[3, 2, 1], config={key: "runs/a/checkpoint-500"})
    assert told_restarts(run).tolist() == [500]


def test_no_checkpoint_no_restart() -> None:
    run = make_run(loss=[3, 2, 1], config={"resume_from_checkpoint": None, "seed": 360})
    assert not len(told_restarts(run))
