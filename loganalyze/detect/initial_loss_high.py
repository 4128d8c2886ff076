"""The first train losses lie clearly above log(C), the loss of a uniform guess.

What it does
------------
A classifier that knows nothing guesses uniformly over its C classes (a language model: over its vocabulary)
and has a cross-entropy of log(C). With it is compared the median of the first logged losses, or the loss of
the untouched model at step 0 or 1 if that is less: ``ratio = loss / log(C)``. Above `ratio_many` it is a
note where there are few classes and a warning where there are many; above `ratio_warning` a warning in any
case, above `ratio_critical` critical.

Why it matters
--------------
Being *worse* than a blind guess before the first update is no matter of training. The loss is
summed where it should be averaged, the head or the labels are wrong, or padding takes part in it.
No learning rate mends that.

Not to be confused with
-----------------------
Regression, contrastive, ELBO, preference and reinforcement losses, for which log(C) means nothing
(not applicable). A log that begins late in the run (not applicable). A pretrained model with a
new head may start up to about 1.3 times log(C). Label smoothing leaves log(C) as it is. A loss
below log(C) says nothing here. A language model's loss in bits, which begins at log2(C), 1.44 times log(C)
(a note).

Settings
--------
`ratio_warning`, `ratio_many`, `ratio_critical`, `points`, `early_share`, `early_steps`.

Fix
---
Compute the loss of one batch by hand and compare it with the mean over its samples one by one;
check the reduction over accumulation steps, `num_labels`, the pad token and the attention mask.

References
----------
Karpathy, "A Recipe for Training Neural Networks" (2019): verify the loss at initialisation.
transformers#34191, #35207: a loss summed over gradient-accumulation steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import Chance, LossKind, chance, loss_kind
from loganalyze.signals.saturation import saturation


@dataclass(frozen=True)
class InitialSettings:
    """Thresholds of the check."""

    ratio_warning: float = setting(
        1.8, unit="times log(C)", source="a loss summed over 2 micro-batches gives 2.0"
    )
    ratio_many: float = setting(
        1.3,
        unit="times log(C)",
        source="initialisations in use stay within 10 % from log(C) = 3 on, and mostly below it",
    )
    ratio_critical: float = setting(
        3.0, unit="times log(C)", source="no initialisation in use starts there"
    )
    points: int = setting(3, unit="log points", source="a median of 3 bears one outlier")
    early_share: float = setting(
        0.1, unit="share of the run", source="a log line that averages over more has left the start"
    )
    early_steps: int = setting(10, unit="steps", source="the usual first logging interval")


MANY = 3.0  # log(C) from which the noise of an initialisation is small against it
LARGEST_LOG_C = math.log(262_144)  # vocabulary of the largest tokenizers in use
ABSURD = 1e6  # no loss of standardised inputs and targets starts there, whatever its kind
EARLY, EARLY_SHARE = (
    10,
    0.2,
)  # steps, share of the run: an excerpt from the middle has no first loss
FIRST = 1  # step whose loss is that of the untouched model: what comes later may have blown up
MAY_CONTRAST = (
    " Unless the loss compares the rows of a batch with each other: that begins near log(2 B)."
)
IN_BITS = 1 / math.log(2)  # log2(C) / log(C)
AS_BITS = (
    0.95,
    1.05,
)  # times that: a first log line may have left the start, an initialisation lie above it
NEAR = 0.005  # share of the run within which points count as the start


def detect(run: Run, settings: InitialSettings) -> Detected:
    """Compare the first losses with log(C)."""
    kind = loss_kind(run)
    guess = chance(run)
    if kind not in (LossKind.CROSS_ENTROPY, LossKind.UNKNOWN):
        return NotApplicable(f"log(C) means nothing for {kind.value}")
    if kind is LossKind.UNKNOWN and guess is None:
        return _without_classes(run)
    if guess is None:
        return NotApplicable(
            "the number of classes or the size of the vocabulary is not known: tell it with --classes"
        )
    series = run.series("train/loss").finite()
    if not len(series):
        return NotApplicable("no finite train loss was logged")
    if len(series) == 1 and series.step[0] == 0:
        return NotApplicable(
            "a single loss at step 0 may be the last of the run as well as the first"
        )
    horizon = max(run.planned_steps or 0, int(series.step[-1]))
    limit = max(settings.early_steps, settings.early_share * horizon)
    if series.step[0] > limit:
        return NotApplicable(f"the log begins at step {series.step[0]:,}, after the start")
    # A steep fall must not be averaged in: only what lies right beside the first point.
    near = series.step[0] + max(settings.early_steps, NEAR * horizon)
    early = series.take(series.step <= near).take(slice(settings.points))
    initial = float(np.median(early.value))
    if int(early.step[0]) <= FIRST:
        initial = min(initial, float(early.value[0]))
    ratio = initial / guess.log_c
    if ratio < settings.ratio_many:
        return ()
    return (_finding(run, kind, early, initial, ratio, guess, settings),)


def _without_classes(run: Run) -> Detected:
    """Judge a loss of unknown classes: certain of wrong answers from the first one on."""
    found, series = saturation(run), run.series("train/loss").finite()
    if len(series) and _is_beyond_all(run, series):
        return (_beyond_all(series),)
    if found is None or not found.from_start:
        return NotApplicable(
            "the number of classes or the size of the vocabulary is not known: tell it with --classes"
        )
    initial = float(series.value[0])
    return (
        Finding(
            id="initial-loss-high",
            severity=Severity.INFO,
            confidence=0.9,
            title="The model is certain of its answers from the start, and wrong",
            summary=(
                f"The first logged train loss is {initial:.4g}, as is {found.cost:.4g} x the share of wrong "
                "answers at every log point: each wrong answer costs the most there is."
            ),
            steps=(int(series.step[0]), int(series.step[-1])),
            metrics=("train/loss", "train/accuracy"),
            evidence={"initial_loss": initial, "cost_of_a_wrong_answer": found.cost},
            where=(series.where(0),),
            fix=(
                "Print the logits of one batch before training: they should lie within some units",
            ),
        ),
    )


def _is_beyond_all(run: Run, series: Series) -> bool:
    """Tell whether the log begins with a loss that no guess over any vocabulary costs."""
    first = float(series.value[0])
    limit = LARGEST_LOG_C if run.framework == "hf-trainer" else ABSURD
    early = int(series.step[0]) <= EARLY or int(series.step[0]) <= EARLY_SHARE * int(
        series.step[-1]
    )
    return early and first > limit


def _beyond_all(series: Series) -> Finding:
    initial = float(series.value[0])
    return Finding(
        id="initial-loss-high",
        severity=Severity.INFO,
        confidence=0.5,
        title=f"The loss starts at {initial:.4g}",
        summary=(
            f"The first logged train loss is {initial:.4g}; a guess over the largest vocabulary in use costs "
            f"{LARGEST_LOG_C:.1f}. Either the loss is no cross-entropy, or it is summed where it should be "
            "averaged, or inputs or targets are large numbers."
        ),
        steps=(int(series.step[0]), int(series.step[0])),
        metrics=("train/loss",),
        evidence={"initial_loss": initial, "largest_log_c": LARGEST_LOG_C},
        where=(series.where(0),),
        fix=(
            "Tell the number of classes with --classes: the first loss is then compared with a guess",
        ),
    )


def _finding(
    run: Run,
    kind: LossKind,
    early: object,
    initial: float,
    ratio: float,
    guess: Chance,
    settings: InitialSettings,
) -> Finding:
    assert isinstance(early, Series)  # noqa: S101 - narrows the type, cannot fail
    accumulation = run.number("gradient_accumulation_steps")
    evidence: dict[str, float | str] = {
        "initial_loss": initial,
        "log_c": guess.log_c,
        "classes": guess.classes,
        "classes_from": guess.where,
        "ratio_to_log_c": ratio,
        "nearest_integer_multiple": round(ratio),
    }
    if accumulation:
        evidence["gradient_accumulation_steps"] = accumulation
    severity = Severity.CRITICAL if ratio >= settings.ratio_critical else Severity.WARNING
    if kind is LossKind.UNKNOWN or (guess.log_c < MANY and ratio < settings.ratio_warning):
        severity = Severity.INFO
    low, high = AS_BITS
    # The Trainer of Hugging Face counts in nats.
    in_bits = (
        bool(run.number("vocab_size"))
        and run.framework != "hf-trainer"
        and low <= float(early.value[0]) / (IN_BITS * guess.log_c) <= high
    )
    if in_bits:
        severity = Severity.INFO
    return Finding(
        id="initial-loss-high",
        severity=severity,
        confidence=0.97 if len(early) > 1 else 0.9,
        title=f"The initial loss is {ratio:.1f} x log(C)",
        summary=(
            f"The train loss starts at {initial:.4g} (step {early.step[0]:,}), {ratio:.1f} x the "
            f"{guess.log_c:.2f} = log({guess.classes:,}) of a uniform guess over {guess.classes:,} "
            "classes: worse than knowing nothing, before any training could matter."
            + (_in_bits(guess) if in_bits else MAY_CONTRAST if kind is LossKind.UNKNOWN else "")
        ),
        steps=(int(early.step[0]), int(early.step[-1])),
        metrics=("train/loss",),
        evidence=evidence,
        where=tuple(early.where(index) for index in range(len(early))),
        fix=(
            f"Find the factor of {ratio:.1f} before training again: loss of one batch against the mean "
            "loss of its samples, one by one",
        ),
        levels={guess.label: guess.log_c},
    )


def _in_bits(guess: Chance) -> str:
    return f" Unless it is counted in bits: a guess costs {IN_BITS * guess.log_c:.2f} of them."


DETECTOR = Detector(
    id="initial-loss-high",
    group="initial",
    passed="The loss starts at or below that of a uniform guess",
    failed="The loss starts far above that of a uniform guess",
    requires=("train/loss",),
    settings=InitialSettings,
    detect=detect,
)
