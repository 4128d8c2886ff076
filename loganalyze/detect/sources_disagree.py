"""Two sources report different values for the same metric at the same step.

What it does
------------
Compares every training and evaluation metric that several sources hold, at their common steps,
beyond what each of them rounded off when it printed. States how many points differ, the largest
difference with both places, and, where the numbers show it, what the difference is.

Why it matters
--------------
One of the two curves is not what its name says. A diagnosis of the wrong one is wrong.

Not to be confused with
-----------------------
Rounding to the printed digits. An average over the logging interval, a smoothed display, a mean
over ranks, steps counted from 0 and from 1, percent and fractions, epochs for steps: these are
named where the numbers show them, and are a note. NaN in one source only is a warning. A log
whose steps had to be counted is not compared.

Settings
--------
`share`, `points`.

Fix
---
Log one number from one place; give the averaged one another name.

References
----------
Single precision keeps 7 digits (IEEE 754); event files store it, logs of text print 3 to 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.series import families, select
from loganalyze.settings import setting
from loganalyze.signals.counted import counted_sources
from loganalyze.signals.same_metric import Comparison, compare, explain, rounding


@dataclass(frozen=True)
class DisagreeSettings:
    """Thresholds of the check."""

    share: float = setting(
        0.05, unit="share of common points", source="single points differ after a repeated save"
    )
    points: int = setting(3, unit="points", source="fewer may be a summary under the same name")


COMPARED = ("train/", "eval/")
_MEASURED = re.compile(r"runtime|per_second|_time$|seconds$|/s$")  # each logger's own clock
RANKS = ("world_size", "num_processes", "n_gpu", "num_gpus", "data_parallel_size")


def detect(run: Run, settings: DisagreeSettings) -> Detected:
    """Compare the sources of each metric."""
    made = list(_comparisons(run))
    if not made:
        return NotApplicable("no metric stands in two sources at the same steps")
    differing = [found for found in made if _disagrees(found, settings)]
    return (_finding(run, differing),) if differing else ()


def _comparisons(run: Run) -> Iterator[Comparison]:
    counted = counted_sources(run)
    for metric, held in families(run).items():
        if not metric.startswith(COMPARED) or _MEASURED.search(metric):
            continue
        groups = [group for group in held if counted.isdisjoint(group)]
        if len(groups) < 2:
            continue
        first = select(run.columns, metric, groups[0])
        rounded = rounding(first.value)
        for other in groups[1:]:
            found = compare(first, select(run.columns, metric, other), rounded)
            if len(found.left):
                yield found


def _disagrees(found: Comparison, settings: DisagreeSettings) -> bool:
    count = int(found.differs.sum())
    return count >= settings.points and count > settings.share * len(found.differs)


def _finding(run: Run, differing: list[Comparison]) -> Finding:
    told = [explain(found, _factors(run)) for found in differing]
    # What nobody can explain comes first, and of that the training loss.
    order = sorted(
        range(len(differing)),
        key=lambda i: (
            told[i] is not None and not differing[i].hides,
            differing[i].one.metric != "train/loss",
        ),
    )
    found, reason = differing[order[0]], told[order[0]]
    a, b = found.values
    with np.errstate(all="ignore"):
        gap = np.where(np.isfinite(a - b), np.abs(a - b), np.inf)
    worst = int(np.argmax(np.where(found.differs, gap, -1)))
    places = found.one.where(found.left[worst]), found.two.where(found.right[worst])
    count, step = int(found.differs.sum()), int(found.one.step[found.left[worst]])
    metrics = tuple(dict.fromkeys(item.one.metric for item in differing))
    rest = [metric for metric in metrics if metric != found.one.metric]
    more = f" So do {', '.join(rest[:3])}." if rest else ""
    likely = f" Likely: {reason}." if reason else " Nothing in the numbers says why."
    return Finding(
        id="sources-disagree",
        severity=Severity.WARNING if reason is None or found.hides else Severity.INFO,
        confidence=0.9 if count > 10 else 0.75,
        title=f"Two sources disagree about {found.one.metric}",
        summary=(
            f"{count:,} of {len(a):,} common points of {found.one.metric} differ, most at step "
            f"{step:,}: {a[worst]:.6g} ({places[0]}) against {b[worst]:.6g} ({places[1]}).{likely}{more}"
        ),
        steps=_span(found),
        metrics=metrics,
        evidence={
            "points_compared": len(a),
            "points_differing": count,
            "largest_difference": float(gap[worst]),
            "step": step,
            "value": float(a[worst]),
            "other_value": float(b[worst]),
            "place": str(places[0]),
            "other_place": str(places[1]),
            "explanation": reason or "none",
            "metrics_differing": len(metrics),
        },
        where=places,
        fix=("Log the metric from one place, or give the averaged one another name",),
    )


def _span(found: Comparison) -> tuple[int, int]:
    steps = found.one.step[found.left[found.differs]]
    return int(steps[0]), int(steps[-1])


def _factors(run: Run) -> dict[str, float]:
    """Return the factors between a sum and a mean that the settings of this run suggest."""
    factors = {}
    k = run.number("gradient_accumulation_steps")
    if k and k > 1:
        factors[f"a sum over the {k:.0f} batches of an update against their mean"] = k
    for name in RANKS:
        ranks = run.number(name)
        if ranks and ranks > 1:
            factors[f"a sum over {ranks:.0f} ranks against their mean"] = ranks
    return factors


DETECTOR = Detector(
    id="sources-disagree",
    group="disagree",
    passed="All sources agree",
    failed="Sources report different values for the same metric",
    requires=(),
    settings=DisagreeSettings,
    detect=detect,
)
