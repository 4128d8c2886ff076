"""What a batch in each number format says, in sentences and for the causes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG
from loganalyze.probe.formats import FP16_MAX, Output, Pass
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.precision import Compared

OFF = 0.05  # relative difference of the loss that rounding of 8 bits no longer explains
TURNED = 0.9  # cosine with the gradient of fp32
NEAR = 0.1  # of the largest number of fp16: a value above it is near the end
LOST = 0.5  # share of the weights that a step does not move
VANISHED = 0.1  # share of the gradient that fp16 makes 0
SHOWN = 12  # modules in the table


def conclude(found: Compared) -> ProbeResult:
    """Word what was seen."""
    verdict = Verdict()
    if not found.full.is_finite:
        _not_precision(verdict, found.full)
    else:
        for name, one in found.passes.items():
            if name != "fp32":
                _judge(verdict, found, one, is_own=name == found.own)
        if found.own == "fp32":
            text = "The training runs in fp32, and the batch is finite in it."
            verdict.says(-DECISIVE, text, "fp16-overflow", "low-precision-instability")
    _moves(verdict, found)
    in_order = f"The training's format, {found.own}, holds what the model computes."
    if found.own != "fp32" and found.full.is_finite:
        off = difference(found.full, found.passes[found.own])
        in_order = " ".join((in_order, f"The loss differs by {off:.2g} of it from fp32."))
    return verdict.result(in_order, _measured(found), _figures(found), _tables(found))


def _not_precision(verdict: Verdict, full: Pass) -> None:
    bad = full.first_bad
    if full.refused:
        verdict.problems.append(f"The batch does not run in fp32: {full.refused}.")
        return
    where = f"; it begins in {bad.module}" if bad is not None else ""
    text = f"Loss or gradient is not finite in fp32 either{where}: it is not the number format."
    verdict.finds(
        text, -DECISIVE, "fp16-overflow", fix="Find where it begins: loganalyze probe nan"
    )
    verdict.says(-STRONG, text, "low-precision-instability")


def _judge(verdict: Verdict, found: Compared, one: Pass, *, is_own: bool) -> None:
    """Judge one of the short formats; where it is not the training's own, only tell."""
    cause = "fp16-overflow" if one.format == "fp16" else "low-precision-instability"
    if one.refused:
        verdict.notes.append(f"Not measured in {one.format}: {one.refused}.")
        return
    text = _broken(found, one)
    if text and is_own:
        verdict.finds(text, STATED, cause, fix=_fix(found, one))
    elif text:
        verdict.notes.append(text)
    elif is_own:
        _rounding(verdict, found, one)
    if is_own and not text and one.format == "fp16":
        _range(verdict, found)


def _broken(found: Compared, one: Pass) -> str:
    """Say where a format breaks; empty where it does not."""
    bad = _first_new(found.full, one)
    if bad is not None:
        said = [f"In {one.format} the output of {bad.module} is the first that is not finite."]
        at = next((o for o in found.full.outputs if o.module == bad.module), None)
        if at is not None:
            said.append(f"In fp32 its values go up to {at.largest:.4g}.")
        if one.format == "fp16":
            said.append(f"The limit of fp16 is {FP16_MAX:,.0f}.")
        return " ".join(said)
    if not math.isfinite(one.loss):
        return f"In {one.format} every module's output is finite, and the loss is not."
    if one.scale == 0:
        return f"In {one.format} the gradient is not finite at any loss scale down to 1."
    return ""


def _first_new(full: Pass, one: Pass) -> Output | None:
    """Return the first module that is finite in fp32 and not in the other format."""
    fine = {o.module for o in full.outputs if o.finite}
    return next((o for o in one.outputs if not o.finite and o.module in fine), None)


def _fix(found: Compared, one: Pass) -> str:
    if one.format == "fp16" and found.passes["bf16"].is_finite:
        return "precision fp16 -> bf16, in which the same batch is finite"
    bad = _first_new(found.full, one)
    return f"Keep {bad.module if bad else 'the loss'} in fp32 (autocast off around it)"


def _rounding(verdict: Verdict, found: Compared, one: Pass) -> None:
    """Compare loss and gradient of the training's format with those of fp32."""
    off, cosine = difference(found.full, one), cosine_of(found.full, one)
    text = f"In {one.format} the loss differs by {off:.2g} of it from fp32."
    if cosine is not None:
        text = " ".join((text, f"The gradient's cosine with that of fp32 is {cosine:.4f}."))
    if off > OFF or (cosine is not None and cosine < TURNED):
        verdict.finds(text, STRONG, "low-precision-instability",
                      fix="Keep norms, softmax and the loss in fp32")  # fmt: skip
    else:
        verdict.says(-STRONG, text, "low-precision-instability")


