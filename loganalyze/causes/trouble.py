"""Where a run first becomes unstable, whatever shows it first."""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import Case

FEWEST = 4  # log points
BACK = 2.0  # times the first loss: a run that went astray otherwise as well passes it
SOON = 50  # steps: what one batch did is mended sooner
# Finding -> the number in its evidence that says where it begins.
BURST = 10.0  # times the first loss; batches of a heavy-tailed target differ by less, as a rule
_BEGIN = {
    "loss-nonfinite": "first_step",
    "grad-nonfinite": "first_step",
    "loss-spike": "step",
    "grad-explosion": "first_step",
    "loss-divergence": "best_step",
}


def first_trouble(case: Case) -> int | None:
    """Return the step of the first instability, or None where there is none."""
    steps = [case.number(finding, name) for finding, name in _BEGIN.items()]
    steps += [
        float(finding.steps[0])
        for finding in case.findings
        if finding.id in _BEGIN
        and finding.steps
        and case.number(finding.id, _BEGIN[finding.id]) is None
    ]
    known = [step for step in steps if step is not None]
    return int(min(known)) if known else None


def leapt_on_the_way_up(case: Case) -> bool:
    """Tell whether the loss leapt at the highest rate so far, while that went on to rise."""
    rate = case.run.series("train/learning_rate").finite()
    step = case.number("loss-spike", "step")
    if step is None or len(rate) < FEWEST:
        return False
    before = rate.value[rate.step <= step]
    if len(before) < FEWEST or before[-1] < before.max() or rate.value.max() <= before[-1]:
        return False
    return bool(before[-1] > before[len(before) // 2])


def survived(case: Case) -> bool:
    """Tell whether all that went wrong is one spike, from which the loss was soon back for good."""
    recover, step = (case.number("loss-spike", n) for n in ("steps_to_recover", "step"))
    loss = case.run.series("train/loss")
    if recover is None or step is None or case.number("loss-spike", "count") != 1:
        return False
    interval = float(np.median(np.diff(loss.step))) if len(loss) > 1 else 1.0
    outside = loss.value[(loss.step < step) | (loss.step > step + recover)]
    if len(outside) < FEWEST or recover > max(SOON, interval):
        return False
    # NaN is not below anything.
    return bool(outside.max() < BACK * max(outside[0], np.median(outside)))


def burst_at_first(case: Case) -> float | None:
    """Return how far the first tenth of the losses leapt above the first one, in multiples; None if not far.

    The model is as untrained as it gets: only updates make it so much worse.
    """
    loss = case.run.series("train/loss").finite().value
    early = loss[1 : max(len(loss) // 10, 2)]
    if len(loss) < 2 * FEWEST or not len(early) or loss[0] <= 0:
        return None
    times = float(early.max() / loss[0])
    return times if times > BURST else None
