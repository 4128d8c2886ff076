"""Numbers in lines of text: what one line says, as a `Record`.

Understood are the dictionaries that the Hugging Face Trainer prints, JSON lines, and lists of
``key=value``, ``key: value`` or ``key value`` with a step, iteration or epoch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from loganalyze.names import METRIC_ALIASES, canonical, fold

NUMBER = (
    r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
    r"|(?:nan|inf(?:inity)?)\b(?:\(ind\))?|1\.#(?:QNAN|INF|IND))"
)
_FLAT_DICT = re.compile(r"\{'[^{}]{1,20000}\}")
_DICT_ITEM = re.compile(
    rf"'([^']{{1,100}})':\s*(?:'({NUMBER})'|(?:tensor\()?({NUMBER})\b|(True|False|None))", re.I
)
_QUALIFIER = (
    r"(?:train|training|val|valid|validation|eval|evaluation|test|dev|avg|average|mean|learning|grad|"
    r"gradient|global|lm|total|iteration|batch|data|iter)"
)
_PAIR = re.compile(
    rf"(?<![\w.'\"/-])(?P<key>(?:{_QUALIFIER}[ \t]){{0,2}}[A-Za-z][\w./@-]*)"
    rf"(?P<sep>[\"']?[ \t]*(?:=|:)[ \t]*[\"']?|[ \t]+)(?P<value>{NUMBER})"
    r"(?P<total>[ ]?/[ ]*\d[\d,]{0,14}(?![\d,]))?"
    r"(?P<unit>[ ]?(?:%|ms\b|s\b|GiB\b|GB\b|MiB\b|MB\b|[kKMG]\b))?(?![\w.]*[A-Za-z_]|:\d)",
    re.I,
)
EPOCH = re.compile(r"\bepochs?\b[\s:=#\[]*(\d{1,9}(?:\.\d+)?)\b(?:\s*/\s*(\d{1,9}))?", re.I)
_BRACKET = re.compile(r"\[\s*(\d{1,12})\s*/\s*(\d{1,12})(?:\s*\([^)]*\))?\s*\]")
_TWO_BRACKETS = re.compile(
    r"\[\s*(\d{1,9})\s*(?:/\s*(\d{1,9})\s*)?\]\s*\[\s*(\d{1,12})\s*(?:/\s*(\d{1,12})\s*)?\]"
)
_KERAS_BAR = re.compile(r"^\s*(\d{1,12})/(\d{1,12})\s*(?:\[|\u2501|\s-\s|━)")
TQDM = re.compile(r"(?<!\d)(\d{1,12})/(\d{1,12})\s+\[[^\]]{0,80}(?:it/s|s/it|\?it)")

STEP_KEYS = frozenset(
    {"step", "steps", "global_step", "iter", "iters", "iteration", "iterations", "it", "update",
     "updates", "num_updates", "train_step", "current_steps", "global_steps", "itr", "trainer/global_step"}
)  # fmt: skip
TOTAL_KEYS = frozenset({"total_steps", "max_steps", "total_iters", "max_iters"})
TIME_KEYS = frozenset({"timestamp", "_timestamp", "time"})
METRIC_WORDS = re.compile(
    r"loss|acc(?:uracy)?$|acc[_@\d]|perplexity|grad_?norm|gnorm|^lr$|learning_rate|mfu|"
    r"(?:^|_)(?:error|error_rate|ppl|bpb|bits|f1|auc|bleu|wer|cer|kl|r2|tps|iou|m?iou|scale|"
    r"precision|recall|entropy|rewards?(?:_\w+)?|f1[-_]score)$|"
    r"map(?:_\d+)?$|mse$|mae$|top[15]$|tok(?:ens)?[/_]s"
)
_NO_METRIC = re.compile(r"\.py$|^hydra_|^(?:https?|file)$")
_KNOWN = frozenset(
    fold(alias) for name, aliases in METRIC_ALIASES.items() for alias in (name, *aliases)
)
_EVAL = re.compile(r"\b(?:val|valid|validation|eval|evaluation|test|dev)\b", re.I)
MAX_EPOCH = 1e9  # what is above is no epoch
MAX_DEPTH = 8  # levels of nested JSON that are read
SUMMARY_KEY = "train_runtime"


@dataclass(slots=True)
class Record:
    """The numbers of one line, and what it says about where in the run it stands.

    ``inner`` is (index, total) inside an epoch: ``Epoch: [3][100/5005]``.
    """

    values: dict[str, float] = field(default_factory=dict)
    step: int | None = None
    total: int | None = None
    epoch: float | None = None
    epochs: int | None = None
    inner: tuple[int, int] | None = None
    is_dict: bool = False
    is_summary: bool = False


def number(text: str) -> float:
    """Read a number in any spelling of a log; NaN for those of NaN."""
    low = text.lower().replace(",", "")
    if "nan" in low or "#ind" in low:
        return float("nan")
    if "inf" in low:
        return float("-inf") if low.startswith("-") else float("inf")
    return float(low)


def parse(text: str, bare: str) -> list[Record]:
    """Return the records of one line: none for prose."""
    if "{\u2018" in text:  # quoted by a web page or a word processor
        text = text.replace("\u2018", "'").replace("\u2019", "'")
    if "{'" in text:
        records = [record for found in _FLAT_DICT.finditer(text) if (record := _dict(found[0]))]
        if records:
            return records
    if bare.startswith('{"') or text.startswith('{"'):
        record = _json(bare if bare.startswith('{"') else text)
        return [record] if record else []
    if not any(mark.isdigit() for mark in text) and "nan" not in text.lower():
        return []
    record = _pairs(bare)
    return [record] if record else []


def _dict(text: str) -> Record | None:
    values = {
        key: number(quoted or plain)
        for key, quoted, plain, word in _DICT_ITEM.findall(text)
        if not word
    }
    return _keyed(values, is_dict=True)


def _json(text: str) -> Record | None:
    import orjson

    try:
        loaded = orjson.loads(_quote_constants(text.strip()))
    except orjson.JSONDecodeError:
        return None
    return _keyed(dict(_flat(loaded, ""))) if isinstance(loaded, dict) else None


_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')


def _quote_constants(text: str) -> str:
    if "NaN" not in text and "Infinity" not in text:
        return text
    return _CONSTANT.sub(lambda m: m[0] if m[0][0] == '"' else f'"{m[0]}"', text)


def _flat(value: dict[str, Any], prefix: str) -> list[tuple[str, float]]:
    found = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            if name.count("/") < MAX_DEPTH:
                found += _flat(item, f"{name}/")
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            found.append((name, float(item)))
        elif isinstance(item, str) and re.fullmatch(NUMBER, item, re.I):
            found.append((name, number(item)))
    return found


def _keyed(values: dict[str, float], *, is_dict: bool = False) -> Record | None:
    """Make a record of named numbers; one without any metric is none."""
    record = Record(is_dict=is_dict)
    for key, value in values.items():
        folded = fold(key)
        if folded in STEP_KEYS and value == value and 0 <= value < 2**62:
            record.step = int(value)
        elif folded == "epoch":
            record.epoch = value if 0 <= value < MAX_EPOCH else None
        elif folded in TOTAL_KEYS and value == value and 0 < value < 2**62:
            record.total = int(value)
        elif folded not in TIME_KEYS:
            record.values[key] = value
    record.is_summary = SUMMARY_KEY in values
    if not any(_is_metric(fold(key)) for key in record.values):
        return None
    return record


def _pairs(text: str) -> Record | None:
    record = Record()
    loose = {}
    eval_line = bool(_EVAL.search(text.split("=")[0].split(":")[0][:40]))
    for found in _PAIR.finditer(text):
        key, separator = found["key"].strip(), found["sep"]
        folded = fold(key)
        value = number(found["value"])
        if _NO_METRIC.search(folded):
            continue
        if folded in STEP_KEYS:
            if record.step is None and value == value and 0 <= value < 2**62:
                record.step = int(value)
                record.total = _total(found["total"]) or record.total
        elif folded == "epoch" or folded in TIME_KEYS:
            continue
        elif _is_metric(folded):
            name = f"eval_{key}" if eval_line and not _names_a_split(folded) else key
            record.values.setdefault(name, _scaled(folded, value, found["unit"]))
        elif separator.strip():
            loose[key] = value
    if not record.values:
        return None
    record.values.update({key: value for key, value in loose.items() if key not in record.values})
    _position(text, record)
    return record


def _position(text: str, record: Record) -> None:
    both = _TWO_BRACKETS.search(text)
    if both and record.step is None:
        record.epoch = float(both[1])
        record.epochs = int(both[2]) if both[2] else None
        record.inner = (int(both[3]), int(both[4] or 0))
        return
    epoch = EPOCH.search(text)
    if epoch:
        record.epoch = float(epoch[1])
        record.epochs = int(epoch[2]) if epoch[2] else None
    inner = _BRACKET.search(text) or _KERAS_BAR.match(text)
    if inner and record.step is None:
        record.inner = (int(inner[1]), int(inner[2]))


def _total(text: str | None) -> int | None:
    return int(text.replace(",", "").strip(" /")) if text else None


def _is_metric(folded: str) -> bool:
    return folded in _KNOWN or bool(METRIC_WORDS.search(folded.rsplit("/", 1)[-1]))


def _names_a_split(folded: str) -> bool:
    return folded.startswith(("train", "val", "eval", "test", "dev")) or folded in {
        "lr",
        "learning_rate",
    }


def _scaled(folded: str, value: float, unit: str | None) -> float:
    """Seconds for the known step times; every other number as printed."""
    if unit and unit.strip() == "ms" and canonical(folded).startswith("perf/"):
        return value / 1000.0
    return value
