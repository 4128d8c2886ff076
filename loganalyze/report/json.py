"""The diagnosis as strict JSON, schema_version 1 (``diagnosis.schema.json`` in this package).

Non-finite numbers become the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.report.redact import redact, redact_value

if TYPE_CHECKING:
    from loganalyze.finding import Cause, Check, Clue, Diagnosis, Finding
    from loganalyze.run import Run, Source

SCHEMA_VERSION = 1


def render(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as an indented JSON document."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(to_dict(diagnosis), option=options).decode()


def to_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis as plain values that any strict JSON writer accepts."""
    run = diagnosis.run
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "loganalyze", "version": __version__},
        "run": _run(run),
        "sources": [_source(source) for source in run.sources],
        "verdict": {
            "level": diagnosis.verdict.level.value,
            "headline": redact(diagnosis.verdict.headline),
        },
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "causes": [_cause(cause) for cause in diagnosis.causes],
        "checks": [_check(check) for check in diagnosis.checks],
    }
    strict: dict[str, Any] = plain(document)
    return strict


def plain(value: Any) -> Any:
    """Return `value` made of dicts, lists, strings, integers, finite floats, bools and None."""
    if isinstance(value, dict):
        return {_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        # 64 bits are what strict JSON readers agree on; a larger count is kept as text.
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return number(value)
    return _text(str(value))


def number(value: float) -> float | str:
    """Return a finite float as it is, any other as its JSON name."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _text(value: str) -> str:
    # Lone surrogates come from undecodable file names; JSON must be valid UTF-8.
    return value.encode("utf-8", "replace").decode("utf-8")


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "path": run.path,
        "framework": run.framework,
        "status": run.status.value,
        "first_step": run.first_step,
        "last_step": run.last_step,
        "planned_steps": run.planned_steps,
        "started": run.started,
        "ended": run.ended,
        "config": {
            key: {"value": redact_value(key, item.value), "where": item.where}
            for key, item in sorted(run.config.items())
        },
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "path": source.path,
        "format": source.format,
        "rows": source.rows,
        "metrics": list(source.metrics),
        "first_step": source.first_step,
        "last_step": source.last_step,
        "problems": [redact(problem.text) for problem in source.problems],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "confidence": round(float(finding.confidence), 4),
        "title": finding.title,
        "summary": redact(finding.summary),
        "steps": list(finding.steps) if finding.steps is not None else None,
        "metrics": list(finding.metrics),
        "evidence": {
            name: redact(item) if isinstance(item, str) else item
            for name, item in finding.evidence.items()
        },
        "where": [str(where) for where in finding.where],
        "fix": [redact(line) for line in finding.fix],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "id": cause.id,
        "title": cause.title,
        "probability": round(float(cause.probability), 4),
        "explains": list(cause.explains),
        "evidence_for": [_clue(clue) for clue in cause.evidence_for],
        # What the log does not separate weighs on neither side.
        "evidence_against": [
            *(_clue(clue) for clue in cause.evidence_against),
            *([{"text": redact(cause.undecided), "weight": 0.0}] if cause.undecided else []),
        ],
        "fix": [redact(line) for line in cause.fix],
        "probe": cause.probe,
    }


def _clue(clue: Clue) -> dict[str, Any]:
    return {"text": redact(clue.text), "weight": round(float(clue.weight), 4)}


def _check(check: Check) -> dict[str, Any]:
    return {"id": check.id, "outcome": check.outcome.value, "reason": redact(check.reason)}
