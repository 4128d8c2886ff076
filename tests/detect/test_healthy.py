"""Healthy runs of many shapes: no detector may say more than a note about any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loganalyze.detect import run_detectors
from loganalyze.finding import Outcome, Severity
from loganalyze.run import Run, Status
from tests.builders import make_run

SEEDS = range(12)
Noise = np.random.Generator


def decay(n: int, start: float, end: float, tau: float) -> np.ndarray:
    return end + (start - end) * np.exp(-np.arange(n) / (tau * n))


def cosine(n: int, peak: float, warmup: float = 0.05) -> np.ndarray:
    at = np.arange(1, n + 1) / n
    down = (1 + np.cos(np.pi * np.clip((at - warmup) / (1 - warmup), 0, 1))) / 2
    return peak * np.where(at <= warmup, at / warmup, down)


def finished(n: int, config: dict[str, Any] | None = None, **more: Any) -> Run:
    return make_run(config=config, planned_steps=n, status=Status.COMPLETED, **more)


def exponential_decay(rng: Noise) -> Run:
    n = 800
    loss = decay(n, 2.3, 0.4, 0.2) * np.exp(rng.normal(0, np.linspace(0.03, 0.2, n)))
    return finished(n, {"num_classes": 10, "learning_rate": 1e-3}, loss=loss, lr=cosine(n, 1e-3))


def heavy_tailed_small_batches(rng: Noise) -> Run:
    n = 1500
    loss = decay(n, 3.0, 1.0, 0.3) * np.exp(0.2 * rng.standard_t(3, n).clip(-8, 8))
    return finished(n, loss=loss, grad_norm=rng.lognormal(0.5, 0.7, n))


def batch_of_one(rng: Noise) -> Run:
    n = 1200
    return finished(n, loss=decay(n, 2.5, 1.2, 0.3) * rng.gamma(2, 0.5, n))


def interpolation_to_zero(rng: Noise) -> Run:
    n = 1000
    loss = decay(n, 2.3, 1e-4, 0.04) * rng.lognormal(0, 0.5, n) + 1e-5 * rng.lognormal(0, 2, n)
    norm = decay(n, 3.0, 1e-3, 0.1) * rng.lognormal(0, 0.5, n)
    return finished(n, {"num_classes": 10}, loss=loss, grad_norm=norm)


def one_cycle(rng: Noise) -> Run:
    n, at = 1000, np.arange(1000)
    up, down = (1 - np.cos(np.pi * at / 300)) / 2, (1 + np.cos(np.pi * (at - 300) / 700)) / 2
    lr = 1e-2 * np.where(at < 300, 0.04 + 0.96 * up, down) + 1e-8
    loss = decay(n, 4.6, 0.8, 0.25) * np.exp(rng.normal(0, 0.06, n))
    return finished(n, {"num_classes": 100}, loss=loss, lr=lr)


def cosine_restarts(rng: Noise) -> Run:
    n, at = 1200, np.arange(1200)
    phase = (at % 300) / 300
    lr = 1e-3 * (1 + np.cos(np.pi * phase)) / 2
    bump = np.where(at >= 300, 0.35 * np.exp(-phase * 8), 0)
    loss = (decay(n, 2.3, 0.5, 0.2) + bump) * np.exp(rng.normal(0, 0.04, n))
    return finished(n, loss=loss, lr=lr)


def twenty_thousand_points(rng: Noise) -> Run:
    n = 20_000
    loss = decay(n, 10.8, 3.0, 0.1) * np.exp(rng.normal(0, 0.03, n))
    return finished(n, {"vocab_size": 50257}, loss=loss, lr=cosine(n, 6e-4, 0.01))


def ten_points(rng: Noise) -> Run:
    loss = np.linspace(2.2, 0.7, 10) + rng.normal(0, 0.08, 10)
    return finished(10, {"num_classes": 10}, loss=loss)


def regression(rng: Noise) -> Run:
    n = 600
    config = {"problem_type": "regression", "num_labels": 1}
    return finished(n, config, loss=decay(n, 900, 20, 0.15) * rng.lognormal(0, 0.3, n))


def constant_tiny_rate(rng: Noise) -> Run:
    n = 500
    loss = decay(n, 1.4, 1.1, 0.5) + rng.normal(0, 0.08, n)
    return finished(n, {"learning_rate": 1e-6}, loss=loss, lr=np.full(n, 1e-6))


def language_model_pretraining(rng: Noise) -> Run:
    n = 3000
    norm = rng.lognormal(0.7, 0.35, n)
    norm[rng.integers(200, n, 12)] *= 6
    loss = decay(n, 10.9, 3.2, 0.08) * np.exp(rng.normal(0, 0.02, n))
    config = {"vocab_size": 50257, "max_grad_norm": 1.0, "learning_rate": 3e-4}
    return finished(n, config, loss=loss, grad_norm=norm, lr=cosine(n, 3e-4, 0.02))


def converged_and_flat(rng: Noise) -> Run:
    n = 1500
    return finished(n, {"num_classes": 10}, loss=decay(n, 2.3, 0.6, 0.03) + rng.normal(0, 0.03, n))


def evaluated_with_noise(rng: Noise) -> Run:
    n, at = 1000, np.arange(50, 1001, 50)
    train = decay(n, 2.3, 0.5, 0.25) * np.exp(rng.normal(0, 0.1, n))
    evals = 0.55 + 1.6 * np.exp(-at / 200) + rng.normal(0, 0.015, len(at))
    steps = {"loss": np.arange(1, n + 1), "eval_loss": at}
    return finished(n, loss=train, eval_loss=evals, steps=steps)


def step_decay(rng: Noise) -> Run:
    n = 900
    lr = np.repeat([0.1, 0.01, 0.001], 300)
    loss = np.repeat([1.8, 0.9, 0.7], 300) * np.exp(rng.normal(0, 0.08, n))
    loss[:60] += 3 * np.exp(-np.arange(60) / 15)
    return finished(n, loss=loss, lr=lr)


def epochs_in_sawtooth(rng: Noise) -> Run:
    n = 1000
    loss = np.repeat([1.9, 1.3, 0.9, 0.6, 0.4], 200) + rng.normal(0, 0.06, n).clip(-0.2, 0.2)
    return finished(n, loss=loss)


def alternating_batches(rng: Noise) -> Run:
    n = 800
    kind = np.where(rng.random(n) < 0.15, 2.6, 1.0)
    return finished(n, loss=decay(n, 2.0, 0.8, 0.2) * kind * np.exp(rng.normal(0, 0.05, n)))


def wide_log_interval(rng: Noise) -> Run:
    n = 40
    loss = decay(n, 2.0, 0.9, 0.3) * np.exp(rng.normal(0, 0.05, n))
    at = np.arange(1, n + 1) * 500
    lr = cosine(n, 5e-5)
    return make_run(
        loss=loss, lr=lr, steps=at, planned_steps=20_000, status=Status.COMPLETED,
        config={"learning_rate": 5e-5},
    )  # fmt: skip


def preference_optimisation(rng: Noise) -> Run:
    n = 300
    loss = decay(n, np.log(2), 0.35, 0.4) * np.exp(rng.normal(0, 0.15, n))
    margins = np.linspace(0, 2, n) + rng.normal(0, 0.2, n)
    return finished(n, {"vocab_size": 32000}, loss=loss, **{"rewards/margins": margins})


def adversarial(rng: Noise) -> Run:
    n = 800
    loss = 2 + np.sin(np.arange(n) / 20) + rng.gamma(1, 0.8, n) + np.linspace(0, 5, n)
    return finished(n, loss=loss, d_loss=rng.gamma(2, 0.3, n))


SHAPES: tuple[Callable[[Noise], Run], ...] = (
    exponential_decay, heavy_tailed_small_batches, batch_of_one, interpolation_to_zero, one_cycle,
    cosine_restarts, twenty_thousand_points, ten_points, regression, constant_tiny_rate,
    language_model_pretraining, converged_and_flat, evaluated_with_noise, step_decay,
    epochs_in_sawtooth, alternating_batches, wide_log_interval, preference_optimisation,
    adversarial,
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_healthy_run_gets_no_warning(shape: Callable[[Noise], Run]) -> None:
    for seed in SEEDS:
        findings, checks = run_detectors(shape(np.random.default_rng(seed)))
        loud = [f"{f.id}: {f.summary}" for f in findings if f.severity is not Severity.INFO]
        assert loud == [], f"seed {seed}"
        assert [check.reason for check in checks if check.outcome is Outcome.ERROR] == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_healthy_run_cut_short_by_its_reader_gets_no_warning_about_its_curves(
    shape: Callable[[Noise], Run],
) -> None:
    whole = shape(np.random.default_rng(0))
    last = whole.last_step or 0
    for share in (0.3, 0.5, 0.8):
        part = whole.metrics[whole.metrics["step"] <= share * last].reset_index(drop=True)
        run = replace(whole, metrics=part, status=Status.RUNNING, _cache={})
        findings, _ = run_detectors(run)
        loud = [f"{f.id}: {f.summary}" for f in findings if f.severity is not Severity.INFO]
        assert loud == [], f"the first {share:.0%}"


def test_the_same_shapes_are_judged_once_a_fault_is_put_in() -> None:
    rng = np.random.default_rng(0)
    healthy = exponential_decay(rng).series("train/loss").value
    spiked = healthy.copy()
    spiked[400] *= 15
    diverged = np.r_[healthy[:400], healthy[400:] * np.geomspace(1, 30, 400)]
    for loss, expected in ((spiked, "loss-spike"), (diverged, "loss-divergence")):
        findings, _ = run_detectors(finished(800, loss=loss))
        assert expected in {f.id for f in findings if f.severity is not Severity.INFO}
