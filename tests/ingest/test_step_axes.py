"""Micro-steps and optimizer steps: converted where the settings and the numbers say so, else not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import loganalyze as la

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

K = 4
UPDATES = 100


def loss(update: float) -> float:
    return 3 - update / 200


def events(folder: Path, steps=range(1, UPDATES + 1), tags=("train/loss",)) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in steps:
            for tag in tags:
                writer.add_scalar(tag, loss(step), step)


def log(path: Path, last: int = K * UPDATES, every: int = 10, total: str = "") -> None:
    steps = range(every, last + 1, every)
    path.write_text("".join(f"step {s}{total} loss={loss(s / K):.4f}\n" for s in steps))


def settings(folder: Path, **values: object) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in values.items())
    (folder / "config.yaml").write_text(text)


def remarks(run: la.Run) -> dict[str, str]:
    return {s.path: p.text for s in run.sources for p in s.problems if "micro" in p.text}


def test_a_source_that_runs_k_times_as_far_counts_micro_steps(tmp_path: Path) -> None:
    settings(tmp_path, gradient_accumulation_steps=K)
    events(tmp_path / "tb")
    log(tmp_path / "train.log", total=f"/{K * UPDATES}")
    with (tmp_path / "train.log").open("a") as file:
        file.write("Saving model checkpoint to out/last\n")
    run = la.load(tmp_path)
    assert remarks(run) == {
        "train.log": "its steps are micro-steps: divided by the 4 batches of an update"
    }
    text = run.metrics[run.metrics["source"] == "train.log"]
    assert text["step"].tolist() == [step // K for step in range(10, K * UPDATES + 1, 10)]
    assert run.last_step == UPDATES
    assert run.planned_steps == UPDATES
    assert run.events[0].step == UPDATES
    assert not any(problem.lossy for source in run.sources for problem in source.problems)


def test_a_lone_source_that_runs_to_k_times_max_steps(tmp_path: Path) -> None:
    settings(tmp_path, gradient_accumulation_steps=K, max_steps=UPDATES)
    log(tmp_path / "train.log")
    run = la.load(tmp_path)
    assert remarks(run)
    assert run.last_step == UPDATES


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"gradient_accumulation_steps": 1},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 2.5},
    ],
)
def test_nothing_is_converted_unless_the_settings_say_so(tmp_path: Path, told: dict) -> None:
    settings(tmp_path, learning_rate=0.1, **told)
    events(tmp_path / "tb")
    log(tmp_path / "train.log")
    run = la.load(tmp_path)
    assert remarks(run) == {}
    assert run.last_step == K * UPDATES


def test_a_source_that_ended_early_does_not_make_the_other_one_count_micro_steps(
    tmp_path: Path,
) -> None:
    settings(tmp_path, gradient_accumulation_steps=K)
    events(tmp_path / "tb", range(1, K * UPDATES + 1))
    steps = range(10, UPDATES + 1, 10)  # cut off after a quarter, on the same axis
    (tmp_path / "train.log").write_text("".join(f"step {s} loss={loss(s):.4f}\n" for s in steps))
    assert remarks(la.load(tmp_path)) == {}


def test_nor_does_one_that_averages_and_ended_early(tmp_path: Path) -> None:
    settings(tmp_path, gradient_accumulation_steps=K)
    noise = np.random.default_rng(0).normal(0, 0.1, K * UPDATES + 1)
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path / "tb")) as writer:
        for step in range(1, K * UPDATES + 1):
            writer.add_scalar("train/loss", loss(step) + noise[step], step)
    steps = range(9, UPDATES + 1, 10)  # no step in common with another phase, and no value
    (tmp_path / "train.log").write_text("".join(f"step {s} loss={loss(s):.4f}\n" for s in steps))
    assert remarks(la.load(tmp_path)) == {}


def test_a_metric_on_an_axis_of_epochs_keeps_it(tmp_path: Path) -> None:
    settings(tmp_path, gradient_accumulation_steps=K, max_steps=UPDATES)
    events(tmp_path / "run", range(1, K * UPDATES + 1))
    events(tmp_path / "more", range(1, 11), ("epoch/f1",))
    (written,) = (tmp_path / "more").iterdir()
    written.rename(tmp_path / "run" / f"{written.name}.epochs")
    run = la.load(tmp_path)
    assert run.last_step == UPDATES
    assert run.series("epoch/f1").step.tolist() == list(range(1, 11))


def test_values_stay_with_their_update(tmp_path: Path) -> None:
    settings(tmp_path, gradient_accumulation_steps=K, max_steps=UPDATES)
    log(tmp_path / "train.log", every=K)
    series = la.load(tmp_path).series("train/loss")
    np.testing.assert_allclose(series.value, [loss(step) for step in series.step], atol=1e-4)
