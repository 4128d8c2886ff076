"""The loss improves, but by far less than the steps spent would suggest.

What it does
------------
The median of the last `window` losses is compared with that of the first. With a known number of classes the
finding holds if the loss has covered less than `slow` of the way from log(C) to 0 and is still above
`above` of log(C), when the plan is all but over (or after `steps` steps): it learned something, and little.
It is a note where ambiguous labels may be the reason: where the loss covered `little` of the way, or the
evaluation gets clearly more right than a guess does; and for tokens, whose entropy nobody knows: that of
genes and proteins is nine tenths of log(C). A regression has no such scale: it is noted where the
whole run gained less than `regression` of the first losses, of the first one and of the first evaluation.
A run of `brief` steps that was planned so is noted as well: its budget is spent. A loss of which neither
classes nor a name are known is noted if all of it gained less than `unscaled` and was still on its way at the
end: `late` of the fall, resolved, or more came in the second half.

Why it matters
--------------
The budget is spent before the model is trained; a larger rate, a shorter warmup or a sound loss would spend
it better.

Not to be confused with
-----------------------
A pretrained model, which starts far below log(C). Large vocabularies, whose entropy is a floor, and ambiguous
labels, which leave one, too. A train loss that counts otherwise than the evaluation, which got far. Targets
that are mostly noise. A sum, which begins far above log(C) and is measured by its own start. A fine-tuning
that starts good gains its little at first, gets most answers right from the start, or names what it was
trained from: without a known scale it is not judged.

Settings
--------
`window`, `slow`, `little`, `above`, `regression`, `unscaled`, `late`, `least`, `brief`, `steps`, `finished`.

Fix
---
A learning-rate range test; look at warmup, clipping and batch size first.

References
----------
Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), the range test. An improvement below
50 % is slow and below 0.1 % none, comparing the first with the last 100 losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect import loss_at_chance
from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.accuracy import share
from loganalyze.signals.loss_kind import LossKind, chance, is_language_model, loss_kind
from loganalyze.signals.movement import movement
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class SlowSettings:
    """Thresholds of the check."""

    window: int = setting(100, unit="log points", source="first W against last W")
    slow: float = setting(
        0.25,
        unit="share of the way from log(C) to 0",
        source="ambiguous labels leave a third and more",
    )
    little: float = setting(
        0.2, unit="share of the way from log(C) to 0", source="more may be all there is to learn"
    )
    above: float = setting(
        0.75,
        unit="ratio to log(C)",
        source="five-star reviews, whose labels are ambiguous, end at 0.65",
    )
    regression: float = setting(
        0.33, unit="share of the first losses", source="two thirds of what is called slow, 50 %"
    )
    unscaled: float = setting(
        0.2, unit="share of the first losses", source="what counts as little on a known scale"
    )
    late: float = setting(
        0.25,
        unit="share of the fall",
        source="even progress at a rate that decays linearly to 0; what settles makes less",
    )
    brief: int = setting(
        50, unit="steps", source="of a plan that was fulfilled: a trial of the code has fewer"
    )
    least: int = setting(100, unit="steps", source="of a regression: every training starts so")
    steps: int = setting(200, unit="steps", source="every training is slow at first")
    finished: float = setting(0.9, unit="share of the plan", source="nearly all was spent")


FEWEST = 8  # log points: two in each quarter
PARTS = 4  # of a log: the first and the last one are compared
FIRST = 3  # losses that tell where it begins
OFF_SCALE = 1.1  # times log(C): no classifier that is trained stays above it
SUMMED = 2.0  # times log(C): a sum over two micro-batches or more
POINTS = 20  # log points; fewer are worth a note
RESOLVED = 2.0  # standard errors
SOLVED = 0.8  # accuracy of the first answers: nobody guesses so well
# Settings that name weights to begin with.
OF_TRAINED = (
    "model_name_or_path", "pretrained", "pretrained_model", "pretrained_model_name_or_path",
    "load_from", "init_checkpoint", "finetune", "lora_r", "lora_rank", "peft_type",
)  # fmt: skip
MOST_CLASSES = 2_000  # beyond it the targets are tokens, whose entropy is a floor


def detect(run: Run, settings: SlowSettings) -> Detected:
    """Compare what was gained with what there is to gain."""
    if loss_kind(run) is LossKind.REGRESSION:
        return _regression(run, settings)
    if loss_kind(run) is LossKind.UNKNOWN and chance(run) is None:
        return _unscaled(run, settings)
    if loss_kind(run) is not LossKind.CROSS_ENTROPY:
        return NotApplicable("the scale of this loss is not known")
    guess = chance(run)
    if guess is None or guess.classes > MOST_CLASSES:
        return NotApplicable(
            "no number of classes is known against which progress could be measured"
        )
    series = run.series("train/loss").finite()
    least = settings.brief if _is_finished(run, series, settings) else settings.steps
    if len(series) < FEWEST or int(series.step[-1]) < least:
        return NotApplicable(
            f"{len(series)} losses over {int(series.step[-1]) if len(series) else 0:,} steps are too few"
        )
    if run.planned_steps and series.step[-1] < settings.finished * run.planned_steps:
        return NotApplicable("most of the plan is still to come")
    window = min(settings.window, len(series) // 4)
    start, end = float(np.median(series.value[:window])), float(np.median(series.value[-window:]))
    gained = (min(start, guess.log_c) - end) / guess.log_c
    # A sum has a scale of its own: from far above log(C), what it lost of its own start counts.
    first = float(np.median(series.value[:FIRST]))
    begins_so, ends_so = first > SUMMED * guess.log_c, end > OFF_SCALE * guess.log_c
    on_another_scale = begins_so and ends_so and first - end >= settings.regression * first
    if end <= settings.above * guess.log_c or gained >= settings.slow or on_another_scale:
        return ()
    evaluated = run.series("eval/loss").finite().value
    if len(evaluated) and evaluated[-1] <= settings.above * guess.log_c:
        return ()  # it has learned; the train loss counts otherwise
    stuck = loss_at_chance.detect(run, loss_at_chance.ChanceSettings())
    if not isinstance(stuck, NotApplicable) and stuck:
        return ()  # that says it
    return (
        Finding(
            id="slow-convergence",
            severity=Severity.INFO
            if len(series) < POINTS
            or int(series.step[-1]) < settings.steps
            or gained >= settings.little
            or loss_at_chance.is_ahead(run, guess.classes)
            or guess.of_tokens
            else Severity.WARNING,
            confidence=0.7,
            title="The loss falls far too slowly",
            summary=(
                f"Over {series.step[-1]:,} steps the train loss fell from {start:.4g} to {end:.4g}, "
                f"{gained:.1%} of the way from {guess.label} to 0."
            ),
            steps=(int(series.step[0]), int(series.step[-1])),
            metrics=("train/loss",),
            evidence={
                "first": start,
                "last": end,
                "gained": gained,
                "ratio_to_log_c": end / guess.log_c,
                "improvement": (start - end) / start,
            },
            where=(series.where(0), series.where(len(series) - 1)),
            fix=("Run a learning-rate range test; look at warmup, clipping and batch size",),
            levels={guess.label: guess.log_c},
        ),
    )


def _regression(run: Run, settings: SlowSettings) -> Detected:
    """Compare the end with the start, where that is told from the noise of the batches."""
    series = run.series("train/loss").finite()
    if len(series) < FEWEST or len(series) < len(run.series("train/loss")):
        return NotApplicable(f"{len(series)} losses are too few, {FEWEST} needed")
    if run.planned_steps and series.step[-1] < settings.finished * run.planned_steps:
        return NotApplicable("most of the plan is still to come")
    if int(series.step[-1]) < settings.least:
        return NotApplicable(f"{series.step[-1]:,} steps are too few")
    start, end, gained = _gain(run, series)
    if not 0 <= gained < settings.regression:
        return ()
    return (
        _note(
            series,
            (start, end, gained),
            f"Over {series.step[-1]:,} steps the train loss went from {start:.4g} to {end:.4g}; "
            f"no more than {gained:.0%} were gained. Targets that are mostly noise end so as well.",
            "Compare with the loss of always answering the mean; then a range test of the rate",
        ),
    )


def _unscaled(run: Run, settings: SlowSettings) -> Detected:
    """Look for a loss of no known scale that is still at its first few per cent when the run ends."""
    series = run.series("train/loss").finite()
    if len(series) < POINTS or len(series) < len(run.series("train/loss")):
        return NotApplicable(f"{len(series)} losses are too few, {POINTS} needed")
    if run.planned_steps and series.step[-1] < settings.finished * run.planned_steps:
        return NotApplicable("most of the plan is still to come")
    least = settings.brief if _is_finished(run, series, settings) else settings.least
    if int(series.step[-1]) < least:
        return NotApplicable(f"{series.step[-1]:,} steps are too few")
    if _starts_trained(run):
        return NotApplicable("a model that was trained before may have little left to gain")
    start, end, gained = _gain(run, series)
    if not 0 < gained < settings.unscaled or not _is_on_its_way(run, start - end, settings):
        return ()
    return (
        _note(
            series,
            (start, end, gained),
            f"Over {series.step[-1]:,} steps the train loss went from {start:.4g} to {end:.4g}; "
            f"no more than {gained:.0%} were gained, and it was still falling at the end.",
            "Run a learning-rate range test; look at warmup, clipping and batch size",
        ),
    )


def _is_on_its_way(run: Run, fall: float, settings: SlowSettings) -> bool:
    """Tell whether the loss, or that of the evaluation, falls on in the second half as in the first."""
    loss, evals = (run.series(f"{part}/loss").finite().value for part in ("train", "eval"))
    if movement(run) is not None:  # it has no noise of batches
        middle = float(evals[len(evals) // 2])
        return bool(middle - evals[-1] >= settings.late * (evals[0] - evals[-1]) > 0)
    moved, error = change(loss[len(loss) // 2 :])
    return moved + RESOLVED * error < 0 and -moved >= settings.late * fall


def _starts_trained(run: Run) -> bool:
    """Tell whether the weights come from an earlier training: by the settings or by the first answers."""
    if run.framework == "hf-trainer" or is_language_model(run):
        return True  # that library is there for fine-tuning
    if any(run.setting(key) is not None for key in OF_TRAINED):
        return True
    for metric in ("train/accuracy", "eval/accuracy"):
        right = share(run.series(metric).finite().value)
        if len(right) and float(np.median(right[:FIRST])) > SOLVED:
            return True
    return False


def _is_finished(run: Run, series: Series, settings: SlowSettings) -> bool:
    """Tell whether all steps that were planned are done."""
    return bool(run.planned_steps and series.step[-1] >= settings.finished * run.planned_steps)


def _gain(run: Run, series: Series) -> tuple[float, float, float]:
    """Return the losses of the first and the last part, and the most that was gained by any account."""
    part = max(len(series) // PARTS, 3)
    first, last = series.value[:part], series.value[-part:]
    start, end = float(np.median(first)), float(np.median(last))
    course = movement(run)
    gained = (start - end) / start if start > 0 else 1.0
    if course is not None and course.first > 0:
        gained = max(gained, (course.first - course.last) / course.first)
    if float(series.value[0]) > 0:
        gained = max(gained, (float(series.value[0]) - end) / float(series.value[0]))
    return start, end, gained


def _note(series: Series, gain: tuple[float, float, float], summary: str, fix: str) -> Finding:
    start, end, gained = gain
    return Finding(
        id="slow-convergence",
        severity=Severity.INFO,
        confidence=0.5 if len(series) >= POINTS else 0.4,
        title="The loss hardly falls",
        summary=summary,
        steps=(int(series.step[0]), int(series.step[-1])),
        metrics=("train/loss",),
        evidence={"first": start, "last": end, "improvement": gained},
        where=(series.where(0), series.where(len(series) - 1)),
        fix=(fix,),
    )


DETECTOR = Detector(
    id="slow-convergence",
    group="slow",
    passed="The loss made the progress that its steps suggest",
    failed="The loss falls far too slowly",
    requires=("train/loss",),
    settings=SlowSettings,
    detect=detect,
)
