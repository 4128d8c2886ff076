"""What batches hold: numbers, labels, order, repetitions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG
from loganalyze.probe import batches
from loganalyze.probe.guess import IGNORED
from loganalyze.probe.label_range import beyond, outputs
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

FAR_MEAN, FAR_STD = (
    10.0,
    20.0,
)  # of inputs; scaled ones have about 0 and 1, pictures of 0 to 255 120 and 60
ONE_KIND = 4.0  # x the variance that the classes of shuffled batches have
RARE = 0.01  # share of the samples: a class below it is hardly learned
OUTLIER = 20.0  # x the usual largest number of a batch
TWICE = (
    0.05  # share of the samples that may repeat; augmentation and sampling with replacement do it
)
MANY = 1000  # labels of more kinds are no classes to draw


def judge(
    bench: Bench, read: Sequence[Any], verdict: Verdict
) -> tuple[dict[str, float | str], tuple[ProbeFigure, ...]]:
    """Judge the batches; return what was measured, and the class balance."""
    measured: dict[str, float | str] = {
        "batches": len(read),
        "samples": sum(batches.size(batch) for batch in read),
        "batch": batches.describe(read[0]),
    }
    _finite(read, verdict)
    _range(bench, read, verdict)
    measured |= _masked(read, verdict)
    measured |= _scale(read, verdict)
    measured |= _repeats(read, verdict)
    counts = _classes(read)
    measured |= _balance(read, counts, verdict)
    return measured, _figure(bench, counts)


def _finite(read: Sequence[Any], verdict: Verdict) -> None:
    for number, batch in enumerate(read):
        for name, tensor in batches.tensors(batch):
            if not tensor.is_floating_point() or bool(tensor.isfinite().all()) or "mask" in name:
                continue
            bad = ~tensor.isfinite()
            row = int(bad.reshape(bad.shape[0], -1).any(-1).nonzero()[0]) if bad.dim() else 0
            word = "NaN" if bool(tensor.isnan().any()) else "infinity"
            text = f"{word} in {name} of batch {number}, sample {row} (both count from 0)."
            verdict.finds(text, STATED, "nan-in-data", fix="Drop or mend that sample")
            return
    verdict.says(-MODERATE, f"All numbers in {len(read)} batches are finite.", "nan-in-data")


def _range(bench: Bench, read: Sequence[Any], verdict: Verdict) -> None:
    """Judge the labels by the model's outputs, or by the number of classes that the target names."""
    classes = bench.target.num_classes or outputs(bench, batches.moved(read[0], bench.device))
    for number, batch in enumerate(read):
        text = beyond(bench, batch, classes)
        if text is not None:
            verdict.finds(
                f"Batch {number}: {text}",
                STATED,
                "label-out-of-range",
                fix="Map the labels to 0..C-1, or set num_labels to the number of classes",
            )
            verdict.says(STRONG, text, "num-labels-mismatch")
            return
    if classes:
        text = f"All labels are among the {classes:,} classes."
        verdict.says(-DECISIVE, text, "label-out-of-range")
        verdict.says(-MODERATE, text, "num-labels-mismatch")


def _masked(read: Sequence[Any], verdict: Verdict) -> dict[str, float | str]:
    """Judge how many labels are ignored."""
    known = [(n, labels) for n, b in enumerate(read) if (labels := batches.labels(b)) is not None]
    known = [(n, labels) for n, labels in known if not labels.is_floating_point() and labels.dim()]
    total = sum(labels.numel() for _, labels in known)
    if not total:
        return {}
    ignored = sum(int((labels == IGNORED).sum()) for _, labels in known)
    rows = sum(len(labels) for _, labels in known)
    empty = [
        (n, int(i))
        for n, labels in known
        for i in (labels == IGNORED).reshape(len(labels), -1).all(-1).nonzero().flatten()
    ]
    measured: dict[str, float | str] = {
        "ignored_labels": ignored / total,
        "rows_without_a_label": len(empty) / rows,
    }
    if ignored == total:
        text = f"All {total:,} labels are -100: nothing counts in the loss."
        verdict.finds(text, STATED, "labels-all-masked", fix="Look at what the collator masks")
    elif empty:
        number, row = empty[0]
        text = (
            f"{len(empty)} of {rows:,} rows have no label that counts (the first: batch {number}, row "
            f"{row}): cut off or masked altogether."
        )
        verdict.finds(
            text,
            STRONG if len(empty) > 0.1 * rows else MODERATE,
            "labels-all-masked",
            fix="Drop these rows; do not cut the answer off",
        )
    else:
        text = (
            f"Every row has a label that counts; {ignored / total:.1%} of the labels are ignored."
        )
        verdict.says(-DECISIVE, text, "labels-all-masked")
    return measured


def _scale(read: Sequence[Any], verdict: Verdict) -> dict[str, float | str]:
    """Judge the size of the inputs, and whether one batch stands out."""
    import torch

    held: dict[str, list[torch.Tensor]] = {}
    for batch in read:
        for name, tensor in batches.inputs(batch):
            if tensor.is_floating_point() and tensor.numel() and "mask" not in name:
                held.setdefault(name, []).append(tensor.detach().float().cpu())
    measured: dict[str, float | str] = {}
    for name, tensors in held.items():
        values = torch.cat([t[t.isfinite()].flatten() for t in tensors])
        if not values.numel():
            continue
        mean, std = float(values.mean()), float(values.std(correction=0))
        measured |= {f"mean_of_{name}": mean, f"std_of_{name}": std}
        if abs(mean) > FAR_MEAN or std > FAR_STD:
            text = f"The input {name} has mean {mean:.4g} and standard deviation {std:.4g}: it is not scaled."
            verdict.finds(
                text,
                DECISIVE,
                "inputs-not-normalized",
                fix=f"x -> (x - {mean:.4g}) / {max(std, 1e-9):.4g}",
            )
        elif values.numel() > 1 and std == 0:
            text = f"The input {name} is {mean:g} throughout."
            verdict.finds(text, STRONG, "inputs-not-normalized", fix="Look at how it is read")
        else:
            text = f"The input {name} has mean {mean:.3g} and standard deviation {std:.3g}."
            verdict.says(-STRONG, text, "inputs-not-normalized")
        _outlier(name, tensors, verdict)
    return measured


