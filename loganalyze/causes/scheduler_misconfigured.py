"""The learning rate does not follow the plan: it ends early, starts over, or stands at zero.

What it is
----------
The scheduler counts something else than the training does: steps of all processes, micro-batches, epochs;
it was built for fewer steps, built anew on resume, or stepped in the wrong place.

What speaks for it
------------------
The recorded rate is at zero while steps remain, jumps where no plan says so, or PyTorch warns that the
scheduler was stepped before the optimizer.

What speaks against it
----------------------
The rate follows the plan to the end. The warning comes once, with mixed precision: the first step was
skipped.

How to confirm
--------------
Print the scheduler's own total and its rate at ten places of the run, without training.

Fix
---
Give the scheduler the number of optimizer steps that will really be made; save and load its state.

References
----------
determined#711; LTX-Video#67; transformers#26827; yolov5#292.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import MODERATE, STATED, STRONG, Case, Hypothesis
from loganalyze.causes.error_text import quote, stated
from loganalyze.finding import Clue

ORDER = re.compile(r"Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`")

SHOWS = ("lr-zero", "lr-schedule-anomaly", "loss-plateau", "slow-convergence")
ERROR = re.compile(r"Tried to step \d+ times\. The specified number of total steps is \d+")


def weigh(case: Case) -> list[Clue]:
    """Weigh what the recorded rate does."""
    if told := stated(case, ERROR):
        return told
    if case.found("crash") and not case.found(*SHOWS):
        return [Clue("No error in the log comes from the scheduler.", -STATED)]
    odd = [f for f in case.findings if f.id in ("lr-zero", "lr-schedule-anomaly")]
    clues = [Clue(f"{finding.title}.", STRONG) for finding in odd]
    if quote(case, ORDER) is not None:
        mixed = case.run.flag("fp16") or case.run.setting("mixed_precision") is not None
        text = "PyTorch warns that the scheduler was stepped before the optimizer."
        clues.append(Clue(text, MODERATE if mixed else STATED))
    rate = case.run.series("train/learning_rate").finite()
    if not clues and len(rate):
        clues.append(Clue("The recorded rate does nothing odd.", -STRONG))
    return clues or [Clue("No learning rate was logged.", -STATED)]


def fix(case: Case) -> list[str]:
    """Name the number to check."""
    planned = case.run.planned_steps
    total = f" = {planned:,}" if planned else ""
    return [f"num_training_steps of the scheduler -> the optimizer steps of the whole run{total}"]


HYPOTHESIS = Hypothesis(
    id="scheduler-misconfigured",
    title="The learning-rate schedule does not fit the run",
    prior=0.3,
    explains=(*SHOWS, "crash"),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
