"""What kind of loss a run has: whether log(C), zero and the sign mean anything."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from loganalyze.run import GIVEN, Run, once
from loganalyze.signals.loss_sum import has_other_losses, is_sum_of_terms


class LossKind(StrEnum):
    """Families of losses that checks must tell apart."""

    CROSS_ENTROPY = "cross-entropy"
    REGRESSION = "regression"
    ADVERSARIAL = "adversarial"
    REINFORCEMENT = "reinforcement learning"
    PREFERENCE = "preference optimisation"
    UNBOUNDED = "a loss that may be negative"
    OTHER = "a loss that is no plain cross-entropy"
    UNKNOWN = "unknown"


_REINFORCEMENT = re.compile(
    r"reward(?!s/(?:chosen|rejected|margins|accuracies))|policy_(?:gradient_)?loss|value_loss|"
    r"loss/policy|objective/(?:kl|scores|rlhf)|entropy_loss|approx_kl|ep_rew|rollout/|advantage|"
    r"completion_length|completions/|actor_loss|td_(?:error|loss)|(?:^|[/_])qf?\d?_(?:loss|mean|values?)$|"
    r"(?:^|[/_])returns?$|(?:ep|episode|episodic|mean|avg|average)_(?:return|score|rew)|"
    r"exploration_rate|clip_?frac|explained_variance", re.I
)  # fmt: skip
_PREFERENCE = re.compile(r"rewards/(?:chosen|rejected|margins|accuracies)|logps/", re.I)
_ADVERSARIAL = re.compile(
    r"(?:^|[/_])(?:d|g|gen|disc|generator|discriminator|critic|adv)_?loss|loss_?[dg]$|"
    r"loss[/_](?:d|g|gen|disc|generator|discriminator|critic|adv)(?:[/_]|$)|(?:^|[/_])err_?[dg]$|"
    r"gradient_penalty|wasserstein|(?:^|[/_])(?:[gd]_(?:gan|real|fake|adv)|(?:cycle|idt)_[ab])$", re.I
)  # fmt: skip
# Words of settings: what is trained, by which method.
_BY_REWARD = re.compile(
    r"(?<![a-z])(?:ppo|dqn|ddqn|a2c|a3c|sac|td3|ddpg|trpo|impala|reinforce|grpo|rloo)(?![a-z])",
    re.I,
)
# Names of what is trained from rewards, by whatever method; words of a model, not of a loss.
_OF_POLICY = re.compile(r"(?<![a-z])(?:rl|rlhf|rlvr|pg|policy|actor|agent|bandit)(?![a-z])", re.I)
# Names of models that learn values of actions: their errors grow with the values.
_OF_VALUES = re.compile(
    r"(?<![a-z])q[-_ ]?(?:values?|learning|networks?|functions?)(?![a-z])", re.I
)
_GAN = re.compile(r"(?<![a-z])(?:dc|w|ls|style|cycle|big|info|pro)?gans?(?![a-z])", re.I)
_NO_GUESS = re.compile(
    r"contrast|info_?nce|nt_?xent|simclr|(?<![a-z])(?:moco|clip|siglip|ctc|kd|glow|realnvp|ebm|detr)(?![a-z])|"
    r"byol|barlow|vicreg|simsiam|siamese|sup_?con|triplet|arcface|cosface|metric_learning|elbo|vae|diffus|"
    r"ddpm|normali[sz]ing_flow|flow_matching|energy_based|autoenc|word2vec|skip_?gram|glove|distil(?!bert|gpt|"
    r"roberta)|yolo|rcnn|retinanet|focal|dice|hinge|reconstruction|dpo", re.I
)  # fmt: skip
# Settings that only methods which learn from rewards have.
_OF_REWARDS = (
    "num_generations", "gae_lambda", "target_kl", "kl_coef", "init_kl_coef", "ent_coef", "vf_coef",
    "ppo_epochs", "clip_range", "cliprange", "exploration_fraction", "target_update_interval",
)  # fmt: skip
_ENVIRONMENTS = ("env", "env_id", "env_name", "environment")
# Settings of methods that divide logits or follow a teacher; language models have a temperature to sample.
_METHODS = (
    "temperature",
    "tau",
    "teacher",
    "teacher_model",
    "distill_alpha",
    "kl_weight",
    "margin",
)
_ENVIRONMENT = re.compile(r"-v\d+$")  # CartPole-v1: so Gym and Gymnasium name theirs
_NOT_UNIFORM = re.compile(
    r"regress|mse|l1_?loss|smooth_?l1|(?:^|[ _])l1(?:[ _]|$)|huber|mae\b|rmse|squared_error|absolute_error|"
    r"log_?cosh|quantile|pinball|poisson|tweedie|gaussian|bce|binary", re.I
)  # fmt: skip
_PARTS = re.compile(
    r"(?:^|[/_])(?:kl|recon\w*|elbo|box|obj|dfl|mse|l1|bbox|mask|ctc)[\w]*loss|loss[/_]kl", re.I
)
SETTINGS_THAT_TELL = (
    "loss", "loss_fn", "loss_function", "loss_type", "criterion", "objective", "problem_type", "task",
    "model_type", "trainer", "method", "algo", "algorithm",
)  # fmt: skip
MODEL = ("model", "model_name", "arch")  # names of models, of which the method may be a part


FIRST = 3  # log points that tell where the loss begins
FEWEST = 8  # log points that tell what is usual
NOTHING = 0.01  # share of the usual size of a loss that begins at 0
ROUNDING = (
    1e-6  # of what is usual: single precision's digits; a model that has learned is not so good
)
LARGE = 0.9  # quantile of the sizes that is usual of what grows
HALF = 0.5  # of the usual gradient norm: an error near 0 has a far smaller one
SCATTER = (
    1.5  # times log(2 B): the scores of an untrained encoder, divided by 0.07, scatter that far
)
ABOVE = 1.1  # times log(C): above it no common initialisation of a classifier begins


@dataclass(frozen=True, slots=True)
class Chance:
    """The loss of a uniform guess: log(C), and how C is known; tokens have an entropy of their own."""

    classes: int
    log_c: float
    where: str
    of_tokens: bool = False

    @property
    def label(self) -> str:
        """Name it for charts and sentences: ``ln(280) = 5.63``."""
        return f"ln({self.classes:,}) = {self.log_c:.2f}"


@once
def loss_kind(run: Run) -> LossKind:
    """Judge the kind of the train loss from the metrics' names, the settings and the values."""
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    if any(_PREFERENCE.search(name) for name in names):
        return LossKind.PREFERENCE
    if any(_REINFORCEMENT.search(name) for name in names):
        return LossKind.REINFORCEMENT
    if any(_ADVERSARIAL.search(name) for name in names):
        return LossKind.ADVERSARIAL
    told = _words(run, SETTINGS_THAT_TELL)
    words = f"{told} {_words(run, MODEL)}"
    if (
        _BY_REWARD.search(told)
        or _OF_VALUES.search(words)
        or any(run.setting(key) is not None for key in _OF_REWARDS)
        or any(_ENVIRONMENT.search(_words(run, (key,))) for key in _ENVIRONMENTS)
    ):
        return LossKind.REINFORCEMENT
    if _GAN.search(words):
        return LossKind.ADVERSARIAL
    if _NOT_UNIFORM.search(told) or run.number("num_classes") == 1:
        return LossKind.REGRESSION
    values = run.series("train/loss").finite().value
    if (len(values) and float(np.min(values)) < 0) or _is_surrogate(run):
        return LossKind.UNBOUNDED
    if _NO_GUESS.search(words) or any(_PARTS.search(name) for name in names):
        return LossKind.OTHER
    if not run.number("vocab_size") and any(run.setting(key) is not None for key in _METHODS):
        return LossKind.OTHER
    if has_other_losses(run) or is_sum_of_terms(run):
        return LossKind.OTHER
    known = chance(run)
    sure = known is not None and not _may_contrast_batches(run, known)
    return LossKind.CROSS_ENTROPY if sure else LossKind.UNKNOWN


