"""On which scale two curves of a metric are compared, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from loganalyze.run import FloatArray, Series


class MetricRole(StrEnum):
    """What a metric says of a run."""

    OUTCOME = "outcome"  # how well it learned: losses and scores; the verdict rests on these
    TRAINING = "training"  # how it trained: gradient norms and whatever else was logged
    SCHEDULE = "schedule"  # what was set for each step; it has no noise
    SYSTEM = "system"  # speed and memory, which depend on the machine


# Words of a name, between signs.
_LOSS = re.compile(
    r"(?:^|[/_. -])(?:loss|nll|perplexity|ppl|cross_entropy|bpc|wer|cer|mse|mae|rmse|fid)(?:$|[/_. -])"
)
_SCORE = re.compile(
    r"(?:^|[/_. -])(?:acc(?:uracy)?\d*|top[_-]?\d|f1|auc|auroc|map\d*|bleu|rouge\w*|precision|recall|iou|"
    r"miou|r2|mcc|score|returns?|rewards?|ep_rew\w*|psnr|ssim|exact_match|ndcg|mrr)(?:$|[/_. -])"
)  # fmt: skip
_SCHEDULE = re.compile(
    r"learning_rate|(?:^|[/_.-])lr(?:$|[/_.-]?\w*$)|loss_scale|momentum|weight_decay|(?:^|[/_.])(?:epochs?|"
    r"(?:global_)?steps?|iter(?:ation)?s?)$|warmup|tokens_seen|consumed"
)
_SYSTEM = re.compile(
    r"^(?:perf|gpu|host|system)/|per_second|second|runtime|time|memory|mem$|flops|utili[sz]ation|throughput|eta$"
)


PERCENT_FROM = 1.5  # highest accuracy of a run, above which it counts in percent


@dataclass(frozen=True, slots=True)
class Scale:
    """How values of a metric are compared.

    Attributes
    ----------
    logarithmic
        Differences are of logarithms: they are ratios.
    better
        -1 where lower is better, 1 where higher is, 0 where neither.
    """

    role: MetricRole
    logarithmic: bool
    better: int

    def of(self, values: FloatArray) -> FloatArray:
        """Return values on this scale."""
        return np.log(values) if self.logarithmic else values


def scale_of(a: Series, b: Series, *, meaningless: bool = False) -> Scale:
    """Choose the scale of a metric from its name and from what both runs logged.

    Losses and norms are compared by ratio where every value of both is positive.

    Parameters
    ----------
    meaningless
        Whether the level of a loss says nothing of how well a run learned: with rewards and adversaries.
    """
    role, better = role_of(a.metric), better_of(a.metric)
    if meaningless and better < 0:
        role, better = MetricRole.TRAINING, 0
    bounded = better > 0 or role is MetricRole.SCHEDULE
    positive = all(len(s.value) and float(s.value.min()) > 0 for s in (a, b))
    return Scale(role, positive and not bounded, better)


def in_one_unit(a: Series, b: Series) -> tuple[Series, Series]:
    """Return scores of both in percent where one run logged percent and the other shares of one."""
    if better_of(a.metric) <= 0:
        return a, b
    highest = [float(np.nanmax(one.value, initial=0.0)) for one in (a, b)]
    lowest = [float(np.nanmin(one.value, initial=0.0)) for one in (a, b)]
    if min(lowest) < 0 or min(highest) > 1.0 or not PERCENT_FROM < max(highest) <= 100.0:
        return a, b
    shares, percent = (a, b) if highest[0] <= 1.0 else (b, a)
    if "acc" not in percent.metric and "top" not in percent.metric:
        return a, b
    scaled = replace(shares, value=100.0 * shares.value)
    return (scaled, b) if shares is a else (a, scaled)


def role_of(metric: str) -> MetricRole:
    """Tell what a metric says of a run by its name."""
    name = metric.lower()
    if _SCHEDULE.search(name):
        return MetricRole.SCHEDULE
    if _SYSTEM.search(name):
        return MetricRole.SYSTEM
    return MetricRole.OUTCOME if better_of(metric) else MetricRole.TRAINING


def better_of(metric: str) -> int:
    """Return -1 where lower is better, 1 where higher is, 0 where its name does not tell."""
    name = metric.lower()
    if _SCORE.search(name):
        return 1
    return -1 if _LOSS.search(name) else 0
