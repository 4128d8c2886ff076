"""TensorBoard: event files below ``tensorboard/`` of the run's directory, under canonical tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loganalyze.errors import MissingExtra
from loganalyze.monitor.writers.writer import Kind
from loganalyze.names import canonical

FOLDER = "tensorboard"
FLUSH = 10  # seconds between two writes to the disk; what a killed process loses


class TensorBoardWriter:
    """Writes scalars with PyTorch's `SummaryWriter`."""

    def __init__(self, directory: Path, run: str, config: Mapping[str, Any]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("the tensorboard writer needs torch: pip install torch") from None
        self._writer = SummaryWriter(str(directory / FOLDER), flush_secs=FLUSH)

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Write a scalar for each number."""
        for name, value in found.items():
            self._writer.add_scalar(canonical(name), value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


KIND = Kind("tensorboard", TensorBoardWriter)
