"""Weights are kept in 16 bits: small updates are rounded away, sums lose their last digits.

What it is
----------
bfloat16 has 8 bits of precision: an update below 0.4 % of a weight changes nothing. Without a master copy in
32 bits the training stops where updates get small; norms and softmaxes computed in it wander.

What speaks for it
------------------
The settings keep the weights themselves in 16 bits. The loss stays flat at small rates, or drifts.

What speaks against it
----------------------
Mixed precision keeps 32-bit weights: autocast is not this. fp32.

How to confirm
--------------
The share of weights that one step changes: near 0 in 16 bits, near 1 in 32.

Fix
---
Keep the weights in fp32 and let autocast compute in bf16; or stochastic rounding, or Kahan summation.

References
----------
Zamirai et al., "Revisiting BFloat16 Training" (2020); ml-by-hand#85: 0 of 768 weights moved.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.fp16_overflow import precision
from loganalyze.finding import Clue
from loganalyze.signals.half import norms_in_bf16
from loganalyze.signals.movement import movement

PURE = re.compile(
    r"(?:bf16|16|fp16)-true|pure[_-]?(?:bf16|fp16|half)|bf16[_-]full|all[_-]?bf16", re.I
)
WEIGHTS = ("torch_dtype", "param_dtype", "model_dtype", "weights_dtype", "params_dtype")
HALF = re.compile(r"bf16|bfloat16|fp16|float16|half", re.I)
ROUNDED = 1e-3  # share of the evaluation loss
SPACING = {"bf16": 2.0**-8, "fp16": 2.0**-11}  # relative distance of neighbouring numbers
SILENT = 2.0  # log-odds against it where nothing speaks of 16-bit weights


def weigh(case: Case) -> list[Clue]:
    """Weigh in which precision the weights are kept."""
    for key in ("precision", "mixed_precision", *WEIGHTS):
        found = case.run.setting(key)
        text = str(found.value) if found is not None else ""
        if PURE.search(text) or (key in WEIGHTS and HALF.search(text)):
            clues = [Clue(f"The weights are kept in 16 bits ({key} = {text}).", STRONG)]
            if case.found("loss-plateau", "slow-convergence", "loss-at-chance"):
                clues.append(Clue("Small updates are rounded away: progress stops.", MODERATE))
            return clues
    kind, name = precision(case)
    held = norms_in_bf16(case.run)
    if held is not None:
        text = (
            f"All {held} different gradient norms are numbers that bf16 can hold: gradients, and so weights, "
            "are kept in 16 bits."
        )
        return [Clue(text, DECISIVE + STRONG if kind in (None, "bf16") else MODERATE)]
    course = movement(case.run)
    if kind in ("bf16", "fp16") and course is not None and course.span < ROUNDED:
        return [
            Clue("A run with weights in 32 bits moves at the same rate, however slowly.", WEAK),
            Clue(
                f"The evaluation loss moves by only {course.span:.2%} in the whole run, which uses {kind} "
                f"({name}): updates below its spacing of {SPACING[kind]:.2%} are rounded away.",
                DECISIVE,
            ),
        ]
    if kind == "fp32":
        return [Clue(f"The run uses fp32 ({name}).", -DECISIVE)]
    if kind is not None:
        return [Clue(f"Mixed precision ({name}) keeps weights in 32 bits.", -SILENT)]
    return [Clue("Nothing in the log says that weights are kept in 16 bits.", -SILENT)]


def fix(case: Case) -> list[str]:
    """Name the split."""
    return ["weights in float32, autocast to bfloat16: precision bf16-true -> bf16-mixed"]


HYPOTHESIS = Hypothesis(
    id="low-precision-instability",
    title="The weights are kept in too few bits",
    prior=-0.5,
    explains=(
        "loss-plateau",
        "slow-convergence",
        "loss-at-chance",
        "loss-divergence",
        "loss-oscillation",
    ),
    weigh=weigh,
    fix=fix,
    probe="precision",
)
