"""Two other tools that diagnose logs, called on the same files, and their findings in our words."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import warnings
from pathlib import Path

# What each of their findings says, as the ids here that would be the same statement.
RUNMEDIC = {
    "non_finite": {"loss-nonfinite", "grad-nonfinite", "eval-nonfinite"},
    "divergence": {"loss-divergence"},
    "loss_spikes": {"loss-spike"},
    "no_learning": {"loss-plateau", "loss-at-chance", "slow-convergence"},
    "overfitting": {"overfit-gap"},
    "val_below_train": {"eval-below-train"},
    "grad_spikes": {"grad-explosion", "loss-spike"},
    "constant_lr_plateau": {"loss-plateau"},
    "input_bound": {"throughput-drop", "stall"},
    "slow_steps": {"stall", "throughput-drop"},
    "slowdown": {"throughput-drop"},
    "memory_growth": {"memory-leak"},
    "log:cuda_oom": {"oom-gpu"},
    "log:dataloader_killed": {"oom-host", "crash"},
    "log:amp_overflow": {"loss-scale-collapse"},
    "log:nan_anomaly": {"loss-nonfinite"},
    "log:nccl_timeout": {"crash"},
}
TRAINSPOTTER = {
    "spikes": {"loss-spike"},
    "divergence": {"loss-divergence", "loss-nonfinite", "eval-nonfinite", "grad-nonfinite"},
    "plateau": {"loss-plateau", "loss-at-chance", "slow-convergence"},
    "overfitting": {"overfit-gap"},
    "grad_norm": {"grad-explosion", "clip-saturated", "grad-constant"},
    "lr_schedule": {"warmup-too-short", "lr-schedule-anomaly"},
    "throughput": {"throughput-drop", "stall"},
    "eval_noise": set(),
    "loss_floor": set(),
}
PEERS = {"runmedic": "0.1.1", "trainspotter": "0.2.6"}


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def runmedic(path: Path) -> list[tuple[str, str]] | None:
    """Return its findings as (severity, name), or None where it reads nothing."""
    from runmedic.cli import main

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            main(["diagnose", str(path), "--json"])
        reports = json.loads(printed.getvalue())
    except (SystemExit, Exception):  # noqa: BLE001 - whatever it dies of, it found nothing
        return None
    reports = reports.get("runs", [reports]) if isinstance(reports, dict) else reports
    return [(f["severity"], f.get("check") or f["id"]) for r in reports for f in r["findings"]]


def trainspotter(path: Path) -> list[tuple[str, str]] | None:
    """Return its findings as (severity, name), or None where there is no file of a format it reads."""
    from trainspotter.detectors import run_all
    from trainspotter.readers import load_run

    for pattern in ("trainer_state.json", "*.csv", "*.jsonl", "*tfevents*"):
        found = [path] if path.is_file() and path.match(pattern) else sorted(path.glob(pattern))
        if not found:
            continue
        file = found[0].parent if "tfevents" in pattern else found[0]
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                run = load_run(file)
                if not run.metric_names():
                    return None
                return [(f.severity, f.detector) for f in run_all(run)]
        except Exception:  # noqa: BLE001 - whatever it dies of, it found nothing
            return None
    return None


def in_our_words(peer: str, name: str) -> set[str]:
    table = RUNMEDIC if peer == "runmedic" else TRAINSPOTTER
    return table.get(name, {"crash"} if name.startswith("log:") else set())
