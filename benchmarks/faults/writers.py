"""How runs are logged: each class writes what some real writer writes, and keeps what it wrote.

`Log.points` is what the log shows, number for number; the labels are made from it.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Values = Mapping[str, float]


class Log:
    """A log of one run: settings, lines of text, train and evaluation values."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.epoch_steps = epoch_steps
        self.points: list[dict[str, Any]] = []
        self.text = (folder / "train.log").open("w")

    def settings(self, values: Mapping[str, Any]) -> None:
        """Write the settings: printed arguments, unless the writer has a file for them."""
        self.line(str(Namespace(**values)))

    def line(self, text: str) -> None:
        self.text.write(text + "\n")

    def train(self, step: int, values: Values) -> None:
        """Write train values, and keep them."""
        self.keep("train", step, values)
        self.write_train(step, values)

    def evaluate(self, step: int, values: Values) -> None:
        """Write the values of an evaluation, and keep them."""
        self.keep("eval", step, values)
        self.write_evaluate(step, values)

    def keep(self, kind: str, step: int, values: Values) -> None:
        self.points.append({"kind": kind, "step": step, **values})

    def write_train(self, step: int, values: Values) -> None:
        raise NotImplementedError

    def write_evaluate(self, step: int, values: Values) -> None:
        raise NotImplementedError

    def restart(self, step: int) -> None:
        """Say that a run goes on from a checkpoint."""
        self.line(f"Resuming from checkpoint checkpoints/step_{step}.pt (step {step})")

    def traceback(self) -> None:
        """Write the traceback of the exception in flight, as the interpreter prints it."""
        self.line(relocated(traceback.format_exc()).rstrip())

    def close(self) -> None:
        """Finish the files; one that nothing was written to goes."""
        self.text.close()
        path = self.folder / "train.log"
        if not path.stat().st_size:
            path.unlink()

    def epoch(self, step: int) -> float:
        return step / self.epoch_steps


def relocated(text: str) -> str:
    """Return a traceback with this machine's folders replaced."""
    packages = Path(os.__file__).parent
    here = str(Path(__file__).resolve().parents[2])
    for name in {sys.prefix, sys.base_prefix}:
        text = text.replace(name, "/usr/local")
    return text.replace(str(packages), "/usr/local/lib/python3.11").replace(
        here + "/benchmarks/faults", "/workspace/study"
    )


def shown(values: Values, digits: int = 4) -> str:
    return " ".join(f"{name}={value:.{digits}g}" for name, value in values.items())


class NanoGPT(Log):
    """Lines of small research scripts."""

    def write_train(self, step: int, values: Values) -> None:
        line = f"iter {step}: loss {values['loss']:.4f}, time {values['step_time'] * 1e3:.2f}ms"
        for name in ("lr", "grad_norm", "loss_scale", "rss_mb"):
            if name in values:
                line += f", {name} {values[name]:.4g}"
        self.line(line)

    def write_evaluate(self, step: int, values: Values) -> None:
        self.line(f"step {step}: val loss {values['loss']:.4f}")


class Dicts(Log):
    """Dictionaries, as the Hugging Face Trainer prints them."""

    def write_train(self, step: int, values: Values) -> None:
        record = {"loss": round(values["loss"], 4)}
        record |= {k: float(f"{v:.9g}") for k, v in values.items() if k not in ("loss", "lr")}
        if "lr" in values:
            record["learning_rate"] = values["lr"]
        record.pop("accuracy", None)
        self.line(str({**record, "epoch": round(self.epoch(step), 2), "step": step}))

    def write_evaluate(self, step: int, values: Values) -> None:
        record = {f"eval_{name}": value for name, value in values.items()}
        self.line(str({**record, "epoch": round(self.epoch(step), 2), "step": step}))


class KeyValue(Log):
    """``name=value`` pairs behind a logger's prefix."""

    def write_train(self, step: int, values: Values) -> None:
        self.line(f"INFO:trainer:step={step} epoch={self.epoch(step):.3f} {shown(values, 6)}")

    def write_evaluate(self, step: int, values: Values) -> None:
        renamed = {f"val_{name}": value for name, value in values.items()}
        self.line(f"INFO:trainer:step={step} {shown(renamed, 6)}")


