"""`Monitor`: the detectors on a training that runs, for any loop.

monitor = Monitor("runs/x", planned_steps=10_000, stop_on="critical")
for step, batch in enumerate(loader, 1):
    ...
    if monitor.log(step, loss=loss, grad_norm=norm, lr=rate):
        break
monitor.finish()
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError
from loganalyze.finding import Severity
from loganalyze.live.pace import Pace
from loganalyze.live.standing import Changes, Standing, look
from loganalyze.live.stopping import reason_to_stop
from loganalyze.monitor.numbers import numbers
from loganalyze.monitor.quiet import LOGGER, Quiet
from loganalyze.monitor.recorder import Recorder
from loganalyze.monitor.tripwire import WATCHED, Tripwires
from loganalyze.names import canonical
from loganalyze.report.redact import redact_value
from loganalyze.settings import Settings, check_names

if TYPE_CHECKING:
    from loganalyze.alerts.alerts import Alerts
    from loganalyze.finding import Diagnosis, Finding
    from loganalyze.run import Run

STOPPING = ("warning", "critical")


class Monitor:
    """Watches one training: keeps what is logged, judges it, tells of findings, says when to stop.

    Parameters
    ----------
    directory
        Where the run is kept; made if it is not there. One that holds a run already is continued.
    name
        What alerts call the run; the directory's name by default.
    config
        Settings of the run (learning rate, batch size, ...): causes rest on them.
    planned_steps
        How many steps the training is to take.
    every
        Only steps that this number divides are logged; at all others `log` looks at nothing, so that
        a tensor on an accelerator is not waited for.
    settings
        Thresholds of the detectors, and which to use.
    stop_on
        ``"critical"`` or ``"warning"``: `log` returns True once a finding of this severity is
        confirmed. None: never.
    writers
        Further places to write the numbers to: ``"tensorboard"``, ``"mlflow"``, ``"wandb"``.
    alerts
        Addresses to tell, as apprise knows them; besides those in ``SLACK_WEBHOOK_URL`` and
        ``DISCORD_WEBHOOK_URL``.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        planned_steps: int | None = None,
        every: int = 1,
        settings: Settings | None = None,
        stop_on: str | None = None,
        writers: Sequence[str] = (),
        alerts: Sequence[str] = (),
        framework: str | None = None,
    ) -> None:
        from loganalyze.alerts.alerts import open_alerts
        from loganalyze.detect import known_settings
        from loganalyze.monitor.writers import open_writers

        self.settings = settings or Settings()
        check_names(self.settings.changed, known_settings())
        if stop_on not in (None, *STOPPING):
            raise UsageError(f"stop_on is {stop_on!r}; it can be {' or '.join(STOPPING)}")
        self.directory = Path(directory)
        self.name = name or self.directory.resolve().name or "run"
        self.stop_on = Severity(stop_on) if stop_on else None
        self.diagnosis: Diagnosis | None = None
        self.stopped_by: Finding | None = None
        self._every = max(1, every)
        self._alerts: Alerts | None = open_alerts(alerts)
        self._recorder = Recorder(self.directory)
        self._writers = open_writers(writers, self.directory, self.name, dict(config or {}))
        self._wires, self._pace, self._standing = Tripwires(), Pace(), Standing()
        self._keeping, self._judging = Quiet("Keeping a log point"), Quiet("Judging the run")
        self._last_step, self._found = 0, 0
        self._started, self._over = time.monotonic(), False
        self._begin(config or {}, planned_steps, framework)

    def _begin(self, config: Mapping[str, Any], planned: int | None, framework: str | None) -> None:
        told = {str(key): redact_value(str(key), value) for key, value in config.items()}
        self._recorder.note(
            "start", name=self.name, planned_steps=planned, framework=framework, config=told
        )
        if self._recorder.resumed:
            self._replay()
        if self._alerts:
            self._alerts.started(self.name, planned)

    def _replay(self) -> None:
        """Take in again what an earlier process logged."""
        found = self._recorder.cells.records()
        columns = [
            (canonical(column.name), column)
            for column in found.columns
            if canonical(column.name) in WATCHED
        ]
        for at in range(len(found.row)):
            values = {name: float(c.value[at]) for name, c in columns if c.logged[at]}
            if values:
                self._wires.feel(values)
                self._pace.count(odd=False)
        self._pace.looked()

    def log(self, step: int, **values: Any) -> bool:
        """Take in the numbers of a step; tell whether the training should stop.

        Names are those that any log uses: ``loss``, ``grad_norm``, ``lr``, ``eval_loss``, ...;
        values are numbers or tensors of one element. Never raises because of a value or a file.
        """
        if not step % self._every:
            with self._keeping:
                self.take(step, dict(numbers(values)))
        return self.stopped_by is not None

    def take(self, step: int, found: Mapping[str, float]) -> None:
        """Take in numbers that are floats already, whatever the step."""
        if not found or self._over:
            return
        self._last_step = int(step)
        self._recorder.add(self._last_step, found)
        known = {canonical(name): value for name, value in found.items()}
        watched = {name: known[name] for name in WATCHED if name in known}
        if watched:
            odd = self._wires.feel(watched)
            if self._pace.count(odd=odd) or self._standing.doubtful(self._level):
                self.judge()
        for writer in self._writers:
            writer.write(self._last_step, {**found, **self._averages(watched)})

    def _averages(self, watched: Mapping[str, float]) -> dict[str, float]:
        """Return the moving averages that the wires hold, for the writers' dashboards."""
        if not watched:
            return {}
        wires = self._wires
        told = {"loss_ema": wires.loss.slow.value, "grad_norm_ema": wires.norm.slow.value}
        return {f"monitor/{name}": value for name, value in told.items() if value == value} | {
            "monitor/findings": float(self._found)
        }

    @property
    def _level(self) -> Severity:
        return self.stop_on or Severity.CRITICAL

    def judge(self) -> Diagnosis | None:
        """Call the detectors on everything logged so far; None where they cannot be called."""
        from loganalyze.live.judge import judge

        with self._judging, self._recorder.aside():
            self.diagnosis = judge(self.run(), self.settings)
            self._standing, changes = look(
                self._standing, self.diagnosis.findings, self._pace.points
            )
            self._tell(changes)
            if self.stop_on and self.stopped_by is None:
                self._consider(self.diagnosis.run)
        if self._pace.looked():
            self._wires.rearm()
        return self.diagnosis

    def run(self) -> Run:
        """Return what was logged so far."""
        return self._recorder.run()

    def _tell(self, changes: Changes) -> None:
        for finding in changes.confirmed:
            self._found += 1
            self._note("finding", finding)
            if finding.severity is Severity.INFO:
                continue
            LOGGER.warning("%s: %s", finding.id, finding.summary)
            if self._alerts:
                self._alerts.found(self.name, self._last_step, finding, self.directory)
        for finding in changes.recovered:
            self._note("recovered", finding)
            if self._alerts and finding.severity is not Severity.INFO:
                self._alerts.recovered(self.name, self._last_step, finding)

    def _note(self, event: str, finding: Finding) -> None:
        self._recorder.note(
            event,
            step=self._last_step,
            id=finding.id,
            severity=finding.severity.value,
            title=finding.title,
            summary=finding.summary,
            evidence=dict(finding.evidence),
        )

    def _consider(self, run: Run) -> None:
        finding = reason_to_stop(self._standing, self._level, run)
        if finding is not None:
            self.stopped_by = finding
            self._note("stop", finding)
            LOGGER.error("the training should stop: %s: %s", finding.id, finding.summary)

    @property
    def should_stop(self) -> bool:
        """Tell whether a finding of the severity `stop_on` has been confirmed."""
        return self.stopped_by is not None

    @property
    def last_step(self) -> int:
        """Return the step that was logged last."""
        return self._last_step

    def note(self, event: str, **facts: Any) -> None:
        """Write into the journal what happened."""
        with self._keeping:
            self._recorder.note(event, step=self._last_step, **facts)

    def log_layers(self, step: int, found: Mapping[str, float]) -> None:
        """Keep statistics of layers: ``layer_grad/L15.attn.q``."""
        with self._keeping:
            self._recorder.add_layers(step, found)
            for writer in self._writers:
                writer.write(step, found)

    def finish(self, error: BaseException | None = None) -> Diagnosis | None:
        """End the run: the last diagnosis, the postmortem, the summary, the last alert.

        Parameters
        ----------
        error
            The exception that ended the training, if one did.

        Returns
        -------
        The diagnosis of the whole run; None where it could not be made.
        """
        if self._over:
            return self.diagnosis
        from loganalyze.monitor.ending import REPORT, conclude, state, told

        status = state(error, stopped=self.should_stop)
        if error is not None:
            self.note("exception", **told(error))
        self.note("end", status=status, **self.summary())
        self._over = True
        with Quiet("Writing the postmortem"):
            self.diagnosis = conclude(self.directory, self.run(), self.settings)
        for writer in self._writers:
            writer.close()
        if self._alerts:
            report = self.directory / REPORT
            self._alerts.ended(self.name, self._last_step, status, self.diagnosis, report)
            self._alerts.close()
        self._recorder.close()
        return self.diagnosis

    def summary(self) -> dict[str, Any]:
        """Return how the run went, in a few numbers."""
        return {
            "points": self._pace.points,
            "findings": self._found,
            "seconds": round(time.monotonic() - self._started, 3),
            "stopped_by": self.stopped_by.id if self.stopped_by else None,
        }

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.finish(error)
