"""Writes run directories with the real SDK, offline; what was logged goes to a file beside them.

Usage: python wandb_writer.py FOLDER SCENARIO
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

SPECIAL = {3: math.nan, 4: math.inf, 5: -math.inf}


def start(folder: Path, **more: object):
    import wandb

    settings = wandb.Settings(silent=True, x_stats_sampling_interval=0.1)
    config = {"learning_rate": 1e-5, "optim": {"name": "adam", "betas": [0.9, 0.99]}}
    return wandb.init(
        dir=str(folder), project="sample", config=config, settings=settings, mode="offline", **more
    )


def curves(folder: Path) -> None:
    """A trainer's run with every kind of value."""
    import wandb

    run = start(folder)
    logged = []
    for call in range(40):
        entry = {
            "train/loss": SPECIAL.get(call, 2.0 / (call + 1)),
            "train/grad_norm": call,
            "train/epoch": call / 10,
            "train/global_step": 5 * (call + 1),
            "block": {"attention": {"scale": -call / 7}, "gain": 1e300 * call},
        }
        if call % 10 == 9:
            entry = {"eval/loss": 1 / 3, "train/global_step": 5 * (call + 1)}
        media = {"weights": wandb.Histogram([1, 2, 3]), "note": "text", "flag": True, "none": None}
        run.log({**entry, **(media if call % 4 == 0 else {})})
        print(f"call {call} done")
        logged.append(entry)
    run.log({"own": 7.0})
    run.config.update({"late": True, "optim": {"name": "sgd"}}, allow_val_change=True)
    run.finish()
    folder.with_suffix(".json").write_text(json.dumps(logged))


def plain(folder: Path) -> None:
    """No step but W&B's own; ends with an exception."""
    run = start(folder, name="fluffy-cloud-3")
    for call in range(10):
        run.log({"loss": 1.0 - call / 10})
    time.sleep(0.3)  # a sample of the system
    raise RuntimeError("expected by the test")


def killed(folder: Path) -> None:
    """Ends without a word."""
    run = start(folder)
    for call in range(1000):
        run.log({"loss": 1.0 / (call + 1)})
    time.sleep(1)  # the records go to the disk in the background
    os.kill(os.getpid(), signal.SIGKILL)


def resumed(folder: Path) -> None:
    """Two starts with one ID: the second logs from step 60 again."""
    for first, value in ((0, 1.0), (60, 2.0)):
        run = start(folder, id="same", resume="allow")
        for call in range(first, first + 100):
            run.log({"loss": value, "global_step": call})
        run.finish()
        time.sleep(1.1)  # directories are named by the second


if __name__ == "__main__":
    {"curves": curves, "plain": plain, "killed": killed, "resumed": resumed}[sys.argv[2]](
        Path(sys.argv[1])
    )
