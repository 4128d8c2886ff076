"""What the gradients of the layers say, in sentences and for the causes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.gradients import Flow, Layer

VANISHING = 1e-7  # mean of a gradient
BEHIND = 1e-5  # of the largest mean among the layers: what is lost on the way to the first
EXPLODING = 1e3  # largest value of a gradient
DEAD = 0.9  # share of zeros
THROWN, LARGE = 1.0, 0.1  # relative change by one step; usual is 1e-3
SHOWN = 60  # layers of a figure
SPREAD = 10.0  # x between the gradient norms of ordinary batches
CLIPPED = 10.0  # x the norm that is clipped to: then every step has the same length


def conclude(bench: Bench, flow: Flow) -> ProbeResult:
    """Word what was measured."""
    verdict = Verdict()
    trained = [layer for layer in flow.first if layer.state == "ok"]
    lost = [layer for layer in flow.first if layer.state == "disconnected"]
    if not flow.loss_has_gradient or not trained:
        _nothing(verdict, flow)
    else:
        _connection(verdict, flow, lost)
        _sizes(verdict, flow)
        _norms(verdict, bench, flow)
    return verdict.result(
        _in_order(flow, trained), _measured(flow, trained, lost), _figures(flow), (_table(flow),)
    )


def _in_order(flow: Flow, trained: Sequence[Layer]) -> str:
    frozen = sum(layer.count for layer in flow.first if layer.state == "frozen")
    total = sum(layer.count for layer in flow.first)
    share = f", {frozen / total:.1%} of the parameters are frozen" if frozen else ""
    adapter = (
        " (LoRA: as it should be)" if frozen and all("lora" in t.name for t in trained) else ""
    )
    norm = f"{flow.norms[0]:.3g}" if flow.norms else "0"
    return f"All {len(trained)} trained layers get a gradient, of norm {norm}{share}{adapter}."


def _nothing(verdict: Verdict, flow: Flow) -> None:
    frozen = all(layer.state == "frozen" for layer in flow.first)
    if not flow.first:
        verdict.finds("The model has no parameters.", STATED, "frozen-parameters")
    elif frozen:
        verdict.finds(
            "All parameters are frozen: none requires a gradient.",
            STATED,
            "frozen-parameters",
            fix="requires_grad False -> True, for what is to be trained",
        )
    else:
        verdict.finds(
            "No parameter gets a gradient: the loss is cut off from the model.",
            STATED,
            "frozen-parameters",
            fix="Look for detach(), .item(), .data, no_grad or argmax between model and loss",
        )


def _connection(verdict: Verdict, flow: Flow, lost: Sequence[Layer]) -> None:
    """Judge what gets no gradient though it requires one, and what the optimizer does not hold."""
    total = sum(layer.count for layer in flow.first if layer.state != "frozen")
    if lost:
        count = sum(layer.count for layer in lost)
        text = (
            f"{len(lost)} layers require a gradient and get none ({count / total:.0%} of what is trained): "
            f"{few([layer.name for layer in lost])}."
        )
        large = count > total / 2
        verdict.finds(
            text,
            STRONG if large else WEAK,
            "frozen-parameters",
            fix="Look for detach() or no_grad before these layers, or freeze what is not used",
        )
    held = {layer.name: layer.count for layer in flow.first}
    if flow.unheld:
        count = sum(held.get(name, 0) for name in flow.unheld)
        text = (
            f"{len(flow.unheld)} layers get a gradient and are not in the optimizer ({count / total:.0%} of "
            f"what is trained): {few(flow.unheld)}."
        )
        weight = STATED if count == total else DECISIVE if count > total / 2 else WEAK
        verdict.finds(
            text, weight, "frozen-parameters", fix="Make the optimizer after the model is final"
        )
    trained = total - sum(layer.count for layer in lost)
    everything = sum(layer.count for layer in flow.first)
    if not lost and not flow.unheld and trained > 0.01 * everything:
        text = f"{trained:,} of {everything:,} parameters get a gradient and are in the optimizer."
        verdict.says(-DECISIVE, text, "frozen-parameters")


def _sizes(verdict: Verdict, flow: Flow) -> None:
    """Judge the size of each layer's gradient; vanished and dead is what still is so after some steps."""
    weights = [a for a in flow.first if a.state == "ok" and not a.is_bias]
    after = {layer.name: layer for layer in flow.later}
    top = max((a.mean for a in weights), default=0.0)
    vanished = [
        a for a in weights
        if max(a.mean, after[a.name].mean) < VANISHING
        or (max(a.mean, after[a.name].mean) < BEHIND * top and not a.is_embedding)
    ]  # fmt: skip
    if vanished:
        least = min(vanished, key=lambda a: a.mean)
        text = (
            f"The gradient vanishes in {len(vanished)} of {len(weights)} layers: {least.mean:.2g} on average "
            f"in {least.name}, {top:.2g} where it is largest."
        )
        verdict.finds(
            text,
            DECISIVE,
            "vanishing-gradients",
            fix="Residual connections, normalisation, ReLU or GELU instead of sigmoid or tanh",
        )
    elif weights:
        least = min(weights, key=lambda a: max(a.mean, after[a.name].mean))
        text = (
            f"No gradient vanishes; the smallest is {least.mean:.2g} on average, in {least.name}."
        )
        verdict.says(-DECISIVE, text, "vanishing-gradients")
    dead = [
        a for a in weights
        if min(a.zeros, after[a.name].zeros) > DEAD and not a.is_embedding and a not in vanished
    ]  # fmt: skip
    if dead:
        named = few([a.name for a in dead])
        text = f"More than {DEAD:.0%} of the gradient is 0 in {len(dead)} layers: {named}."
        verdict.finds(
            text,
            MODERATE,
            "vanishing-gradients",
            fix="A lower learning rate or LeakyReLU/GELU, where units have died",
        )
    exploding = [a for a in weights if a.largest > EXPLODING]
    if exploding:
        worst = max(exploding, key=lambda a: a.largest)
        text = f"The gradient explodes in {len(exploding)} layers: up to {worst.largest:.3g} in {worst.name}."
        verdict.finds(text, STRONG, "no-grad-clipping", fix="max_grad_norm 1.0")
        verdict.says(MODERATE, text, "lr-too-high", "inputs-not-normalized", "loss-not-normalized")
    _updates(verdict, flow)