def _outlier(name: str, tensors: Sequence[torch.Tensor], verdict: Verdict) -> None:
    tops = [float(t.abs().max()) for t in tensors]
    finite = sorted(t for t in tops if math.isfinite(t))
    middle = finite[len(finite) // 2] if finite else 0.0
    far = [n for n, top in enumerate(tops) if math.isfinite(top) and top > OUTLIER * middle > 0]
    if far and len(tops) > 2:
        text = f"Batch {far[0]} holds {tops[far[0]]:.3g} in {name}, {tops[far[0]] / middle:.3g} x the usual."
        verdict.finds(text, STRONG, "outlier-batch", fix="Look at its samples; clip or drop them")


def _rows(read: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield a digest of each sample's inputs, and of its label."""
    import hashlib

    for batch in read:
        count = batches.size(batch)
        parts = [t.detach().cpu() for _, t in batches.inputs(batch) if t.dim() and len(t) == count]
        label = batches.labels(batch)
        for row in range(count if parts else 0):
            held = hashlib.sha256()
            for part in parts:
                held.update(str(part[row].tolist()).encode())
            known = label is not None and label.dim() and len(label) == count
            yield held.hexdigest(), str(label[row].tolist()) if known and label is not None else ""


def _repeats(read: Sequence[Any], verdict: Verdict) -> dict[str, float | str]:
    """Judge samples that come more than once, and those with more than one label."""
    seen: dict[str, str] = {}
    total = again = other = 0
    for digest, label in _rows(read):
        total += 1
        again += digest in seen
        other += digest in seen and seen[digest] != label
        seen.setdefault(digest, label)
    if not total:
        return {}
    if other:
        text = f"{other} of {total:,} samples have the input of another one, and another label."
        verdict.finds(
            text,
            STRONG if other > 0.01 * total else MODERATE,
            "labels-wrong",
            fix="Look at the labels of samples with the same input",
        )
    if again > TWICE * total:
        text = f"{again} of {total:,} samples repeat an earlier one ({again / total:.0%})."
        verdict.finds(
            text,
            MODERATE,
            "overfit-small-data",
            "data-leak",
            fix="Remove duplicates before the data is split",
        )
    return {"repeated_samples": again, "samples_with_two_labels": other}


def _classes(read: Sequence[Any]) -> Counter[int]:
    """Return how often each class is a label; empty for anything but one class for each sample."""
    found: Counter[int] = Counter()
    for batch in read:
        labels = batches.labels(batch)
        if labels is not None and not labels.is_floating_point() and labels.dim() == 1:
            found.update(int(label) for label in labels.tolist())
    return found


def _balance(read: Sequence[Any], counts: Counter[int], verdict: Verdict) -> dict[str, float | str]:
    total = sum(counts.values())
    if not total:
        return {}
    common, most = counts.most_common(1)[0]
    if len(counts) == 1 and total > 1:
        text = f"All {total:,} labels are {common}."
        verdict.finds(text, DECISIVE, "labels-wrong", fix="Look at how labels are read")
    rare = [c for c, n in counts.items() if n < RARE * total]
    if rare and len(counts) <= MANY and total >= 10 / RARE:
        verdict.notes.append(
            f"{len(rare)} of {len(counts)} classes have less than 1% of the samples."
        )
    order = _order(read, counts)
    if order is not None and order > ONE_KIND:
        text = (
            f"The classes are not shuffled: they vary from batch to batch {order:.3g} x as much as in random "
            "order."
        )
        verdict.finds(text, DECISIVE, "data-not-shuffled", fix="shuffle False -> True")
    elif order is not None:
        text = f"The classes vary from batch to batch as in random order ({order:.2g} x)."
        verdict.says(-STRONG, text, "data-not-shuffled")
    measured: dict[str, float | str] = {
        "classes_seen": len(counts),
        "largest_class": most / total,
    }
    return measured if order is None else {**measured, "order_of_classes": order}


def _order(read: Sequence[Any], counts: Counter[int]) -> float | None:
    """Return the variance of the classes' counts over batches, in units of that of random order.

    Pearson's chi-square of the table of batches and classes, divided by its degrees of freedom.
    """
    total = sum(counts.values())
    per_batch = [_classes([batch]) for batch in read]
    per_batch = [one for one in per_batch if one]
    usual = [c for c in counts if counts[c] >= 5]
    if len(per_batch) < 4 or len(usual) < 2:
        return None
    square = 0.0
    for one in per_batch:
        size = sum(one.values())
        for label in usual:
            expected = size * counts[label] / total
            square += (one[label] - expected) ** 2 / expected
    return square / ((len(per_batch) - 1) * (len(usual) - 1))


def _figure(bench: Bench, counts: Counter[int]) -> tuple[ProbeFigure, ...]:
    shown = sorted(counts)[:40]
    if len(shown) < 2:
        return ()
    names = bench.target.label_names
    named = [str(names[c]) if names and 0 <= c < len(names) else str(c) for c in shown]
    curve = Curve("samples", [float(c) for c in shown], [float(counts[c]) for c in shown])
    return (
        ProbeFigure(
            "Samples of each class", Drawn.BARS, (curve,), "class", "samples", names=tuple(named)
        ),
    )
