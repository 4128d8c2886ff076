"""What is said of a loss, or something beside it, that diverged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loganalyze.finding import Finding, Severity
from loganalyze.run import Run, Series
from loganalyze.signals.reference import kl_divergence

FLOOR = 0.05  # share of the first loss, or a loss of a fixed unit; rises below it are noise
TINY = 1e-30  # a divisor above 0


def diverged(series: Series, best: int, low: float, start: float, end: float) -> Finding:
    """Report a loss that rose from its best to the end."""
    step, last = int(series.step[best]), int(series.step[-1])
    return Finding(
        id="loss-divergence",
        severity=Severity.CRITICAL,
        confidence=0.9 if len(series) >= 20 else 0.6,
        title=f"The loss diverges after step {step:,}",
        summary=(
            f"The train loss was best around step {step:,} ({low:.4g}) and rose to {end:.4g} by step "
            f"{last:,}{_times(end, low)}; it started at {start:.4g}."
        ),
        steps=(step, last),
        metrics=("train/loss",),
        evidence={
            "best_loss": low,
            "best_step": step,
            "final_loss": end,
            "ratio": end / max(low, FLOOR * abs(start), TINY),
            "initial_loss": start,
        },
        where=(series.where(best), series.where(len(series) - 1)),
        fix=(f"Go back to a checkpoint before step {step:,} and lower the learning rate",),
        levels={f"best {low:.4g}": low},
    )


def risen_beside(series: Series, meanwhile: str) -> Finding:
    """Report a rise of something else than the train loss."""
    width = max(1, len(series) // 10)
    start, end = (float(np.median(part)) for part in (series.value[:width], series.value[-width:]))
    found = diverged(series, 0, start, start, end)
    return replace(
        found,
        severity=Severity.WARNING,
        confidence=0.7,
        title=f"{series.metric} rises to {end / start:.1f} x its start",
        summary=(
            f"{series.metric} rises from {start:.4g} to {end:.4g} by step {series.step[-1]:,}, {meanwhile}."
        ),
        metrics=(series.metric,),
    )


def left_its_reference(run: Run) -> Finding:
    """Report a policy that runs away: the KL divergence is a term of what is minimised."""
    series = kl_divergence(run)
    assert series is not None  # noqa: S101 - it has grown
    best, worst = int(np.argmin(series.value)), int(np.argmax(series.value))
    peak, usual = float(series.value[worst]), float(np.median(series.value))
    return Finding(
        id="loss-divergence",
        severity=Severity.CRITICAL,
        confidence=0.8,
        title=f"The KL divergence from the reference reaches {peak:.3g}",
        summary=f"{series.metric} reaches {peak:.4g} at step {series.step[worst]:,}; usual is {usual:.3g}.",
        steps=(int(series.step[best]), int(series.step[worst])),
        metrics=(series.metric,),
        evidence={"best_step": int(series.step[best]), "highest": peak, "usual": usual},
        where=(series.where(worst),),
        fix=(
            "Go back to a checkpoint before it; a third of the learning rate, a target for the KL",
        ),
    )


def absurd(series: Series) -> Finding:
    """Report a loss that nothing starts at: the divergence lies before the log or between its points."""
    highest = int(np.argmax(series.value))
    best = int(np.argmin(series.value[: max(highest, 1)]))
    low, peak = float(series.value[best]), float(series.value[highest])
    found = diverged(series, best, low, float(series.value[0]), float(series.value[-1]))
    return replace(
        found,
        title=f"The loss reaches {peak:.3g}",
        summary=f"The train loss reaches {peak:.3g}, where no training starts: it has diverged.",
        confidence=0.9,
        evidence={**found.evidence, "ratio": peak / max(low, 1.0)},
    )


def _times(end: float, low: float) -> str:
    return f", {end / low:.1f} x its best" if low > 0 else ""
