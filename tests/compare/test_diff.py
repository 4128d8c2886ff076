"""Two runs beside each other: what the whole says."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.compare.regression import regressed
from loganalyze.compare.values import Change, Outcome
from loganalyze.errors import UsageError
from loganalyze.run import Run
from tests.builders import make_run
from tests.compare.conftest import loss

Make = Callable[..., Run]


def test_two_seeds_do_not_differ_beyond_noise(run_of: Make) -> None:
    for seed in range(0, 20, 2):
        diff = la.diff(run_of(seed), run_of(seed + 1))
        assert diff.verdict.outcome is Outcome.SAME, seed
        assert diff.parting_step is None


def test_a_run_beside_itself_is_identical(run_of: Make) -> None:
    diff = la.diff(run_of(1), run_of(1))
    assert diff.verdict.outcome is Outcome.IDENTICAL
    assert all(metric.identical for metric in diff.metrics)
    assert diff.attributions == ()


@pytest.mark.parametrize(("seed", "every"), [(0, 1), (1, 1), (0, 4), (1, 4)])
def test_a_change_is_found_where_it_was_made(run_of: Make, seed: int, every: int) -> None:
    diff = la.diff(run_of(0), run_of(seed, factor=1.6, at=300, every=every))
    assert diff.verdict.outcome is Outcome.WORSE
    assert diff.parting_step == pytest.approx(301, abs=15)
    metric = diff.metric("train/loss")
    assert metric is not None
    assert metric.differs
    assert metric.parting is not None
    assert metric.parting.exact == (seed == 0)


def test_the_same_seed_parts_at_the_first_step_that_differs(run_of: Make) -> None:
    diff = la.diff(run_of(0), run_of(0, factor=1.0001, at=300))
    assert diff.parting_step == 301
    assert diff.verdict.outcome is Outcome.SAME
    assert "up to step 300, and differ from step 301 on" in " ".join(diff.verdict.details)


def test_a_parting_that_ends_meets_again(run_of: Make) -> None:
    values = loss(1)
    values[200:400] *= 1.6
    diff = la.diff(run_of(0), make_run(loss=values))
    assert diff.verdict.outcome is Outcome.DIFFERENT
    parting = diff.metric("train/loss").parting  # type: ignore[union-attr]
    assert parting is not None
    assert parting.at == pytest.approx(201, abs=15)
    assert parting.until == pytest.approx(400, abs=31)


def test_a_loss_that_is_nan_is_worse(run_of: Make) -> None:
    values = loss(1)
    values[250:] = math.nan
    diff = la.diff(run_of(0), make_run(loss=values))
    assert diff.verdict.outcome is Outcome.WORSE
    assert diff.parting_step == 251
    assert la.diff(make_run(loss=values), run_of(0)).verdict.outcome is Outcome.BETTER


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([1.0, 1.3, 2.0]))
def test_the_other_way_round_says_the_other(a: int, b: int, factor: float) -> None:
    one, two = loss(a, 200), loss(b, 200)
    two[100:] *= factor
    there = la.diff(make_run(loss=one), make_run(loss=two))
    back = la.diff(make_run(loss=two), make_run(loss=one))
    opposite = {Outcome.WORSE: Outcome.BETTER, Outcome.BETTER: Outcome.WORSE}
    assert back.verdict.outcome is opposite.get(there.verdict.outcome, there.verdict.outcome)
    assert back.parting_step == there.parting_step
    ends = there.metric("train/loss"), back.metric("train/loss")
    if ends[0] is not None and ends[0].end is not None:
        assert ends[1] is not None
        assert ends[1].end is not None
        assert ends[1].end.change == pytest.approx(-ends[0].end.change)
        assert ends[1].end.low == pytest.approx(-ends[0].end.high)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30),
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30),
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_no_values_make_it_fail(a: list[float], b: list[float]) -> None:
    diff = la.diff(make_run(loss=a, lr=a), make_run(loss=b, lr=b))
    assert diff.to_json()
    assert diff.to_text()


def test_tasks_that_differ_are_not_compared() -> None:
    a = make_run(loss=loss(0), config={"model": "bert", "num_classes": 10})
    b = make_run(loss=3 * loss(1), config={"model": "gpt", "vocab_size": 5000})
    diff = la.diff(a, b)
    assert diff.verdict.outcome is Outcome.INCOMPARABLE
    assert "num_classes" in " ".join(diff.verdict.details)
    assert diff.attributions == ()
    assert diff.parting_step is None


def test_another_model_on_the_same_task_is_compared() -> None:
    a = make_run(loss=loss(0), config={"model": "bert-base", "num_classes": 10})
    b = make_run(loss=loss(1), config={"model": "bert-large", "num_classes": 10})
    assert la.diff(a, b).verdict.outcome is Outcome.SAME


def test_nothing_in_common_is_said() -> None:
    diff = la.diff(make_run(loss=loss(0)), make_run(lr=[0.1] * 50))
    assert diff.verdict.outcome is Outcome.INSUFFICIENT
    assert diff.pairs[0].only_a == ("train/loss",)


def test_a_setting_that_changed_is_named_with_its_limits(run_of: Make) -> None:
    a = run_of(0, config={"lr": "1e-3", "seed": 0, "output_dir": "a"})
    b = run_of(1, factor=1.6, at=0, config={"learning_rate": 0.01, "seed": 1, "output_dir": "b"})
    diff = la.diff(a, b)
    first = diff.attributions[0]
    assert first.about == "train/loss"
    assert first.candidates[0].text == "learning_rate 0.001 -> 0.01"
    assert any("second seed" in limit for limit in first.limits)
    assert diff.settings[0].key == "learning_rate"
    assert diff.settings[0].explains == ("train/loss",)


def test_two_settings_that_changed_cannot_be_told_apart(run_of: Make) -> None:
    a = run_of(0, config={"lr": 1e-3, "batch_size": 8})
    b = run_of(1, factor=1.6, config={"lr": 1e-2, "batch_size": 64})
    assert any(
        "2 settings changed at once" in limit for limit in la.diff(a, b).attributions[0].limits
    )


def test_no_setting_that_changed_is_said(run_of: Make) -> None:
    diff = la.diff(run_of(0), run_of(1, factor=1.6))
    assert "No setting that the logs hold changed" in diff.attributions[0].limits[0]


def test_how_soon_a_level_was_reached(run_of: Make) -> None:
    slow = make_run(loss=np.repeat(loss(1)[:300], 2))
    diff = la.diff(run_of(0), slow)
    speed = diff.pairs[0].speeds[0]
    assert speed.ratio == pytest.approx(0.5, rel=0.3)
    assert speed.a < speed.b


def test_throughput_has_an_interval() -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(1.0, 0.05, 100), random.normal(0.5, 0.05, 100)
    a = make_run(loss=loss(0, 100), **{"perf/step_seconds": one})
    b = make_run(loss=loss(1, 100), **{"perf/step_seconds": two})
    found = la.diff(a, b).pairs[0].throughput
    assert found is not None
    assert found.differs
    assert found.low < 2.0 < found.high
    same = la.diff(a, make_run(loss=loss(1, 100), **{"perf/step_seconds": one * 1.02}))
    assert same.pairs[0].throughput is not None
    assert not same.pairs[0].throughput.differs


def test_schedules_part_at_their_first_difference() -> None:
    steps = np.arange(100)
    a = make_run(loss=loss(0, 100), lr=np.minimum(steps / 10, 1.0))
    b = make_run(loss=loss(1, 100), lr=np.minimum(steps / 20, 1.0))
    metric = la.diff(a, b).metric("train/learning_rate")
    assert metric is not None
    assert metric.parting is not None
    assert metric.parting.at == 2


def test_a_schedule_logged_a_step_later_is_the_same() -> None:
    steps = np.arange(100)
    a = make_run(loss=loss(0, 100), lr=np.minimum(steps / 40, 1.0))
    b = make_run(loss=loss(1, 100), lr=np.minimum((steps + 1) / 40, 1.0))
    metric = la.diff(a, b).metric("train/learning_rate")
    assert metric is not None
    assert metric.parting is None


def test_several_runs_are_compared_with_the_first(run_of: Make) -> None:
    diff = la.diff(run_of(0), run_of(1), run_of(2, factor=1.6, at=100))
    assert [pair.verdict.outcome for pair in diff.pairs] == [Outcome.SAME, Outcome.WORSE]


def test_an_axis_that_the_log_lacks_is_refused(run_of: Make) -> None:
    with pytest.raises(UsageError, match="cannot align on tokens"):
        la.diff(run_of(0), run_of(1), align="tokens")
    with pytest.raises(UsageError, match="cannot align on 'days'"):
        la.diff(run_of(0), run_of(1), align="days")


def test_batches_are_compared_at_equal_tokens(run_of: Make) -> None:
    a = run_of(0, config={"batch_size": 8, "max_seq_length": 128})
    b = run_of(1, config={"batch_size": 16, "max_seq_length": 128})
    diff = la.diff(a, b)
    metric = diff.metric("train/loss")
    assert metric is not None
    assert [level.budget.value for level in metric.levels] == ["step", "tokens"]
    assert metric.levels[1].at == 8 * 128 * 600
    aligned = la.diff(a, b, align="tokens")
    assert aligned.metric("train/loss").end.at == 8 * 128 * 600  # type: ignore[union-attr]


def test_a_regression_is_beyond_noise_or_a_new_critical_finding(run_of: Make) -> None:
    assert regressed(la.diff(run_of(0), run_of(1, factor=1.6)).pairs[0])
    assert not regressed(la.diff(run_of(0), run_of(1)).pairs[0])
    assert not regressed(la.diff(run_of(0, factor=1.6), run_of(1)).pairs[0])
    with pytest.raises(UsageError, match="not both runs log eval/f1"):
        regressed(la.diff(run_of(0), run_of(1)).pairs[0], "eval/f1")


def test_settings_are_one_whatever_their_spelling(run_of: Make) -> None:
    a = run_of(0, config={"lr": "1e-5", "fp16": "True", "scheduler": "SchedulerType.COSINE"})
    b = run_of(0, config={"learning_rate": 0.00001, "fp16": True, "lr_scheduler_type": "cosine"})
    assert {setting.change for setting in la.diff(a, b).settings} == {Change.SAME}


def test_the_batch_of_a_step_is_worked_out(run_of: Make) -> None:
    a = run_of(0, config={"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4})
    b = run_of(0, config={"per_device_train_batch_size": 32})
    found = {setting.key: setting for setting in la.diff(a, b).settings}
    assert found["effective_batch_size"].change is Change.SAME
    assert found["effective_batch_size"].a == 32
    assert found["train_batch_size"].change is Change.DIFFERENT


def test_accuracy_in_percent_and_as_a_share_is_one_unit() -> None:
    score = np.clip(np.linspace(0.2, 0.9, 40) + np.random.default_rng(1).normal(0, 0.01, 40), 0, 1)
    diff = la.diff(make_run(loss=loss(0, 40), eval_accuracy=score),
                   make_run(loss=loss(1, 40), eval_accuracy=100 * score))  # fmt: skip
    metric = diff.metric("eval/accuracy")
    assert metric is not None
    assert metric.verdict == 0
    assert metric.identical


def test_the_level_of_a_loss_with_rewards_decides_nothing() -> None:
    random = np.random.default_rng(2)
    rewards = [np.linspace(0, 1, 100) + random.normal(0, 0.05, 100) for _ in range(2)]
    runs = [
        make_run(loss=random.normal(level, 0.01, 100), reward=reward)
        for level, reward in zip((0.0, 1.0), rewards, strict=True)
    ]
    diff = la.diff(*runs)
    assert diff.verdict.outcome is Outcome.SAME
    loss_of = diff.metric("train/loss")
    assert loss_of is not None
    assert loss_of.scale.better == 0
