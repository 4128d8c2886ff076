"""The train loss is exactly 0.0 over consecutive log points.

What it does
------------
Looks for at least `points` zeros in a row, and at the gradient norm there: NaN means that the
loss *is* NaN and the Hugging Face Trainer prints it as 0.0 (`logging_nan_inf_filter`); 0 means
that nothing is learned from.

Why it matters
--------------
A loss of exactly zero is almost never a loss: the NaN is hidden, or every label is masked.

Not to be confused with
-----------------------
A loss that fell to zero through small values (a finished overfit test, rounding to few digits), or to a
quarter of where it began, and is above zero again later.
Reinforcement and preference losses, which may be zero (a note where a policy's is so throughout, and nothing
else tells whether it learns).

Settings
--------
`points`, `small`.

Fix
---
Set ``logging_nan_inf_filter=False`` and look at the gradient norm; count the labels that are not
-100.

References
----------
transformers#13619: NaN losses are replaced when they are logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.robust import groups

SPREADS = ("reward_std", "train/reward_std", "rewards/std", "train/rewards/std")
REWARD = re.compile(r"reward|return|score", re.I)
ANNOUNCED = re.compile(r"[Mm]ost labels.{0,40} are -100")


FALLEN = 0.25  # of the first loss: single batches of it cost nothing that few digits show
FEWEST = 2  # log points with a loss, a gradient and a spread of exactly 0
LEVEL = 20  # log points before the zeros


@dataclass(frozen=True)
class ZeroSettings:
    """Thresholds of the check."""

    points: int = setting(3, unit="log points in a row", source="one or two may be rounding")
    small: float = setting(1e-2, unit="loss", source="a fall to zero passes through here")


def detect(run: Run, settings: ZeroSettings) -> Detected:
    """Find runs of exact zeros that no fall explains."""
    kind = loss_kind(run)
    if kind is LossKind.REINFORCEMENT and (found := _no_advantage(run, settings)) is not None:
        return (found,)
    if kind is LossKind.REINFORCEMENT and (silent := _says_nothing(run, settings)) is not None:
        return (silent,)
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        return NotApplicable(f"a loss of zero is ordinary for {kind.value}")
    series = run.series("train/loss")
    if not len(series):
        return _announced(run)
    runs = [g for g in groups(series.value == 0.0) if g[1] - g[0] + 1 >= settings.points]
    runs = runs or _masked(run, series)
    if not runs:
        return ()
    first, last = runs[0]
    before = series.take(slice(0, first)).finite()
    if len(before) and float(np.min(before.value[-5:])) < settings.small:
        return ()
    count = sum(end - start + 1 for start, end in runs)
    norm = _norm(run, series, first, last)
    if norm not in ("NaN", "0") and _is_rounding(series, before, last):
        return ()
    meaning = {
        "NaN": "with a gradient norm of NaN: the loss is NaN and was printed as 0",
        "0": "with a gradient norm of 0: nothing is learned from",
    }.get(norm, "")
    from_start = first == 0
    return (
        Finding(
            id="loss-zero",
            severity=Severity.CRITICAL,
            confidence=0.97 if meaning else 0.8,
            title=f"The loss is exactly 0.0 from step {series.step[first]:,}",
            summary=(
                f"The train loss is exactly 0.0 at {count:,} log points from step {series.step[first]:,}"
                + (f", {meaning}." if meaning else ".")
            ),
            steps=(int(series.step[first]), int(series.step[last])),
            metrics=("train/loss", "train/grad_norm"),
            evidence={
                "first_step": int(series.step[first]),
                "count": count,
                "grad_norm": norm,
                "from_start": "yes" if from_start else "no",
                **({"last_loss_before": float(before.value[-1])} if len(before) else {}),
            },
            where=(series.where(first), series.where(last)),
            fix=("logging_nan_inf_filter True -> False: shows the loss as it is",)
            if norm == "NaN"
            else ("Count the labels that are not -100 in a few batches",),
        ),
    )


def _is_rounding(series: Series, before: Series, last: int) -> bool:
    """Tell whether the loss had nearly gone before the zeros and is above them afterwards: few digits."""
    after = series.value[last + 1 :]
    if not len(before) or not len(after) or not np.isfinite(after).all():
        return False
    level = float(np.median(before.value[-LEVEL:]))
    return level < FALLEN * float(np.median(before.value[:3])) and bool((after > 0).any())


def _no_advantage(run: Run, settings: ZeroSettings) -> Finding | None:
    """Find a loss of 0 whose rewards have no spread: group-relative methods have no advantage then."""
    loss = run.series("train/loss")
    spread = next((run.series(name).finite() for name in SPREADS if run.has(name)), None)
    if spread is None or min(len(spread), len(loss)) < FEWEST:
        return None
    if min(len(spread), len(loss)) < settings.points and (
        loss.value.any() or spread.value.any() or _norm(run, loss, 0, len(loss) - 1) != "0"
    ):
        return None  # so few tell only if everything is 0
    if np.median(np.abs(loss.value)) > 0 or np.median(np.abs(spread.value)) > 0:
        return None
    return Finding(
        id="loss-zero",
        severity=Severity.CRITICAL,
        confidence=0.95,
        title="The loss is 0 and all answers earn the same",
        summary=(
            f"The train loss is exactly 0 at most of {len(loss):,} log points, and {spread.metric} "
            "is 0 as well: "
            "no answer is better than another, and nothing is learned."
        ),
        steps=(int(loss.step[0]), int(loss.step[-1])),
        metrics=("train/loss", spread.metric),
        evidence={
            "first_step": int(loss.step[0]),
            "count": int((loss.value == 0).sum()),
            "reward_std": 0.0,
            "grad_norm": _norm(run, loss, 0, len(loss) - 1),
            "from_start": "yes" if _begins_so(loss, settings) else "no",
        },
        where=(loss.where(0), spread.where(0)),
        fix=("Print the rewards of a few groups; more levels of reward, or a higher temperature",),
    )


def _says_nothing(run: Run, settings: ZeroSettings) -> Finding | None:
    """Note a policy's loss that is 0 throughout, where neither a reward nor a gradient tells more."""
    loss = run.series("train/loss")
    names = map(str, run.metrics["metric"].cat.categories)
    told = run.has("train/grad_norm") or any(REWARD.search(name) for name in names)
    if told or len(loss) < settings.points or loss.value.any():
        return None
    return Finding(
        id="loss-zero",
        severity=Severity.INFO,
        confidence=0.5,
        title="The loss is 0 throughout",
        summary=(
            f"The train loss is exactly 0 at all {len(loss):,} log points. A method that compares the "
            "answers of a group may have that by its formula, or no answer is better than another: the "
            "rewards would tell."
        ),
        steps=(int(loss.step[0]), int(loss.step[-1])),
        metrics=("train/loss",),
        evidence={
            "first_step": int(loss.step[0]),
            "count": len(loss),
            "grad_norm": "not logged",
            "from_start": "yes",
        },
        where=(loss.where(0),),
        fix=("Log the mean and the spread of the rewards, and the gradient norm",),
    )


