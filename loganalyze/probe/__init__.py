"""Experiments on the live model: they confirm or rule out what a log can only suggest.

    from loganalyze.probe import ProbeTarget, probe
    probed = probe(ProbeTarget(model, loader), ("init", "overfit"))

Nothing is changed: after each check everything is put back bit for bit, and that is proved.
Importing this package does not import torch.
"""

from __future__ import annotations

from loganalyze.probe import (
    batch,
    data,
    gradients,
    init,
    lr,
    memory,
    nan,
    overfit,
    precision,
    throughput,
)
from loganalyze.probe.probe import Probe
from loganalyze.probe.runner import probe
from loganalyze.probe.target import ProbeTarget
from loganalyze.probe.trainers import from_trainer

# In the order in which one would ask: first what the others rest on.
PROBES: tuple[Probe, ...] = (
    init.PROBE,
    gradients.PROBE,
    overfit.PROBE,
    nan.PROBE,
    data.PROBE,
    lr.PROBE,
    batch.PROBE,
    memory.PROBE,
    precision.PROBE,
    throughput.PROBE,
)

__all__ = ["PROBES", "Probe", "ProbeTarget", "from_trainer", "probe"]