class ImageNet(Log):
    """Meters: the value of this batch and, in brackets, the mean of the epoch so far."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.meters: dict[str, list[float]] = {}
        self.in_epoch = -1

    def write_train(self, step: int, values: Values) -> None:
        epoch, place = divmod(step - 1, self.epoch_steps)
        if epoch != self.in_epoch:
            self.in_epoch, self.meters = epoch, {}
        cells = [f"Epoch: [{epoch}][{place:4d}/{self.epoch_steps}]"]
        names = {"step_time": "Time", "data_time": "Data", "loss": "Loss", "accuracy": "Acc@1",
                 "grad_norm": "GradNorm"}  # fmt: skip
        for key, name in names.items():
            if key in values:
                value = values[key] * (100 if key == "accuracy" else 1)
                seen = self.meters.setdefault(key, [])
                seen.append(value)
                cells.append(f"{name} {value:.4e} ({sum(seen) / len(seen):.4e})")
        if "lr" in values:
            cells.append(f"lr {values['lr']:.6f}")
        self.line("\t".join(cells))

    def write_evaluate(self, step: int, values: Values) -> None:
        accuracy = f"Acc@1 {100 * values['accuracy']:.3f} " if "accuracy" in values else ""
        self.line(f" * {accuracy}Val Loss {values['loss']:.4f}")


class Keras(Log):
    """One line an epoch, with means over the epoch."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.since: list[Values] = []
        self.total = 0

    def settings(self, values: Mapping[str, Any]) -> None:
        super().settings(values)
        self.total = values["max_steps"] // self.epoch_steps

    def train(self, step: int, values: Values) -> None:
        self.since.append(values)

    def evaluate(self, step: int, values: Values) -> None:
        if not self.since:
            return
        mean = {
            name: sum(v[name] for v in self.since) / len(self.since)
            for name in ("loss", "accuracy")
            if name in self.since[0]
        }
        epoch = round(self.epoch(step))
        self.keep("train", step, mean)
        self.keep("eval", step, values)
        spent = sum(v["step_time"] for v in self.since)
        per_step = 1e3 * spent / len(self.since)
        self.line(f"Epoch {epoch}/{self.total}")
        cells = [f"{self.epoch_steps}/{self.epoch_steps}", f"{spent:.0f}s {per_step:.0f}ms/step"]
        cells += [f"{name}: {value:.4f}" for name, value in mean.items()]
        cells += [f"val_{name}: {value:.4f}" for name, value in values.items()]
        self.line(" - ".join(cells))
        self.since = []


class JSONLines(Log):
    """One JSON object a line, and the settings beside it."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.file = (folder / "metrics.jsonl").open("w")

    def settings(self, values: Mapping[str, Any]) -> None:
        write_settings(self.folder, values)

    def write_train(self, step: int, values: Values) -> None:
        record = {"step": step, "epoch": round(self.epoch(step), 4)}
        record |= {f"train/{k}": float(f"{v:.6g}") for k, v in values.items()}
        self.file.write(json.dumps(record) + "\n")

    def write_evaluate(self, step: int, values: Values) -> None:
        record = {"step": step} | {f"val/{k}": float(f"{v:.6g}") for k, v in values.items()}
        self.file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        self.file.close()
        super().close()


class CSV(Log):
    """A table with a column for each value; evaluations fill their own columns."""

    COLUMNS = ("step", "epoch", "train_loss", "train_accuracy", "lr", "grad_norm", "loss_scale",
               "data_time", "step_time", "rss_mb", "val_loss", "val_accuracy")  # fmt: skip

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.file = (folder / "log.csv").open("w", newline="")
        self.table = csv.DictWriter(self.file, self.COLUMNS, lineterminator="\n")
        self.table.writeheader()

    def settings(self, values: Mapping[str, Any]) -> None:
        write_settings(self.folder, values)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        cells = {name: f"{value:.6g}" for name, value in values.items() if name in self.COLUMNS}
        self.table.writerow({"step": step, "epoch": f"{self.epoch(step):.4g}", **cells})

    def write_train(self, step: int, values: Values) -> None:
        named = {"train_loss": values["loss"], **values}
        if "accuracy" in values:
            named["train_accuracy"] = values["accuracy"]
        self.row(step, named)

    def write_evaluate(self, step: int, values: Values) -> None:
        self.row(step, {f"val_{name}": value for name, value in values.items()})

    def close(self) -> None:
        self.file.close()
        super().close()


class TensorBoard(Log):
    """An event file for each start, and the settings beside it."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.starts = 0
        self.open()

    def open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.starts += 1
        self.writer = SummaryWriter(str(self.folder), filename_suffix=f".{self.starts}")

    def settings(self, values: Mapping[str, Any]) -> None:
        write_settings(self.folder, values)

    def write_train(self, step: int, values: Values) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"train/{name}", value, step)

    def write_evaluate(self, step: int, values: Values) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"val/{name}", value, step)

    def restart(self, step: int) -> None:
        super().restart(step)
        self.writer.close()
        self.open()

    def close(self) -> None:
        self.writer.close()
        for path in self.folder.glob("events.out.*"):  # the name holds that of the machine
            start, number = path.name.split(".")[3], path.name.split(".")[-1]
            path.rename(path.with_name(f"events.out.tfevents.{start}.node.{number}"))
        super().close()


