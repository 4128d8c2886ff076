"""The run went on from a checkpoint without all that belongs to it.

What it is
----------
Weights were loaded, but not the optimizer's moments, the scheduler's count, the head, the random state or the
place in the data.

What speaks for it
------------------
The loss jumps, or the rate starts over, exactly where the run was restarted.

What speaks against it
----------------------
Loss and rate go on smoothly over the restart.

How to confirm
--------------
Compare the norm of the optimizer's second moments before saving and after loading.

Fix
---
Save and load optimizer, scheduler, scaler, random states and the sampler's position; load strictly.

References
----------
LLaMA-Factory#512; Automodel#763; yolov5#292; prime#97.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.signals.restart import told_restarts
from loganalyze.signals.robust import noise_sigma

APART = 0.15  # relative difference of repeated losses; less is another mix of batches
SIGMAS = 4.0  # standard deviations of the log loss; two batches differ by 0.95 in the median
ALIKE = 0.95  # sqrt(2) times the median of a normal deviate: two batches, one model
FEWEST = 3  # losses logged twice; fewer may be odd ones
AGAIN = 0.5  # of the rate before the restart: less, and the schedule began anew


def weigh(case: Case) -> list[Clue]:
    """Weigh what changes at a restart."""
    segment = case.run.series("train/loss").segment
    if (not len(segment) or int(segment.max()) == 0) and not len(told_restarts(case.run)):
        return [Clue("The log shows no restart.", -DECISIVE)]
    clues = []
    if case.found("loss-jump-on-resume"):
        clues.append(Clue("The loss jumps exactly where the run was restarted.", STRONG))
    clues += _repeated(case)
    rate = case.run.series("train/learning_rate").finite()
    starts = [i for i in range(1, len(rate)) if rate.segment[i] != rate.segment[i - 1]]
    lost = [i for i in starts if rate.value[i] < AGAIN * rate.value[i - 1]]
    if lost:
        at = lost[0]
        fall = f"from {rate.value[at - 1]:.2g} to {rate.value[at]:.2g}"
        text = f"The rate falls {fall} at the restart: the schedule's count is lost."
        clues.append(Clue(text, STRONG))
    elif starts:
        clues.append(Clue("The rate goes on where it was.", -MODERATE if not clues else 0.0))
    return [clue for clue in clues if clue.weight]


def _repeated(case: Case) -> list[Clue]:
    """The same steps of the same model differ by as much as two batches do."""
    overlap = case.found("steps-overlap")
    differ = case.number("steps-overlap", "median_relative_difference")
    count = case.number("steps-overlap", "losses_compared") or 0
    series = case.run.series("train/loss").finite()
    if overlap is None or differ is None or count < FEWEST:
        return []
    if len(series) and series.segment[0] == series.segment[-1]:
        return []  # another attempt from the first step on, with another draw of its weights
    loss = series.value
    noise = noise_sigma(np.log(loss)) if len(loss) and loss.min() > 0 else 0.0
    if differ < max(APART, SIGMAS * ALIKE * noise):
        return []
    text = f"The steps that were repeated have losses that differ by {differ:.0%} in the median."
    return [Clue(text, STRONG)]


def fix(case: Case) -> list[str]:
    """Name what to save."""
    return ["Save and load optimizer, scheduler, scaler and sampler with the weights (strict=True)"]


HYPOTHESIS = Hypothesis(
    id="resume-state-lost",
    title="State was lost at the restart",
    prior=0.3,
    explains=(
        "steps-overlap",
        "loss-jump-on-resume",
        "lr-schedule-anomaly",
        "loss-spike",
        "loss-divergence",
        "grad-explosion",
        "loss-plateau",
    ),
    weigh=weigh,
    fix=fix,
    probe="data",
)
