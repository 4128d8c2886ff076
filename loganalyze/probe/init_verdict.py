"""What the measurements on the untouched model say, in sentences and for the causes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK
from loganalyze.probe import consistency
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeFigure, ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.init import Start

HIGH, HIGH_OF_MANY, MANY = 1.8, 1.3, 3.0  # x log(C); the latter where log(C) is at least MANY
BELOW = 0.5  # x log(C): an untouched model that is that good was trained before
WIDE_STD, WIDE = 10.0, 50.0  # of logits: usual are 1 to 10, and within +-50
EXPLAINED = (
    0.25  # relative: the loss is what these logits cost; smoothing and class weights move it
)
MULTIPLE = 0.1  # relative distance to k at which a ratio is k
COSTLY = 0.4  # of a guess: a perfect prediction costs less with any label smoothing up to 0.2
OFF = 0.05  # relative: averages of averages that are farther apart are worth a note
TURNED = 0.99  # cosine below which two gradients point elsewhere


def conclude(bench: Bench, start: Start, figures: tuple[ProbeFigure, ...]) -> ProbeResult:
    """Word what was measured."""
    verdict = Verdict()
    is_summed = _sums(bench, start, verdict)
    _padding(bench, start, verdict)
    _level(bench, start, verdict, is_summed=is_summed)
    _answers(start, verdict)
    _inputs(start, verdict)
    verdict.notes.extend(start.notes)
    return verdict.result(_in_order(start), _measured(start), figures)


def _in_order(start: Start) -> str:
    if start.known is None:
        return f"The loss starts at {start.loss:.4g}; there is no log(C) to compare it with."
    ratio = start.loss / start.known.loss
    return f"The loss starts at {start.loss:.4g}, {ratio:.2f} x {start.known.formula}."


def is_high(start: Start) -> bool:
    """Tell whether the loss starts well above a guess."""
    if start.known is None:
        return False
    limit = HIGH_OF_MANY if start.known.loss >= MANY else HIGH
    return not start.loss <= limit * start.known.loss


def _level(bench: Bench, start: Start, verdict: Verdict, *, is_summed: bool) -> None:
    """Judge the loss beside log(C), and what the logits explain of it."""
    if not math.isfinite(start.loss):
        verdict.problems.insert(
            0, "The loss of the untouched model is not finite; see the check nan."
        )
        return
    known, wide = start.known, start.spread
    if known is None:
        return
    if known.axis is not None and start.label_range and start.label_range[1] >= known.classes:
        text = f"The labels go up to {start.label_range[1]:.0f}, the model has {known.classes:,} outputs."
        verdict.problems.append(text)
        verdict.says(DECISIVE, text, "label-out-of-range", "num-labels-mismatch")
    ratio = f"{start.loss / known.loss:.1f} x {known.formula}"
    if start.loss < 0:
        text = f"The loss starts at {start.loss:.4g}: a cross-entropy is never below 0; its sign is wrong."
        verdict.problems.insert(0, text)
        verdict.says(DECISIVE, text, "wrong-loss-function")
        return
    if not is_high(start):
        text = (
            f"The loss starts at {start.loss:.4g}, {start.loss / known.loss:.2f} x {known.formula}."
        )
        verdict.says(-DECISIVE, text, "head-init-scale")
        verdict.says(-MODERATE, text, "num-labels-mismatch", "tokenizer-mismatch")
        if not is_summed:
            verdict.says(-STRONG, text, "loss-not-normalized")
        if start.loss < BELOW * known.loss:
            verdict.notes.append(
                f"The loss starts far below {known.formula}: the model was trained before, or sees "
                "the labels."
            )
        return
    by_book = min(start.plain, key=lambda p: abs(p - (start.first_loss or 0.0)), default=None)
    if by_book is None and wide is not None:
        by_book = wide.unrelated
    if wide is not None and _is_near(start.first_loss, by_book):
        text = (
            f"The head is too wide: the loss starts at {start.loss:.4g}, {ratio}, and the logits explain it: "
            f"their standard deviation is {wide.std:.3g}, the farthest is {wide.largest:.3g} from its mean."
        )
        verdict.problems.append(text)
        verdict.fix.append(
            "Scale the last layer's initial weights down, until the logits' standard deviation is about 1"
        )
        verdict.says(DECISIVE, text, "head-init-scale")
        verdict.says(-DECISIVE, text, "loss-not-normalized")
        verdict.says(
            -MODERATE, text, "num-labels-mismatch", "tokenizer-mismatch", "pad-or-mask-bug"
        )
        return
    explained = f" (by the book they cost {by_book:.4g})" if by_book is not None else ""
    text = (
        f"The loss starts too high, at {start.loss:.4g}, {ratio}, and the logits do not explain "
        f"it{explained}."
    )
    verdict.problems.append(text)
    verdict.says(-STRONG, text, "head-init-scale")
    if is_summed:
        return
    verdict.says(
        MODERATE, text, "wrong-loss-function", "loss-not-normalized", "num-labels-mismatch"
    )


def _is_near(loss: float | None, by_book: float | None) -> bool:
    return loss is not None and by_book is not None and abs(loss - by_book) <= EXPLAINED * by_book


def _sums(bench: Bench, start: Start, verdict: Verdict) -> bool:
    """Judge whether the loss is summed: over the samples of a batch, or over micro-batches."""
    both, parts = start.alone, start.accumulated
    summed = False
    if both is not None and not both.refused and both.mean and len(both.each) > 1:
        ratio = both.together / both.mean
        if abs(ratio - len(both.each)) <= MULTIPLE * len(both.each):
            text = (
                f"The loss is summed over the samples: {len(both.each)} of them cost {both.together:.4g}, "
                f"one costs {both.mean:.4g} on average."
            )
            summed = True
            verdict.problems.append(text)
            verdict.says(STATED, text, "loss-not-normalized")
            verdict.fix.append('reduction "sum" -> "mean", or divide by the number of samples')
    if (
        parts is not None
        and parts.own
        and abs(parts.norm_ratio - parts.count) <= MULTIPLE * parts.count
    ):
        text = (
            f"The gradient of {parts.count} micro-batches is {parts.norm_ratio:.3g} x that of the same "
            "samples in one batch: it is summed over them."
        )
        summed = True
        verdict.problems.append(text)
        verdict.says(STATED, text, "loss-not-normalized")
        verdict.fix.append(
            f"Divide the loss by the {parts.count} accumulation steps before backward"
        )
    elif parts is not None and not summed:
        _accumulation(bench, start, verdict)
    return summed


def _accumulation(bench: Bench, start: Start, verdict: Verdict) -> None:
    parts = start.accumulated
    assert parts is not None  # noqa: S101 - narrows the type, cannot fail
    best = min((parts.norm_ratio, parts.weighted_ratio or math.inf), key=lambda r: abs(r - 1))
    close = max(consistency.tolerance(bench), 0.01)
    if abs(best - 1) <= close and parts.cosine >= TURNED:
        text = (
            f"The gradient of {parts.count} micro-batches is that of one large batch (ratio {best:.4g}, "
            f"cosine {parts.cosine:.4f})."
        )
        verdict.says(-STRONG if parts.own else -MODERATE, text, "loss-not-normalized")
        if parts.weighted_ratio is not None and abs(parts.norm_ratio - 1) > OFF:
            verdict.notes.append(
                f"Micro-batches with different numbers of labels, averaged as if equal, make the gradient "
                f"{parts.norm_ratio:.3g} x as large: divide by the labels of all of them."
            )
        return
    text = (
        f"The gradient of {parts.count} micro-batches is not that of one large batch: {parts.norm_ratio:.3g} "
        f"x its norm, cosine {parts.cosine:.3f}."
    )
    if parts.own:
        verdict.problems.append(text)
        verdict.says(STRONG, text, "loss-not-normalized")
    else:
        verdict.notes.append(text)


def _padding(bench: Bench, start: Start, verdict: Verdict) -> None:
    """Judge whether the neighbours of a sample, or its padding, change its prediction."""
    both = start.alone
    if both is None:
        return
    if both.refused:
        text = f"The model takes one sample, but no batch of {len(both.each)}: {both.refused}"
        verdict.problems.append(text if text.endswith(".") else f"{text}.")
        verdict.says(STATED, verdict.problems[-1], "pad-or-mask-bug")
        verdict.fix.append(
            "model.config.pad_token_id = tokenizer.pad_token_id, a token that texts do not hold"
        )
        return
    close = max(consistency.tolerance(bench), 1e-3)
    if both.padding_differs > close:
        pairs = zip(both.each, both.bare, strict=True)
        worst = max(pairs, key=lambda p: consistency.relative(*p))
        text = (
            f"Padding changes the loss: a sample costs {worst[0]:.4g} with its padding and {worst[1]:.4g} "
            "without it."
        )
        verdict.problems.append(text)
        verdict.says(DECISIVE, text, "pad-or-mask-bug")
        verdict.says(STRONG, text, "tokenizer-mismatch")
        verdict.fix.append(
            "Give the model the attention mask, and pool at the last token that is no padding"
        )
    elif both.predictions_differ is not None and both.predictions_differ > max(10 * close, 1e-2):
        text = (
            f"A sample's logits change by {both.predictions_differ:.2g} x their spread with the other "
            "samples of its batch."
        )
        verdict.problems.append(text)
        verdict.says(STRONG, text, "pad-or-mask-bug")
    elif both.bare:
        text = f"Padding changes no loss (at most by {both.padding_differs:.1g} of it)."
        verdict.says(-DECISIVE, text, "pad-or-mask-bug")
    elif both.predictions_differ is not None:
        text = "A sample's logits are the same alone and in a batch; no sample is padded."
        verdict.says(-WEAK, text, "pad-or-mask-bug")


def _answers(start: Start, verdict: Verdict) -> None:
    """Judge the loss of a perfect prediction."""
    asked = start.perfect
    if asked is None or not math.isfinite(asked.right) or not asked.even > 0:
        return
    if asked.right >= asked.even or asked.wrong < asked.right:
        text = (
            f"The loss prefers wrong answers: {asked.right:.4g} for a perfect prediction, {asked.even:.4g} "
            f"for none, {asked.wrong:.4g} for the opposite."
        )
    elif asked.share > COSTLY:
        text = (
            f"A perfect prediction still costs {asked.right:.4g}, {asked.share:.0%} of what none costs: the "
            "loss does not take what the model gives (softmax twice, shapes that do not match)."
        )
    else:
        text = f"A perfect prediction costs {asked.right:.3g}, none {asked.even:.4g}."
        verdict.says(-MODERATE, text, "wrong-loss-function")
        return
    verdict.problems.insert(0, text)
    verdict.says(DECISIVE, text, "wrong-loss-function")
    verdict.fix.append("Give the loss raw logits, and labels of the shape that it documents")


def _inputs(start: Start, verdict: Verdict) -> None:
    """Judge whether the outputs depend on the inputs."""
    if start.null_change is None:
        return
    if start.null_change == 0:
        verdict.problems.append(
            "The outputs do not depend on the inputs: with all inputs the same they are the same, "
            "bit for bit."
        )
        verdict.says(STRONG, verdict.problems[-1], "vanishing-gradients", "inputs-not-normalized")


def _measured(start: Start) -> dict[str, float | str]:
    found: dict[str, float | str | None] = {
        "loss": start.loss,
        "loss_lowest": min(start.losses),
        "loss_highest": max(start.losses),
        "batches": len(start.losses),
        "classes": start.known.classes if start.known else None,
        "log_c": start.known.loss if start.known else None,
        "ratio_to_log_c": start.loss / start.known.loss if start.known else None,
        "loss_with_equal_inputs": start.null_loss,
    }
    if start.spread is not None:
        found |= {
            "logits_mean": start.spread.mean, "logits_std": start.spread.std,
            "logits_min": start.spread.low, "logits_max": start.spread.high,
            "loss_of_these_logits_with_unrelated_labels": start.spread.unrelated,
        }  # fmt: skip
    if start.alone is not None:
        found |= {
            "loss_of_batch": start.alone.together, "mean_loss_of_samples": start.alone.mean,
            "samples_compared": len(start.alone.each),
            "largest_change_by_padding": start.alone.padding_differs if start.alone.bare else None,
        }  # fmt: skip
    if start.accumulated is not None:
        found |= {
            "micro_batches": start.accumulated.count,
            "gradient_of_micro_batches_to_large": start.accumulated.norm_ratio,
            "cosine_of_gradients": start.accumulated.cosine,
        }
    if start.perfect is not None:
        found |= {"loss_of_perfect_prediction": start.perfect.right}
    return {name: value for name, value in found.items() if value is not None}
