"""The frame around the detectors: registry, selection, errors, and silence on healthy runs."""

import dataclasses

import numpy as np
import pytest

import loganalyze.detect as detect
from loganalyze.detect import DETECTORS, known_settings, run_detectors
from loganalyze.finding import Outcome, Severity
from loganalyze.settings import Settings
from tests.builders import make_run


def test_a_missing_metric_is_not_applicable_by_itself() -> None:
    _, checks = run_detectors(make_run(loss=np.linspace(2, 1, 100)))
    check = next(c for c in checks if c.id == "grad-explosion")
    assert check.outcome is Outcome.NOT_APPLICABLE
    assert check.reason == "no train/grad_norm was logged"
    assert len(checks) == len(DETECTORS)


def test_a_detector_that_raises_costs_its_own_line_only(monkeypatch) -> None:
    def boom(run, settings):
        raise KeyError("metric")

    broken = dataclasses.replace(DETECTORS[0], detect=boom)
    monkeypatch.setattr(detect, "detectors", lambda: (broken, *DETECTORS[1:]))
    findings, checks = run_detectors(make_run(loss=[1, 2, 3]))
    assert checks[0].outcome is Outcome.ERROR
    assert "KeyError" in checks[0].reason
    assert len(checks) == len(DETECTORS)
    assert findings  # insufficient-data is still found


def test_checks_can_be_selected_by_id_or_prefix() -> None:
    _, checks = run_detectors(make_run(loss=[1, 2]), Settings(select=("loss-",)))
    made = {c.id for c in checks if "left out" not in c.reason}
    assert made == {d.id for d in DETECTORS if d.id.startswith("loss-")}


def test_settings_are_named_by_group() -> None:
    assert known_settings()["spike.z"].default == 8.0


SHAPES = {
    "exponential": lambda t, rng: 0.4 + 2 * np.exp(-8 * t),
    "near zero": lambda t, rng: 2.3 * np.exp(-12 * t) + 1e-4,
    "fine-tuning": lambda t, rng: 1.2 + 0.3 * np.exp(-5 * t),
    "power law": lambda t, rng: 2.5 + 8.0 * (1 + 400 * t) ** -0.5,
    "regression": lambda t, rng: 40 * np.exp(-6 * t) + 3,
}
NOISES = {
    "small": lambda n, rng: np.exp(rng.normal(0, 0.02, n)),
    "large": lambda n, rng: np.exp(rng.normal(0, 0.25, n)),
    "heavy-tailed": lambda n, rng: np.exp(0.12 * rng.standard_t(3, n).clip(-5, 5)),
    "growing": lambda n, rng: np.exp(rng.normal(0, 1, n) * np.linspace(0.02, 0.4, n)),
}
SCHEDULES = {
    "cosine": lambda t: np.minimum(t / 0.03, 1) * (1 + np.cos(np.pi * t)) / 2,
    "one cycle": lambda t: np.where(t < 0.3, t / 0.3, (1 - t) / 0.7) + 1e-4,
    "constant": np.ones_like,
    "restarts": lambda t: (1 + np.cos(np.pi * ((3 * t) % 1.0))) / 2,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n", [10, 200, 4000])
def test_healthy_curves_raise_no_warning(shape: str, noise: str, n: int) -> None:
    for seed, schedule in enumerate(SCHEDULES):
        rng = np.random.default_rng(seed)
        t = np.linspace(0, 1, n)
        loss = SHAPES[shape](t, rng) * NOISES[noise](n, rng)
        every = max(n // 10, 1)
        at = np.arange(every, n + 1, every)
        evals = SHAPES[shape](t, rng)[at - 1] * 1.1 * np.exp(rng.normal(0, 0.01, len(at)))
        run = make_run(
            loss=loss,
            lr=1e-4 * SCHEDULES[schedule](t),
            grad_norm=rng.lognormal(0.5, 0.5, n),
            eval_loss=evals,
            steps={"eval_loss": at},
            config={"max_grad_norm": 1.0},
            planned_steps=n,
        )
        findings, checks = run_detectors(run)
        loud = [f.summary for f in findings if f.severity is not Severity.INFO]
        assert loud == [], f"{shape}, {noise}, {schedule}, {n}"
        assert not [c for c in checks if c.outcome is Outcome.ERROR]


def test_200_000_points_are_judged() -> None:
    rng = np.random.default_rng(0)
    loss = (1 + np.exp(-np.linspace(0, 5, 200_000))) * rng.lognormal(0, 0.05, 200_000)
    findings, _ = run_detectors(make_run(loss=loss, grad_norm=np.ones(200_000)))
    assert [f for f in findings if f.severity is not Severity.INFO] == []


def test_what_a_range_test_does_on_purpose_is_no_finding() -> None:
    loss = np.r_[np.linspace(2.3, 1.5, 80), np.geomspace(1.5, 40, 20)]
    run = make_run(loss=loss, lr=np.geomspace(1e-6, 1, 100), planned_steps=200)
    findings, checks = run_detectors(run)
    assert not [f for f in findings if f.severity is not Severity.INFO]
    assert "range test" in next(c for c in checks if c.id == "loss-divergence").reason
