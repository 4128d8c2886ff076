"""What was learned of new samples shows in an evaluation of the same task; what was learned by heart need not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loganalyze.causes.carried import came_often, carried
from loganalyze.causes.cause import Case
from loganalyze.run import Run
from tests.builders import make_run
from tests.causes.test_course_causes import finding, weight

STEPS = np.arange(1, 601)
AT = np.linspace(50, 600, 12).astype(int)
GAP = finding("overfit-gap", rise=1.0, gap_ratio=9.0, best_step=50)
CHANCE = finding("eval-at-chance")


def run(
    classes: int,
    samples: int,
    loss: Any,
    eval_loss: Any,
    *,
    seed: int = 1,
    every: int = 1,
    **more: Any,
) -> Run:
    """Make a run of batches of 20 whose first pass ends at step samples / 20."""
    noise = 1 + 0.03 * np.random.default_rng(seed).normal(size=600)
    shown = slice(every - 1, None, every)
    return make_run(
        loss=(loss * noise)[shown],
        eval_loss=eval_loss,
        steps={"loss": STEPS[shown], "eval_loss": AT, "eval_accuracy": AT},
        config={"num_classes": classes, "train_samples": samples, "train_batch_size": 20},
        **more,
    )


@pytest.mark.parametrize("classes", [3, 10, 40])
@pytest.mark.parametrize("every", [1, 10])
def test_knowledge_of_new_samples_that_no_evaluation_shows_is_of_another_task(
    classes: int, every: int
) -> None:
    guess = math.log(classes)
    learns = guess * np.interp(STEPS, [1, 60, 200, 600], [1, 1, 0.6, 0.2])  # slow at first
    early = np.array([1.0, 1.05, 1.3])
    other = guess * np.r_[early, np.linspace(1.5, 2.5, 9)]
    same = guess * np.r_[1.0, 0.8, 0.7, np.linspace(0.65, 1.3, 9)]
    apart, turns = (run(classes, 3000, learns, e, every=every) for e in (other, same))
    assert weight("eval-mismatch", apart, GAP) > 2 > 0 > weight("overfit-small-data", apart, GAP)
    assert weight("epoch-memorization", apart, GAP) < -2
    assert weight("overfit-small-data", turns, GAP) > 1 > weight("eval-mismatch", turns, GAP)


def test_an_evaluation_before_anything_was_learned_does_not_agree() -> None:
    """As bad as the training at its start is no sign that the two are alike."""
    late = 2.3 * np.interp(STEPS, [1, 140, 600], [1, 0.92, 0.2])
    found = run(10, 3000, late, 2.3 * np.r_[1.0, 1.0, 1.05, np.linspace(1.2, 2, 9)])
    assert weight("eval-mismatch", found, GAP) > -1


@pytest.mark.parametrize("samples", [60, 160])
def test_few_samples_that_came_often_are_known_by_heart(samples: int) -> None:
    loss = 2.9 * np.interp(STEPS, [1, 60, 600], [1, 0.05, 0.001])
    evals = 2.9 * np.r_[1.1, 1.3, np.full(10, 1.32)]
    few = run(18, samples, loss, evals)
    case = Case(few, (GAP,))
    found = carried(case)
    assert came_often(case, found) is (samples == 60)
    assert not came_often(Case(run(18, 3000, loss, evals), (GAP,)), found=None)
    if samples == 60:
        assert weight("overfit-small-data", few, GAP, CHANCE) > 2
        assert weight("eval-mismatch", few, GAP, CHANCE) < weight(
            "overfit-small-data", few, GAP, CHANCE
        )


def test_what_came_with_the_second_pass_is_no_knowledge() -> None:
    loss = np.where(STEPS <= 150, 2.3, np.interp(STEPS, [151, 600], [1.2, 0.2]))
    evals = np.linspace(2.3, 4, 12)
    for every in (1, 10, 30):
        sudden = run(10, 3000, loss, evals, every=every)
        assert weight("eval-mismatch", sudden, GAP) < 0 < weight("epoch-memorization", sudden, GAP)


def test_fewer_right_answers_than_of_a_guess_go_by_other_names() -> None:
    loss = 1.6 * np.interp(STEPS, [1, 600], [1, 0.4])
    evals = np.linspace(1.62, 4, 12)
    names, heart = (
        run(5, 1200, loss, evals, eval_accuracy=np.r_[0.2, 0.2, np.full(10, level)])
        for level in (0.02, 0.22)
    )
    assert weight("eval-mismatch", names, GAP) > 2 + weight("eval-mismatch", heart, GAP)
