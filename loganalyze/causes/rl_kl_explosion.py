"""The policy runs away from its reference.

What it is
----------
An update so large that the importance ratio means nothing; or a reward that is best at nonsense.

What speaks for it
------------------
The KL divergence grows by orders of magnitude within a few updates, and the reward falls or the text
degenerates.

What speaks against it
----------------------
The KL divergence stays where it is.

How to confirm
--------------
The same updates at a third of the rate, with a target for the KL divergence.

Fix
---
Lower the learning rate, a higher KL coefficient, fewer epochs per batch, early stopping on the KL.

References
----------
Schulman et al., "Proximal Policy Optimization Algorithms" (2017); baselines#975.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, STATED, STRONG, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.signals.reference import KL_GROWTH, kl_growth, reward_lost


def weigh(case: Case) -> list[Clue]:
    """Weigh the growth of the KL divergence."""
    growth = kl_growth(case.run)
    lost = reward_lost(case.run)
    if growth < KL_GROWTH and lost is not None:
        text = f"The KL divergence grew all along, and {lost:.0%} of the reward that was gained is lost."
        return [Clue(text, DECISIVE)]
    if growth < KL_GROWTH:
        return [Clue("No KL divergence grew.", -STATED)]
    return [Clue(f"The KL divergence grew to {growth:,.0f} x its usual level.", DECISIVE + STRONG)]


def fix(case: Case) -> list[str]:
    """Name the brakes."""
    rate = case.run.number("learning_rate")
    slower = (
        f"learning_rate {rate:.2g} -> {rate / 3:.2g}" if rate else "a third of the learning rate"
    )
    return [slower, "target_kl -> 0.02 (stops the epochs over a batch early)"]


HYPOTHESIS = Hypothesis(
    id="rl-kl-explosion",
    title="The policy runs away from its reference",
    prior=0.0,
    explains=("grad-explosion", "loss-divergence", "loss-spike"),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
