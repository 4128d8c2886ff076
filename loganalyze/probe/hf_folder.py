"""A target out of two paths: a model of Hugging Face in a folder, and a file with data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loganalyze.errors import MissingExtra, UsageError
from loganalyze.probe.target import ProbeTarget

BATCH = 8  # samples
READ = 512  # rows of the file: a probe looks at a few batches
LONGEST = 512  # tokens, where the model does not say
TEXTS = ("text", "sentence", "content", "prompt", "input", "question")
PAIRS = ("text_pair", "sentence2", "response", "completion", "output", "answer")
LABELS = ("label", "labels", "target", "class")


def from_folder(model_folder: Path, data: Path) -> ProbeTarget:
    """Return the target that model, tokenizer and data make; nothing is downloaded or executed.

    Rows with a label make a sequence classification; rows of text alone, a language model.

    Raises
    ------
    UsageError
        If the folder or the file cannot be read as such.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "--hf needs the package transformers: pip install transformers"
        ) from None
    if not (model_folder / "config.json").is_file():
        raise UsageError(
            f"{model_folder} is no model folder of Hugging Face: it has no config.json"
        )
    rows = read_rows(data)
    text, pair, label = (_column(rows, names) for names in (TEXTS, PAIRS, LABELS))
    if text is None:
        raise UsageError(f"{data} has no column of text: one of {', '.join(TEXTS)}")
    kind = "AutoModelForSequenceClassification" if label else "AutoModelForCausalLM"
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
        model = getattr(transformers, kind).from_pretrained(model_folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = (str(error).splitlines() or ["no message"])[0]
        raise UsageError(f"cannot load the model in {model_folder}: {first}") from None
    samples = [_sample(row, text, pair if not label else None, label) for row in rows]
    codes = _codes([one["label"] for one in samples]) if label else {}
    collate = _collator(tokenizer, codes, _length(model, tokenizer))
    batches = [
        collate(samples[begin : begin + BATCH])
        for begin in range(0, len(samples) - len(samples) % BATCH or len(samples), BATCH)
    ]
    return ProbeTarget(
        model, batches, tokenizer=tokenizer, samples=samples, collate=collate,
        name=f"{model_folder.name} with {data.name}", label_names=[str(code) for code in codes] or None,
    )  # fmt: skip


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the first rows of a file of JSON lines, CSV or Parquet.

    Raises
    ------
    UsageError
        If it is none of them, or empty.
    """
    import pandas as pd

    readers: dict[str, Any] = {
        ".jsonl": lambda: pd.read_json(path, lines=True, nrows=READ),
        ".csv": lambda: pd.read_csv(path, nrows=READ),
        ".parquet": lambda: pd.read_parquet(path).head(READ),
    }
    if path.suffix not in readers:
        raise UsageError(f"{path} is no .jsonl, .csv or .parquet file")
    try:
        frame = readers[path.suffix]()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read data from {path}: {error}") from None
    if not len(frame):
        raise UsageError(f"{path} has no rows")
    rows: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in frame.to_dict("records")
    ]
    return rows


def _column(rows: list[dict[str, Any]], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in rows[0]), None)


def _sample(row: dict[str, Any], text: str, pair: str | None, label: str | None) -> dict[str, Any]:
    words = "" if row[text] is None or row[text] != row[text] else str(row[text])
    if pair is not None:
        words = f"{words}{row[pair]}"
    return {"text": words, "label": row[label]} if label else {"text": words}


def _codes(labels: list[Any]) -> dict[Any, int]:
    """Number labels that are words; whole numbers stay what they are."""
    if all(isinstance(one, (int, float)) and one == int(one) for one in labels):
        return {}
    return {name: code for code, name in enumerate(sorted({str(one) for one in labels}))}


def _length(model: Any, tokenizer: Any) -> int:
    most = getattr(model.config, "max_position_embeddings", None) or LONGEST
    return int(min(most, tokenizer.model_max_length, LONGEST))


def _collator(tokenizer: Any, codes: dict[Any, int], longest: int) -> Any:
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # as most scripts do; `probe data` warns of it

    def collate(samples: list[dict[str, Any]]) -> Any:
        import torch

        texts = [sample["text"] for sample in samples]
        batch = tokenizer(
            texts, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        if "label" in samples[0]:
            known = [codes.get(str(s["label"]), s["label"]) for s in samples]
            batch["labels"] = torch.tensor([int(code) for code in known])
        else:
            ignored = batch["attention_mask"] == 0
            batch["labels"] = batch["input_ids"].masked_fill(ignored, -100)
        return batch

    return collate
