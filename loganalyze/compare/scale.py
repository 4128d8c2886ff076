"""On which scale two curves of a metric are compared, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

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
    r"miou|r2|mcc|score|return|reward|psnr|ssim|exact_match|ndcg|mrr)(?:$|[/_. -])"
)  # fmt: skip
_SCHEDULE = re.compile(
    r"learning_rate|(?:^|[/_.-])lr(?:$|[/_.-]?\w*$)|loss_scale|momentum|weight_decay|(?:^|[/_.])(?:epochs?|"
    r"(?:global_)?steps?|iter(?:ation)?s?)$|warmup|tokens_seen|consumed"
)
_SYSTEM = re.compile(
    r"^(?:perf|gpu|host|system)/|per_second|second|runtime|time|memory|mem$|flops|utili[sz]ation|throughput|eta$"
)


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
        import numpy as np

        return np.log(values) if self.logarithmic else values


def scale_of(a: Series, b: Series) -> Scale:
    """Choose the scale of a metric from its name and from what both runs logged.

    Losses and norms are compared by ratio where every value of both is positive.
    """
    role, better = role_of(a.metric), better_of(a.metric)
    bounded = better > 0 or role is MetricRole.SCHEDULE
    positive = all(len(s.value) and float(s.value.min()) > 0 for s in (a, b))
    return Scale(role, positive and not bounded, better)


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
