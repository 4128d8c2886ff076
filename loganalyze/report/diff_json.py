"""The diff as strict JSON, schema_version 1 (``diff.schema.json`` in this package).

Of two runs everything stands at the top; further runs stand in ``others``, each in the same shape.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.report.json import plain
from loganalyze.report.redact import redact, redact_value

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff, Pair
    from loganalyze.compare.values import (
        Attribution,
        FindingChange,
        Level,
        Metric,
        Parting,
        Setting,
        Speed,
        Throughput,
    )
    from loganalyze.finding import Diagnosis, Finding

SCHEMA_VERSION = 1


def render(diff: Diff) -> str:
    """Return the diff as an indented JSON document."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(to_dict(diff), option=options).decode()


def to_dict(diff: Diff) -> dict[str, Any]:
    """Return the diff as plain values that any strict JSON writer accepts."""
    first, *rest = diff.pairs
    document: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "loganalyze", "version": __version__},
            "align": first.axis.value,
            "a": _run(diff.a),
            **_pair(first),
            "others": [_pair(pair) for pair in rest],
        }
    )
    return document


def _run(diagnosis: Diagnosis) -> dict[str, Any]:
    run = diagnosis.run
    return {
        "name": run.name,
        "path": run.path,
        "framework": run.framework,
        "status": run.status.value,
        "first_step": run.first_step,
        "last_step": run.last_step,
        "verdict": diagnosis.verdict.level.value,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    parted = pair.parting
    return {
        "b": _run(pair.b),
        "verdict": {
            "outcome": pair.verdict.outcome.value,
            "headline": redact(pair.verdict.headline),
            "details": [redact(line) for line in pair.verdict.details],
        },
        "parting": None
        if parted is None or parted.parting is None
        else {"metric": parted.name, **_parting(parted.parting)},
        "settings": [_setting(setting) for setting in pair.settings],
        "metrics": [_metric(metric) for metric in pair.metrics],
        "only_a": list(pair.only_a),
        "only_b": list(pair.only_b),
        "speed": [_speed(speed) for speed in pair.speeds],
        "throughput": _throughput(pair.throughput) if pair.throughput else None,
        "findings": [_finding_change(change) for change in pair.findings],
        "attribution": [_attribution(one) for one in pair.attributions],
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "change": setting.change.value,
        "kind": setting.kind,
        "a": redact_value(setting.key, setting.a),
        "b": redact_value(setting.key, setting.b),
        "where": [setting.where_a, setting.where_b],
        "explains": list(setting.explains),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "role": metric.scale.role.value,
        "compared_as": "ratio" if metric.scale.logarithmic else "difference",
        "better": {-1: "lower", 0: None, 1: "higher"}[metric.scale.better],
        "points": list(metric.points),
        "identical": metric.identical,
        "parting": _parting(metric.parting) if metric.parting else None,
        "levels": [_level(level) for level in metric.levels],
        "verdict": {-1: "worse", 0: None, 1: "better"}[metric.verdict],
        "note": metric.note,
    }


def _parting(parting: Parting) -> dict[str, Any]:
    return {
        "at": parting.at,
        "between": list(parting.between),
        "until": parting.until,
        "exact": parting.exact,
        "p": None if math.isnan(parting.p) else parting.p,
        "significant": parting.significant,
    }


def _level(level: Level) -> dict[str, Any]:
    return {
        "budget": level.budget.value,
        "at": level.at,
        "a": level.a,
        "b": level.b,
        "change": level.change,
        "interval": [level.low, level.high],
        "p": level.p,
    }


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "metric": speed.metric,
        "target": speed.target,
        "axis": speed.axis.value,
        "a": speed.a,
        "b": speed.b,
        "ratio": speed.ratio,
        "interval": [speed.low, speed.high],
    }


def _throughput(found: Throughput) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "a": found.a,
        "b": found.b,
        "ratio": found.ratio,
        "interval": [found.low, found.high],
    }


def _finding_change(change: FindingChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "change": change.fate.value,
        "a": _finding(change.a) if change.a else None,
        "b": _finding(change.b) if change.b else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity.value,
        "title": finding.title,
        "summary": redact(finding.summary),
        "steps": list(finding.steps) if finding.steps else None,
    }


def _attribution(one: Attribution) -> dict[str, Any]:
    return {
        "about": one.about,
        "candidates": [
            {
                "setting": candidate.setting,
                "text": redact(candidate.text),
                "causes": list(candidate.causes),
                "score": round(candidate.score, 4),
            }
            for candidate in one.candidates
        ],
        "limits": list(one.limits),
    }
