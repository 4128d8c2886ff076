"""What the largest batch says of the training's own, in sentences and for the causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG
from loganalyze.probe.room import readable
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.batch import Search
    from loganalyze.probe.bench import Bench

SPARE = 0.1  # share of the memory that is kept free


def conclude(bench: Bench, search: Search) -> ProbeResult:
    """Word what the search came to."""
    verdict = Verdict()
    told = bench.number("gradient_accumulation_steps")
    parts = max(bench.target.accumulation, int(told or 1))
    if search.own in search.fits:
        in_order = _fits(bench, verdict, search, parts)
    elif search.full is not None:
        in_order = _does_not_fit(verdict, search, parts)
    else:
        in_order = f"A batch of {search.own} was not tried: {search.reason}."
    if search.full is None and search.reason and search.own in search.fits:
        verdict.notes.append(
            f"The largest size is not known: beyond {search.largest}, {search.reason}."
        )
    if bench.device.type == "cpu":
        verdict.notes.append(
            "These are figures of a CPU: bytes of tensors that were seen, not the memory of an accelerator."
        )
    return verdict.result(in_order, _measured(search, parts), _figures(search))


def _fits(bench: Bench, verdict: Verdict, search: Search, parts: int) -> str:
    used, largest = search.fits[search.own], search.largest
    said = [f"A batch of {search.own} of the longest samples takes {readable(used)}, and fits."]
    if largest == search.own:
        said.append("It is the largest that fits.")
    elif search.full is not None:
        said.append(f"The largest that fits is {largest}.")
    else:
        said.append(f"One of {largest} fits, too.")
    left = 1 - used / search.room if bench.device.type == "cuda" and search.room else None
    if left is not None:
        said.append(f"At {search.own} samples {left:.0%} of the memory is left over.")
    text = " ".join(said)
    if left is not None:
        if left < SPARE:
            verdict.notes.append(
                "That is little: one longer batch, or a piece that fits nowhere, is enough."
            )
        verdict.says(
            -STRONG if left >= SPARE else MODERATE, text, "batch-too-large", "sequence-too-long"
        )
    roomy = safe_size(search)
    if parts > 1 and roomy >= 2 * search.own:
        size, count = split(search.own * parts, roomy)
        verdict.notes.append(
            f"The effective batch of {search.own * parts} is also {size} x {count} accumulation steps "
            f"instead of {search.own} x {parts}: fewer, larger steps."
        )
    return text


def _does_not_fit(verdict: Verdict, search: Search, parts: int) -> str:
    effective, largest = search.own * parts, search.largest
    if not largest:
        text = "Not even one of the longest samples fits."
        verdict.finds(text, STRONG, "sequence-too-long",
                      fix="Shorter inputs, gradient checkpointing, or a smaller model")  # fmt: skip
        verdict.says(-MODERATE, text, "batch-too-large")
        return text
    text = f"A batch of {search.own} of the longest samples does not fit; the largest that fits is {largest}."
    size, count = split(effective, safe_size(search))
    verdict.finds(
        text, DECISIVE, "batch-too-large",
        fix=f"batch size {search.own} -> {size}, gradient accumulation {parts} -> {count} "
        f"(the effective batch: {effective} -> {size * count})",
    )  # fmt: skip
    if search.own_batch_fits:
        again = (
            f"A batch of {search.own} of shorter samples does fit: it is the length that decides."
        )
        verdict.problems.append(again)
        verdict.says(STRONG, again, "sequence-too-long")
        verdict.fix.append("Or cut the longest samples, or sort samples by length")
    return text


def safe_size(search: Search) -> int:
    """Return the largest size that leaves a tenth of the memory free."""
    return max(1, int((1 - SPARE) * search.largest)) if search.full is not None else search.largest


def split(effective: int, most: int) -> tuple[int, int]:
    """Return micro-batch and accumulation steps whose product is the effective batch, or next above it."""
    most = max(1, min(most, effective))
    exact = next(size for size in range(most, 0, -1) if effective % size == 0)
    if exact >= most / 2:
        return exact, effective // exact
    count = -(-effective // most)
    return -(-effective // count), count


def _measured(search: Search, parts: int) -> dict[str, float | str]:
    found: dict[str, float | str | None] = {
        "batch_size": search.own,
        "effective_batch_size": search.own * parts,
        "largest_that_fits": search.largest,
        "smallest_that_does_not": search.full,
        "bytes_available": search.room,
        "bytes_at_own_size": search.fits.get(search.own),
        "bytes_at_largest": search.fits.get(search.largest),
        "sizes_tried": len(search.fits) + (search.full is not None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _figures(search: Search) -> tuple[ProbeFigure, ...]:
    sizes = sorted(search.fits)
    if len(sizes) < 2:
        return ()
    curve = Curve("at most", [float(s) for s in sizes], [search.fits[s] / 2**20 for s in sizes])
    places = {"own": float(search.own)}
    if search.full is not None:
        places["does not fit"] = float(search.full)
    return (
        ProbeFigure(
            "Memory of one step", Drawn.LINE, (curve,), "samples", "MiB", log_x=True, log_y=True,
            places=places,
        ),
    )  # fmt: skip
