"""``loganalyze watch``: the diagnosis of a run while it is alive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from loganalyze.cli.options import (
    Common,
    common_options,
    exit_code,
    language,
    run_argument,
    settings_of,
)

if TYPE_CHECKING:
    from loganalyze.alerts.alerts import Alerts
    from loganalyze.cli.watch_view import View
    from loganalyze.finding import Diagnosis
    from loganalyze.watch.hook import Hook
    from loganalyze.watch.watch import Refresh, Watch

LEVELS = ("info", "warning", "critical")
LAST_WAIT = 10.0  # seconds that commands and alerts get at the end


@click.command(
    "watch", epilog="Example: loganalyze watch runs/my-run --until-done --fail-on critical"
)
@run_argument
@click.option(
    "--until-done",
    is_flag=True,
    help="End when the run ends: with its diagnosis, and the exit status of diagnose.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look for something new.",
)
@click.option(
    "--idle",
    type=click.FloatRange(min=0.1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Without anything new for so long, the run is over.",
)
@click.option(
    "--on",
    "hooks",
    type=(click.Choice(LEVELS), str),
    multiple=True,
    metavar="LEVEL COMMAND",
    help="Run a command once for each finding that is at least so severe.",
)
@click.option(
    "--alert",
    "alerts",
    multiple=True,
    metavar="URL",
    help="Tell this address of findings: anything that apprise knows.",
)
@common_options  # fmt: skip
def command(
    path: str,
    until_done: bool,
    every: float,
    idle: float,
    hooks: tuple[tuple[str, str], ...],
    alerts: tuple[str, ...],
    common: Common,
) -> int:
    """Follow RUN while it is alive, and say what is wrong as it shows.

    RUN is what `diagnose` takes, but for standard input; it need not exist yet. New files, restarts and
    rotated logs are followed. A finding counts once two looks in a row found it.

    COMMAND runs in a shell, with the finding in its environment: LOGANALYZE_ID, _SEVERITY, _TITLE, _SUMMARY,
    _FIRST_STEP, _LAST_STEP, _WHERE, _RUN, _PATH. Alerts go to each URL, and to SLACK_WEBHOOK_URL and
    DISCORD_WEBHOOK_URL where they are set.
    """
    from loganalyze.alerts.alerts import open_alerts
    from loganalyze.cli.watch_view import view
    from loganalyze.finding import Severity
    from loganalyze.watch.hook import Hook
    from loganalyze.watch.watch import Watch

    settings = settings_of(common)
    commands = [Hook(Severity(level), text) for level, text in hooks]
    tellers = _Tellers(path, open_alerts(alerts), commands)
    watch = Watch(path, settings, run=common.run, idle=idle)
    with view(common.color, language(common), path, quiet=common.quiet) as shown:
        _follow(watch, shown, tellers, every, until_done=until_done)
    refresh = watch.conclude()
    tellers.tell(refresh)
    tellers.end(refresh.diagnosis)
    shown.conclude(refresh, verbose=common.verbose, quiet=common.quiet)
    return exit_code(refresh.diagnosis, common.fail_on)


def _follow(
    watch: Watch, shown: View, tellers: _Tellers, every: float, *, until_done: bool
) -> None:
    """Refresh again and again, until the run is over (or for ever)."""
    while True:
        refresh = watch.refresh()
        if refresh is not None:
            shown.show(refresh)
            tellers.tell(refresh)
        shown.tick(watch.silent, waiting=watch.diagnosis is None)
        if until_done and watch.is_over():
            return
        time.sleep(every)


class _Tellers:
    """Whoever is told of findings: alerts and commands."""

    def __init__(self, path: str, alerts: Alerts | None, hooks: list[Hook]) -> None:
        self._path, self._alerts, self._hooks = path, alerts, hooks
        self._begun = False

    def tell(self, refresh: Refresh) -> None:
        """Tell of what a look confirmed and of what is gone."""
        run = refresh.diagnosis.run
        if self._alerts and not self._begun:
            self._alerts.started(run.name, run.planned_steps)
        self._begun = True
        for finding in refresh.changes.confirmed:
            for hook in self._hooks:
                hook.call(finding, run.name, self._path)
            if self._alerts and finding.severity.rank:
                self._alerts.found(run.name, run.last_step, finding, self._path)
        for finding in refresh.changes.recovered:
            if self._alerts and finding.severity.rank:
                self._alerts.recovered(run.name, run.last_step, finding)

    def end(self, diagnosis: Diagnosis) -> None:
        """Tell how the run ended, and wait a little for what is on its way."""
        run = diagnosis.run
        if self._alerts:
            self._alerts.ended(run.name, run.last_step, run.status.value, diagnosis, self._path)
            self._alerts.close(LAST_WAIT)
        for hook in self._hooks:
            hook.wait(LAST_WAIT)
