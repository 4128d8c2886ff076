"""A few small runs on disk, each with a curve of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Make = Callable[..., Path]


def write_log(path: Path, *, seed: int = 0, points: int = 120, sick: bool = False) -> Path:
    """Write a log as the Trainer prints it; a sick one rises and does not come back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    loss = (0.5 + 2 * np.exp(-np.arange(points) / 30)) * rng.lognormal(0, 0.03, points)
    if sick:
        loss[points // 2 :] *= np.linspace(1, 15, points - points // 2)
    lines = [
        f"{{'loss': {value:.4f}, 'grad_norm': {3 * value:.4f}, 'learning_rate': 1e-4, 'epoch': {at / 50:.2f}}}\n"
        for at, value in enumerate(loss, 1)
    ]
    path.write_text("".join(lines))
    return path


@pytest.fixture
def make_fleet(tmp_path: Path) -> Make:
    def make(count: int, *, sick: tuple[int, ...] = (), root: str = "fleet") -> Path:
        folder = tmp_path / root
        for number in range(count):
            write_log(folder / f"run-{number:03d}" / "train.log", seed=number, sick=number in sick)
            settings = {
                "learning_rate": 1e-3 if number in sick else 1e-4,
                "batch_size": 8,
                "seed": number,
            }
            (folder / f"run-{number:03d}" / "config.json").write_text(json.dumps(settings))
        return folder

    return make
