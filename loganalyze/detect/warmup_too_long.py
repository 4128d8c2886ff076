"""The warmup takes an outsized share of the run, or the run never left it.

What it does
------------
The length of the warmup is read from the settings (`warmup_steps`, or `warmup_ratio` times the
planned steps), else seen in the recorded learning rate, else extrapolated from its linear rise to
the target. It holds when (a) the warmup takes more than `share` of the steps, or (b) the log ends
inside it, with the rate below `reached` of its target, and the warmup is at least `share_inside`
of the plan. It states learning rate reached / learning rate intended.

Why it matters
--------------
During warmup most of the budget is spent at a fraction of the intended rate: the loss falls
slowly for no other reason, and conclusions about the model are premature.

Not to be confused with
-----------------------
An ordinary warmup of 1 to 10 % that completes. A constant small rate. OneCycle, which rises over
30 % of the run by design, and cycles of a rate that comes back. A run that crashed early inside its
warmup, and a log that does not tell how many steps were planned (info).

Settings
--------
`share`, `share_inside`, `share_critical`, `reached`, `enough`.

Fix
---
A warmup of 3 % of the steps is enough for most fine-tunings: ``warmup_ratio 0.1 -> 0.03``.

References
----------
Goyal et al., "Accurate, Large Minibatch SGD" (2017): warmup over about 5 of 90 epochs. Smith and
Topin, "Super-Convergence" (2018): OneCycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import FATAL, Run, Series, Status
from loganalyze.settings import setting
from loganalyze.signals.lr import ALIVE, FULL, Warmup, configured_warmup, rises_in_a_curve, warmup
from loganalyze.signals.schedule import schedule


@dataclass(frozen=True)
class WarmupSettings:
    """Thresholds of the check."""

    share: float = setting(0.2, unit="share of the steps", source="ordinary warmups take 1 to 10 %")
    share_inside: float = setting(
        0.05, unit="share of the planned steps",
        source="10 % of 7,002 steps was too long for a run that was judged at step 500",
    )  # fmt: skip
    share_critical: float = setting(
        0.8, unit="share of the steps", source="hardly a step at the intended rate is left"
    )
    reached: float = setting(
        0.9, unit="share of the target rate", source="above it the run is as good as warmed up"
    )
    enough: float = setting(
        0.03, unit="share of the planned steps", source="3 % is enough for a fine-tuning"
    )


ONE_CYCLE_SHARE = 0.45  # OneCycle rises over 30 % by default; nobody uses it beyond this share
FEWEST = 4  # log points; fewer hardly tell a warmup from what follows
POINTS = 400  # of the drawn schedule
FEW_STEPS = 50  # below this many logged steps the judgement is less sure


def detect(run: Run, settings: WarmupSettings) -> Detected:
    """Measure the warmup against the run."""
    series = run.series("train/learning_rate").finite()
    if not len(series):
        return _as_set(run, settings)
    found = warmup(run)
    if found is None:
        return ()
    if found.source != "config" and len(series) < FEWEST:
        return NotApplicable(f"{len(series)} learning rates are too few, {FEWEST} needed")
    if not found.done and found.reached is None and found.source == "config":
        return _as_set(run, settings, "where it leads to is not logged")
    if not found.done and found.reached is None:
        return NotApplicable(
            "the learning rate rises to the end of the log and its target is not known: "
            "tell it with --given learning_rate=..."
        )
    if found.done:
        return _completed(run, series, found, settings)
    return _unfinished(run, series, found, settings)


def _as_set(run: Run, settings: WarmupSettings, why: str = "no rate was logged") -> Detected:
    """Judge the settings alone, where the rates do not tell."""
    steps, total = configured_warmup(run), run.planned_steps
    if not steps or not total:
        return NotApplicable("no train/learning_rate was logged, and no warmup is set")
    share = steps / total
    if share <= settings.share or _is_one_cycle(run):
        return ()
    critical = share >= settings.share_critical
    shorter = round(settings.enough * total)
    return (
        Finding(
            id="warmup-too-long",
            severity=Severity.CRITICAL if critical else Severity.WARNING,
            confidence=0.7,
            title="The warmup takes too much of the run",
            summary=(
                f"The settings ask for a warmup of {steps:,} of {total:,} steps ({share:.0%}); "
                f"{why}. {settings.enough:.0%} is enough for most runs."
            ),
            metrics=("train/learning_rate",),
            evidence={
                "warmup_steps": steps,
                "planned_steps": total,
                "warmup_share_of_planned": share,
                "length_from": "config",
            },
            fix=(f"warmup_steps {steps:,} -> {shorter:,}",),
        ),
    )


def _completed(run: Run, series: Series, found: Warmup, settings: WarmupSettings) -> Detected:
    total = max(run.planned_steps or 0, run.last_step or 0)
    if not found.steps or not total:
        return ()
    share = found.steps / total
    if share <= settings.share or (
        found.source == "log" and _ends_between(series, share, settings)
    ):
        return ()
    decayed = series.value[-1] < ALIVE * series.value.max()
    by_design = (
        _is_one_cycle(run)
        or _comes_back(series)
        or (
            found.source == "log"
            and share <= ONE_CYCLE_SHARE
            and (decayed or rises_in_a_curve(run, found.steps))
        )
    )
    if by_design:
        return ()
    # A share of what was logged so far is no share of a plan.
    unknown_plan = run.planned_steps is None and run.status is not Status.COMPLETED
    if unknown_plan:
        severity = Severity.INFO
    else:
        severity = Severity.CRITICAL if share >= settings.share_critical else Severity.WARNING
    summary = (
        f"The warmup took {found.steps:,} of {total:,} steps ({share:.0%}); "
        f"{settings.enough:.0%} is enough for most runs."
    )
    if unknown_plan:
        summary += " The log does not say how many steps were planned."
    return (_finding(run, series, found, total, settings, severity, 0.9, summary),)


def _ends_between(series: Series, share: float, settings: WarmupSettings) -> bool:
    """Tell whether the warmup may have ended before `share`, between two points of a sparse log."""
    full = series.value >= FULL * series.value.max()
    before = series.step[: int(np.argmax(full))]
    end = float(series.step[int(np.argmax(full))])
    return not len(before) or float(before[-1]) / end * share <= settings.share


def _comes_back(series: Series) -> bool:
    """Tell whether the rate falls by half of its peak and rises again, before or to it: a cycle."""
    peak = float(series.value.max())
    last = int(np.flatnonzero(series.value >= FULL * peak)[-1])
    value = series.value[: last + 1]
    return bool((np.maximum.accumulate(value) - value).max() > peak / 2)


def _unfinished(run: Run, series: Series, found: Warmup, settings: WarmupSettings) -> Detected:
    assert found.reached is not None  # noqa: S101 - the caller has made sure
    total = run.planned_steps
    last = int(series.step[-1])
    share = found.steps / total if total and found.steps else None
    # A warmup over the whole plan reaches its target as well, with nothing left to train at it.
    if found.reached >= settings.reached and (share is None or share <= settings.share):
        return ()
    if share is not None and share < settings.share_inside:
        return ()
    # What ended the run says why the warmup did not end.
    explained = run.status in (Status.CRASHED, Status.RUNNING) or bool(run.events_of(*FATAL))
    sure = share is not None and not explained
    length = f" of {found.steps:,}" if found.steps else ""
    summary = (
        f"Every logged step lies inside the warmup: at step {last:,}{length} the learning rate is "
        f"{series.value[-1]:.3g}, {found.reached:.3g} of its target {found.target:.3g} "
        f"({100 * found.reached:.3g} %)."
    )
    severity = Severity.INFO
    if sure:
        critical = share is not None and share >= settings.share_critical
        severity = Severity.CRITICAL if critical else Severity.WARNING
    confidence = 0.5 if last < FEW_STEPS else 0.9
    return (_finding(run, series, found, total, settings, severity, confidence, summary),)


def _finding(
    run: Run,
    series: Series,
    found: Warmup,
    total: int | None,
    settings: WarmupSettings,
    severity: Severity,
    confidence: float,
    summary: str,
) -> Finding:
    last = int(series.step[-1])
    evidence: dict[str, float | str] = {
        "lr_at_end": float(series.value[-1]),
        "last_step": last,
        "length_from": found.source,
    }
    if found.target is not None:
        evidence["lr_target"] = found.target
    if found.reached is not None:
        evidence["lr_reached"] = found.reached
    if found.steps:
        evidence["warmup_steps"] = found.steps
        evidence["warmup_steps_spent"] = min(last, found.steps)
        if total:
            evidence["planned_steps"] = total
            evidence["warmup_share_of_planned"] = found.steps / total
    end = last if not found.done else min(last, found.steps or last)
    other = _what_if(run, found, total, settings)
    if other is not None:
        evidence |= {"lr_at_end_with_shorter_warmup": other.at_end, "lr_sum_ratio": other.sum_ratio}
        if not found.done:  # after a whole schedule the fix says all there is to say
            summary += f" {other.sentence}"
    return Finding(
        id="warmup-too-long",
        severity=severity,
        confidence=confidence,
        title="The warmup takes too much of the run",
        summary=summary,
        steps=(int(series.step[0]), end),
        metrics=("train/learning_rate",),
        evidence=evidence,
        where=(series.where(0), series.where(len(series) - 1)),
        fix=tuple(_fix(run, found, total, settings)),
        levels={f"target {found.target:.3g}": found.target} if found.target else {},
        what_if=other.curve if other is not None else {},
    )


@dataclass(frozen=True, slots=True)
class _WhatIf:
    """Where the run would have stood after a shorter warmup."""

    at_end: float
    sum_ratio: float
    sentence: str
    curve: dict[str, tuple[list[float], list[float]]]


def _what_if(
    run: Run, found: Warmup, total: int | None, settings: WarmupSettings
) -> _WhatIf | None:
    """Draw the schedule anew with a warmup of `enough`, all else as recognised."""
    followed = schedule(run)
    if followed is None or not total or not found.steps:
        return None
    shorter = max(round(settings.enough * total), 1)
    rate = run.series("train/learning_rate").finite()
    last = int(rate.step[-1])
    if shorter >= found.steps:
        return None
    steps = np.unique(np.append(np.linspace(0, last, POINTS), min(shorter, last)))
    values = followed.at(steps, shorter)
    recorded = float(np.trapezoid(np.interp(steps, rate.step, rate.value), steps))
    ratio = float(np.trapezoid(values, steps)) / max(recorded, 1e-300)
    at_end = float(values[-1])
    sentence = (
        f"With a warmup of {settings.enough:.0%} ({shorter:,} steps) the rate at step {last:,} would be "
        f"{at_end:.3g}, {at_end / max(float(rate.value[-1]), 1e-300):.1f} x the recorded one, and all "
        f"rates so far would add up to {ratio:.1f} x as much."
    )
    return _WhatIf(
        at_end,
        ratio,
        sentence,
        {f"warmup of {settings.enough:.0%}": (steps.tolist(), values.tolist())},
    )


def _fix(run: Run, found: Warmup, total: int | None, settings: WarmupSettings) -> list[str]:
    if not total or not found.steps:
        return [f"Shorten the warmup to about {settings.enough:.0%} of the planned steps"]
    shorter = round(settings.enough * total)
    ratio = run.number("warmup_ratio") or found.steps / total
    return [
        f"warmup_ratio {ratio:.2g} -> {settings.enough:.2g}: full learning rate at step {shorter:,} "
        f"instead of {found.steps:,}"
    ]


def _is_one_cycle(run: Run) -> bool:
    scheduler = run.setting("lr_scheduler_type")
    return scheduler is not None and "cycle" in str(scheduler.value).lower()


DETECTOR = Detector(
    id="warmup-too-long",
    group="warmup",
    passed="The warmup is over early enough, or there is none",
    failed="The warmup takes too much of the run",
    requires=(),
    settings=WarmupSettings,
    detect=detect,
)