def _range(verdict: Verdict, found: Compared) -> None:
    """Say how near the training's fp16 comes to its ends."""
    highest = max(found.full.outputs, key=lambda o: o.largest, default=None)
    vanished = zeros(found.full, found.passes["fp16"])
    if highest is not None:
        text = (
            f"The largest output, {highest.largest:.4g} of {highest.module}, is "
            f"{highest.largest / FP16_MAX:.2g} of fp16's limit."
        )
        near = highest.largest > NEAR * FP16_MAX
        verdict.says(MODERATE if near else -STRONG, text, "fp16-overflow")
        if near:
            verdict.notes.append(text)
    if vanished > VANISHED:
        text = (
            f"At a loss scale of {found.passes['fp16'].scale:g}, {vanished:.0%} of the gradient becomes 0 in "
            "fp16."
        )
        verdict.notes.append(text)
        verdict.says(MODERATE, text, "low-precision-instability")


def _moves(verdict: Verdict, found: Compared) -> None:
    if found.unmoved is None:
        return
    text = (
        f"A step at the training's learning rate leaves {found.unmoved:.0%} of the half-precision weights "
        "that have a gradient as they were: the update is smaller than their last bit."
    )
    if found.unmoved > LOST:
        verdict.finds(text, DECISIVE, "low-precision-instability",
                      fix="Keep the weights in fp32 and compute under autocast")  # fmt: skip
        verdict.says(MODERATE, text, "lr-too-low")
    else:
        verdict.notes.append(text)


def difference(full: Pass, one: Pass) -> float:
    """Return the difference of the losses, relative to that of fp32."""
    return abs(one.loss - full.loss) / max(abs(full.loss), 1e-6)


def cosine_of(full: Pass, one: Pass) -> float | None:
    """Return the cosine of the gradients; None where one is missing or 0."""
    if full.gradient is None or one.gradient is None:
        return None
    norms = float(full.gradient.norm() * one.gradient.norm())
    return float(full.gradient @ one.gradient) / norms if norms > 0 else None


def zeros(full: Pass, one: Pass) -> float:
    """Return the share of the gradient that is 0 in a format and not in fp32."""
    if full.gradient is None or one.gradient is None:
        return 0.0
    there = full.gradient != 0
    return float(((one.gradient == 0) & there).sum()) / max(int(there.sum()), 1)


def _measured(found: Compared) -> dict[str, float | str]:
    told: dict[str, float | str | None] = {"format": found.own}
    for name, one in found.passes.items():
        told[f"loss_{name}"] = None if one.refused else one.loss
        bad = one.first_bad
        told[f"first_not_finite_{name}"] = bad.module if bad is not None else None
        if name != "fp32" and not one.refused and found.full.is_finite:
            told[f"loss_difference_{name}"] = difference(found.full, one)
            told[f"gradient_cosine_{name}"] = cosine_of(found.full, one) if one.is_finite else None
    told["loss_scale_fp16"] = found.passes["fp16"].scale
    told["largest_output_fp32"] = max((o.largest for o in found.full.outputs), default=None)
    told["share_above_fp16"] = max((o.over for o in found.full.outputs), default=None)
    told["share_below_fp16"] = max((o.under for o in found.full.outputs), default=None)
    told["share_of_weights_unmoved"] = found.unmoved
    return {name: value for name, value in told.items() if value is not None}


def _largest(found: Compared) -> list[Output]:
    return sorted(found.full.outputs, key=lambda o: -o.largest)[:SHOWN]


def _figures(found: Compared) -> tuple[ProbeFigure, ...]:
    shown = [o for o in _largest(found) if 0 < o.largest < math.inf]
    if not shown:
        return ()
    bars = Curve(
        "largest output", [float(i) for i in range(len(shown))], [o.largest for o in shown]
    )
    return (
        ProbeFigure(
            "Largest outputs, in fp32", Drawn.BARS, (bars,), "largest absolute value", log_x=True,
            names=tuple(o.module for o in shown), levels={"limit of fp16": FP16_MAX},
        ),
    )  # fmt: skip


def _tables(found: Compared) -> tuple[ProbeTable, ...]:
    rows = tuple((o.module, o.largest, f"{o.over:.2%}", f"{o.under:.2%}") for o in _largest(found))
    columns = ("module", "largest output", "above fp16", "below fp16")
    return (ProbeTable("Outputs in fp32 that fp16 has to hold", columns, rows),) if rows else ()
