"""Detection: a `Run` becomes findings and checks.

A detector that raises costs its own line, never the report; one whose metrics were not logged is
*not applicable* without being asked.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from loganalyze.detect import (
    clip_saturated,
    corrupt_source,
    crash,
    epoch_sawtooth,
    eval_at_chance,
    eval_below_train,
    eval_nonfinite,
    grad_constant,
    grad_explosion,
    grad_nonfinite,
    grad_vanishing,
    grad_zero,
    initial_loss_high,
    insufficient_data,
    loss_at_chance,
    loss_divergence,
    loss_jump_on_resume,
    loss_nonfinite,
    loss_oscillation,
    loss_plateau,
    loss_repeats,
    loss_scale_collapse,
    loss_spike,
    loss_zero,
    lr_schedule_anomaly,
    lr_zero,
    memory_leak,
    oom_gpu,
    oom_host,
    overfit_gap,
    run_truncated,
    slow_convergence,
    sources_disagree,
    stall,
    steps_overlap,
    throughput_drop,
    warmup_too_long,
    warmup_too_short,
)
from loganalyze.detect.detector import Detector
from loganalyze.finding import Check, Finding, NotApplicable, Outcome
from loganalyze.plugins import added
from loganalyze.run import Run
from loganalyze.settings import Settings
from loganalyze.signals.lr import is_range_test

# In the order in which reports list them.
DETECTORS: tuple[Detector[Any], ...] = (
    crash.DETECTOR,
    oom_gpu.DETECTOR,
    oom_host.DETECTOR,
    run_truncated.DETECTOR,
    loss_nonfinite.DETECTOR,
    loss_zero.DETECTOR,
    grad_nonfinite.DETECTOR,
    loss_divergence.DETECTOR,
    initial_loss_high.DETECTOR,
    loss_spike.DETECTOR,
    loss_at_chance.DETECTOR,
    loss_plateau.DETECTOR,
    loss_oscillation.DETECTOR,
    slow_convergence.DETECTOR,
    epoch_sawtooth.DETECTOR,
    loss_repeats.DETECTOR,
    loss_jump_on_resume.DETECTOR,
    overfit_gap.DETECTOR,
    eval_nonfinite.DETECTOR,
    eval_at_chance.DETECTOR,
    eval_below_train.DETECTOR,
    grad_explosion.DETECTOR,
    grad_vanishing.DETECTOR,
    grad_zero.DETECTOR,
    grad_constant.DETECTOR,
    clip_saturated.DETECTOR,
    warmup_too_long.DETECTOR,
    warmup_too_short.DETECTOR,
    lr_zero.DETECTOR,
    lr_schedule_anomaly.DETECTOR,
    loss_scale_collapse.DETECTOR,
    memory_leak.DETECTOR,
    throughput_drop.DETECTOR,
    stall.DETECTOR,
    sources_disagree.DETECTOR,
    steps_overlap.DETECTOR,
    corrupt_source.DETECTOR,
    insufficient_data.DETECTOR,
)

# What a range test does on purpose: it raises the rate until the loss diverges, and stops there.
PART_OF_A_RANGE_TEST = frozenset(
    {
        "loss-divergence", "loss-nonfinite", "loss-spike", "loss-oscillation", "loss-at-chance",
        "loss-plateau", "slow-convergence", "grad-explosion", "grad-nonfinite", "warmup-too-long",
        "warmup-too-short", "lr-schedule-anomaly", "run-truncated",
    }
)  # fmt: skip


@cache
def detectors() -> tuple[Detector[Any], ...]:
    """Return the detectors of this package and those that others add (``loganalyze.detectors``)."""
    return (*DETECTORS, *added("loganalyze.detectors", Detector))


def known_settings() -> dict[str, dataclasses.Field[Any]]:
    """Return every setting by its full name: ``spike.z``."""
    return {
        f"{detector.group}.{field.name}": field
        for detector in detectors()
        for field in dataclasses.fields(detector.settings)
    }


def run_detectors(
    run: Run, settings: Settings | None = None
) -> tuple[tuple[Finding, ...], tuple[Check, ...]]:
    """Make every check.

    Returns
    -------
    findings
        Most severe first, then by first step.
    checks
        One per detector, in their order.
    """
    settings = settings or Settings()
    findings: list[Finding] = []
    checks = []
    for detector in detectors():
        found, check = _check(detector, run, settings)
        findings += found
        checks.append(check)
    findings.sort(key=lambda f: (-f.severity.rank, f.steps[0] if f.steps else -1))
    return tuple(findings), tuple(checks)


def _check(
    detector: Detector[Any], run: Run, settings: Settings
) -> tuple[tuple[Finding, ...], Check]:
    def not_applicable(reason: str) -> tuple[tuple[Finding, ...], Check]:
        return (), Check(detector.id, Outcome.NOT_APPLICABLE, detector.passed, reason)

    if not settings.wants(detector.id):
        return not_applicable("left out by --select or --ignore")
    missing = [metric for metric in detector.requires if not run.has(metric)]
    if missing:
        return not_applicable(f"no {' and no '.join(missing)} was logged")
    if detector.id in PART_OF_A_RANGE_TEST and is_range_test(run):
        return not_applicable("the rate grows by orders of magnitude, on purpose: a range test")
    chosen = settings.group(detector.group, detector.settings)
    try:
        found = detector.found(run, chosen)
    except Exception as error:  # noqa: BLE001 - must cost this check only
        reason = f"{type(error).__name__}: {error}"
        return (), Check(detector.id, Outcome.ERROR, detector.passed, reason)
    if isinstance(found, NotApplicable):
        return not_applicable(found.reason)
    if not found:
        return (), Check(detector.id, Outcome.PASSED, detector.passed)
    reason = "; ".join(finding.title for finding in found)
    return tuple(found), Check(detector.id, Outcome.FOUND, detector.failed, reason)
