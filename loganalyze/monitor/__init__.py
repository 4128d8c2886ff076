"""Watching a training from inside: `Monitor` for any loop, callbacks for trainers.

Names are imported on first use: a callback needs its trainer's package, `Monitor` none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loganalyze.monitor.hf_callback import HFCallback
    from loganalyze.monitor.lightning_callback import LightningCallback
    from loganalyze.monitor.monitor import Monitor

__all__ = ["HFCallback", "LightningCallback", "Monitor"]

_HOMES = {
    "HFCallback": "hf_callback",
    "LightningCallback": "lightning_callback",
    "Monitor": "monitor",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'loganalyze.monitor' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"loganalyze.monitor.{_HOMES[name]}"), name)
