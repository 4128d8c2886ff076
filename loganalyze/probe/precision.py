"""Does the training's number format hold what the model computes?

What it does
------------
Runs the same batch forward and backward in fp32, bf16 and fp16 (autocast, without dropout) and looks at the
output of every module: the first one that is not finite though it is in fp32; the largest value, and the
shares that fp16 could not hold. Loss and gradient are compared with those of fp32; in fp16 the largest loss
scale is found at which the gradient is finite. Where the weights themselves are in half precision, one step
tells how many of them it moves at all.

Judged is the format of the training; the others are told.

Thresholds
----------
fp16 holds up to 65,504 and down to 6e-8. A value within a tenth of the upper end is near it. bf16 has 8 bits
of mantissa, so that a loss that differs by 5 %, or a gradient whose cosine with that of fp32 is below 0.9, is
no longer rounding. An update below 1/512 of a bf16 weight is lost.

References
----------
Micikevicius et al., Mixed Precision Training (2018); Kalamkar et al., A Study of BFLOAT16 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.probe.formats import FORMATS, Pass, passed, unmoved
from loganalyze.probe.precision_verdict import conclude
from loganalyze.probe.probe import Probe
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench


@dataclass(frozen=True)
class Compared:
    """The batch in each format.

    Attributes
    ----------
    own
        The format of the training.
    unmoved
        Share of half-precision weights that a step leaves as they were; None where there are none.
    """

    own: str
    passes: dict[str, Pass]
    unmoved: float | None

    @property
    def full(self) -> Pass:
        """The batch in fp32."""
        return self.passes["fp32"]


def run(bench: Bench) -> ProbeResult:
    """Run the batch in each format, then take one step."""
    batch = bench.batches(1)[0]
    own = own_format(bench)
    passes = {}
    for position, one in enumerate(FORMATS):
        passes[one] = passed(bench, batch, one)
        bench.report(position + 1, len(FORMATS) + 1)
    lost = unmoved(bench, batch) if bench.trainable() else None
    return conclude(Compared(own, passes, lost))


def own_format(bench: Bench) -> str:
    """Return the format of the training: of the target, its weights, or the run's settings."""
    import torch

    if bench.target.precision != "fp32":
        return bench.target.precision
    kinds = {p.dtype for p in bench.target.model.parameters()}
    for name, kind in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        if kind in kinds:
            return name
    run = bench.run
    if run is not None:
        for name in ("fp16", "bf16"):
            if run.flag(name):
                return name
    return "fp32"


PROBE = Probe("precision", "Does the number format hold what the model computes?", run)
