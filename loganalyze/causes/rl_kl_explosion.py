"""The policy runs away from its reference.

What it is
----------
An update so large that the importance ratio means nothing; or a reward that is best at nonsense.

What speaks for it
------------------
The KL divergence grows by orders of magnitude within a few updates, and the reward falls or the text
degenerates. Or, without a KL divergence in the log: the first updates have a gradient, at a rate far above
any in use, and all later ones have none: the policy was thrown to where it gives one answer only.

What speaks against it
----------------------
The KL divergence stays where it is. A gradient of 0 from the first update on.

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

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, Case, Hypothesis
from loganalyze.causes.rates import common_rates, told_rate
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import is_by_reward
from loganalyze.signals.reference import KL_GROWTH, kl_growth, reward_lost

FAR = 10.0  # times the highest rate in common use


def weigh(case: Case) -> list[Clue]:
    """Weigh the growth of the KL divergence."""
    growth = kl_growth(case.run)
    lost = reward_lost(case.run)
    if growth < KL_GROWTH and lost is not None:
        text = f"The KL divergence grew all along, and {lost:.0%} of the reward that was gained is lost."
        return [Clue(text, DECISIVE)]
    if growth < KL_GROWTH:
        return _one_answer(case) or [Clue("No KL divergence grew.", -STATED)]
    return [Clue(f"The KL divergence grew to {growth:,.0f} x its usual level.", DECISIVE + STRONG)]


def _one_answer(case: Case) -> list[Clue]:
    """An update so long that the policy is certain ever after: no answer differs, and no gradient is left."""
    finding = case.found("grad-zero") or case.found("loss-plateau")
    if finding is None or finding.evidence.get("from_start") == "yes" or not is_by_reward(case.run):
        return []
    told = case.run.series("train/learning_rate").finite().value
    rate = float(told.max()) if len(told) else told_rate(case.run)
    high, optimizer = common_rates(case.run)
    if rate is None or rate <= FAR * high:
        return []
    text = (
        f"The first updates had a gradient, at a rate {rate / high:.0f} x the most that is usual{optimizer}; "
        "none since has any: the policy gives one answer only."
    )
    return [Clue(text, DECISIVE + MODERATE)]


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
    explains=(
        "grad-explosion",
        "loss-divergence",
        "loss-spike",
        "grad-zero",
        "loss-zero",
        "loss-plateau",
    ),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
