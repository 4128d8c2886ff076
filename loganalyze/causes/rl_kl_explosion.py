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

from loganalyze.causes.cause import DECISIVE, Case, Hypothesis
from loganalyze.finding import Clue


def weigh(case: Case) -> list[Clue]:
    """Weigh the growth of the KL divergence."""
    finding = case.found("loss-divergence")
    metric = str(finding.metrics[0]) if finding and finding.metrics else ""
    ratio = case.number("loss-divergence", "ratio")
    if "kl" not in metric.lower() or ratio is None:
        return [Clue("No KL divergence grew.", -DECISIVE)]
    return [Clue(f"{metric} grew to {ratio:,.0f} x its usual level.", DECISIVE)]


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
    explains=("loss-divergence",),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
