"""Weights & Biases: a run below ``wandb/`` of the run's directory, offline where there is no key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loganalyze.errors import MissingExtra
from loganalyze.monitor.writers.writer import Kind
from loganalyze.names import canonical
from loganalyze.report.redact import redact_value

KEY, MODE, PROJECT = "WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"


class WandbWriter:
    """Writes history with W&B's client, which sends it from a process of its own."""

    def __init__(self, directory: Path, run: str, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingExtra("the wandb writer needs wandb: pip install wandb") from None
        mode = os.environ.get(MODE) or ("online" if os.environ.get(KEY) else "offline")
        self._run = wandb.init(
            dir=str(directory),
            name=run,
            project=os.environ.get(PROJECT) or "loganalyze",
            config={key: redact_value(str(key), value) for key, value in config.items()},
            mode=mode,  # type: ignore[arg-type]
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Log the numbers, with their step."""
        self._run.log({canonical(name): value for name, value in found.items()}, step=step)

    def close(self) -> None:
        """Wait until all is written."""
        self._run.finish()


KIND = Kind("wandb", WandbWriter)
