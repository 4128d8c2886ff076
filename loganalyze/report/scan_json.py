"""A scan as strict JSON (``scan.schema.json`` in this package), and as a table with a row for each run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.fleet.neighbours import baselines
from loganalyze.fleet.patterns import LEVELS, finding_counts, outcomes, shared_causes
from loganalyze.report.json import plain

if TYPE_CHECKING:
    import pandas as pd

    from loganalyze.fleet.found import Scan
    from loganalyze.fleet.ranks import Job
    from loganalyze.fleet.row import Row

SCHEMA_VERSION = 1


def render(scan: Scan) -> str:
    """Return the scan as an indented JSON document."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(to_dict(scan), option=options).decode()


def to_dict(scan: Scan) -> dict[str, Any]:
    """Return the scan as plain values that any strict JSON writer accepts."""
    near = baselines(scan.rows)
    tables, looked_at = outcomes(scan.rows)
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "loganalyze", "version": __version__},
        "roots": list(scan.roots),
        "counts": scan.counts,
        "runs": [
            {**_run(row), "baseline": asdict(near[row.name]) if row.name in near else None,
             "report": scan.reports.get(row.name)}
            for row in scan.rows
        ],
        "causes": [asdict(group) for group in shared_causes(scan.rows)],
        "findings": [
            {"id": identifier, "severity": severity, "runs": count}
            for identifier, severity, count in finding_counts(scan.rows)
        ],
        "settings": {
            "looked_at": looked_at,
            "tables": [
                {
                    "setting": table.setting,
                    "association": round(table.association, 4),
                    "same_as": list(table.also),
                    "values": [
                        {"value": value, **dict(zip(LEVELS, counts, strict=True))}
                        for value, counts in table.values
                    ],
                }
                for table in tables
            ],
        },
        "jobs": [_job(job) for job in scan.jobs],
        "empty_places": scan.empty,
        "costs": asdict(scan.costs),
    }  # fmt: skip
    strict: dict[str, Any] = plain(document)
    return strict


def _run(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "path": row.path,
        "run": row.run,
        "verdict": {"level": row.level, "headline": row.headline},
        "framework": row.framework,
        "status": row.status,
        "first_step": row.first_step,
        "last_step": row.last_step,
        "planned_steps": row.planned_steps,
        "started": row.started,
        "ended": row.ended,
        "seconds": row.seconds,
        "last_loss": row.loss,
        "best_eval": dict(zip(("metric", "value", "step"), row.best, strict=True))
        if row.best
        else None,
        "findings": [
            {"id": identifier, "severity": severity, "title": title}
            for identifier, severity, title in row.findings
        ],
        "causes": [
            {"id": identifier, "title": title, "probability": probability}
            for identifier, title, probability in row.causes
        ],
        "config": dict(sorted(row.config.items())),
        "bytes": row.size,
        "modified": row.modified,
    }


def _job(job: Job) -> dict[str, Any]:
    return asdict(job)


def table(scan: Scan) -> pd.DataFrame:
    """Return a row for each run; settings stand in columns of their own, ``config.`` before their names."""
    import pandas as pd

    near = baselines(scan.rows)
    rows = []
    for row in scan.rows:
        best = row.best or (None, None, None)
        cause = row.cause or (None, None, None)
        values = {
            "name": row.name, "path": row.path, "run": row.run, "level": row.level,
            "headline": row.headline, "cause": cause[0], "probability": cause[2],
            "findings": ",".join(found[0] for found in row.findings), "status": row.status,
            "framework": row.framework, "first_step": row.first_step, "last_step": row.last_step,
            "planned_steps": row.planned_steps, "started": row.started, "ended": row.ended,
            "seconds": row.seconds, "last_loss": row.loss, "best_metric": best[0],
            "best_value": best[1], "best_step": best[2], "bytes": row.size,
            "modified": row.modified,
            "baseline": near[row.name].name if row.name in near else None,
        }  # fmt: skip
        rows.append(values | {f"config.{key}": str(value) for key, value in row.config.items()})
    frame = pd.DataFrame(rows)
    steps = ["first_step", "last_step", "planned_steps", "best_step"]
    return frame.astype(dict.fromkeys(steps, "Int64"))