def is_by_reward(run: Run) -> bool:
    """Tell whether the run learns from rewards, also where only the name of the model says so."""
    if loss_kind(run) is LossKind.REINFORCEMENT:
        return True
    words = _words(run, (*SETTINGS_THAT_TELL, *MODEL))
    return bool(_BY_REWARD.search(words) or _OF_POLICY.search(_words(run, MODEL)))


def _is_surrogate(run: Run) -> bool:
    """Tell whether the loss begins at 0 with a gradient as large as ever: its value means nothing.

    An error that can be no less than 0 has no gradient where it is 0; policy gradients measured against
    the policy itself, as in GRPO, begin so, and the log may hold no reward that tells.
    """
    size = np.abs(run.series("train/loss").finite().value)
    if len(size) >= FEWEST and 0 < size[0] <= ROUNDING * float(np.quantile(size, LARGE)):
        return True  # no error of a model is 0 but for rounding before it has learned
    if len(size) < FEWEST or float(np.median(size[:FIRST])) > NOTHING * float(size.max()):
        return False
    begins, norm = float(np.median(size[:FIRST])), run.series("train/grad_norm").finite()
    if len(norm) < FEWEST or begins > NOTHING * float(np.quantile(size, LARGE)):
        return False
    usual = float(np.median(norm.value))
    return usual > 0 and float(np.median(norm.value[:FIRST])) > HALF * usual


def _may_contrast_batches(run: Run, guess: Chance) -> bool:
    """Tell whether the loss may as well compare the rows of a batch: that begins near log(2 B), not log(C).

    The settings of such runs name the classes of their data all the same. A logged accuracy speaks for
    classes, as does a vocabulary; accumulation steps are the nearer reason for a multiple of log(C).
    """
    batch = run.number("train_batch_size")
    losses = run.series("train/loss").finite().value[:FIRST]
    if run.number("vocab_size") or not batch or not len(losses):
        return False
    if run.has("train/accuracy") or run.has("eval/accuracy"):
        return False
    if (run.number("gradient_accumulation_steps") or 1) > 1:
        return False
    first = float(np.median(losses))
    return ABOVE * guess.log_c < first <= SCATTER * math.log(2 * batch)


def _words(run: Run, keys: tuple[str, ...]) -> str:
    return " ".join(str(found.value) for key in keys if (found := run.setting(key)) is not None)


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
        return Chance(int(count), math.log(count), found.where, key == "vocab_size")
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
