"""Lines as the usual training programs print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def trainer(rows: Iterable[dict[str, Any]]) -> str:
    """The Hugging Face Trainer's stdout: one Python dict a line."""
    return "".join(f"{row!r}\n".replace(": nan", ": nan") for row in rows)


def keras(rows: Iterable[tuple[float, ...]], epochs: int, names: tuple[str, ...]) -> str:
    """Keras's ``fit(verbose=2)``: two lines an epoch."""
    return "".join(
        f"Epoch {epoch}/{epochs}\n196/196 - 5s - "
        + " - ".join(f"{name}: {value:.4f}" for name, value in zip(names, row, strict=True))
        + "\n"
        for epoch, row in enumerate(rows, 1)
    )


def pairs(rows: Iterable[dict[str, Any]]) -> str:
    """A plain loop: ``step 10 loss 2.31 lr 1.00e-03``."""
    return "".join(" ".join(f"{key} {value}" for key, value in row.items()) + "\n" for row in rows)
