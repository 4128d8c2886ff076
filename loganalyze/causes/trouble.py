"""Where a run first becomes unstable, whatever shows it first."""

from __future__ import annotations

from loganalyze.causes.cause import Case

FEWEST = 4  # log points
# Finding -> the number in its evidence that says where it begins.
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
