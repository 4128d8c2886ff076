"""Saved weights: never opened, only named, so that a report can say which checkpoint to go back to."""

from __future__ import annotations

import re
from pathlib import Path

from loganalyze.ingest.config_file import run_key
from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.names import named_step

# Weights of one checkpoint may lie in many files: the first one stands for it.
_WEIGHTS = re.compile(
    r"^(?:(?:model|pytorch_model|adapter_model|diffusion_pytorch_model|mp_rank_00_model_states)"
    r"(?:-00001-of-\d{5})?\.(?:safetensors|bin|pt)"
    r"|.{0,200}(?:step|ckpt|checkpoint|iter).{0,200}\.(?:pt|pth|ckpt|safetensors|bin|keras|h5|tar))$",
    re.I,
)


def claims(path: Path, head: bytes) -> bool:
    """Tell whether the file, or its folder, is named like a checkpoint of some step."""
    if not head or not _WEIGHTS.match(path.name):
        return False
    return named_step(f"{path.parent.name}/{path.name}") is not None


def read(path: Path, root: Path) -> list[Table]:
    """Return the name alone."""
    return [Table(source=relative(path, root), format=INGESTER.name, run=run_key(path, root))]


INGESTER = Ingester(name="checkpoint", claims=claims, read=read)
