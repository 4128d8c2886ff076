"""A scan for a terminal: how many runs are sick, of what, and the worst of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.fleet.patterns import outcomes, shared_causes
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report.cost import duration
from loganalyze.report.scan_views import target
from loganalyze.report.sheet import Sheet, columns

if TYPE_CHECKING:
    from loganalyze.fleet.found import Scan
    from loganalyze.fleet.row import Row

SHAPES = {
    "critical": ("▲", "x"), "warning": ("■", "!"), "unreadable": ("○", "o"),
    "insufficient": ("◆", "?"), "healthy": ("●", "ok"),
}  # fmt: skip
WORDS = ("slow", "disagrees", "silent", "collectives")
STYLES = {"unreadable": "faint"}
RUNS, CAUSES, JOBS, TABLES = 10, 6, 5, 3  # shown unless everything is asked for
LONGEST_NAME = 40  # columns of a run's name in the list


def headline(scan: Scan) -> str:
    """Say in one sentence how the runs are."""
    counts = scan.counts
    total, sick = len(scan.rows), counts["critical"] + counts["warning"]
    if not sick:
        return (
            f"None of {total:,} runs shows a problem." if total > 1 else "The run shows no problem."
        )
    if not counts["warning"]:
        return f"{sick:,} of {total:,} runs need attention, all of them critical."
    if not counts["critical"]:
        return f"{sick:,} of {total:,} runs need attention: there are warnings."
    critical, warning = counts["critical"], counts["warning"]
    return f"{sick:,} of {total:,} runs need attention: {critical:,} critical, {warning:,} with warnings."


def render(
    scan: Scan,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    lang: str = ENGLISH,
) -> str:
    """Return the scan as text; `quiet` gives the first line only, `verbose` every run."""
    sheet = Sheet(width, color, unicode, lang)
    level = next(
        (name for name, count in scan.counts.items() if count and name != "unreadable"),
        "insufficient",
    )
    mark = sheet.shape(SHAPES[level])
    sheet.put(
        f"{mark} {translate(headline(scan), lang)}", hang="  ", style=STYLES.get(level, level)
    )
    sheet.put(_taken(scan), indent="  ", style="faint")
    if not quiet:
        _jobs(sheet, scan, None if verbose else JOBS)
        _causes(sheet, scan, None if verbose else CAUSES)
        _runs(sheet, scan, None if verbose else RUNS)
        _settings(sheet, scan, None if verbose else TABLES)
    return "\n".join(sheet.lines).rstrip() + "\n"


def _taken(scan: Scan) -> str:
    costs = scan.costs
    return f"{costs.units:,} places in {duration(costs.seconds)}, {costs.known:,} of them unchanged"


def _jobs(sheet: Sheet, scan: Scan, most: int | None) -> None:
    loud = [job for job in scan.jobs if not job.quiet]
    for job in loud[:most]:
        sheet.gap()
        sheet.put(
            f"Ranks of {job.name}: {job.ranks:,} logs, {job.failed:,} with a failure", style="bold"
        )
        if job.root is not None:
            first = f"rank {job.root.rank:,} failed first: {job.root.text}"
            sheet.put(f"{first}  {job.root.where}", indent="  ", hang="    ")
        kinds = (job.stragglers, job.disagreeing, job.silent, job.collectives)
        for title, odd in zip(WORDS, kinds, strict=True):
            for one in odd[: 3 if most else None]:
                told = label(title, sheet.lang)
                sheet.put(f"{told}: rank {one.rank:,}, {one.text}", indent="  ", hang="    ")
            _more(sheet, len(odd), 3 if most else None)


def _causes(sheet: Sheet, scan: Scan, most: int | None) -> None:
    groups = shared_causes(scan.rows)
    if not groups:
        return
    sheet.gap()
    sheet.put("Most likely causes, and in how many runs", style="bold")
    for group in groups[:most]:
        title = translate(group.title, sheet.lang)
        sheet.put(f"{title} ({group.id})", indent=f"{len(group.rows):>6,}  ", hang=" " * 8)
    _more(sheet, len(groups), most)


def _runs(sheet: Sheet, scan: Scan, most: int | None) -> None:
    rows = [row for row in scan.rows if row.level not in ("healthy", "insufficient")]
    shown = scan.rows if most is None else rows[:most]
    if not shown:
        return
    sheet.gap()
    sheet.put("Runs, the worst first", style="bold")
    width = min(max(columns(row.name) for row in shown), LONGEST_NAME)
    for row in shown:
        _run(sheet, row, width)
    if most is not None:
        _more(sheet, len(rows), most)
    first = shown[0]
    sheet.gap()
    sheet.put(f"Next: loganalyze report {target(first.path, first.run)}", style="faint")


def _run(sheet: Sheet, row: Row, width: int) -> None:
    mark = sheet.shape(SHAPES[row.level])
    cause = f"{row.cause[0]} {row.cause[2]:.0%}" if row.cause and row.sick else ""
    said = cause or ("" if row.sick else translate(row.headline, sheet.lang))
    found = ", ".join(dict.fromkeys(found[0] for found in row.findings if found[1] != "info"))
    line = f"{mark} {row.name:<{width}}  {said}" + (f"  ({found})" if found else "")
    sheet.put(line, hang="    ", style=STYLES.get(row.level, row.level) if not sheet.color else "")


def _settings(sheet: Sheet, scan: Scan, most: int | None) -> None:
    tables, looked_at = outcomes(scan.rows)
    if not tables:
        return
    sheet.gap()
    sheet.put("Settings and verdicts: counts, not causes", style="bold")
    for table in tables[:most]:
        parts = [
            f"{value}: {counts[0] + counts[1]:,} of {sum(counts):,}"
            for value, counts in table.values
        ]
        sheet.put(f"{table.setting}  sick at {'; '.join(parts)}", indent="  ", hang="    ")
    text = f"{looked_at:,} settings were looked at; some go with a verdict by chance"
    sheet.put(text, indent="  ", style="faint")


def _more(sheet: Sheet, count: int, shown: int | None) -> None:
    if shown is not None and count > shown:
        sheet.put(f"and {count - shown:,} more", indent="  ", style="faint")