def _updates(verdict: Verdict, flow: Flow) -> None:
    moved = [a for a in flow.later if math.isfinite(a.update) and not a.is_bias]
    if not moved:
        return
    middle = sorted(a.update for a in moved)[len(moved) // 2]
    worst = max(moved, key=lambda a: a.update)
    if middle > THROWN:
        text = f"One step at {flow.rate:.3g} changes a typical layer by {middle:.2g} x its size."
        verdict.finds(
            text,
            STRONG,
            "lr-too-high",
            fix=f"learning_rate {flow.rate:.3g} -> {flow.rate * 1e-2 / middle:.2g}",
        )
    elif worst.update > LARGE:
        verdict.notes.append(
            f"One step changes {worst.name} by {worst.update:.2g} x its size, others by {middle:.2g} x."
        )


def _norms(verdict: Verdict, bench: Bench, flow: Flow) -> None:
    """Judge the norm over batches, and beside what it is clipped to."""
    finite = [norm for norm in flow.norms if math.isfinite(norm)]
    if not finite:
        return
    middle = sorted(finite)[len(finite) // 2]
    limit = bench.target.max_grad_norm or bench.number("max_grad_norm")
    if limit and middle > CLIPPED * limit:
        text = f"The gradient's norm is {middle:.3g}, {middle / limit:.3g} x the {limit:g} it is clipped to."
        verdict.notes.append(text)
        verdict.says(STRONG, text, "clip-threshold-too-low")
    elif limit:
        text = f"The gradient's norm is {middle:.3g}; it is clipped to {limit:g}."
        verdict.says(-STRONG, text, "clip-threshold-too-low")
    if len(finite) > 2 and max(finite) > SPREAD * middle:
        text = f"One batch has a gradient of norm {max(finite):.3g}, {max(finite) / middle:.3g} x the usual."
        verdict.notes.append(text)
        verdict.says(MODERATE, text, "outlier-batch", "no-grad-clipping")


def few(names: Sequence[str]) -> str:
    """Name the first few."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _measured(
    flow: Flow, trained: Sequence[Layer], lost: Sequence[Layer]
) -> dict[str, float | str]:
    weights = [a for a in trained if not a.is_bias] or list(trained)
    moved = sorted(a.update for a in flow.later if math.isfinite(a.update) and not a.is_bias)
    found: dict[str, float | str] = {
        "parameters": sum(layer.count for layer in flow.first),
        "trainable_parameters": sum(a.count for a in flow.first if a.state != "frozen"),
        "layers_trained": len(trained),
        "layers_frozen": sum(a.state == "frozen" for a in flow.first),
        "layers_without_gradient": len(lost),
        "layers_not_in_optimizer": len(flow.unheld),
        "learning_rate": flow.rate,
    }
    if flow.norms:
        found |= {"gradient_norm": flow.norms[0], "gradient_norm_highest": max(flow.norms)}
    if weights:
        found |= {
            "smallest_mean_gradient": min(a.mean for a in weights),
            "largest_gradient": max(a.largest for a in weights),
        }
    return found | ({"typical_update": moved[len(moved) // 2]} if moved else {})


def _figures(flow: Flow) -> tuple[ProbeFigure, ...]:
    """Draw the mean and the largest gradient of each layer, from the first to the last."""
    drawn = [a for a in flow.first if a.state == "ok" and not a.is_bias][:SHOWN]
    if not drawn:
        return ()
    places = [float(i) for i in range(len(drawn))]
    floor = 1e-12  # a logarithm has no 0
    curves = (
        Curve("mean", places, [max(a.mean, floor) for a in drawn]),
        Curve("largest", places, [max(a.largest, floor) for a in drawn]),
    )
    names = tuple(a.name for a in drawn)
    levels = {"vanishing 1e-7": VANISHING, "exploding 1e3": EXPLODING}
    return (
        ProbeFigure("Gradient of each layer", Drawn.BARS, curves, "layer", "gradient", log_y=True,
                    names=names, levels=levels),
    )  # fmt: skip


def _table(flow: Flow) -> ProbeTable:
    after = {layer.name: layer for layer in flow.later}
    rows = tuple(
        (a.name, a.count, a.state, a.mean, a.largest, a.std, a.zeros, after[a.name].update)
        for a in flow.first[:1000]
    )
    columns = ("layer", "parameters", "state", "mean", "largest", "std", "zeros", "update")
    return ProbeTable("Layers", columns, rows)
