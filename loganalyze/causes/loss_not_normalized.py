"""The loss is summed over accumulation steps, micro-batches or tokens: it and its gradient are k
times the real ones.

What it is
----------
A loss that is divided by the wrong count, or by none, is larger by that factor, and so is its
gradient norm. Training may still work with Adam, which forgives the scale; clipping and logged
numbers do not.

What speaks for it
------------------
Initial loss / log(C) close to an integer k, best the number of accumulation steps. Gradient norm
large by the same factor. A normal evaluation loss.

What speaks against it
----------------------
An evaluation loss that is just as high. No accumulation.

How to confirm
--------------
Train two steps with gradient_accumulation_steps 1 and k times the batch: the logged loss must not
change.

Fix
---
Divide by the number of accumulation steps, or by the number of tokens over all micro-batches.

References
----------
transformers#34191, #35207; LLaMA-Factory#7443; axolotl#2262: 10.5 against 83.7 at 8 accumulation
steps.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue

INTEGER = 0.06  # relative distance to an integer that counts as one; noise of the first batches


def weigh(case: Case) -> list[Clue]:
    """Compare the factor with integers, with the accumulation and with the evaluation."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return [Clue("The loss's own level cannot be compared with log(C).", -MODERATE)]
    clues = [Clue(f"The loss is {ratio:.1f} x what it should be before any update.", WEAK)]
    accumulation = case.run.number("gradient_accumulation_steps")
    clues += _factor(ratio, accumulation)
    norm = case.number("clip-saturated", "median_norm")
    if norm is not None and norm > 10:
        clues.append(
            Clue(
                f"The gradient norm is large as well (median {norm:.3g}), as a k-fold loss makes it.",
                WEAK,
            )
        )
    evaluation = case.run.series("eval/loss").finite()
    log_c = case.number("initial-loss-high", "log_c")
    if len(evaluation) and log_c:
        first = float(evaluation.value[0])
        if first < 1.5 * log_c:
            clues.append(
                Clue(f"The evaluation loss is normal ({first:.3g}): only training sums.", STRONG)
            )
        elif first > 0.7 * ratio * log_c:
            clues.append(Clue(f"The evaluation loss is as high ({first:.3g}).", -STRONG))
    return clues


def _factor(ratio: float, accumulation: float | None) -> list[Clue]:
    k = round(ratio)
    near = k >= 2 and abs(ratio / k - 1) < INTEGER
    if accumulation == 1:
        return [Clue("gradient_accumulation_steps is 1: there is nothing to sum over.", -MODERATE)]
    if accumulation and abs(ratio / accumulation - 1) < 2 * INTEGER:
        text = f"The factor {ratio:.2f} is the number of accumulation steps, {accumulation:.0f}."
        return [Clue(text, DECISIVE)]
    if accumulation and near and accumulation % k == 0:
        return [Clue(f"The factor is close to {k}, which divides {accumulation:.0f}.", MODERATE)]
    if accumulation:
        return [
            Clue(
                f"The factor {ratio:.1f} is not the {accumulation:.0f} accumulation steps.",
                -MODERATE,
            )
        ]
    if near and ratio < 8:
        return [Clue(f"The factor {ratio:.2f} is close to the integer {k}.", MODERATE)]
    return []


def fix(case: Case) -> list[str]:
    """Name the division that is missing."""
    accumulation = case.run.number("gradient_accumulation_steps")
    k = (
        f"{accumulation:.0f}"
        if accumulation and accumulation > 1
        else "the number of micro-batches"
    )
    return [f"Divide the loss by {k} before backward(); initial loss should be about log(C)"]


HYPOTHESIS = Hypothesis(
    id="loss-not-normalized",
    title="The loss is summed where it should be averaged",
    prior=0.0,
    explains=("initial-loss-high", "clip-saturated"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