def _begins_so(loss: Series, settings: ZeroSettings) -> bool:
    """Tell whether the first losses are 0: a policy that an update ruined had another one before it."""
    return not loss.value[: settings.points].any()


def _announced(run: Run) -> Detected:
    """Take the word of a log without losses that says itself that they will all be zero."""
    hints = [event for event in run.events_of(EventKind.HINT) if ANNOUNCED.search(event.text)]
    if not hints:
        return NotApplicable("no train/loss was logged")
    return (
        Finding(
            id="loss-zero",
            severity=Severity.CRITICAL,
            confidence=0.8,
            title="The log says that all losses will be 0",
            summary="No loss was logged, and the log warns that nearly all labels are -100 (ignored).",
            evidence={"count": 0, "grad_norm": "not logged", "from_start": "yes"},
            where=(hints[0].where,),
            fix=("Count the labels that are not -100 in a few batches",),
        ),
    )


def _masked(run: Run, series: Series) -> list[tuple[int, int]]:
    """Find zeros, single ones too, whose gradient norm is NaN: the loss is NaN and was printed as 0."""
    norm = run.series("train/grad_norm")
    broken = norm.step[~np.isfinite(norm.value)]
    return groups((series.value == 0.0) & np.isin(series.step, broken))


def _norm(run: Run, series: Series, first: int, last: int) -> str:
    """Describe the gradient norm over the zeros: ``"NaN"``, ``"0"``, a number, or that it is missing."""
    norm = run.series("train/grad_norm")
    inside = norm.value[(norm.step >= series.step[first]) & (norm.step <= series.step[last])]
    if not len(inside):
        return "not logged"
    if np.mean(~np.isfinite(inside)) > 0.5:
        return "NaN"
    middle = float(np.nanmedian(inside))
    return "0" if middle == 0 else f"{middle:.4g}"


DETECTOR = Detector(
    id="loss-zero",
    group="zero",
    passed="The loss is nowhere stuck at exactly zero",
    failed="The loss is exactly 0.0 over several log points",
    requires=(),
    settings=ZeroSettings,
    detect=detect,
)
