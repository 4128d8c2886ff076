"""A sheet of samples with their labels: what no statistic sees, a look does."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.data_samples import picture_of, taken, text_of
from loganalyze.probed import Drawn, Picture, ProbeFigure, ProbeTable

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

SHOWN = 12
PIXELS = 96  # width and height at most
CHANNELS = (1, 3, 4)
LETTERS = 200  # of a text


def sheet(
    bench: Bench, read: Sequence[Any]
) -> tuple[tuple[ProbeFigure, ...], tuple[ProbeTable, ...]]:
    """Return pictures and texts of the first samples, each with its label."""
    texts = _texts(bench, read[0])
    tables = (ProbeTable("Samples", ("sample", "text", "label"), texts),) if texts else ()
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        return (), tables
    pictures = _of_samples(bench) or _of_batch(bench, read[0])
    if not pictures:
        return (), tables
    return (
        ProbeFigure("Samples with their labels", Drawn.PICTURES, pictures=tuple(pictures)),
    ), tables


def _texts(bench: Bench, batch: Any) -> tuple[tuple[float | str, ...], ...]:
    """Return number, text and label of samples: decoded from the batch, as the model gets them."""
    ids = (batches.fields(batch) or {}).get("input_ids")
    tokenizer: Any = bench.target.tokenizer
    if ids is not None and tokenizer is not None and hasattr(tokenizer, "decode"):
        return tuple(
            (row, tokenizer.decode(ids[row].tolist())[:LETTERS], _label(bench, batch, row))
            for row in range(min(len(ids), SHOWN))
        )
    if bench.target.samples is None:
        return ()
    found = [(text_of(sample), sample) for sample in taken(bench.target.samples, SHOWN)]
    return tuple(
        (row, text[:LETTERS], str(sample.get("label", "")) if hasattr(sample, "get") else "")
        for row, (text, sample) in enumerate(found)
        if text is not None
    )


def _label(bench: Bench, batch: Any, row: int) -> str:
    labels = batches.labels(batch)
    if labels is None or not labels.dim() or row >= len(labels):
        return ""
    own = labels[row]
    if own.dim():
        kept = own[own != -100] if not own.is_floating_point() else own
        return f"{kept.numel()} that count"
    value = own.item()
    names = bench.target.label_names
    if names and isinstance(value, int) and 0 <= value < len(names):
        return f"{value}: {names[value]}"
    return f"{value:g}"


def _of_samples(bench: Bench) -> list[Picture]:
    if bench.target.samples is None:
        return []
    found = []
    for number, sample in enumerate(taken(bench.target.samples, SHOWN)):
        has, picture = picture_of(sample)
        if has and hasattr(picture, "save") and 0 not in picture.size:
            label = sample.get("label", "") if hasattr(sample, "get") else ""
            found.append(Picture(f"sample {number}, label {label}", _png(picture)))
    return found


def _of_batch(bench: Bench, batch: Any) -> list[Picture]:
    """Return the pictures of a batch: a floating tensor (samples, channels, height, width)."""
    tensor = next(
        (t for _, t in batches.inputs(batch) if t.dim() == 4 and t.shape[1] in CHANNELS), None
    )
    if tensor is None:
        return []
    return [
        Picture(f"sample {row}, label {_label(bench, batch, row)}", _of_tensor(tensor[row]))
        for row in range(min(len(tensor), SHOWN))
    ]


def _of_tensor(pixels: torch.Tensor) -> str:
    """Return a picture of values of any range: the smallest black, the largest white."""
    import PIL.Image

    values = pixels.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
    low, high = float(values.min()), float(values.max())
    scaled = ((values - low) / max(high - low, 1e-12) * 255).byte().permute(1, 2, 0).numpy()
    flat = scaled[..., 0] if scaled.shape[-1] == 1 else scaled
    return _png(PIL.Image.fromarray(flat))


def _png(picture: Any) -> str:
    small = picture.convert("RGBA" if picture.mode in {"RGBA", "P", "LA"} else "RGB")
    small.thumbnail((PIXELS, PIXELS))
    held = io.BytesIO()
    small.save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()
