"""Where does the first number that is not finite come from?

What it does
------------
Walks over the batches without training on them, and looks in this order at inputs, labels, parameters, the
output of every module, the loss, and the gradients. The first that holds NaN or infinity is named: batch,
sample, module. The walk ends there, at the end of the data, or with the time.

Thresholds
----------
None: a number is finite or it is not. Masks that add minus infinity inside a module are no fault while its
output is finite.

References
----------
torch.autograd.set_detect_anomaly names the operation of a backward pass; this names data and module as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import DECISIVE, MODERATE
from loganalyze.errors import UsageError
from loganalyze.probe import batches
from loganalyze.probe.nan_verdict import conclude
from loganalyze.probe.probe import Probe
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    import torch
    from torch import nn

    from loganalyze.probe.bench import Bench

BACKWARD = 16  # batches whose gradients are looked at too; they cost twice the time


@dataclass(frozen=True, slots=True)
class Trace:
    """The first thing that is not finite.

    Attributes
    ----------
    kind
        ``"input"``, ``"label"``, ``"parameter"``, ``"activation"``, ``"loss"``, ``"gradient"``.
    where
        Name of the tensor or module.
    sample
        Number in its batch of the first sample concerned; None where that cannot be told.
    share
        Of the numbers in it that are not finite.
    """

    kind: str
    where: str
    sample: int | None = None
    share: float = 0.0
    nan: bool = True

    @property
    def number(self) -> str:
        """What stands there."""
        return "NaN" if self.nan else "infinity"


def run(bench: Bench) -> ProbeResult:
    """Walk until something is not finite."""
    from itertools import islice

    verdict = Verdict()
    bad = _parameters(bench)
    if bad is not None:
        text = (
            f"The parameter {bad.where} holds {bad.number} ({bad.share:.2%} of it) before any step."
        )
        verdict.finds(
            text,
            MODERATE,
            "resume-state-lost",
            "low-precision-instability",
            fix="Load an earlier checkpoint",
        )
        return verdict.result("", {"first": bad.kind, "where": bad.where})
    known = _length(bench.target.batches)
    bench.target.model.train()
    walked, is_whole = 0, False
    stream = bench.stream()
    while not bench.clock.is_over:
        held = list(islice(stream, 1))
        if not held:
            is_whole = True
            break
        batch = batches.moved(held[0], bench.device)
        found = _look(bench, batch, backward=walked < BACKWARD)
        if found is not None:
            return conclude(bench, found, walked, batch)
        walked += 1
        bench.report(walked, known or walked + 1)
    if not walked:
        raise UsageError("the target has no batch: its DataLoader or list is empty")
    return _in_order(verdict, walked, known, is_whole=is_whole)


def _in_order(verdict: Verdict, walked: int, known: int | None, *, is_whole: bool) -> ProbeResult:
    of = f" of {known:,}" if known and not is_whole else ""
    text = f"Everything is finite in {walked:,}{of} batches: inputs, labels, activations, loss, gradients."
    verdict.says(-DECISIVE if is_whole else -MODERATE, text, "nan-in-data")
    verdict.says(-MODERATE, text, "fp16-overflow")
    if not is_whole:
        verdict.notes.append("The time did not allow more batches; --max-seconds does.")
    return verdict.result(text, {"batches": walked, "all_batches": str(is_whole).lower()})


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except TypeError:
        return None


def _parameters(bench: Bench) -> Trace | None:
    model = bench.target.model
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if _is_bad(tensor) and not (name.endswith(("mask", "bias")) and not tensor.isnan().any()):
            return _trace("parameter", name, tensor)
    return None


def _look(bench: Bench, batch: Any, *, backward: bool) -> Trace | None:
    """Return the first thing in this batch, and in what the model makes of it, that is not finite."""
    import torch

    labels = batches.labels(batch)
    for name, tensor in batches.inputs(batch):
        # Masks that are added to attention scores hold minus infinity on purpose.
        if _is_bad(tensor) and not ("mask" in name and not tensor.isnan().any()):
            return _trace("input", name, tensor)
    if labels is not None and _is_bad(labels):
        return _trace("label", "labels", labels)
    outputs: list[Trace] = []
    with _watched(bench.target.model, outputs), torch.set_grad_enabled(backward):
        loss = bench.loss(batch)
    if outputs:
        return outputs[0]
    if _is_bad(loss):
        return _of_loss(bench, batch, loss)
    if backward and loss.requires_grad:
        bench.clear_gradients()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in bench.trainable():
            if parameter.grad is not None and _is_bad(parameter.grad):
                return _trace("gradient", name, parameter.grad)
    return None


@contextmanager
def _watched(model: nn.Module, found: list[Trace]) -> Iterator[None]:
    """Note each module whose output is the first that is not finite; modules end from the inside out."""
    handles, passed = [], ["the input"]

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if found:
                return
            told = f"{name} ({type(module).__name__})"
            bad = next((t for _, t in batches.tensors(output) if _is_bad(t)), None)
            if bad is None:
                passed[0] = told
                return
            # A module that got it as its input is not where it arose: the code around it is.
            given = any(_is_bad(t) for _, t in batches.tensors(inputs))
            where = f"the code between {passed[0]} and {told}" if given else told
            found.append(_trace("activation", where, bad))

        return hook

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(watch(name or "the model")))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of_loss(bench: Bench, batch: Any, loss: torch.Tensor) -> Trace:
    """Find the sample whose loss alone is not finite."""
    import torch

    bench.target.model.eval()
    with torch.no_grad():
        for index, sample in enumerate(batches.singles(batch, batches.size(batch))):
            try:
                own = bench.loss(sample)
            except Exception:  # noqa: BLE001 - a model may refuse a batch of one
                break
            if _is_bad(own):
                return Trace("loss", "the loss", index, 1.0, bool(own.isnan().any()))
    return Trace("loss", "the loss", None, 1.0, bool(loss.isnan().any()))


def _is_bad(tensor: torch.Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return False
    return not bool(tensor.detach().isfinite().all())


def _trace(kind: str, where: str, tensor: torch.Tensor) -> Trace:
    bad = ~tensor.detach().isfinite()
    sample = None
    if tensor.dim() > 0 and kind in {"input", "label", "activation"}:
        rows = bad.reshape(bad.shape[0], -1).any(-1) if bad.numel() else bad
        sample = int(rows.nonzero()[0]) if bool(rows.any()) else None
    return Trace(
        kind, where, sample, float(bad.float().mean()), bool(tensor.detach().isnan().any())
    )


PROBE = Probe("nan", "Where does the first number that is not finite come from?", run)
