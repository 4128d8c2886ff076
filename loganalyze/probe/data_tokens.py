"""What the tokenizer says, and what the batches made of it: special tokens, padding, vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK
from loganalyze.probe import batches
from loganalyze.probe.guess import IGNORED
from loganalyze.probe.padding import pad_id
from loganalyze.probe.verdict import Verdict

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench


def judge(bench: Bench, read: Sequence[Any], verdict: Verdict) -> dict[str, float | str]:
    """Judge tokens and padding; nothing where batches hold no tokens."""
    held = [fields for b in read if "input_ids" in (fields := batches.fields(b) or {})]
    if not held:
        return {}
    measured = _vocabulary(bench, held, verdict)
    if bench.target.tokenizer is not None:
        _special(bench, verdict)
    measured |= _padding(bench, held, verdict)
    return measured


def _vocabulary(
    bench: Bench, held: Sequence[dict[str, Any]], verdict: Verdict
) -> dict[str, float | str]:
    """Judge whether each token has a row in the table of the model."""
    rows = _rows(bench)
    top = max(int(fields["input_ids"].max()) for fields in held)
    low = min(int(fields["input_ids"].min()) for fields in held)
    if rows is None:
        return {"largest_token": top}
    if top >= rows or low < 0:
        wrong = top if top >= rows else low
        text = f"The token {wrong} is none of the model's: its table has {rows:,} rows."
        verdict.finds(
            text,
            DECISIVE,
            "tokenizer-mismatch",
            fix="The tokenizer of this model, or model.resize_token_embeddings(len(tokenizer))",
        )
    elif bench.target.tokenizer is not None and hasattr(bench.target.tokenizer, "__len__"):
        size = len(bench.target.tokenizer)
        text = f"The tokenizer has {size:,} tokens, the model's table {rows:,} rows."
        if size > rows:
            verdict.finds(
                text,
                STRONG,
                "tokenizer-mismatch",
                fix="model.resize_token_embeddings(len(tokenizer))",
            )
        else:
            # Tables are padded to a multiple of 64 or 128; far more rows belong to another tokenizer.
            verdict.says(-MODERATE if rows - size < 256 else WEAK, text, "tokenizer-mismatch")
    return {"largest_token": top, "rows_of_table": rows}


def _rows(bench: Bench) -> int | None:
    """Return the rows of the table of tokens: the one that the model names, or its largest."""
    from torch import nn

    model: Any = bench.target.model
    if hasattr(model, "get_input_embeddings"):
        try:
            table = model.get_input_embeddings()
        except NotImplementedError:
            table = None
        if table is not None and hasattr(table, "weight"):
            return int(table.weight.shape[0])
    tables = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    return max(tables, default=None)


def _special(bench: Bench, verdict: Verdict) -> None:
    """Judge the special tokens: present, distinct, and those that the model was told of."""
    tokenizer, config = bench.target.tokenizer, getattr(bench.target.model, "config", None)
    named = {
        word: getattr(tokenizer, f"{word.lower()}_token_id", None) for word in ("BOS", "EOS", "PAD")
    }
    missing = [word for word, token in named.items() if token is None]
    if "PAD" in missing:
        verdict.finds(
            "The tokenizer has no padding token: batches cannot be padded.",
            STRONG,
            "pad-or-mask-bug",
            fix="tokenizer.add_special_tokens({'pad_token': '<pad>'})",
        )
        missing.remove("PAD")
    if missing:
        verdict.notes.append(f"The tokenizer has no {' and no '.join(missing)} token.")
    if named["PAD"] is not None and named["PAD"] == named["EOS"]:
        text = (
            f"PAD is EOS (token {named['PAD']}): what masks the padding masks the ends of texts, and pooling "
            "at the last token may take padding for text."
        )
        verdict.finds(text, MODERATE, "pad-or-mask-bug", fix="Give the tokenizer a PAD of its own")
    told = getattr(config, "pad_token_id", None)
    if named["PAD"] is not None and config is not None and told != named["PAD"]:
        text = (
            f"The tokenizer pads with token {named['PAD']}, the model's configuration says {told}."
        )
        verdict.finds(
            text,
            MODERATE,
            "pad-or-mask-bug",
            "tokenizer-mismatch",
            fix="model.config.pad_token_id = tokenizer.pad_token_id",
        )


def _padding(
    bench: Bench, held: Sequence[dict[str, Any]], verdict: Verdict
) -> dict[str, float | str]:
    """Judge whether padding counts in the loss, and rows that are nothing but padding."""
    masks = [f for f in held if _is_mask(f.get("attention_mask"), f["input_ids"])]
    if not masks:
        return {}
    kept = sum(int(f["attention_mask"].sum()) for f in masks)
    total = sum(f["attention_mask"].numel() for f in masks)
    empty = sum(int((f["attention_mask"].sum(-1) == 0).sum()) for f in masks)
    if empty:
        verdict.finds(
            f"{empty} rows are masked altogether: there is no token to look at.",
            STRONG,
            "pad-or-mask-bug",
            fix="Drop empty texts before they are collated",
        )
    labelled = [f for f in masks if _is_mask(f.get("labels"), f["input_ids"])]
    counted = sum(
        int(((f["attention_mask"] == 0) & (f["labels"] != IGNORED)).sum()) for f in labelled
    )
    if counted:
        places = sum(int((f["attention_mask"] == 0).sum()) for f in labelled)
        text = f"{counted:,} of {places:,} places of padding count in the loss: their label is not -100."
        verdict.finds(text, DECISIVE, "pad-or-mask-bug", fix="labels[attention_mask == 0] = -100")
    elif labelled and kept < total:
        verdict.says(-MODERATE, "No place of padding counts in the loss.", "pad-or-mask-bug")
    _ends(bench, labelled, verdict)
    return {"padding": 1 - kept / total}


def _is_mask(value: Any, ids: torch.Tensor) -> bool:
    return getattr(value, "shape", None) == ids.shape


def _ends(bench: Bench, labelled: Sequence[dict[str, Any]], verdict: Verdict) -> None:
    """Judge whether the ends of texts are learned, where PAD is EOS."""
    end = getattr(bench.target.tokenizer, "eos_token_id", None)
    if end is None or end != pad_id(bench.target):
        return
    real = [(f["input_ids"] == end) & (f["attention_mask"] == 1) for f in labelled]
    seen = sum(int(place.sum()) for place in real)
    pairs = zip(real, labelled, strict=True)
    learned = sum(int((place & (f["labels"] == end)).sum()) for place, f in pairs)
    if seen and not learned:
        text = (
            f"None of the {seen:,} ends of text counts in the loss: the model never learns to stop."
        )
        verdict.finds(text, STRONG, "pad-or-mask-bug", fix="Give the tokenizer a PAD of its own")
