"""All answers to a prompt get the same reward: there is nothing to prefer.

What it is
----------
Group-relative methods subtract the group's mean reward. If all rewards in the group are equal, the
advantage is zero, and so are loss and gradient.

What speaks for it
------------------
The loss is 0 and so is the standard deviation of the reward; the share of groups without any is 1.

What speaks against it
----------------------
A gradient norm above 0: a loss of 0 is ordinary for GRPO's first update of a batch.

How to confirm
--------------
Print the rewards of four groups.

Fix
---
A reward with more levels, a higher sampling temperature, harder or easier prompts, larger groups.

References
----------
Shao et al., "DeepSeekMath" (2024), section 4.1; trl#3857.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import is_by_reward


def weigh(case: Case) -> list[Clue]:
    """Weigh the spread of the rewards."""
    finding = case.found("loss-zero") or case.found("grad-zero")
    spread = finding.evidence.get("reward_std") if finding else None
    if spread is None and finding is not None and _rests(case):
        text = "A method that learns from rewards has a loss and a gradient of 0: no answer was worth more."
        return [Clue(text, DECISIVE)]
    if spread is None:
        return [Clue("No spread of rewards was logged.", -DECISIVE)]
    clues = [Clue("The reward has no spread: all answers are worth the same.", DECISIVE)]
    norm = case.run.series("train/grad_norm").finite().value
    if len(norm) and float(norm[-1]) > 0:
        clues.append(Clue("The gradient norm is not 0.", -STRONG))
    return clues


def _rests(case: Case) -> bool:
    """Tell whether a run that learns from rewards has no gradient at all."""
    norm = case.run.series("train/grad_norm").finite().value
    return is_by_reward(case.run) and len(norm) > 0 and float(np.median(norm)) == 0


def fix(case: Case) -> list[str]:
    """Name what makes a spread."""
    return ["Print rewards per group; temperature up, or a reward with more than two levels"]


HYPOTHESIS = Hypothesis(
    id="rl-zero-advantage",
    title="The advantage is zero everywhere",
    prior=0.0,
    explains=("loss-zero", "grad-zero"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
