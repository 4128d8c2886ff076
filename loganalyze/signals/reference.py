"""How far a policy went from its reference: the KL divergence, and what the reward did meanwhile."""

from __future__ import annotations

import re

import numpy as np

from loganalyze.run import Run, Series
from loganalyze.signals.robust import mad_sigma

KL_GROWTH = 100.0  # times its median: a policy that left its reference
USUAL_KL = 0.05  # the KL divergence per answer that methods aim for
KL = (
    "kl", "train/kl", "approx_kl", "train/approx_kl", "objective/kl", "ppo/mean_kl", "policy/approxkl_avg",
)  # fmt: skip
SHORTEST = 5  # log points
FAR = 1.0  # nats an answer: it is e times as likely as under the reference, or as unlikely
DRIFT = 10.0  # times the first quarter's median; healthy policies grow by 4 at most over the rest of a run
LOST = 0.5  # of the reward that was gained
REWARD = re.compile(r"(?:^|[/_])(?:mean_)?(?:rewards?|scores?|returns?)(?:_mean|/mean)?$", re.I)
QUARTER = 4
NOISE = 6.0  # robust standard deviations of the smoothed reward: a lesser gain is chance


def kl_divergence(run: Run) -> Series | None:
    """Return the KL divergence from the reference, where there is enough of it."""
    series = next((run.series(name).finite() for name in KL if run.has(name)), None)
    return series if series is not None and len(series) >= SHORTEST else None


def kl_growth(run: Run) -> float:
    """Return the highest KL divergence from the reference as a ratio to what is usual: 1 at least."""
    series = kl_divergence(run)
    if series is None:
        return 1.0
    return float(series.value.max() / max(float(np.median(series.value)), USUAL_KL))


def left_reference(run: Run) -> bool:
    """Tell whether the policy left its reference: by orders of magnitude, or by far while its reward fell."""
    return kl_growth(run) > KL_GROWTH or reward_lost(run) is not None


def reward_lost(run: Run) -> float | None:
    """Return the share of the gained reward that was lost while the KL divergence drifted away, or None.

    A reward that the policy learns to cheat goes on to rise; one that falls back is that of a policy whose
    answers have become nonsense.
    """
    kl = kl_divergence(run)
    if kl is None or len(kl) < SHORTEST * QUARTER:
        return None
    part = len(kl) // QUARTER
    first, last = float(np.median(kl.value[:part])), float(np.median(kl.value[-part:]))
    if last < max(FAR, DRIFT * max(first, USUAL_KL)):
        return None
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    rewards = [run.series(name).finite().value for name in names if REWARD.search(name)]
    lost = [_lost(value) for value in rewards if len(value) >= SHORTEST * QUARTER]
    return max(lost) if lost and max(lost) > LOST else None


def _lost(reward: np.ndarray) -> float:
    """Return how much of the rise of a smoothed reward is gone at its end."""
    blocks = np.array([np.median(block) for block in np.array_split(reward, SHORTEST * 2)])
    noise = mad_sigma(np.diff(blocks, 2)) / np.sqrt(6.0)
    gained = float(blocks.max() - blocks[0])
    return float(blocks.max() - blocks[-1]) / gained if gained > NOISE * noise else 0.0
