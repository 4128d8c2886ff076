"""Whole curves printed as lists, as Keras keeps them: ``{'loss': [0.7, 0.5], 'val_loss': [0.8, 0.6]}``.

The n-th numbers of all lists belong together. Lists of one length only, and three numbers at least: a list
beside the number of a step is a vector of that step.
"""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import NUMBER, Draft, Kind, Role, Span
from loganalyze.ingest.text_words import EPOCH_KEYS, STEP_KEYS, is_metric
from loganalyze.names import fold

LONGEST = 1_000_000  # bytes of a text whose brackets are looked at
FEWEST = 3  # numbers in a list
FEWEST_LISTS = 2
_LIST = re.compile(r"['\"]([\w /.@-]{1,60})['\"]:\s*\[([^\[\]{}]{1,200000})\]")
_ITEM = re.compile(rf"(?:^|,)\s*(?:[\w.]{{1,20}}\()?({NUMBER})\)?\s*(?=,|$)", re.I)
_KEY = re.compile(r"['\"](\w{1,60})['\"]:\s*[\d.]")
# What lists of losses are called where no list has the word in its name.
_SPLITS = {"train": "loss", "training": "loss", "val": "eval_loss", "valid": "eval_loss",
           "validation": "eval_loss", "test": "eval_loss"}  # fmt: skip
_OPEN, _CLOSE = b"{[(", b"}])"


def curves(text: str) -> list[Draft]:
    """Return one record for each place in the lists of a line; none for any other line."""
    if any(fold(key) in EPOCH_KEYS or fold(key) in STEP_KEYS for key in _KEY.findall(text)):
        return []
    lists = _lists(text)
    length = max((len(spans) for spans in lists.values()), default=0)
    lists = {name: spans for name, spans in lists.items() if len(spans) == length}
    if length < FEWEST or len(lists) < FEWEST_LISTS:
        return []
    drafts = [Draft(Kind.DICT) for _ in range(length)]
    for name, spans in lists.items():
        for draft, span in zip(drafts, spans, strict=True):
            draft.put(span, Role.VALUE, name)
    return drafts


def _lists(text: str) -> dict[str, list[Span]]:
    """Return the places of the numbers in each list that is called like a metric."""
    found = {one[1]: one for one in _LIST.finditer(text)}
    named = {name: name for name in found if is_metric(fold(name))}
    if not any("loss" in fold(name) for name in named):
        named |= {name: _SPLITS[fold(name)] for name in found if fold(name) in _SPLITS}
    lists = {}
    for name, called in named.items():
        start = found[name].start(2)
        items = _ITEM.finditer(found[name][2])
        lists[called] = [(start + item.start(1), start + item.end(1)) for item in items]
    return lists


def on_one_line(data: bytes) -> bytes:
    """Return a text with every bracket closed on the line where it was opened."""
    depth = 0
    out = bytearray(data)
    for index, mark in enumerate(data):
        if mark in _OPEN:
            depth += 1
        elif mark in _CLOSE:
            depth = max(depth - 1, 0)
        elif mark in b"\r\n" and depth:
            out[index] = 32
    return bytes(out)
