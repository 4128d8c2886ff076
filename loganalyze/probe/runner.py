"""Run checks on a target, one after the other; whatever happens, everything is put back."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from loganalyze.errors import LogAnalyzeError, MissingExtra, UsageError
from loganalyze.finding import Outcome
from loganalyze.probe import batches, label_range
from loganalyze.probe.bench import Bench
from loganalyze.probe.clock import OutOfTime, alarm, start, uninterrupted
from loganalyze.probe.place import device_of, place
from loganalyze.probe.probe import Probe
from loganalyze.probe.state import Kept, keep
from loganalyze.probe.target import ProbeTarget, checked, remarks
from loganalyze.probed import Probed, ProbeResult, Restored, Subject

if TYPE_CHECKING:
    from loganalyze.run import Run

HELD = 64  # batches that are taken from an iterator
SECONDS = 120.0  # of one check: an experiment of two minutes
Progress = Callable[[str, int, int], None]  # check, done, total


def probe(
    target: ProbeTarget,
    checks: Sequence[str],
    *,
    seconds: float | None = None,
    device: str | None = None,
    run: Run | None = None,
    progress: Progress | None = None,
    finished: Callable[[ProbeResult], None] | None = None,
) -> Probed:
    """Run checks on a target and put everything back after each.

    Parameters
    ----------
    checks
        Ids of `PROBES`, in the order to run them in.
    seconds
        Bound of all checks together; what one does not use is the others'. Default: 120 for each.
    device
        Where to run; default: where the model is, or the first accelerator.
    run
        The run whose settings the training has (``loganalyze.load``).
    progress
        Called with check, steps done and steps in all.
    finished
        Called with each result as it is there: an interrupt does not lose them.

    Raises
    ------
    UsageError
        If the target cannot be probed.
    KeyboardInterrupt
        After an interrupt, when everything has been put back.
    """
    require_torch()
    target = _held(
        checked(target, target.name if isinstance(target, ProbeTarget) else "the target")
    )
    chosen = [_probe(identifier) for identifier in checks]
    place_wanted = device_of(target, device)
    total = start(seconds if seconds is not None else SECONDS * len(chosen))
    results = []
    for position, one in enumerate(chosen):
        share = max(total.left / (len(chosen) - position), 0.1)
        result = _made(
            one, target, place_wanted, share, run, progress or (lambda check, done, of: None)
        )
        results.append(result)
        if finished is not None:
            finished(result)
    return Probed(
        subject_of(target, str(place_wanted)),
        tuple(results),
        run.name if run is not None else "",
        run.path if run is not None else "",
    )


def require_torch() -> None:
    """Raise `MissingExtra` where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "probing a model needs PyTorch, in which it is written: pip install 'loganalyze[probe]', "
            "or run loganalyze in the environment that the training runs in"
        ) from None


def subject_of(target: ProbeTarget, device: str) -> Subject:
    """Return what is probed, in numbers."""
    import torch

    parameters = list(target.model.parameters())
    return Subject(
        name=target.name,
        model=type(target.model).__name__,
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        device=device,
        torch=torch.__version__,
    )


def _probe(identifier: str) -> Probe:
    from difflib import get_close_matches

    from loganalyze.probe import PROBES

    found = next((one for one in PROBES if one.id == identifier), None)
    if found is None:
        known = [one.id for one in PROBES]
        near = get_close_matches(identifier, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no check {identifier!r}{hint} (checks: {', '.join(known)})")
    return found


def _made(
    one: Probe,
    target: ProbeTarget,
    device: Any,
    seconds: float,
    run: Run | None,
    progress: Progress,
) -> ProbeResult:
    """Run one check; what it raises becomes its result, but for wrong usage and an interrupt."""
    clock = start(seconds)
    proofs: list[Restored] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the target's code: it is not under judgement
        with preserved(target, proofs) as kept:
            bench = Bench(
                target, device, clock, kept, lambda done, of: progress(one.id, done, of), run
            )
            result = _outcome(one, bench, seconds)
    return dataclasses.replace(
        result, check=one.id, seconds=round(clock.spent, 3), restored=proofs[0]
    )


def _outcome(one: Probe, bench: Bench, seconds: float) -> ProbeResult:
    import torch

    try:
        # As at the start of a training: gradients on, whatever the caller's context was.
        with alarm(bench.clock), torch.inference_mode(False), torch.enable_grad():
            place(bench.target, bench.device)
            wrong = None if one.judges_labels else label_range.refused(bench)
            if wrong is not None:
                return wrong
            if not one.judges_labels:
                _try(bench)
            return one.run(bench)
    except OutOfTime:
        text = f"It did not come to a result in {seconds:.3g} seconds; --max-seconds allows more."
        return ProbeResult(Outcome.ERROR, text)
    except LogAnalyzeError:
        raise
    except Exception as error:  # noqa: BLE001 - the target's code may raise anything
        return ProbeResult(Outcome.ERROR, told(error))


def _try(bench: Bench) -> None:
    """Run the target once; where not even a single sample goes through, nothing can be measured.

    Raises
    ------
    UsageError
        With what the target's code said, and what the batch holds.
    """
    import torch

    batch = bench.batches(1)[0]
    bench.target.model.eval()
    with torch.no_grad():
        for part in (batch, batches.selected(batch, [0])):
            try:
                bench.loss(part)
            except LogAnalyzeError:
                raise
            except Exception as error:  # noqa: BLE001 - the target's code may raise anything
                said = told(error)
            else:
                said = ""
                break
    bench.rewind()
    if said and "memory" not in said:
        raise UsageError(f"the target cannot be run: {said}. Its batch: {batches.describe(batch)}")


def told(error: BaseException) -> str:
    """Return what an error of the target's code says, in one line, with the place it came from."""
    import traceback

    first = next((line for line in str(error).splitlines() if line.strip()), "no message")
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "loganalyze" not in f.filename
    ]
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    place_of = f" ({own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {first}{place_of}"


@contextmanager
def preserved(target: ProbeTarget, proofs: list[Restored]) -> Iterator[Kept]:
    """Keep everything that a check may disturb, and put it back whatever happens.

    What the comparison afterwards came to is added to `proofs`.
    """
    import torch

    with torch.no_grad():
        kept = _keep(target)
    try:
        yield kept
    finally:
        with uninterrupted(), torch.no_grad():
            try:
                kept.restore()
            finally:
                # What could not be put back stands in the proof, whatever stopped it.
                proofs.append(kept.proof())


def _held(target: ProbeTarget) -> ProbeTarget:
    """Return the target with the first batches of an iterator in a list: checks begin anew, it does not."""
    said = remarks(target)
    if not said:
        return target
    return dataclasses.replace(target, batches=Held(islice(target.batches, HELD), said))


class Held(list[Any]):
    """Batches taken from an iterator, and what that means for it."""

    def __init__(self, taken: Iterator[Any], said: tuple[str, ...]) -> None:
        super().__init__(taken)
        self.said = said


def _keep(target: ProbeTarget) -> Kept:
    model = target.model
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    data = {"batches": target.batches, "samples": target.samples, "tokenizer": target.tokenizer}
    roots = {
        "model": model, "loss": target.loss, "optimizer": target.optimizer,
        "scheduler": target.scheduler, "scaler": target.scaler, **target.keeps,
    }  # fmt: skip
    said = target.batches.said if isinstance(target.batches, Held) else ()
    return keep(weights, data, roots, said)
