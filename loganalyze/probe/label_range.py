"""Labels that no output of the model stands for: on a GPU they would end the process, so they are "
"found first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import STATED, STRONG
from loganalyze.probe import batches, call
from loganalyze.probe.guess import IGNORED, guess
from loganalyze.probe.verdict import Verdict

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probed import ProbeResult


def beyond(bench: Bench, batch: Any, classes: int | None) -> str | None:
    """Say which labels of a batch are no class, where there are `classes`; None where all are."""
    labels = batches.labels(batch)
    if labels is None or labels.is_floating_point() or not labels.numel() or not classes:
        return None
    ignored = getattr(bench.target.loss, "ignore_index", IGNORED)
    wrong = (labels != ignored) & ((labels < 0) | (labels >= classes))
    if not bool(wrong.any()):
        return None
    first = int(wrong.reshape(wrong.shape[0], -1).any(-1).nonzero()[0]) if wrong.dim() else 0
    value = int(labels[wrong].reshape(-1)[0])
    return (
        f"The label {value} of sample {first} is out of range: the model has {classes:,} outputs, so that "
        f"labels are 0 to {classes - 1:,}."
    )


def outputs(bench: Bench, batch: Any) -> int | None:
    """Return how many classes the model has, by its outputs for a batch without its labels."""
    import torch

    labels = batches.labels(batch)
    if labels is None or labels.is_floating_point():
        return None
    bare = batch
    if isinstance(batch, Mapping):
        bare = {key: value for key, value in batch.items() if value is not labels}
    try:
        with torch.no_grad():
            logits = call.logits(bench.forward(bare))
    except Exception:  # noqa: BLE001 - a model may need its labels
        return None
    known = guess(logits, labels, bench.target.loss, None)
    return known.classes if known is not None and known.axis is not None else None


def refused(bench: Bench) -> ProbeResult | None:
    """Return the result that takes the place of any check where labels are out of range; else None."""
    batch = bench.batches(1)[0]
    text = beyond(bench, batch, outputs(bench, batch))
    bench.rewind()
    if text is None:
        return None
    verdict = Verdict()
    verdict.finds(
        text,
        STATED,
        "label-out-of-range",
        fix="Map the labels to 0..C-1, or set num_labels to the number of classes",
    )
    verdict.says(STRONG, text, "num-labels-mismatch")
    return verdict.result("", {})
