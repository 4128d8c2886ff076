"""The logs that are read: each made by its real writer, or line by line as that writer does."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np

TAGS = ("train/loss", "train/grad_norm", "train/learning_rate")


def curve(count: int) -> np.ndarray:
    """Return a loss that falls, with noise."""
    rng = np.random.default_rng(0)
    return (0.5 + 2 * np.exp(-np.arange(count) / (count / 5))) * rng.lognormal(0, 0.05, count)


def event_file(folder: Path, scalars: int) -> Path:
    """Write `scalars` scalars in three tags with tensorboardX."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step, value in enumerate(curve(scalars // len(TAGS)), 1):
            for tag in TAGS:
                writer.add_scalar(tag, value, step)
    return folder


def event_file_of_pictures(folder: Path, megabytes: int) -> Path:
    """Write 10,000 scalars between images and histograms of `megabytes` in all."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir()
    picture = Summary.Image(height=512, width=512, encoded_image_string=bytes(800_000))
    bins = [float(k) for k in range(10_000)]
    histogram = HistogramProto(bucket_limit=bins, bucket=bins)
    values = [
        Summary(value=[Summary.Value(tag="image", image=picture)]),
        Summary(value=[Summary.Value(tag="weights", histo=histogram)]),
    ]
    pieces = max(megabytes, 2)
    with (folder / "events.out.tfevents.1.host").open("wb") as file:
        writer = RecordWriter(file)
        for step, value in enumerate(curve(10_000)):
            scalar = Summary(value=[Summary.Value(tag="train/loss", simple_value=value)])
            writer.write(Event(wall_time=step, step=step, summary=scalar).SerializeToString())
            if step < pieces:
                big = Event(wall_time=step, step=step, summary=values[step % len(values)])
                payload = big.SerializeToString()
                for _ in range(max(1, round(1e6 / len(payload)))):
                    writer.write(payload)
    return folder


def printed(folder: Path, lines: int) -> Path:
    """Write the dictionaries that the Hugging Face Trainer prints."""
    path = folder / "dicts.log"
    with path.open("w") as file:
        for step, value in enumerate(curve(lines), 1):
            file.write(_dictionary(step, float(value)))
    return path


def printed_with_bars(folder: Path, lines: int) -> Path:
    """Write the same between the updates of a progress bar."""
    path = folder / "bars.log"
    with path.open("w") as file:
        for step, value in enumerate(curve(lines), 1):
            share = 100 * step // lines
            bar = "█" * (share // 10) + " " * (10 - share // 10)
            for late in (2, 1):
                seconds = 2 * step - late
                file.write(
                    f"\r{share:3d}%|{bar}| {step}/{lines} "
                    f"[{seconds // 60:02d}:{seconds % 60:02d}<86:01:24,  2.12s/it]"
                )
            file.write("\n" + _dictionary(step, float(value)))
    return path


def _dictionary(step: int, value: float) -> str:
    return (
        f"{{'loss': {value:.4f}, 'grad_norm': {value * 3.1:.12f}, "
        f"'learning_rate': {1e-5 / step:.12e}, 'epoch': {step / 1000:.2f}}}\n"
    )


def trainer_state(folder: Path, entries: int) -> Path:
    """Write a trainer_state.json as the Trainer does."""
    history = [
        {
            "epoch": step / 1000,
            "grad_norm": float(value) * 3.1,
            "learning_rate": 1e-5 / step,
            "loss": float(value),
            "step": step,
        }
        for step, value in enumerate(curve(entries), 1)
    ]
    path = folder / "trainer_state.json"
    state = {"global_step": entries, "log_history": history, "max_steps": entries}
    path.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")
    return path


def mlflow_folder(folder: Path, points: int) -> Path:
    """Write a file store with one run and four metrics of `points` points in all."""
    run = folder / "mlruns" / "0" / ("a" * 32)
    (run / "metrics").mkdir(parents=True)
    (run / "params").mkdir()
    (run / "tags").mkdir()
    (run / "artifacts").mkdir()
    (folder / "mlruns" / "0" / "meta.yaml").write_text(
        "artifact_location: mlruns/0\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n"
    )
    (run / "meta.yaml").write_text(
        f"artifact_uri: mlruns/0/{run.name}/artifacts\nend_time: null\nentry_point_name: ''\n"
        f"experiment_id: '0'\nlifecycle_stage: active\nrun_id: {run.name}\nrun_name: bench\n"
        f"run_uuid: {run.name}\nsource_name: ''\nsource_type: 4\nsource_version: ''\n"
        "start_time: 1700000000000\nstatus: 3\ntags: []\nuser_id: user\n"
    )
    for name in ("loss", "grad_norm", "learning_rate", "eval_loss"):
        with (run / "metrics" / name).open("w") as file:
            for step, value in enumerate(curve(points // 4), 1):
                file.write(f"{1_700_000_000_000 + step} {value} {step}\n")
    return folder / "mlruns"


def mlflow_database(folder: Path, points: int) -> Path:
    """Write the same into a database that MLflow itself has laid out."""
    from mlflow import MlflowClient

    path = folder / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{path}")
    run = client.create_run(client.create_experiment("bench")).info.run_id
    rows = (
        (name, float(value), 1_700_000_000_000 + step, run, step)
        for name in ("loss", "grad_norm", "learning_rate", "eval_loss")
        for step, value in enumerate(curve(points // 4), 1)
    )
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "insert into metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "values (?, ?, ?, ?, ?, 0)",
            rows,
        )
    return path
