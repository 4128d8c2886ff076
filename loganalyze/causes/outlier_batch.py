"""A batch that is unlike the rest: broken, mislabelled, or very long.

What it is
----------
The loss of that batch is high; the next ones are ordinary again, at most with a short echo in the
optimizer's state.

What speaks for it
------------------
A single spike that recovers within a few steps, at an unchanged learning rate.

What speaks against it
----------------------
Spikes that come back, or a loss that does not recover soon. An evaluation that jumps at other times too, or
had risen before.

How to confirm
--------------
Replay the batch of that step with the weights before it.

Fix
---
Look at the samples; filter them; clip the gradient.

References
----------
LLaVA#918; PaLM (2022), section 5.1.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import is_sorted
from loganalyze.causes.memory_request import large_request
from loganalyze.causes.trouble import burst_at_first, survived
from loganalyze.finding import Clue

JUMP = 2.0  # times the evaluation before
LAST = 5  # losses that make the level at the end
UNDONE = 0.01  # of the jump
AGAIN = 2  # jumps of the evaluation; one may be the batch's own echo
LONG = 50  # steps: what one batch did is mended sooner
SEVERAL = 4  # log points
MANY = 3  # spikes: more than odd batches


def weigh(case: Case) -> list[Clue]:
    """A single spike that recovers is a batch; many are not."""
    spike = case.found("loss-spike")
    clues = []
    recover = case.number("loss-spike", "steps_to_recover")
    if recover is not None:
        steps = f"{recover:.0f} step{'s' if recover != 1 else ''}"
        slow = recover > LONG and _points(case, recover) > SEVERAL
        clues.append(
            Clue(f"The loss was back at its level {steps} later.", WEAK if slow else STRONG)
        )
    elif spike and _fell_back(case):
        clues.append(Clue("The loss fell back by 99 % of its jump, and goes on falling.", WEAK))
    elif spike:
        clues.append(Clue("The loss did not come back to its level.", -STRONG))
    share = large_request(case)
    memory = case.found("oom-gpu")
    if memory is not None and memory.steps is None:
        text = "No step is known to have fitted before: nothing tells one batch from the others."
        clues.append(Clue(text, -STRONG))
    if share is not None:
        text = f"One request asked for {share:.0%} of the memory, as an odd sample does."
        clues.append(Clue(text, WEAK))
    elif memory is not None:
        clues.append(Clue("No single request was unusually large.", -DECISIVE))
    count = case.number("loss-spike", "count")
    if count is not None and count >= MANY:
        clues.append(Clue(f"There are {count:.0f} such spikes.", -MODERATE))
    elif count == 1:
        clues.append(Clue("It is the only spike of the run.", MODERATE))
    times = burst_at_first(case)
    if spike and times is not None:
        text = f"The loss leapt to {times:,.0f} x its first value within the first steps as well."
        clues.append(Clue(text, -STRONG))
    if spike and is_sorted(case):
        text = "Batches differ from those before them all along: it is not one batch."
        clues.append(Clue(text, -STRONG))
    jumps = _evaluations_that_jump(case)
    risen = _risen_before(case)
    if risen > JUMP:
        text = f"The evaluation loss was {risen:.1f} x its best before it: no batch acts ahead of its time."
        clues.append(Clue(text, -STRONG))
    if spike and jumps >= AGAIN:
        text = f"The evaluation loss jumps up {jumps} times as well: it is not one batch."
        clues.append(Clue(text, -STRONG))
    if case.found("loss-divergence", "loss-nonfinite") and not survived(case):
        if not spike:
            clues.append(Clue("No single batch stands out, and the loss broke.", -DECISIVE))
        clues.append(Clue("The run did not survive: the loss diverged or turned NaN.", -MODERATE))
    return clues


def _points(case: Case, steps: float) -> float:
    """Return how many log points `steps` are."""
    at = case.run.series("train/loss").finite().step
    return steps / max(float(np.median(np.diff(at))), 1.0) if len(at) > 1 else 0.0


def _evaluations_that_jump(case: Case) -> int:
    value = case.run.series("eval/loss").finite().value
    return int((value[1:] > JUMP * value[:-1]).sum()) if len(value) and value.min() > 0 else 0


def _risen_before(case: Case) -> float:
    """Return the last evaluation loss before the spike over the best one before that."""
    step = case.number("loss-spike", "step")
    evals = case.run.series("eval/loss").finite()
    before = evals.value[evals.step < step] if step is not None else evals.value[:0]
    return float(before[-1] / before.min()) if len(before) > 1 and before.min() > 0 else 1.0


def _fell_back(case: Case) -> bool:
    """Tell whether most of a jump is undone: beside a loss near zero its last part takes long."""
    step, top, level = (case.number("loss-spike", n) for n in ("step", "value", "level_before"))
    loss = case.run.series("train/loss").finite()
    if step is None or top is None or level is None:
        return False
    after = loss.value[loss.step > step]
    return len(after) > 0 and float(np.median(after[-LAST:])) - level < UNDONE * (top - level)


def fix(case: Case) -> list[str]:
    """Name the step."""
    step = case.number("loss-spike", "step")
    near = f" of step {step:,.0f}" if step is not None else ""
    return [
        f"Look at the samples in the batch{near}; drop what is broken, clip the gradient at 1.0"
    ]


HYPOTHESIS = Hypothesis(
    id="outlier-batch",
    title="One odd batch",
    prior=0.2,
    explains=("loss-spike", "grad-explosion", "oom-gpu", "loss-divergence"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
