"""What kind of loss a run has: whether log(C), zero and the sign mean anything."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from loganalyze.run import GIVEN, Run


class LossKind(StrEnum):
    """Families of losses that checks must tell apart."""

    CROSS_ENTROPY = "cross-entropy"
    REGRESSION = "regression"
    ADVERSARIAL = "adversarial"
    REINFORCEMENT = "reinforcement learning"
    PREFERENCE = "preference optimisation"
    UNBOUNDED = "a loss that may be negative"
    UNKNOWN = "unknown"


_REINFORCEMENT = re.compile(
    r"reward(?!s/(?:chosen|rejected|margins|accuracies))|policy_(?:gradient_)?loss|value_loss|"
    r"loss/policy|objective/(?:kl|scores|rlhf)|entropy_loss|approx_kl|ep_rew|rollout/|advantage|"
    r"completion_length|completions/", re.I
)  # fmt: skip
_PREFERENCE = re.compile(r"rewards/(?:chosen|rejected|margins|accuracies)|logps/", re.I)
_ADVERSARIAL = re.compile(
    r"(?:^|[/_])(?:d|g|gen|disc|generator|discriminator|critic|adv)_?loss|loss_?[dg]$|loss[/_](?:d|g)$",
    re.I,
)
_NOT_UNIFORM = re.compile(
    r"regress|contrast|info_?nce|triplet|elbo|vae|diffus|mse|l1_?loss|huber|mae\b|ctc|hinge|dpo|ppo|grpo|"
    r"(?:^|[ _])l1(?:[ _]|$)|reconstruction|bce|binary|squared_error|absolute_error|log_?cosh", re.I
)  # fmt: skip
_PARTS = re.compile(
    r"(?:^|[/_])(?:kl|recon\w*|elbo|box|obj|dfl|mse|l1|bbox|mask|ctc)[\w]*loss|loss[/_]kl", re.I
)
SETTINGS_THAT_TELL = ("loss", "problem_type", "task", "model_type", "trainer")


@dataclass(frozen=True, slots=True)
class Chance:
    """The loss of a uniform guess: log(C), and how C is known."""

    classes: int
    log_c: float
    where: str

    @property
    def label(self) -> str:
        """Name it for charts and sentences: ``ln(280) = 5.63``."""
        return f"ln({self.classes:,}) = {self.log_c:.2f}"


def loss_kind(run: Run) -> LossKind:
    """Judge the kind of the train loss from the metrics' names, the settings and the values."""
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    if any(_PREFERENCE.search(name) for name in names):
        return LossKind.PREFERENCE
    if any(_REINFORCEMENT.search(name) for name in names):
        return LossKind.REINFORCEMENT
    if any(_ADVERSARIAL.search(name) for name in names):
        return LossKind.ADVERSARIAL
    words = " ".join(
        str(found.value) for key in SETTINGS_THAT_TELL if (found := run.setting(key)) is not None
    )
    if _NOT_UNIFORM.search(words) or run.number("num_classes") == 1:
        return LossKind.REGRESSION
    if any(_PARTS.search(name) for name in names):
        return LossKind.UNKNOWN
    values = run.series("train/loss").finite().value
    if len(values) and float(np.min(values)) < 0:
        return LossKind.UNBOUNDED
    return LossKind.CROSS_ENTROPY if chance(run) is not None else LossKind.UNKNOWN


def chance(run: Run) -> Chance | None:
    """Return the loss of a uniform guess, where the number of classes is known.

    The number of classes counts before the size of the vocabulary: a classifier has both.
    """
    for key in ("num_classes", "vocab_size"):
        found = run.setting(key)
        count = run.number(key)
        if found is None or count is None or not 2 <= count <= 1e8 or count != int(count):
            continue
        if key == "vocab_size" and _is_classifier(run):
            continue
        if key == "num_classes" and found.where != GIVEN and is_language_model(run):
            continue  # every Hugging Face configuration carries num_labels = 2
        return Chance(int(count), math.log(count), found.where)
    return None


def _architecture(run: Run) -> str:
    found = run.setting("architectures")
    return str(found.value) if found else ""


def _is_classifier(run: Run) -> bool:
    return "Classification" in _architecture(run)


def is_language_model(run: Run) -> bool:
    """Tell whether the model's configuration says that it writes text."""
    text = _architecture(run)
    return any(word in text for word in ("LMHead", "ForCausalLM", "ForMaskedLM", "Generation"))
