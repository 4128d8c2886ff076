"""Which states of the model were saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from loganalyze.names import named_step
from loganalyze.run import EventKind, Run


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state: the step that its name or its line in the log tells, and that name."""

    step: int
    name: str


def checkpoints(run: Run) -> tuple[Checkpoint, ...]:
    """Return the checkpoints by step, from the files beside the log and from its lines.

    Where both tell of one step the file names it.
    """
    found: dict[int, str] = {}
    for event in run.events_of(EventKind.CHECKPOINT):
        step = named_step(event.text)
        step = event.step if step is None else step
        if step is not None:
            found[step] = f"checkpoint of step {step:,}"
    for source in run.sources:
        path = PurePosixPath(source.path)
        own = source.format == "checkpoint" and named_step(path.name) is not None
        name = path if own else path.parent
        step = named_step(name.name)
        if step is not None:
            found[step] = str(name)
    return tuple(Checkpoint(step, name) for step, name in sorted(found.items()))
