"""What the memory of a step says, in sentences and for the causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG
from loganalyze.probe.gpus import GPUS, needed, smallest
from loganalyze.probe.leak import WARM
from loganalyze.probe.room import available, readable
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.memory import Weighed

SMALL = 64  # bytes a step; less is a counter
FRAGMENTS = 0.25  # share of the reserved memory that no tensor uses at its peak


def does_not_fit(size: int) -> ProbeResult:
    """Return the result where the step ran out of memory."""
    verdict = Verdict()
    text = f"A step on a batch of {size} of the longest samples does not fit into the memory."
    verdict.finds(text, DECISIVE, "batch-too-large", fix="See what fits: loganalyze probe batch")
    return verdict.result("", {"batch_size": size})


def conclude(bench: Bench, found: Weighed) -> ProbeResult:
    """Word what was measured."""
    verdict = Verdict()
    _leak(verdict, found)
    _fragments(verdict, found)
    _fit(bench, verdict, found)
    return verdict.result(
        _in_order(found), _measured(found), _figures(found), (_savings(found), _gpus(found))
    )


def _in_order(found: Weighed) -> str:
    now = found.changes[0]
    gpu = smallest(found.peak)
    fits = f"The smallest GPU for that is {gpu}." if gpu else "It is too much for any single GPU."
    parts = (
        f"A step on {found.size} samples takes {readable(found.peak)} at most: weights "
        f"{readable(now.weights)}, gradients {readable(now.gradients)}, optimizer {readable(now.state)}, "
        f"and {readable(now.activations)} of activations."
    )
    return " ".join((parts, fits))


def _leak(verdict: Verdict, found: Weighed) -> None:
    left = found.kept
    steps = len(left.growth)
    if left.each < SMALL:
        text = f"After each of {steps} steps as much memory is in use as before it."
        if left.each:
            text = f"Each of {steps} steps leaves {left.each} bytes behind: a counter, no leak."
        verdict.says(-MODERATE, text, "memory-leak-retained-graph")
        verdict.notes.append(f"{text} What the training loop itself keeps is not seen here.")
        return
    grows = f"Each step leaves {readable(left.each)} behind, {readable(1000 * left.each)} in 1,000 steps"
    if left.graphs >= steps:
        verdict.finds(
            f"{grows}, with its graph: the model or the loss keeps tensors that are not detached.",
            DECISIVE, "memory-leak-retained-graph",
            fix="Keep tensor.detach() (of a number: .item()), and empty the list each epoch",
        )  # fmt: skip
    else:
        verdict.finds(
            f"{grows}, without a graph: the model or the loss keeps tensors of every step.",
            STRONG, "memory-leak-retained-graph",
            fix="Empty what is kept, or keep a running mean of it",
        )  # fmt: skip


def _fragments(verdict: Verdict, found: Weighed) -> None:
    """On an accelerator: compare what the allocator holds with what tensors use."""
    full = found.full
    if full is None or full.allocated is None or not full.reserved:
        return
    share = 1 - full.allocated / full.reserved
    text = f"Of {readable(full.reserved)} that are reserved, {share:.0%} is used by no tensor at the peak."
    if share > FRAGMENTS and full.reserved > 2**30:
        verdict.notes.append(text)
        verdict.says(MODERATE, text, "memory-fragmentation")
    else:
        verdict.says(-MODERATE, text, "memory-fragmentation")


def _fit(bench: Bench, verdict: Verdict, found: Weighed) -> None:
    if found.full is None:
        verdict.notes.append(
            f"Measured on {found.small.samples} samples and drawn out to {found.size}: the whole batch would "
            f"take more than half of the {readable(available(bench.device) or 0)} that are free here."
        )
    elif bench.device.type != "cuda":
        verdict.notes.append(
            "Measured on a CPU, by the tensors that were seen: a GPU needs what its kernels need on top."
        )
    now = found.changes[0]
    for part, size in (("weights", now.weights), ("optimizer state", now.state),
                       ("activations", now.activations)):  # fmt: skip
        if size > 0.5 * now.total:
            verdict.notes.append(f"Most of it, {size / now.total:.0%}, is {part}.")


def _savings(found: Weighed) -> ProbeTable:
    columns = ("change", "weights", "gradients", "optimizer", "activations", "sum")
    rows = tuple(
        (c.name, *(readable(v) for v in (c.weights, c.gradients, c.state, c.activations, c.total)))
        for c in found.changes
    )
    return ProbeTable("What would change the memory (closed form)", columns, rows)


def _gpus(found: Weighed) -> ProbeTable:
    want = needed(found.peak)
    rows = tuple(
        (name, f"{memory:g} GiB", "yes" if memory >= want else "no", f"{want / memory:.0%}")
        for name, memory in GPUS
    )
    return ProbeTable("Which GPU it fits on", ("GPU", "memory", "fits", "of its memory"), rows)


def _measured(found: Weighed) -> dict[str, float | str]:
    now, full = found.changes[0], found.full
    told: dict[str, float | str | None] = {
        "batch_size": found.size,
        "bytes_weights": now.weights,
        "bytes_gradients": now.gradients,
        "bytes_optimizer": now.state,
        "bytes_activations": now.activations,
        "bytes_estimated": now.total,
        "bytes_peak": found.peak,
        "bytes_peak_is": "drawn out" if full is None else
        "of the tensors seen" if full.allocated is None else "of the allocator",
        "bytes_reserved": full.reserved if full is not None else None,
        "bytes_left_by_each_step": found.kept.each,
        "graphs_left": max(found.kept.graphs, 0),
        "smallest_gpu": smallest(found.peak),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _figures(found: Weighed) -> tuple[ProbeFigure, ...]:
    now = found.changes[0]
    names = ("weights", "gradients", "optimizer", "activations", "peak")
    sizes = [now.weights, now.gradients, now.state, now.activations, found.peak]
    bars = Curve("MiB", [float(i) for i in range(len(names))], [s / 2**20 for s in sizes])
    after = found.kept.sizes
    line = Curve(
        "after each step", [float(i + 1) for i in range(len(after))], [s / 2**20 for s in after]
    )
    return (
        ProbeFigure("What holds the memory", Drawn.BARS, (bars,), "MiB", names=names),
        ProbeFigure(
            "Memory in use after each step", Drawn.LINE, (line,), "step", "MiB",
            places={"warm-up over": float(WARM)},
        ),
    )  # fmt: skip
