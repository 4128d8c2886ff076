"""The evaluation loss lies far below the train loss.

What it does
------------
At each evaluation the loss is compared with the median of the train losses around it. The finding holds if
the evaluation is lower by more than `below` in at least `share` of the evaluations (`evaluations` at least),
and the train loss is no longer falling fast enough for the window to explain it.

Why it matters
--------------
A gap of that size is no luck: the evaluation set is easier, overlaps with the training set, or the train loss
is reported on another scale (summed over accumulation steps).

Not to be confused with
-----------------------
Dropout, augmentation, mixup and label smoothing, which act in training only (`below` leaves room for them).
Where training also gets half again as many answers wrong it is no more than a note: wrong labels in training
look the same. So is a gap that opens as the model learns where the answers of training were not logged, or
are all right: a loss on another scale is so from the start. And a few evaluations of a loss of unknown kind,
whose answers were not logged: augmentation may do that. A train loss that is a running mean of a falling
curve. The first evaluations.

Settings
--------
`below`, `share`, `evaluations`.

Fix
---
Evaluate on training samples with the evaluation's code: the same loss means another set, another loss means
another scale.

References
----------
LlamaFactory#7443: the train loss is k times the evaluation loss with k accumulation steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.accuracy import share
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.robust import FloatArray


@dataclass(frozen=True)
class BelowSettings:
    """Thresholds of the check."""

    below: float = setting(
        0.45,
        unit="share of the train loss",
        source="heavy dropout and augmentation make 10 to 40 %",
    )
    share: float = setting(0.8, unit="share of the evaluations", source="nearly always")
    evaluations: int = setting(3, unit="evaluations", source="fewer may be early")


COARSE = 3  # train losses per evaluation up to which each is the mean of a long stretch
FEWEST = 5  # train losses; fewer show no course
WINDOW = 10  # train losses around an evaluation
FALL = 0.5  # of the train loss one interval earlier: below it a window lags behind
NARROW = 0.7  # of the later ratio of train to evaluation loss: below it the gap opened
FEW = 5  # evaluations that show a habit
FEW_WRONG = 0.02  # share of the answers; fewer are too few to compare
HARDER = 1.5  # times the share of wrong answers; a loss k times too large leaves them as they are
# Settings that act in training only, and from where on they explain any gap.
STRONG = {
    "label_smoothing_factor": 0.05, "mixup": 0.1, "mixup_alpha": 0.1, "cutmix": 0.1,
    "dropout": 0.4, "drop_path": 0.4,
}  # fmt: skip


def detect(run: Run, settings: BelowSettings) -> Detected:
    """Compare evaluations with the train losses around them."""
    if loss_kind(run) in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        return NotApplicable("evaluation and train loss are not comparable for this kind of loss")
    heavy = [key for key, least in STRONG.items() if (run.number(key) or 0) >= least]
    if heavy:
        return NotApplicable(f"{heavy[0]} acts in training only and explains any gap")
    evals, train = run.series("eval/loss").finite(), run.series("train/loss").finite()
    if len(train) < FEWEST:
        return NotApplicable(f"{len(train)} train losses are too few, {FEWEST} needed")
    if len(evals) < settings.evaluations:
        return NotApplicable(f"{len(evals)} evaluations are too few, {settings.evaluations} needed")
    at = np.searchsorted(train.step, evals.step, side="right")
    known = at > 0
    evals, at = evals.take(known), at[known]
    if len(evals) < settings.evaluations:
        return NotApplicable("no train loss was logged before the evaluations")
    around = np.array([np.median(train.value[max(0, i - WINDOW) : i]) for i in at.tolist()])
    if len(train) <= COARSE * len(evals):
        # Means over whole epochs lag behind: the one after the evaluation is fair.
        around = train.value[np.minimum(at, len(train) - 1)]
    settled = np.r_[False, around[1:] > FALL * around[:-1]]
    low = (evals.value < (1 - settings.below) * around) & (around > 0) & (evals.value > 0)
    if settled.sum() < settings.evaluations - 1 or low[settled].mean() < settings.share:
        return ()
    ratio = float(np.median((around / np.maximum(evals.value, 1e-12))[settled]))
    harder = _is_harder(run)
    # Without the answers of training, a gap that opens as it learns may be that of a harder task.
    opens = not _answers_tell(run) and _opens(around / np.maximum(evals.value, 1e-12))
    # A few evaluations of nobody knows what kind of loss: heavy augmentation may do that.
    few = len(evals) < FEW and loss_kind(run) is LossKind.UNKNOWN and not _answers_tell(run)
    answers = (
        "training also gets more answers wrong: dropout or augmentation do that, as do wrong labels"
    )
    return (
        Finding(
            id="eval-below-train",
            severity=Severity.INFO if harder or opens or few else Severity.WARNING,
            confidence=0.7 if len(evals) >= 8 else 0.55,
            title=f"The train loss is {ratio:.1f} x the evaluation loss",
            summary=(
                f"In {int(low.sum())} of {len(evals)} evaluations the loss is far below that of "
                "training (train "
                f"{around[-1]:.4g}, evaluation {evals.value[-1]:.4g} at step {evals.step[-1]:,}): "
                + (f"{answers}." if harder else "more than dropout and averaging explain.")
            ),
            steps=(int(evals.step[0]), int(evals.step[-1])),
            metrics=("eval/loss", "train/loss"),
            evidence={
                "ratio_train_to_eval": ratio,
                "share": float(low.mean()),
                "evaluations": len(evals),
                "last_train": float(around[-1]),
                "last_eval": float(evals.value[-1]),
            },
            where=(evals.where(len(evals) - 1),),
            fix=(
                "Evaluate a few training batches with the evaluation's code and compare the loss",
            ),
        ),
    )


def _opens(ratio: FloatArray) -> bool:
    """Tell whether the gap is narrow at first: a loss that is k times too large is so from the start."""
    return float(ratio[0]) < NARROW * float(np.median(ratio[len(ratio) // 2 :]))


def _is_harder(run: Run) -> bool:
    """Tell whether training answers more wrong than evaluation does: a harder task, no larger loss."""
    wrong, wrong_later = _wrong(run, "train"), _wrong(run, "eval")
    return wrong is not None and wrong_later is not None and wrong > HARDER * wrong_later


def _answers_tell(run: Run) -> bool:
    """Tell whether training still gets some answers wrong, so that their number can be compared."""
    return (_wrong(run, "train") or 0.0) > FEW_WRONG and _wrong(run, "eval") is not None


def _wrong(run: Run, part: str) -> float | None:
    """Return the share of wrong answers in the last third, or None where it was not logged."""
    right = share(run.series(f"{part}/accuracy").finite().value)
    return float(1 - np.mean(right[-max(len(right) // 3, 1) :])) if len(right) else None


DETECTOR = Detector(
    id="eval-below-train",
    group="eval_below",
    passed="The evaluation loss is not far below the train loss",
    failed="The evaluation loss lies far below the train loss",
    requires=("train/loss", "eval/loss"),
    settings=BelowSettings,
    detect=detect,
)
