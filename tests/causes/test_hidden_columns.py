"""What may be said of a cause where a column is missing, and what a course says that had no say."""

from __future__ import annotations

import math

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.frozen_parameters import weigh as weigh_frozen
from loganalyze.run import Run
from loganalyze.signals.loss_kind import is_by_reward
from tests.builders import make_run
from tests.causes.test_course_causes import ADAM, FLAT, GUESS, NORM, SLOW, finding, weight
from tests.causes.test_initial_causes import causes

KEEPS = "keeps its gradient"


def frozen_clues(norm: np.ndarray) -> list[str]:
    run = make_run(loss=FLAT, grad_norm=norm, config=ADAM)
    return [clue.text for clue in weigh_frozen(Case(run, (GUESS,)))]


def test_a_missing_norm_says_nothing_of_gradients_that_vanish() -> None:
    run = make_run(loss=FLAT, config={"num_classes": 10})
    assert weight("vanishing-gradients", run, finding("loss-plateau")) == 0


def test_what_does_not_change_keeps_its_gradient() -> None:
    lost = NORM * np.where(np.arange(len(NORM)) < 60, 6.0, 1.0)
    assert any(KEEPS in text for text in frozen_clues(lost))


def test_a_norm_that_leaps_now_and_then_is_not_lost() -> None:
    leaping = NORM * np.where(np.arange(len(NORM)) % 50 == 5, 8.0, 1.0)
    assert not any(KEEPS in text for text in frozen_clues(leaping))


def above(times: float) -> Run:
    rise = np.linspace(0, 1, len(FLAT)) > 0.1
    return make_run(loss=FLAT * np.where(rise, times, 1.0), config={"num_classes": 10})


def test_a_little_above_a_guess_is_the_noise_of_small_batches_and_far_above_long_steps() -> None:
    little, far = (weight("lr-too-high", above(times), SLOW) for times in (1.03, 1.3))
    assert far - little > 1
    assert weight("lr-too-high", above(1.0), SLOW) < little


def test_a_model_that_is_named_after_rewards_learns_from_them() -> None:
    for name in ("rl-agent", "policy_net", "my-rlhf-run"):
        assert is_by_reward(make_run(loss=[0.0] * 9, config={"model": name})), name
    for name in ("url-classifier", "early-exit", "pga-net"):
        assert not is_by_reward(make_run(loss=[0.0] * 9, config={"model": name})), name


def even(times: float) -> dict[str, float]:
    noise = np.random.default_rng(0).normal(0, 0.004, 200)
    loss = np.linspace(times, times * 0.9, 200) * math.log(10) * (1 + noise)
    found = causes({"num_classes": 10}, loss=loss, grad_norm=np.full(200, 2.0))
    return {name: cause.probability for name, cause in found.items()}


def test_even_losses_at_no_integer_multiple_are_hardly_a_count_of_parts() -> None:
    assert even(4.5).get("loss-not-normalized", 0.0) < even(4.0)["loss-not-normalized"]
    text = "is no integer"
    noise = np.random.default_rng(0).normal(0, 0.004, 200)
    for times, told in ((4.5, True), (4.1, False), (30.5, False)):
        loss = np.linspace(times, times * 0.9, 200) * math.log(10) * (1 + noise)
        found = causes({"num_classes": 10}, loss=loss, grad_norm=np.full(200, 2.0))
        cause = found.get("loss-not-normalized")
        assert cause is not None
        assert any(text in clue.text for clue in cause.clues) is told, times
