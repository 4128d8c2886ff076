"""What the first number that is not finite says, in sentences and for the causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG
from loganalyze.probe import batches
from loganalyze.probe.guess import IGNORED
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.nan import Trace


def conclude(bench: Bench, found: Trace, number: int, batch: Any) -> ProbeResult:
    """Word what was found in the batch with this number."""
    verdict = Verdict()
    place = f"batch {number}" + (f", sample {found.sample}" if found.sample is not None else "")
    words = {
        "input": _data, "label": _data, "activation": _activation, "loss": _loss,
        "gradient": _gradient,
    }  # fmt: skip
    words[found.kind](bench, verdict, found, place, batch)
    measured: dict[str, float | str] = {
        "first": found.kind, "where": found.where, "batch": number, "share": found.share,
        "content": batches.describe(batch),
    }  # fmt: skip
    return verdict.result("", measured | ({} if found.sample is None else {"sample": found.sample}))


def _data(bench: Bench, verdict: Verdict, found: Trace, place: str, batch: Any) -> None:
    of = f"the input {found.where}" if found.kind == "input" else "the labels"
    text = f"{found.number} in {of} of {place} ({found.share:.2%} of it; both count from 0)."
    fix = "Drop or mend that sample; check each with torch.isfinite before collation"
    verdict.finds(text, STATED, "nan-in-data", fix=fix)
    verdict.says(-STRONG, text, "lr-too-high", "fp16-overflow")


def _activation(bench: Bench, verdict: Verdict, found: Trace, place: str, batch: Any) -> None:
    text = (
        f"The first {found.number} comes out of {found.where}, in {place} (both count from 0); inputs and "
        "parameters are finite."
    )
    if is_half(bench):
        verdict.finds(
            text, DECISIVE, "fp16-overflow", fix="fp16 -> bf16, or float32 for this module"
        )
    else:
        fix = f"Look at what {found.where} divides by, or takes the logarithm or root of"
        causes = ("low-precision-instability", "inputs-not-normalized")
        verdict.finds(text, MODERATE, *causes, fix=fix)
    verdict.says(-STRONG, text, "nan-in-data")


def _loss(bench: Bench, verdict: Verdict, found: Trace, place: str, batch: Any) -> None:
    if found.sample is not None and _is_ignored(batch, found.sample):
        text = f"No label of {place} counts (all are -100), and its loss is {found.number}: 0 / 0."
        verdict.finds(
            text, STATED, "labels-all-masked", fix="Drop rows without a label that counts"
        )
        return
    text = f"The loss of {place} is {found.number} (both count from 0); all activations are finite."
    if not found.nan and is_half(bench):
        verdict.finds(text, STRONG, "fp16-overflow", fix="fp16 -> bf16")
        return
    fix = "The loss divides by 0, or takes log(0): add an epsilon"
    verdict.finds(text, STRONG, "wrong-loss-function", fix=fix)


def _is_ignored(batch: Any, sample: int) -> bool:
    labels = batches.labels(batch)
    if labels is None or labels.is_floating_point() or not labels.dim() or len(labels) <= sample:
        return False
    return bool((labels[sample] == IGNORED).all())


def _gradient(bench: Bench, verdict: Verdict, found: Trace, place: str, batch: Any) -> None:
    text = f"The gradient of {found.where} is {found.number} in {place}, and the loss is finite."
    fix = "A root or norm of 0, or a where() over NaN, has such a gradient: add an epsilon"
    verdict.finds(text, STRONG, "low-precision-instability", fix=fix)
    verdict.says(STRONG if is_half(bench) else -MODERATE, text, "fp16-overflow")


def is_half(bench: Bench) -> bool:
    """Tell whether anything is calculated in fp16."""
    import torch

    halves = any(p.dtype == torch.float16 for p in bench.target.model.parameters())
    return halves or bench.target.precision == "fp16"
