"""What the samples are before they are collated: texts and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import MODERATE, STRONG
from loganalyze.probe.verdict import Verdict

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

SAMPLES = 200  # that are looked at
TEXTS = ("text", "sentence", "content", "prompt", "input", "question", "caption")
PICTURES = ("image", "img", "picture", "pixel_values")
MODES = ("RGB", "L", "RGBA")  # of pictures, which preprocessing takes
ENDLESS = 1e9  # a tokenizer that knows no longest text says a number beyond it
LOST = 0.5  # share of the texts; lower case and accents are lost by many tokenizers on purpose


def taken(samples: Any, count: int = SAMPLES) -> Iterator[Any]:
    """Yield samples spread over the data, or the first of what has no length."""
    from itertools import islice

    if hasattr(samples, "__len__") and hasattr(samples, "__getitem__"):
        stride = max(len(samples) // count, 1)
        yield from (samples[index] for index in range(0, len(samples), stride)[:count])
    else:
        yield from islice(iter(samples), count)


def text_of(sample: Any) -> str | None:
    """Return the text of a sample; None where it has none."""
    if isinstance(sample, str):
        return sample
    if isinstance(sample, Mapping):
        found = next((sample[name] for name in TEXTS if name in sample), None)
        return None if found is None else str(found)
    return None


def picture_of(sample: Any) -> tuple[bool, Any]:
    """Return whether a sample has a place for a picture, and what stands there."""
    if isinstance(sample, Mapping):
        name = next((name for name in PICTURES if name in sample), None)
        return name is not None, sample.get(name) if name else None
    if isinstance(sample, (tuple, list)) and sample:
        return hasattr(sample[0], "mode"), sample[0]
    return hasattr(sample, "mode"), sample


def judge(bench: Bench, verdict: Verdict) -> dict[str, float | str]:
    """Judge the samples; nothing where the target has none."""
    if bench.target.samples is None:
        return {}
    samples = list(taken(bench.target.samples))
    texts = [text for sample in samples if (text := text_of(sample)) is not None]
    pictures = [found for sample in samples for has, found in [picture_of(sample)] if has]
    empty = sum(not text.strip() for text in texts)
    if empty:
        verdict.finds(
            f"{empty} of {len(texts)} texts are empty.",
            MODERATE,
            "labels-all-masked",
            fix="Drop them before they are collated",
        )
    if pictures:
        _pictures(pictures, verdict)
    measured: dict[str, float | str] = {"samples_looked_at": len(samples)}
    if texts and bench.target.tokenizer is not None:
        measured |= _tokens(bench, [text for text in texts if text.strip()], verdict)
    return measured


def _pictures(pictures: list[Any], verdict: Verdict) -> None:
    missing = sum(picture is None for picture in pictures)
    if missing:
        text = f"{missing} of {len(pictures)} pictures are missing (None)."
        verdict.finds(text, MODERATE, "nan-in-data", fix="Look at the paths that are read")
    real = [picture for picture in pictures if hasattr(picture, "mode")]
    empty = sum(0 in picture.size for picture in real)
    if empty:
        verdict.finds(
            f"{empty} of {len(real)} pictures have no width or height.",
            MODERATE,
            "nan-in-data",
            fix="Drop them",
        )
    odd = sorted({picture.mode for picture in real} - set(MODES))
    if odd:
        text = f"Pictures of mode {', '.join(odd)}: preprocessing expects {', '.join(MODES)}."
        verdict.finds(text, MODERATE, "inputs-not-normalized", fix='image.convert("RGB")')


def _tokens(bench: Bench, texts: list[str], verdict: Verdict) -> dict[str, float | str]:
    """Judge the way of texts through the tokenizer and back, and their length."""
    tokenizer: Any = bench.target.tokenizer
    lengths, lost = [], []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        lengths.append(len(ids))
        again = tokenizer.decode(ids, skip_special_tokens=True)
        if _plain(again) != _plain(text):
            lost.append((text, again))
    if len(lost) > LOST * len(texts):
        text, again = lost[0]
        said = f"{len(lost)} of {len(texts)} texts are lost in tokenization: {text[:30]!r} -> {again[:30]!r}."
        verdict.finds(
            said, STRONG, "tokenizer-mismatch", fix="The tokenizer that belongs to the model"
        )
    elif lost:
        verdict.notes.append(
            f"{len(lost)} of {len(texts)} texts come back changed from tokenization."
        )
    config = getattr(bench.target.model, "config", None)
    places = getattr(config, "max_position_embeddings", None)
    told = (getattr(tokenizer, "model_max_length", None), places)
    limit = min((int(n) for n in told if n and n < ENDLESS), default=None)
    over = sum(length > limit for length in lengths) if limit else 0
    if over:
        verdict.notes.append(
            f"{over} of {len(texts)} texts are longer than the model's {limit:,} tokens; the longest "
            f"has {max(lengths):,}."
        )
        verdict.says(MODERATE, verdict.notes[-1], "sequence-too-long")
    return {"longest_text_tokens": max(lengths, default=0), "texts_changed": len(lost)}


def _plain(text: str) -> str:
    """Return a text without what tokenizers lose on purpose: case and spaces."""
    return "".join(text.split()).casefold()
