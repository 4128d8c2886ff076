"""Three finders of a learning rate side by side: ``python benchmarks/probe_lr.py [--write docs/probe.md]``.

The check `lr` of ``loganalyze probe``, torch-lr-finder and Lightning's tuner on one model: a classifier with
batch normalisation and dropout, AdamW, 20 inputs, 10 classes. Each sweeps from 1e-7 to 1, with five orders of
the same data. Told are the median suggestion and how far the five lie apart, the loss after 200 steps at the
median, the time of one search, and what is not as it was after it. The other two are installed by hand (``pip
install torch-lr-finder lightning``); one that is missing is left out.
"""

from __future__ import annotations

import io
import logging
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from loganalyze.probe import ProbeTarget, probe

MARK = "<!-- written by benchmarks/probe_lr.py -->\n"
SEEDS = range(5)
STEPS = 200  # of the training at the suggestion
OWN = 1e-3  # learning rate that the optimizer begins with
CRITERION = nn.CrossEntropyLoss()


class Setting:
    """A model, its optimizer and its data, the same for each tool; a training that is under way."""

    def __init__(self, seed: int) -> None:
        made = torch.Generator().manual_seed(0)
        x = torch.randn(6400, 20, generator=made)
        noise = torch.randn(6400, 10, generator=made)
        data = TensorDataset(x, (x[:, :10] + 0.5 * noise).argmax(-1))
        order = torch.Generator().manual_seed(seed)
        self.loader = DataLoader(data, 32, shuffle=True, generator=order)
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        layers = [nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1)]
        self.model = nn.Sequential(*layers, nn.Linear(64, 10))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=OWN)
        # Of a training that is under way: the optimizer has state.
        batch, labels = next(iter(self.loader))
        CRITERION(self.model(batch), labels).backward()
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Everything a search may disturb, as plain values."""
        tensors = [v for s in self.optimizer.state.values() for v in s.values()]
        groups = [
            {k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups
        ]
        return {
            "weights": [p.detach().numpy().tobytes() for p in self.model.parameters()],
            "batch statistics": [b.numpy().tobytes() for b in self.model.buffers()],
            "gradients": [
                None if p.grad is None else p.grad.numpy().tobytes() for p in self.model.parameters()
            ],
            "train or eval": [m.training for m in self.model.modules()],
            "optimizer": [[t.numpy().tobytes() for t in tensors], repr(groups)],
            "torch's generator": torch.get_rng_state().tolist(),
            "Python's and NumPy's": [random.getstate(), np.random.get_state()[1].tolist()],  # noqa: NPY002
            "order of the data": self.loader.generator.get_state().tolist(),
        }  # fmt: skip


def ours(setting: Setting) -> float:
    target = ProbeTarget(setting.model, setting.loader, CRITERION, optimizer=setting.optimizer)
    return float(probe(target, ["lr"]).results[0].measurements["lr_suggested"])


def torch_lr_finder(setting: Setting) -> float:
    from torch_lr_finder import LRFinder

    finder = LRFinder(setting.model, setting.optimizer, CRITERION)
    finder.range_test(setting.loader, start_lr=1e-7, end_lr=1, num_iter=200)
    rates, losses = np.log10(finder.history["lr"][10:-5]), finder.history["loss"][10:-5]
    finder.reset()
    return float(10 ** rates[np.gradient(np.array(losses)).argmin()])  # as its plot() suggests


def lightning(setting: Setting) -> float:
    import lightning.pytorch as pl
    from lightning.pytorch.tuner import Tuner

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.lr = setting.model, OWN

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return CRITERION(self.inner(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=self.lr)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_steps=1000, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        )  # fmt: skip
        found = Tuner(trainer).lr_find(
            Module(), train_dataloaders=setting.loader, min_lr=1e-7, max_lr=1, num_training=200
        )
        suggestion = found.suggestion()
    return float(suggestion)


TOOLS: dict[str, tuple[str, Callable[[Setting], float]]] = {
    "loganalyze probe lr": ("loganalyze", ours),
    "torch-lr-finder, with reset()": ("torch-lr-finder", torch_lr_finder),
    "Lightning, Tuner.lr_find": ("lightning", lightning),
}


def trained(rate: float) -> float:
    """Return the mean loss of the last 20 of some steps at a rate."""
    setting = Setting(99)
    setting.model.train()
    optimizer = torch.optim.AdamW(setting.model.parameters(), lr=rate)
    losses: list[float] = []
    while len(losses) < STEPS:
        for batch, labels in setting.loader:
            loss = CRITERION(setting.model(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return statistics.fmean(losses[STEPS - 20 : STEPS])


def row(name: str, package: str, find: Callable[[Setting], float]) -> str:
    shown = "this version" if package == "loganalyze" else version(package)
    found, seconds, changed = [], [], {}
    for seed in SEEDS:
        setting = Setting(seed)
        before = setting.state()
        start = time.perf_counter()
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            found.append(find(setting))
        seconds.append(time.perf_counter() - start)
        after = setting.state()
        changed |= {key: True for key in before if before[key] != after[key]}
    middle = statistics.median(found)
    left = ", ".join(changed) or "nothing"
    return (
        f"| {name} ({shown}) | {middle:.2g} | {max(found) / min(found):.1f} x | {trained(middle):.2f} | "
        f"{min(seconds):.2f} | {left} |"
    )


def measured() -> str:
    lines = [
        "| tool | suggestion | spread | loss after 200 steps | s | not as it was |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name, (package, find) in TOOLS.items():
        try:
            lines.append(row(name, package, find))
        except (ImportError, PackageNotFoundError) as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
    lines.append(f"| no search, the rate of the optimizer | {OWN:g} | | {trained(OWN):.2f} | | |")
    return "\n".join(lines) + "\n"


def main() -> int:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = measured()
    print(table)
    if "--write" in sys.argv:
        page = Path(sys.argv[sys.argv.index("--write") + 1])
        before, after = page.read_text(encoding="utf-8").split(MARK)[::2]
        page.write_text(f"{before}{MARK}{table}{MARK}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
