"""What a comparison comes to: one sentence, and those that belong beside it."""

from __future__ import annotations

from math import expm1
from typing import TYPE_CHECKING

from loganalyze.compare.comparison import LEARNED, first_parting
from loganalyze.compare.scale import MetricRole
from loganalyze.compare.values import Axis, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loganalyze.compare.comparable import Comparability
    from loganalyze.compare.values import Level, Metric
    from loganalyze.run import Run

FEWEST = 4  # common points of a curve from which it says anything
SHORTER = 0.98  # of the steps of the longer run, below which the shorter one ended early


def verdict(
    runs: tuple[Run, Run],
    metrics: Sequence[Metric],
    comparability: Comparability,
    axis: Axis,
    letter: str,
) -> Verdict:
    """Word what the comparison comes to; an outcome decides, the evaluation's if there is one.

    Parameters
    ----------
    letter
        What the second run is called: B, or further on where there are several.
    """
    if comparability.reasons:
        text = "Not comparable: the runs do not learn the same."
        return Verdict(Outcome.INCOMPARABLE, text, comparability.reasons)
    judged = [m for m in metrics if m.scale.role is MetricRole.OUTCOME and (m.curves or m.verdict)]
    learned = [m for m in metrics if m.scale.role.value in LEARNED and m.curves]
    if learned and all(metric.identical for metric in learned):
        text = (
            f"Identical: all {len(learned):,} metrics that both logged are equal, digit for digit."
        )
        return Verdict(Outcome.IDENTICAL, text, tuple(_lengths(runs, letter)))
    if all(m.curves is not None and len(m.curves.at) < FEWEST for m in judged):
        text = "Too little in common: no loss and no score has enough points in both runs."
        return Verdict(Outcome.INSUFFICIENT, text, comparability.reservations)
    outcome, headline = _judged(judged, axis, letter)
    details = (*_where(metrics, axis), *comparability.reservations, *_lengths(runs, letter))
    return Verdict(outcome, headline, tuple(d for d in details if d != headline))


def _judged(judged: Sequence[Metric], axis: Axis, letter: str) -> tuple[Outcome, str]:
    deciding = next((m for m in judged if m.verdict), None)
    if deciding is None:
        parted = next((m for m in judged if m.differs), None)
        if parted is not None:
            return (
                Outcome.DIFFERENT,
                f"They part on the way, and end alike: {course(parted, axis)}.",
            )
        first = next((m for m in judged if m.end is not None), None)
        if first is None:
            return Outcome.SAME, "No difference beyond noise."
        return Outcome.SAME, f"No difference beyond noise: {end(first, letter)}."
    other = next((m for m in judged if m.verdict == -deciding.verdict), None)
    worded = end(deciding, letter)
    if other is not None:
        return (
            Outcome.MIXED,
            f"{letter} is better in some, worse in others: {worded}, {end(other, letter)}.",
        )
    if deciding.verdict > 0:
        return Outcome.BETTER, f"{letter} is better: {worded}."
    return Outcome.WORSE, f"{letter} is worse: {worded}."


def _where(metrics: Sequence[Metric], axis: Axis) -> Iterator[str]:
    """Say where the curves part: after the last point that is equal, else by the test."""
    first = first_parting(metrics)
    if first is None or first.parting is None:
        return
    if first.parting.exact:
        last, next_ = (place(at, axis) for at in first.parting.between)
        yield f"Both are equal, digit for digit, up to {last}, and differ from {next_} on."
    elif not first.note:
        yield f"{course(first, axis)}."


def course(metric: Metric, axis: Axis) -> str:
    """Say where a metric's curves part, and where they meet again."""
    parting = metric.parting
    if parting is None:
        return f"{metric.name} does not part"
    if parting.until is None:
        return f"{metric.name} parts at {place(parting.at, axis)}"
    return f"{metric.name} parts at {place(parting.at, axis)} and meets again at {place(parting.until, axis)}"


def end(metric: Metric, letter: str) -> str:
    """Say where the other run ends beside A, with the interval."""
    if metric.note or metric.end is None:
        return f"{metric.name}: {metric.note}"
    return f"{metric.name} ends {amount(metric.end, letter, logarithmic=metric.scale.logarithmic)}"


def amount(level: Level, letter: str, *, logarithmic: bool) -> str:
    """Return a difference of levels with its interval: ``12% lower in B (95% interval -20% to -3%)``."""
    if logarithmic:
        change, low, high = (100 * percent(v) for v in (level.change, level.low, level.high))
        if change >= 0:
            return f"{change:.3g}% higher in {letter} (95% interval {low:+.3g}% to {high:+.3g}%)"
        return f"{-change:.3g}% lower in {letter} (95% interval {low:+.3g}% to {high:+.3g}%)"
    low, high = level.low, level.high
    if level.change >= 0:
        return f"{level.change:.3g} higher in {letter} (95% interval {low:+.3g} to {high:+.3g})"
    return f"{-level.change:.3g} lower in {letter} (95% interval {low:+.3g} to {high:+.3g})"


def percent(change: float) -> float:
    """Return the share by which B lies above A, from a difference of logarithms."""
    return expm1(min(change, 50.0))  # beyond it nobody compares


def place(at: float, axis: Axis) -> str:
    """Return a place on an axis in words."""
    match axis:
        case Axis.STEP:
            return f"step {at:,.0f}"
        case Axis.EPOCH:
            return f"epoch {at:.3g}"
        case Axis.TOKENS:
            return f"{at:,.0f} tokens"
    return f"{at:,.4g} seconds"


def _lengths(runs: tuple[Run, Run], letter: str) -> Iterator[str]:
    """Say that one run went further than the other: they are compared as far as both went."""
    last = [run.last_step or 0 for run in runs]
    if min(last) >= SHORTER * max(last):
        return
    if last[0] < last[1]:
        yield f"A ends at step {last[0]:,}, {letter} at step {last[1]:,}: they are compared up to the former."
    else:
        yield f"{letter} ends at step {last[1]:,}, A at step {last[0]:,}: they are compared up to the former."
