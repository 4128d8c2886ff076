"""Names and numbers in a line of text: ``loss=2.3, lr: 1e-5``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from loganalyze.ingest.text_idioms import put_idioms, whole_line
from loganalyze.ingest.text_place import put_place, put_step
from loganalyze.ingest.text_reading import NUMBER, Draft, Role, Span
from loganalyze.ingest.text_words import (
    EPOCH_KEYS,
    STEP_KEYS,
    TIME_KEYS,
    is_metric,
    is_noise,
    names_a_split,
    scale,
)
from loganalyze.names import fold

_SPLIT = r"train|training|val|valid|validation|eval|evaluation|test|dev"
_QUALIFIER = (
    rf"(?:{_SPLIT}|avg|average|mean|best|lowest|highest|minimum|max|min|learning|grad|"
    r"gradient|global|lm|total|iteration|batch|data|iter|loss(?=[ \t](?:error|value|scale)\b))"
)
_PAIR = re.compile(
    rf"(?:(?<![\w.'\"/-])|(?<=\s-)(?=\w*(?:loss|acc)))"
    rf"(?P<key>(?:(?<=\|)[ \t]*[A-Za-z][\w ()./-]{{0,50}}?(?=:)"
    rf"|(?:{_QUALIFIER}[ \t]){{0,3}}[A-Za-z][\w./@-]*))"
    r"(?:[ \t]*\((?P<aside>[A-Za-z][\w .-]{0,20})\))?"  # f1-score (micro avg) 0.8
    rf"(?P<sep>[\"']?[ \t]*(?:=>|->|=|:|\uff1a)[ \t]*[\"']?|[ \t]+(?:is[ \t]+)?)"
    r"(?P<wrap>(?:(?:[A-Za-z]+\.)?[A-Za-z]+\d*\()?\[{0,2}[ ]?)"  # tensor(2.3, device='cuda'), [1e-05]
    rf"(?P<value>{NUMBER})"
    r"(?P<total>[ ]?/[ ]*\d[\d,]{0,14}(?![\d,]))?"
    r"(?P<unit>[ ]?(?:%|ms\b|s\b|GiB\b|GB\b|MiB\b|MB\b|[kKMG]\b))?(?![\w.]*[A-Za-z_]|:\d)",
    re.I,
)
# `Train loss 500 0.345 Grad Norm 0.2`, `Validation loss 500:  0.345`: a step stands before the value.
_COUNTED_LOSS = re.compile(r":?[ \t]+(\d{1,12}\.\d+(?:e[-+]?\d+)?|nan|inf)(?![\w.:])", re.I)
_IN_UNIT = re.compile(r"\((\w+)\)\s*$")  # elapsed time per iteration (ms)
_REMAINING = re.compile(r"\beta: ?\d")  # behind it a plain `time` is the seconds of a step
_NUMBERED_EPOCH = re.compile(r"^epoch[_ ]?\d+$", re.I)  # `| epoch 001:    100 / 4321`
_NO_STEP = frozenset({"ms", "s"})  # `Step: 50ms` is how long a step takes
_EVAL = re.compile(
    r"(?<![\w/\\.-])(?:val|valid(?:_\d+)?|validation|validat(?:e|ing)|eval|evaluation|evaluat(?:e|ing)"
    r"|test|testing|dev)(?![\w/\\.-])",
    re.I,
)
_STARRED = re.compile(
    r"(?<!\S)\*\s+\w{3,10}@\d"
)  # ` * Acc@1 71.3`: so ImageNet loops end an evaluation
_EVAL_LOOKED_AT = 60  # characters before the first metric of a line, in which its split is named
_IS_SPLIT = re.compile(rf"^(?:{_SPLIT})$", re.I)
_SPLIT_WORD = re.compile(rf"\b(?:{_SPLIT})\b[ _/]?|[ _/](?:{_SPLIT})$", re.I)
_BEST = ("best", "lowest", "highest", "max", "min")  # says what was, not what is
_COUNTED = re.compile(rf"\s?/\s?\d+\s*\(({NUMBER})%?\)")  # Accuracy: 9830/10000 (98%)
_SPLIT_RESULTS = re.compile(r"\[(train|valid|val|dev|test)\]\s", re.I)


@dataclass(slots=True)
class _Line:
    """One line while its pairs are being read."""

    text: str
    start: int
    draft: Draft = field(default_factory=Draft)
    names: set[str] = field(default_factory=set)
    loose: list[tuple[str, Span, Span]] = field(default_factory=list)  # what may be no metric
    is_eval: bool | None = None
    last: str = ""  # the metric named before


def line_record(text: str, start: int) -> Draft | None:
    """Return the record of names and numbers in ``text[start:]``; None for prose."""
    if (own := whole_line(text)) is not None:
        return own
    line = _Line(text, start)
    results = [(found.start(), found[1].lower()) for found in _SPLIT_RESULTS.finditer(text, start)]
    for found in _PAIR.finditer(text, start):
        _put_pair(line, found, results)
    draft, names = line.draft, line.names
    put_idioms(draft, text, start, names)
    if not draft.has(Role.VALUE):
        return None
    if not all(fold(name).startswith(_BEST) for name in names):
        put_place(draft, text, start, is_eval=bool(line.is_eval))
    taken = {span for span, _, _, _ in draft.fields}
    for key, span, word in line.loose:
        if key not in names and span not in taken:
            names.add(key)
            draft.put(span, Role.VALUE, key)
            draft.words.append(word)
    return draft


def _put_pair(line: _Line, found: re.Match[str], results: list[tuple[int, str]]) -> None:
    """Put one pair where it belongs by its name."""
    key = found["key"].strip()
    folded = fold(key)
    unit = (found["unit"] or "").strip()
    if is_noise(folded) or _NUMBERED_EPOCH.match(key):
        return
    if folded in STEP_KEYS:
        if unit not in _NO_STEP and not found["wrap"].strip():
            put_step(line.draft, found)
    elif folded == "time" and _REMAINING.search(line.text, line.start, found.start("key")):
        _put_metric(line, found, "step_time")
    elif folded in EPOCH_KEYS or folded in TIME_KEYS:
        return
    elif _IS_SPLIT.match(key) and line.last and unit != "%":  # `train loss 2.3, val 2.5`
        _put_metric(line, found, f"{key}_{_SPLIT_WORD.sub('', line.last)}")
    elif (second := _behind_its_step(line, found, folded)) is not None:
        name = _with_split(line, found, key, results)
        line.names.add(name)
        line.last = name
        line.draft.put(found.span("value"), Role.STEP)
        line.draft.put(second, Role.VALUE, name)
        line.draft.words.append(found.span("key"))
    elif is_metric(folded):
        _put_metric(line, found, _with_split(line, found, key, results))
    elif found["sep"].strip() and not found["wrap"].strip() and not _is_no_name(line.text, found):
        line.loose.append((key, found.span("value"), found.span("key")))


def _behind_its_step(line: _Line, found: re.Match[str], folded: str) -> Span | None:
    """Return where the value of a loss is, if the number behind its name counts steps; else None."""
    counts = found["value"].isdigit() and not (found["sep"].strip() or found["wrap"].strip())
    if not counts or line.draft.has(Role.STEP) or not folded.endswith("loss") or found["total"]:
        return None
    second = _COUNTED_LOSS.match(line.text, found.end("value"))
    return second.span(1) if second else None


def _with_split(line: _Line, found: re.Match[str], key: str, results: list[tuple[int, str]]) -> str:
    """Return the name of a metric with the split of the data that the line says it belongs to."""
    place = found.start("key")
    split = next((name for at, name in reversed(results) if at < place), "")
    if split:
        return f"epoch/{key}" if split == "train" else f"eval_{key}"
    if _IS_SPLIT.match(aside := found["aside"] or ""):  # `Loss (val): 2.5`
        return f"{aside}_{key}"
    if line.is_eval is None:
        before = line.text[max(line.start, place - _EVAL_LOOKED_AT) : place]
        line.is_eval = bool(_EVAL.search(before) or _STARRED.search(line.text, line.start))
    return f"eval_{key}" if line.is_eval and not names_a_split(fold(key)) else key


def _put_metric(line: _Line, found: re.Match[str], key: str) -> None:
    aside = found["aside"]
    if key in line.names and aside:
        key = f"{key} ({aside})"
    if key in line.names:
        return
    line.names.add(key)
    line.last = key
    if found["total"]:
        _put_counted(line, found, key)
        return
    unit = inside[1] if (inside := _IN_UNIT.search(key)) else (found["unit"] or aside)
    line.draft.put(found.span("value"), Role.VALUE, key, scale(fold(key), unit))
    line.draft.words.append(found.span("key"))


def _put_counted(line: _Line, found: re.Match[str], key: str) -> None:
    """Put the share that follows a count; a count alone is no metric."""
    share = _COUNTED.match(line.text, found.end("value"))
    if share:
        line.draft.put(share.span(1), Role.VALUE, key)
        line.draft.words.append(found.span("key"))


def _is_no_name(text: str, found: re.Match[str]) -> bool:
    """Tell places in code and shares of a progress bar from a name with its number.

    ``(trainer:464)``, ``train:1-682batch``, ``__main__:train:52``; ``Epoch 3:  45%|####``.
    """
    start, end, after = found.start(), found.end(), found.end("value")
    inside = text[start - 1 : start] == "(" and text[end : end + 1] == ")"
    in_code = inside or text[after : after + 1] in {"-", ":"} or text[start - 1 : start] == ":"
    is_share = (found["unit"] or "").strip() == "%" and text[end : end + 1] == "|"
    return is_share or (found["sep"] == ":" and in_code)
