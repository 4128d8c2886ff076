"""What the times of a step say, in sentences and for the causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, STRONG, WEAK
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.throughput import Speed

BOUND = 0.3  # share of the step that is waiting: the run is bound by its data
FREE = 0.1  # share below which there is nothing to gain
SLIGHT = (
    5e-3  # seconds a batch; sampling and collating take a few milliseconds, with nothing to read
)
WORTH = 0.8  # x the time of a batch now: other numbers of workers must at least do that


def conclude(found: Speed) -> ProbeResult:
    """Word what was measured."""
    verdict = Verdict()
    real = found.real
    parts = (
        f"waiting for data {found.waiting:.0%}, forward {_share(real.forward, found)}, backward "
        f"{_share(real.backward, found)}, optimizer {_share(real.optimizer, found)}"
    )
    samples, tokens = (_rate(count, real.total) for count in (found.samples, found.tokens))
    speed = f"{samples} samples/s, {tokens} tokens/s" if found.tokens else f"{samples} samples/s"
    text = f"A step takes {_seconds(real.total)} ({speed}): {parts}."
    if found.waiting >= BOUND and real.data >= SLIGHT:
        _bound(verdict, found, text)
    elif found.waiting >= BOUND:
        verdict.notes.append(
            f"The step is so short that handing over a batch, {_seconds(real.data)}, is {found.waiting:.0%} "
            "of it."
        )
    elif found.is_held:
        verdict.notes.append(
            "The batches are a list in memory: how fast a training reads them is not seen. Give its "
            "DataLoader."
        )
    else:
        # A GPU computes faster than a CPU and would wait for the same data.
        is_fast = found.device != "cpu" and found.waiting < FREE
        verdict.says(-STRONG if is_fast else -WEAK, text, "dataloader-bottleneck")
        if found.device == "cpu":
            verdict.notes.append(
                "On a GPU a step is shorter, and waiting for the same data a larger part of it."
            )
    if found.loading is not None and found.loading.refused:
        verdict.notes.append(f"Not measured with more workers: {found.loading.refused}.")
    return verdict.result(text, _measured(found), _figures(found), _tables(found))


def _bound(verdict: Verdict, found: Speed, text: str) -> None:
    """The model waits for its data: say how much faster it could be, and with how many workers."""
    faster = found.real.total / max(found.synthetic.compute, 1e-12)
    shown = (
        f"{text} On one batch again and again it takes {_seconds(found.synthetic.compute)}, {faster:.1f} x "
        "as fast."
    )
    verdict.finds(shown, DECISIVE, "dataloader-bottleneck")
    read = found.loading
    if read is None or not read.seconds:
        verdict.fix.append(
            "Read and decode batches in other processes: a DataLoader with num_workers"
        )
        return
    best = read.enough(found.synthetic.compute)
    best = read.fastest if best is None else best
    now = read.seconds.get(read.own)
    if best is not None and best != read.own and (now is None or read.seconds[best] < WORTH * now):
        verdict.fix.append(f"num_workers {read.own} -> {best}")
    else:
        verdict.fix.append("Cheaper or precomputed decoding: more workers do not read faster here")


def _rate(count: float, seconds: float) -> str:
    """Write a number by second with three digits: ``12.3``, ``10,500``."""
    each = count / seconds if seconds > 0 else float("inf")
    return f"{each:.3g}" if each < 100 else f"{each:,.0f}"


def _share(seconds: float, found: Speed) -> str:
    return f"{seconds / found.real.total:.0%}" if found.real.total > 0 else "0%"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _measured(found: Speed) -> dict[str, float | str]:
    real = found.real
    told: dict[str, float | str] = {
        "steps": found.steps,
        "seconds_of_step": real.total,
        "seconds_waiting_for_data": real.data,
        "seconds_forward": real.forward,
        "seconds_backward": real.backward,
        "seconds_optimizer": real.optimizer,
        "seconds_of_step_on_one_batch": found.synthetic.compute,
        "share_waiting_for_data": found.waiting,
    }
    if real.total > 0:
        told["samples_per_second"] = found.samples / real.total
        if found.tokens:
            told["tokens_per_second"] = found.tokens / real.total
    if found.loading is not None:
        told["num_workers"] = found.loading.own
        told |= {f"seconds_of_batch_{n}_workers": each for n, each in found.loading.seconds.items()}
    return told


def _figures(found: Speed) -> tuple[ProbeFigure, ...]:
    names = ("waiting for data", "forward", "backward", "optimizer")
    curves = tuple(
        Curve(label, [float(i) for i in range(len(names))],
              [1000 * v for v in (one.data, one.forward, one.backward, one.optimizer)])
        for label, one in (("its own batches", found.real), ("one batch again and again", found.synthetic))
    )  # fmt: skip
    return (ProbeFigure("Time of a step", Drawn.BARS, curves, "ms", names=names),)


def _tables(found: Speed) -> tuple[ProbeTable, ...]:
    if found.loading is None or not found.loading.seconds:
        return ()
    rows = tuple((n, _seconds(each)) for n, each in found.loading.seconds.items())
    return (ProbeTable("Reading alone", ("workers", "time of a batch"), rows),)
