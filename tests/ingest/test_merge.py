import json
from pathlib import Path

import numpy as np
import pytest

import loganalyze as la
from loganalyze.run import Status

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def log(path: Path, first: float, steps=range(1, 21), digits: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"step {s} loss={first - s / 100:.{digits}f}\n" for s in steps))


def trainer(path: Path, first: float, steps=range(1, 21), planned: int = 20) -> None:
    history = [{"step": s, "loss": first - s / 100} for s in steps]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"log_history": history, "global_step": max(steps), "max_steps": planned})
    )


def events(folder: Path, first: float, steps=range(1, 21)) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in steps:
            writer.add_scalar("train/loss", first - step / 100, step)


def test_several_sources_of_one_run_are_merged_and_every_row_is_kept(tmp_path: Path) -> None:
    trainer(tmp_path / "trainer_state.json", 3.0, range(2, 21, 2))
    events(tmp_path / "runs/now", 3.0)
    log(tmp_path / "train.log", 3.0, range(5, 21, 5))
    run = la.load(tmp_path)
    assert run.others == ()
    assert len(run.metrics) == 10 + 20 + 4
    assert len(run.series("train/loss")) == 20  # the finest source
    assert "tfevents" in str(run.series("train/loss").where(0))


def test_on_a_tie_the_trainer_s_state_counts(tmp_path: Path) -> None:
    trainer(tmp_path / "trainer_state.json", 3.0)
    log(tmp_path / "train.log", 3.0, digits=1)
    assert str(la.load(tmp_path).series("train/loss").where(0)) == "trainer_state.json:1"


def test_sibling_directories_are_runs_and_can_be_picked(tmp_path: Path) -> None:
    log(tmp_path / "a/train.log", 3.0)
    log(tmp_path / "b/train.log", 9.0)
    newest = la.load(tmp_path)
    assert {newest.name, *newest.others} == {"a", "b"}
    assert la.load(tmp_path, run="b").series("train/loss").value[0] == pytest.approx(8.99)
    with pytest.raises(la.UsageError, match=r"a, b|b, a"):
        la.load(tmp_path, run="c")


def test_two_logs_with_other_numbers_for_the_same_steps_are_two_runs(tmp_path: Path) -> None:
    log(tmp_path / "one.log", 3.0)
    log(tmp_path / "two.log", 9.0)
    assert len(la.load(tmp_path).others) == 1


def test_a_configuration_file_belongs_to_the_run_beside_it(tmp_path: Path) -> None:
    log(tmp_path / "a/train.log", 3.0)
    log(tmp_path / "b/train.log", 9.0)
    (tmp_path / "a/config.yaml").write_text("num_labels: 7\n")
    assert la.load(tmp_path, run="a").number("num_classes") == 7
    assert la.load(tmp_path, run="b").number("num_classes") is None


def test_given_settings_win_over_those_that_were_read(tmp_path: Path) -> None:
    log(tmp_path / "train.log", 3.0)
    (tmp_path / "config.yaml").write_text("num_labels: 7\n")
    assert la.load(tmp_path, given={"num_classes": 9}).number("num_classes") == 9


@pytest.mark.parametrize(
    ("planned", "tail", "status"),
    [
        (20, "", Status.COMPLETED),
        (100, "", Status.TRUNCATED),
        (100, "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: x\n", Status.CRASHED),
    ],
)  # fmt: skip
def test_how_a_run_ended(tmp_path: Path, planned: int, tail: str, status: Status) -> None:
    log(tmp_path / "train.log", 3.0)
    with (tmp_path / "train.log").open("a") as file:
        file.write(tail)
    (tmp_path / "config.yaml").write_text(f"max_steps: {planned}\n")
    assert la.load(tmp_path).status is status


def test_metrics_are_one_tidy_table_of_the_agreed_types(tmp_path: Path) -> None:
    trainer(tmp_path / "trainer_state.json", 3.0)
    log(tmp_path / "train.log", 3.0)
    metrics = la.load(tmp_path).metrics
    kinds = {name: str(kind) for name, kind in metrics.dtypes.items()}
    assert kinds == {
        "metric": "category", "step": "int64", "epoch": "float64", "time": "float64",
        "value": "float64", "segment": "int64", "source": "category", "row": "int64",
        "name": "category",
    }  # fmt: skip
    assert np.isfinite(metrics["value"]).all()


def test_events_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    def log(name: str, minute: int, text: str) -> None:
        stamp = f"2024-01-01 10:{minute:02d}:00"
        (tmp_path / name).write_text(f"{stamp} step 1 loss=1.0\n{stamp} {text}\n")

    log("a.log", 30, "Saving model checkpoint to c")
    log("b.log", 10, "Resuming training from checkpoint-1")
    log("c.log", 20, "Bus error")
    (tmp_path / "untimed.log").write_text("step 1 loss=1.0\nSegmentation fault\n")
    assert [event.where.source for event in la.load(tmp_path).events] == [
        "b.log", "c.log", "a.log", "untimed.log",
    ]  # fmt: skip


def test_a_folder_of_many_event_files_and_metrics_keeps_every_point(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    for start in range(3):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{start}") as writer:
            for step in range(10 * start, 10 * start + 10):
                for tag in ("train/loss", f"extra/{start}"):
                    writer.add_scalar(tag, step, step)
    run = la.load(tmp_path)
    assert len(run.metrics) == 60
    assert run.series("train/loss").step.tolist() == list(range(30))
    assert run.series("extra/1").step.tolist() == list(range(10, 20))
    assert {str(name) for name in run.metrics["metric"].cat.categories} == {
        "train/loss", "extra/0", "extra/1", "extra/2",
    }  # fmt: skip


def test_the_files_of_one_store_are_one_family(tmp_path: Path) -> None:
    """An MLflow file store has a file a metric, and two of them may be one metric here."""
    folder = tmp_path / "mlruns/0/0123456789abcdef0123456789abcdef"
    (folder / "metrics").mkdir(parents=True)
    (folder / "meta.yaml").write_text("artifact_uri: a\nrun_id: 0123456789abcdef0123456789abcdef\n")
    for name, factor in (("train_loss", 1.0), ("train_loss_step", 2.0)):
        rows = "".join(f"{1000 * s} {factor * s} {s}\n" for s in range(1, 21))
        (folder / f"metrics/{name}").write_text(rows)
    run = la.load(tmp_path)
    assert len(run.families) == 1
    assert run.series("train/loss").value.tolist() == [float(step) for step in range(1, 21)]
    assert "sources-disagree" not in {finding.id for finding in la.diagnose(run).findings}
