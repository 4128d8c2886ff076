"""Where a run first becomes unstable, whatever shows it first."""

from __future__ import annotations

from loganalyze.causes.cause import Case

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
