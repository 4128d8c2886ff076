"""The accelerator waits for data.

What it is
----------
Decoding, augmentation or the disk deliver fewer samples than a step takes.

What speaks for it
------------------
The time spent on data is a large part of the step; single steps wait long between many that do not (a
queue runs dry).

What speaks against it
----------------------
The time on data is about zero.

How to confirm
--------------
Feed the same batch again and again: the speed jumps.

Fix
---
More workers, pinned memory, data closer to the machine, cheaper or precomputed augmentation.

References
----------
pytorch/examples#164; PyTorch documentation, performance tuning guide.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue

MUCH = 0.3  # share of the step that may be spent on data before it is the brake
LITTLE = 0.05  # share of the time; a loader that costs so little holds nothing up


def weigh(case: Case) -> list[Clue]:
    """Weigh the time on data against that of the step."""
    data, step = (
        case.run.series(name).finite() for name in ("perf/data_seconds", "perf/step_seconds")
    )
    if not len(data) or not len(step):
        clues = [Clue("The time spent on data was not logged.", -WEAK)]
        if case.found("stall"):
            text = "Single steps waited long where nothing else is logged: a queue that runs dry."
            clues.append(Clue(text, MODERATE))
        return clues
    share = float(np.sum(data.value) / max(len(data), 1)) / max(float(np.mean(step.value)), 1e-12)
    if share > MUCH:
        return [Clue(f"{min(share, 1.0):.0%} of the time is spent waiting for data.", DECISIVE)]
    weight = -DECISIVE if share < LITTLE else -STRONG
    return [Clue(f"Only {share:.0%} of the time is spent waiting for data.", weight)]


def fix(case: Case) -> list[str]:
    """More workers."""
    workers = case.run.number("dataloader_num_workers") or case.run.number("num_workers")
    before = 0 if workers is None else int(workers)
    return [f"num_workers {before} -> {max(2 * before, 4)}, pin_memory and persistent_workers on"]


HYPOTHESIS = Hypothesis(
    id="dataloader-bottleneck",
    title="The accelerator waits for data",
    prior=0.4,
    explains=("throughput-drop", "stall"),
    weigh=weigh,
    fix=fix,
    probe="throughput",
)
