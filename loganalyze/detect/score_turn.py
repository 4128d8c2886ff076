"""The turn of an evaluation that is told by a score alone: accuracy, area under a curve, precision."""

from __future__ import annotations

import re

import numpy as np

from loganalyze.finding import Finding, Severity
from loganalyze.run import Run, Series
from loganalyze.signals.accuracy import share
from loganalyze.signals.robust import noise_sigma

SCORE = re.compile(
    r"(?:^|[/_])(?:acc(?:uracy)?|auc|roc(?:_auc)?|ap|map|f1|iou|miou|dice|bleu|ndcg)$"
)
FEWEST = 5  # evaluations
LAST = 2  # evaluations that must both lie below the best
FALL = 0.05  # share of the best; less is the noise of a small set
KNOWN = 4  # evaluations before the best that show their noise
NOISE = 5.0  # robust standard deviations; the best of many lies high by chance
LEARNS = 0.03  # share of the train loss, or points of accuracy: training goes on


def by_score(run: Run, train: Series) -> Finding | None:
    """Return the turn of the score that fell most while training went on, or None."""
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    scores = [
        run.series(name).finite()
        for name in names
        if name.startswith("eval/") and SCORE.search(name)
    ]
    turned = [(fall, series) for series in scores if (fall := _fall(run, series, train))]
    if not turned:
        return None
    fall, series = max(turned, key=lambda pair: pair[0])
    best = int(np.argmax(series.value))
    step, end = int(series.step[best]), int(series.step[-1])
    high, last = float(series.value[best]), float(np.median(series.value[-LAST:]))
    return Finding(
        id="overfit-gap",
        severity=Severity.WARNING,
        confidence=0.6,
        title=f"{series.metric} fell after step {step:,}",
        summary=(
            f"{series.metric} was best at step {step:,} ({high:.4g}) and fell to {last:.4g} ({-fall:.0%}) by "
            f"step {end:,}, while training went on to improve."
        ),
        steps=(step, end),
        metrics=(series.metric, "train/loss"),
        evidence={"best_step": step, "best_score": high, "last_score": last, "rise": fall},
        where=(series.where(best), series.where(len(series) - 1)),
        fix=(f"Keep the checkpoint of step {step:,}; stop there",),
        levels={f"best {high:.4g}": high},
    )


def _fall(run: Run, score: Series, train: Series) -> float:
    """Return by how much of its best a score fell for good while training improved; 0 if it did not."""
    if len(score) < FEWEST or score.value.min() < 0:
        return 0.0
    value = share(score.value)
    best = int(np.argmax(value))
    high, last = float(value[best]), float(value[-LAST:].max())
    fall = high - last
    # The noise before the turn, which is no noise itself.
    noise = noise_sigma(value[: best + 1]) if best >= KNOWN else 0.0
    if best > len(value) - 1 - LAST or fall < FALL * high or fall < NOISE * noise:
        return 0.0
    return fall / high if _improves(run, train, int(score.step[best])) else 0.0


def _improves(run: Run, train: Series, step: int) -> bool:
    at, end = train.value_at(step), float(train.value[-1])
    if at is not None and at > 0 and end < (1 - LEARNS) * at:
        return True
    accuracy = run.series("train/accuracy").finite()
    before = accuracy.value_at(step)
    return before is not None and float(accuracy.value[-1]) > before + LEARNS
