"""All labels are -100, so that no token or sample counts in the loss.

What it is
----------
A template that does not match, or truncation that cuts the answer off, masks every label; the
mean over nothing is 0 or NaN.

What speaks for it
------------------
The loss is exactly 0.0 from the first step and the gradient norm is 0. The log says "Most labels
are -100".

What speaks against it
----------------------
A finite loss at first. A gradient norm above 0.

How to confirm
--------------
Count the labels that are not -100 in a few batches.

Fix
---
Mend the response template, raise the maximum length, or check the collator.

References
----------
unsloth#1290, unsloth#3019; unilm#551.
"""

from __future__ import annotations

import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.components import components
from loganalyze.causes.error_text import stated
from loganalyze.causes.onset import Onset, onset
from loganalyze.finding import Clue
from loganalyze.run import EventKind, Series
from loganalyze.signals.loss_kind import LossKind, is_by_reward, loss_kind

ERROR = re.compile(r"[Aa]ll labels.{0,40} are -100")
SEVERAL = 3  # losses; one or two may be odd batches


def weigh(case: Case) -> list[Clue]:
    """Nothing to learn from leaves a loss of 0 and a gradient of 0 from the start."""
    clues = stated(case, ERROR)
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log says that all labels are masked.", -DECISIVE))
    counted = _none_counted(case)
    if not clues and not case.found("loss-zero", "loss-nonfinite", "grad-zero", "eval-nonfinite"):
        return [*clues, *_answers(case)] or [Clue("The loss is neither 0 nor NaN.", -STATED)]
    finding = case.found("loss-zero")
    if finding:
        norm = finding.evidence.get("grad_norm")
        if norm == "0":
            clues.append(Clue("The loss is exactly 0.0 and so is the gradient norm.", DECISIVE))
        elif norm == "NaN":
            text = "The gradient norm is NaN, as the mean over no label, 0 / 0, makes it."
            from_start = finding.evidence.get("from_start") == "yes"
            clues.append(Clue(text, WEAK if from_start else -WEAK))
        if finding.evidence.get("from_start") == "yes":
            clues.append(Clue("It is so from the first logged step.", MODERATE))
        else:
            clues.append(Clue("Losses before it were not 0.", -STRONG))
    if finding and is_by_reward(case.run):
        clues.append(Clue("The run learns from rewards: it has no labels to mask.", -DECISIVE))
    if loss_kind(case.run) is LossKind.REGRESSION:
        clues.append(Clue("The run is a regression: its targets have no mask.", -DECISIVE))
    terms = components(case)
    if terms is not None and terms.whole:
        text = f"{', '.join(terms.whole[:3])} stay finite: there are labels."
        clues.append(Clue(text, -STRONG))
    first = onset(case) if case.found("loss-nonfinite") else None
    if first is not None and not first.is_first and not _mean_over_none(case, first):
        text = f"The losses before step {first.step:,} were finite."
        clues.append(Clue(text, -STRONG))
    if first is not None:
        clues += _mean_over_none(case, first)
    clues += [*counted, *_answers(case)]
    if any("-100" in event.text for event in case.run.events_of(EventKind.HINT)):
        clues.append(Clue("The log says that most labels are -100.", DECISIVE))
    return clues


def _none_counted(case: Case) -> list[Clue]:
    """0 right of 0 counted is NaN; outputs that are NaN are merely wrong, and counted so."""
    for split in ("train", "eval"):
        loss, right = (case.run.series(f"{split}/{name}") for name in ("loss", "accuracy"))
        none = right.step[np.isnan(right.value)]
        if len(none) and np.isnan(loss.value[np.isin(loss.step, none)]).any():
            text = f"{split}/accuracy is NaN where the loss is: none was counted, right or wrong."
            return [Clue(text, DECISIVE)]
        if len(right) and np.isnan(loss.value).any():
            text = (
                f"{split}/accuracy is a number where the loss is not: there were answers to count."
            )
            return [Clue(text, -WEAK)]
    return []


def _mean_over_none(case: Case, first: Onset) -> list[Clue]:
    """0 / 0 has a gradient of exactly 0: the weights stay as they were, and evaluate as before."""
    norm, evals = case.run.series("train/grad_norm").finite(), case.run.series("eval/loss")
    evals = (
        evals if np.isfinite(evals.value[evals.step > first.step]).all() else evals.take(slice(0))
    )
    loss = case.run.series("train/loss")
    after = norm.value[norm.step >= first.step]
    clues = []
    if len(after) and float(after.max()) == 0:
        text = (
            f"From step {first.step:,} on the loss is NaN and the gradient norm exactly 0: a mean over no "
            "label."
        )
        clues.append(Clue(text, DECISIVE))
    late = loss.value[loss.step >= first.step]
    if len(late) >= SEVERAL and not np.isfinite(late).any() and _holds(evals, first.step):
        text = (
            "The train loss stays NaN while the evaluation stays finite: the weights are whole, the batches "
            "have nothing to learn from."
        )
        clues.append(Clue(text, DECISIVE))
    return clues


def _holds(evals: Series, step: int) -> bool:
    """Tell whether evaluations after `step` are finite: a NaN has not reached the weights."""
    return int((evals.step > step).sum()) >= 2


def _answers(case: Case) -> list[Clue]:
    """An answer without any token that counts has the log-probability 0, exactly."""
    answers = case.run.series("logps/chosen").finite().value
    if not len(answers):
        return []
    if not answers.any():
        return [Clue("The log-probability of the answers is exactly 0: no token counts.", DECISIVE)]
    return [Clue("The answers have log-probabilities: their tokens count.", -DECISIVE)]


def fix(case: Case) -> list[str]:
    """Name the places to look."""
    return ["Decode the labels that are not -100 in one batch; none means template or truncation"]


HYPOTHESIS = Hypothesis(
    id="labels-all-masked",
    title="Every label is masked",
    prior=-1.0,
    explains=(
        "loss-zero",
        "loss-nonfinite",
        "eval-nonfinite",
        "grad-zero",
        "loss-at-chance",
        "eval-at-chance",
        "crash",
    ),
    weigh=weigh,
    fix=fix,
    probe="data",
)
