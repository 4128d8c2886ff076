"""Dictionaries in lines of text: those that Python prints, and JSON."""

from __future__ import annotations

import re

from loganalyze.ingest.text_config import is_setting
from loganalyze.ingest.text_place import outside
from loganalyze.ingest.text_reading import NUMBER, STAMP, Draft, Kind, Role, Span
from loganalyze.ingest.text_words import is_metric, names_a_split, put_keyed
from loganalyze.names import canonical, fold

SUMMARY_KEY = "train_runtime"  # stands only in the Trainer's summary
_RATE = "train/learning_rate"
MAX_DEPTH = 8  # levels of nested JSON that are read
STAMP_KEYS = frozenset({"time", "timestamp", "ts", "asctime", "datetime", "date", "@timestamp"})
# Keys of objects that only hold others: `{"event": "step", "data": {"step": 3, "metrics": {"loss": 2.5}}}`
WRAPPERS = frozenset(
    {"data", "metric", "metrics", "payload", "values", "scalars", "log", "logs", "record", "fields"}
)
_DICT = re.compile(r"\{'(?:[^{}]|\{[^{}]*\}){1,20000}\}")  # one dictionary may stand in another
_DICT_ITEM = re.compile(
    rf"'([^']{{1,100}})':\s*(?:'({NUMBER})'|(?:[\w.]{{1,20}}\()?({NUMBER})\b|(True|False|None))",
    re.I,
)
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[-+]?(?:NaN|nan|Infinity|inf|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)|[a-z]+|\s+|.'
)
_NUMBER = re.compile(NUMBER, re.I)
_RESULTS = re.compile(
    r"\b(?:val|valid|validation|eval|evaluation|test)[ _]"
    r"(?:results?|metrics|scores?|stats|performance|set)?\s*[:=]?\s*$",
    re.I,
)  # ``Evaluation results: {'loss': 0.5}``
_MLPERF = re.compile(r":::MLL(?:OG)?\s+(?:(\d+\.\d+)\s+([\w/]{1,60}):\s*)?(?=\{)")


def dictionaries(text: str, start: int) -> list[Draft]:
    """Return the dictionaries of a line that Python printed: ``{'loss': 0.5, 'epoch': 0.1}``.

    One that names no place takes that before it: ``epoch 3: {'accuracy': 0.9}``.
    """
    drafts = []
    for found in _DICT.finditer(text):
        draft = _dictionary(found, held_out=bool(_RESULTS.search(text, start, found.start())))
        if draft is not None:
            if not draft.has(Role.STEP, Role.EPOCH) and outside(draft, text, start, found.start()):
                draft.kind = Kind.LINE
            drafts.append(draft)
    return drafts


def _dictionary(found: re.Match[str], *, held_out: bool) -> Draft | None:
    draft = Draft(Kind.DICT)
    items = []
    for item in _DICT_ITEM.finditer(found[0]):
        place = 2 if item[2] is not None else 3
        start = found.start()
        draft.words.append((start + item.start(1), start + item.end(1)))
        if item[place] is not None:
            span = (start + item.start(place), start + item.end(place))
            items.append((item[1], span, item[place]))
    if held_out:
        items = [(_held_out(key), span, number) for key, span, number in items]
    put_keyed(draft, items)
    if SUMMARY_KEY in draft.names():
        draft.kind = Kind.SUMMARY
    return draft if _has_metric(draft) else None


def _held_out(key: str) -> str:
    """Name a metric as that of an evaluation, unless it names a split itself."""
    folded = fold(key)
    return f"eval_{key}" if is_metric(folded) and not names_a_split(folded) else key


def _has_metric(draft: Draft) -> bool:
    metrics = {fold(name) for name in draft.names() if is_metric(fold(name))}
    if all(
        canonical(name) == _RATE for name in metrics
    ):  # `{'lr': 0.1, 'batch_size': 32}` are settings
        return bool(metrics) and not any(is_setting(fold(name)) for name in draft.names())
    return True


def json_record(text: str, start: int) -> Draft | None:
    """Return the JSON object that begins at `start` and ends the line; nested keys get a slash."""
    draft = Draft()
    items: list[tuple[str, Span, str]] = []
    keys: list[str] = []  # of the objects around; "" for an array
    key, is_key = "", False
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark in "{[":
            if len(keys) >= MAX_DEPTH:
                return None
            keys.append(("" if fold(key) in WRAPPERS else key) if mark == "{" else "\0")
            key, is_key = "", mark == "{"
        elif mark in "}]":
            if not keys:
                return None
            keys.pop()
            is_key = False
            if not keys:
                if text[token.end() :].strip():
                    return None
                break
        elif mark == ",":
            is_key = "\0" not in keys[-1:]
        elif mark == ":":
            is_key = False
        elif mark[0] == '"':
            inside = (token.start() + 1, token.end() - 1)
            if is_key:
                key = mark[1:-1]
                draft.words.append(inside)
            elif _NUMBER.fullmatch(mark[1:-1]) and "\0" not in keys:
                items.append(("/".join([*filter(None, keys), key]), inside, mark[1:-1]))
            elif fold(key) in STAMP_KEYS and (stamp := STAMP.match(mark, 1)):
                draft.put((token.start() + 1, token.start() + stamp.end()), Role.STAMP)
            else:
                draft.texts.append(inside)
        elif "\0" not in keys and _NUMBER.fullmatch(mark):
            items.append(("/".join([*filter(None, keys), key]), token.span(), mark))
    if keys:
        return None
    put_keyed(draft, items)
    return draft if _has_metric(draft) else None


def mlperf(text: str) -> Draft | None:
    """Return a point of MLPerf's log: ``:::MLLOG {"key": "eval_accuracy", "value": 0.7, ...}``."""
    mark = _MLPERF.search(text)
    if mark is None:
        return None
    inner = json_items(text, mark.end())
    name = mark[2] or inner.get("key", (None, ""))[1].strip('"')
    value = inner.get("value")
    if value is None or not is_metric(fold(name)) or not _NUMBER.fullmatch(value[1]):
        return None
    draft = Draft()
    draft.put(value[0], Role.VALUE, name)
    draft.words.append(inner["key"][0] if mark[2] is None else mark.span(2))
    if mark[1]:
        draft.put(mark.span(1), Role.CLOCK)
    places = {"epoch_num": Role.EPOCH, "step_num": Role.STEP, "time_ms": Role.CLOCK_MS}
    for key, role in places.items():
        found = inner.get(key) or inner.get(f"metadata/{key}")
        if found and _NUMBER.fullmatch(found[1]):
            draft.put(found[0], role)
    return draft


def json_items(text: str, start: int) -> dict[str, tuple[Span, str]]:
    """Return key -> (place, text) of the simple values of a JSON object, two levels deep."""
    pair = re.compile(r'"([^"]{1,60})":\s*("(?:[^"\\]|\\.)*"|[^\s{}\[\],"]+|\{)')
    items: dict[str, tuple[Span, str]] = {}
    prefix = ""
    for found in pair.finditer(text, start):
        if found[2] == "{":
            prefix = f"{found[1]}/"
        else:
            items.setdefault(f"{prefix}{found[1]}", (found.span(2), found[2]))
    return items
