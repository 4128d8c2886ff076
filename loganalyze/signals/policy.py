"""Whether a policy trades what it had learned for distance from its reference."""

from __future__ import annotations

import numpy as np

from loganalyze.run import Run, Series
from loganalyze.signals.robust import mad_sigma
from loganalyze.signals.smooth import block_medians

REWARDS = (
    "reward",
    "train/reward",
    "mean_reward",
    "reward_mean",
    "rewards/mean",
    "objective/scores",
)
PARTS = 10  # of the run
FEWEST = 5 * PARTS  # log points of both
GROWN = 5.0  # times the divergence at the best reward
FAR = 0.5  # nats per answer: ten times what methods aim for
LOST = 0.5  # share of the reward that was gained
NOISE = 6.0  # robust standard deviations of the parts


def lost_reward(run: Run, kl: Series | None) -> bool:
    """Tell whether the reward falls from its best while the divergence from the reference grows on."""
    reward = next((run.series(name).finite() for name in REWARDS if run.has(name)), None)
    if reward is None or kl is None or min(len(reward), len(kl)) < FEWEST:
        return False
    earned, apart = block_medians(reward.value, PARTS), block_medians(kl.value, PARTS)
    best = int(np.argmax(earned))
    lost, gained = float(earned[best] - earned[-1]), float(earned[best] - earned[0])
    noise = mad_sigma(np.diff(earned, 2)) / np.sqrt(6.0)
    falls = lost > max(LOST * gained, NOISE * noise) and best < PARTS - 2
    return falls and float(apart[-1]) > max(FAR, GROWN * float(apart[best]))