class MLflow(Log):
    """A run in a file store, written by MLflow's client at the end."""

    def __init__(self, folder: Path, epoch_steps: int) -> None:
        super().__init__(folder, epoch_steps)
        self.values: list[tuple[str, float, int]] = []
        self.given: Mapping[str, Any] = {}

    def settings(self, values: Mapping[str, Any]) -> None:
        self.given = values

    def write_train(self, step: int, values: Values) -> None:
        self.values += [(f"train_{name}", value, step) for name, value in values.items()]

    def write_evaluate(self, step: int, values: Values) -> None:
        self.values += [(f"val_{name}", value, step) for name, value in values.items()]

    def close(self) -> None:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        store = (self.folder / "mlruns").resolve()
        client = MlflowClient(tracking_uri=store.as_uri())
        run = client.create_run(client.create_experiment("study", "file:///workspace/mlruns/1"))
        client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(n.replace("train_lr", "learning_rate"), v, 1_700_000_000_000 + 50 * s, s)
                for n, v, s in self.values
            ],
            params=[Param(name, str(value)) for name, value in self.given.items()],
        )
        client.set_terminated(run.info.run_id)
        for path in store.rglob("meta.yaml"):
            path.write_text(path.read_text().replace(str(store.parent), "/workspace"))
        super().close()


class MMEngine(Log):
    """Lines of the OpenMMLab runner."""

    def prefix(self) -> str:
        return f"{datetime.now():%Y/%m/%d %H:%M:%S} - mmengine - INFO - "

    def settings(self, values: Mapping[str, Any]) -> None:
        super().settings(values)
        self.total = values["max_steps"]

    def write_train(self, step: int, values: Values) -> None:
        cells = [f"Iter(train) [{step:4d}/{self.total}]"]
        if "lr" in values:
            cells.append(f"lr: {values['lr']:.4e}")
        left = (self.total - step) * values["step_time"]
        cells += [f"eta: {timedelta(seconds=round(left))}", f"time: {values['step_time']:.4f}"]
        names = ("data_time", "grad_norm", "loss", "accuracy", "loss_scale")
        cells += [f"{name}: {values[name]:.4f}" for name in names if name in values]
        self.line(self.prefix() + "  ".join(cells))

    def write_evaluate(self, step: int, values: Values) -> None:
        cells = [f"{name}: {value:.4f}" for name, value in values.items()]
        self.line(self.prefix() + "  ".join(["Iter(val) [1/1]", *cells]))


class Megatron(Log):
    """Bars between what Megatron's training log prints."""

    def settings(self, values: Mapping[str, Any]) -> None:
        super().settings(values)
        self.total, self.batch = values["max_steps"], values["batch_size"]

    def write_train(self, step: int, values: Values) -> None:
        cells = [
            f" [{datetime.now():%Y-%m-%d %H:%M:%S}] iteration {step:8d}/{self.total:8d}",
            f"consumed samples: {step * self.batch:12d}",
            f"elapsed time per iteration (ms): {values['step_time'] * 1e3:.1f}",
        ]
        if "lr" in values:
            cells.append(f"learning rate: {values['lr']:.6E}")
        cells += [f"global batch size: {self.batch:5d}", f"lm loss: {values['loss']:.6E}"]
        cells += [f"loss scale: {values.get('loss_scale', 1.0):.1f}"]
        if "grad_norm" in values:
            cells.append(f"grad norm: {values['grad_norm']:.3f}")
        self.line(" | ".join(cells) + " |")

    def write_evaluate(self, step: int, values: Values) -> None:
        loss = f"lm loss value: {values['loss']:.6E}"
        self.line(f" validation loss at iteration {step} | {loss} | ")


def write_settings(folder: Path, values: Mapping[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n")


WRITERS: dict[str, type[Log]] = {
    "nanogpt": NanoGPT,
    "dicts": Dicts,
    "keyvalue": KeyValue,
    "imagenet": ImageNet,
    "keras": Keras,
    "jsonl": JSONLines,
    "csv": CSV,
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "mmengine": MMEngine,
    "megatron": Megatron,
}
