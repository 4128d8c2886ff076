"""Names and numbers in a line of text, ``loss=2.3, lr: 1e-5``, and its place: step, epoch, batch."""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import NUMBER, Draft, Kind, Role, Span
from loganalyze.ingest.text_words import (
    EPOCH_KEYS,
    STEP_KEYS,
    TIME_KEYS,
    is_metric,
    is_noise,
    is_whole,
    names_a_split,
    scale,
)
from loganalyze.names import fold

_QUALIFIER = (
    r"(?:train|training|val|valid|validation|eval|evaluation|test|dev|avg|average|mean|learning|grad|"
    r"gradient|global|lm|total|iteration|batch|data|iter)"
)
_PAIR = re.compile(
    rf"(?:(?<![\w.'\"/-])|(?<=\s-)(?=\w*(?:loss|acc)))"
    rf"(?P<key>(?:(?<=\|)[ \t]*[A-Za-z][\w ()./-]{{0,50}}?(?=:)"
    rf"|(?:{_QUALIFIER}[ \t]){{0,2}}[A-Za-z][\w./@-]*))"
    rf"(?P<sep>[\"']?[ \t]*(?:=|:|\uff1a)[ \t]*[\"']?|[ \t]+(?:is[ \t]+)?)(?P<value>{NUMBER})"
    r"(?P<total>[ ]?/[ ]*\d[\d,]{0,14}(?![\d,]))?"
    r"(?P<unit>[ ]?(?:%|ms\b|s\b|GiB\b|GB\b|MiB\b|MB\b|[kKMG]\b))?(?![\w.]*[A-Za-z_]|:\d)",
    re.I,
)
_IN_UNIT = re.compile(r"\((\w+)\)\s*$")  # elapsed time per iteration (ms)
EPOCH = re.compile(
    r"\bepochs?\b[\s:=#\[]*(\d{1,9}(?:\.\d+)?)\b(?:\s*/\s*(\d{1,9}))?|\b(\d{1,9})epoch\b", re.I
)
_BRACKET = re.compile(r"\[\s*(\d{1,12})\s*/\s*(\d{1,12})(?:\s*\([^)]*\))?\s*\]")
_TWO_BRACKETS = re.compile(
    r"\[\s*(\d{1,9})\s*(?:/\s*(\d{1,9})\s*)?\]\s*"
    r"(?:\[\s*(\d{1,12})\s*(?:/\s*(\d{1,12})\s*)?\]|\(\s*(\d{1,12})\s*/\s*(\d{1,12})\s*\))"
)
_SPLIT_EPOCH = re.compile(
    r"^\s*(?:train|training)\s*:\s*(\d{1,9})\s*(?=\[)", re.I
)  # Train: 3 [ 100/1251
_BATCH = re.compile(
    r"\b(?:mini)?batch\b[\s:=#\[]*(\d{1,12})(?:\s*/\s*(\d{1,12}))?|:\d+-(\d{1,12})batch\b"
    r"|\bbatch \[\d+-(\d{1,12})\]",
    re.I,
)
_KERAS_BAR = re.compile(r"^\s*(\d{1,12})/(\d{1,12})\s*(?:\[|━|\s-\s)")
_KERAS_LINE = re.compile(r"^\s*\d+/\d+ .*(?:ETA: |\d[mu]?s/(?:step|sample))")
_EVAL = re.compile(
    r"(?<![\w/\\.-])(?:val|valid|validation|eval|evaluation|test|dev)(?![\w/\\.-])", re.I
)
_EVAL_LOOKED_AT = 60  # characters before the first metric of a line, in which its split is named
_HEADER_STEP = re.compile(
    r"^[\W_]*(?:(?:step|iter(?:ation)?)\W{1,3}(\d{1,12})\s*/\s*(\d{1,12})\s*--\s*)?"
    r"(?:global[_ ])?(?:step|iteration|iter)s?\b\W{0,3}(\d{1,12})(?:\s*/\s*(\d{1,12}))?\W*$", re.I,
)  # fmt: skip
LONGEST_HEADER = 200  # characters; an epoch named in a longer line is part of prose
DARKNET = re.compile(
    rf"^\s*(\d{{1,12}}):\s+({NUMBER}),\s+({NUMBER})\s+avg(?: loss)?,\s+({NUMBER})\s+rate", re.I
)
_LLM_C = re.compile(r"s:(\d{1,12}) (?=trl:|tel:)")  # llm.c: `s:7 trl:10.2 lr:6e-6 norm:6.1`
_TUTORIAL = re.compile(r"\s*\[\s*(\d{1,9}),\s*(\d{1,12})\]")  # `[2,  4000] loss: 1.9`: epoch, batch
_RATE = re.compile(
    rf"(?<![\w.])({NUMBER})\s?(?:% bf16\s)?((?:tok|tokens|samples|imgs?|examples)/s(?:ec)?|MFU)\b",
    re.I,
)
# `Time 0.154 (8.010)  Data 0.001 (7.720)`: seconds of this batch, and their mean.
_METER = re.compile(rf"(?<![\w.])(Time|Data)\s+({NUMBER})\s+\(\s*{NUMBER}\)")
_METERS = {"Time": "batch_time", "Data": "data_time"}
_COUNTED = re.compile(rf"\s?/\s?\d+\s*\(({NUMBER})%?\)")  # Accuracy: 9830/10000 (98%)
_SPLIT_RESULTS = re.compile(r"\[(train|valid|val|dev|test)\]\s", re.I)
_MEGATRON = re.compile(r"\biteration\s+\d+/\s*\d+\s*\|.*consumed samples:")
# Nothing was skipped: the count says so, or there is no scaler (bf16) that would.
_SKIPPED_NONE = re.compile(r"number of skipped iterations:\s+(0)\s|loss scale:\s+1\.0\s+(\|)")


def line_record(text: str, start: int) -> Draft | None:
    """Return the record of names and numbers in ``text[start:]``; None for prose."""
    darknet = DARKNET.match(text)
    if darknet:
        return _darknet(darknet)
    draft = Draft()
    loose: list[tuple[str, Span, Span]] = []
    is_eval: bool | None = None
    results = [(found.start(), found[1].lower()) for found in _SPLIT_RESULTS.finditer(text, start)]
    names: set[str] = set()
    for found in _PAIR.finditer(text, start):
        key, word = found["key"].strip(), found.span("key")
        folded = fold(key)
        if is_noise(folded):
            continue
        if folded in STEP_KEYS:
            _put_step(draft, found)
        elif folded in EPOCH_KEYS or folded in TIME_KEYS:
            continue
        elif is_metric(folded):
            split = next((name for place, name in reversed(results) if place < word[0]), "")
            if split:
                key = f"epoch/{key}" if split == "train" else f"eval_{key}"
            else:
                if is_eval is None:
                    is_eval = bool(
                        _EVAL.search(text[max(start, word[0] - _EVAL_LOOKED_AT) : word[0]])
                    )
                if is_eval and not names_a_split(folded):
                    key = f"eval_{key}"
            if key not in names:
                names.add(key)
                if found["total"]:
                    _put_counted(draft, text, found, key)
                    continue
                unit = inside[1] if (inside := _IN_UNIT.search(key)) else found["unit"]
                draft.put(found.span("value"), Role.VALUE, key, scale(folded, unit))
                draft.words.append(word)
        elif found["sep"].strip() and not _is_place_in_code(text, found):
            loose.append((key, found.span("value"), word))
    if _MEGATRON.search(text, start):
        _put_missing_loss(draft, text, start, names)
    _put_rates(draft, text, start, names)
    for meter in _METER.finditer(text, start):
        if _METERS[meter[1]] not in names:
            names.add(_METERS[meter[1]])
            draft.put(meter.span(2), Role.VALUE, _METERS[meter[1]])
            draft.words.append(meter.span(1))
    if not draft.has(Role.VALUE):
        return None
    _put_place(draft, text, start, is_eval=bool(is_eval))
    taken = {span for span, _, _, _ in draft.fields}
    for key, span, word in loose:
        if key not in names and span not in taken:
            names.add(key)
            draft.put(span, Role.VALUE, key)
            draft.words.append(word)
    return draft


def _put_counted(draft: Draft, text: str, found: re.Match[str], key: str) -> None:
    """Put the share that follows a count; a count alone is no metric."""
    share = _COUNTED.match(text, found.end("value"))
    if share:
        draft.put(share.span(1), Role.VALUE, key)
        draft.words.append(found.span("key"))


def _put_rates(draft: Draft, text: str, start: int, names: set[str]) -> None:
    """Put the rates whose name follows the number: ``165926 tok/s``."""
    for found in _RATE.finditer(text, start):
        if found[2] not in names:
            names.add(found[2])
            draft.put(found.span(1), Role.VALUE, found[2])
            draft.words.append(found.span(2))


def _is_place_in_code(text: str, found: re.Match[str]) -> bool:
    """Tell ``(trainer:464)`` and ``train:1-682batch`` from a name with its number."""
    start, end, after = found.start(), found.end(), found.end("value")
    inside = text[start - 1 : start] == "(" and text[end : end + 1] == ")"
    return found["sep"] == ":" and (inside or text[after : after + 1] in {"-", ":"})


def _darknet(found: re.Match[str]) -> Draft:
    draft = Draft()
    draft.put(found.span(1), Role.STEP)
    for group, name in ((2, "loss/batch"), (3, "avg_loss"), (4, "lr")):
        draft.put(found.span(group), Role.VALUE, name)
    return draft


def _put_missing_loss(draft: Draft, text: str, start: int, names: set[str]) -> None:
    """Megatron-LM leaves a loss out that is not above zero: NaN, unless the step was skipped."""
    none_skipped = _SKIPPED_NONE.search(text, start)
    if (
        not any("loss" in name.lower() and "scale" not in name.lower() for name in names)
        and none_skipped
    ):
        group = 1 if none_skipped[1] else 2
        end = none_skipped.start(group)
        draft.put((end, end), Role.VALUE, "lm loss", float("nan"))
        draft.words.append(none_skipped.span(group))


def _put_step(draft: Draft, found: re.Match[str]) -> None:
    """Take the first step of a line; a global one that follows makes it the place in the epoch."""
    if not is_whole(found["value"]):
        return
    if draft.has(Role.STEP):
        if not fold(found["key"].strip()).startswith("global"):
            return
        inner = [(span, Role.INNER if role is Role.STEP else Role.LENGTH, name, factor)
                 if role in (Role.STEP, Role.TOTAL) else (span, role, name, factor)
                 for span, role, name, factor in draft.fields]  # fmt: skip
        draft.fields = inner
    draft.put(found.span("value"), Role.STEP)
    draft.words.append(found.span("key"))
    if found["total"]:
        stop = found.end("total")
        digits = found["total"].lstrip(" /")
        draft.put((stop - len(digits), stop), Role.TOTAL)


def _put_place(draft: Draft, text: str, start: int, *, is_eval: bool) -> None:
    both = _TWO_BRACKETS.search(text, start)
    if both and not draft.has(Role.STEP):
        second = 3 if both[3] else 5
        draft.put(both.span(1), Role.EPOCH)
        _put_if(draft, both, 2, Role.EPOCHS)
        if not is_eval:
            draft.put(both.span(second), Role.INNER)
            _put_if(draft, both, second + 1, Role.LENGTH)
        return
    after = _put_epoch(draft, text, start)
    if (short := _LLM_C.match(text, start)) and not draft.has(Role.STEP):
        draft.put(short.span(1), Role.STEP)
    if (pair := _TUTORIAL.match(text, start)) and not draft.has(Role.STEP, Role.EPOCH):
        draft.put(pair.span(1), Role.EPOCH)
        draft.put(pair.span(2), Role.INNER)
        return
    if draft.has(Role.STEP) or is_eval:
        return  # the place in an evaluation is no place in the training
    inner = (
        _BRACKET.search(text, after) or _KERAS_BAR.match(text[start:]) or _BATCH.search(text, after)
    )
    if inner is None:
        return
    shift = start if inner.re is _KERAS_BAR else 0
    group = next(index for index in (1, 3, 4) if index <= (inner.re.groups) and inner[index])
    draft.put((inner.start(group) + shift, inner.end(group) + shift), Role.INNER)
    if group == 1 and inner[2]:
        draft.put((inner.start(2) + shift, inner.end(2) + shift), Role.LENGTH)


def _put_if(draft: Draft, found: re.Match[str], group: int, role: Role) -> None:
    if found[group]:
        draft.put(found.span(group), role)


def _put_epoch(draft: Draft, text: str, start: int) -> int:
    """Put the epoch that a line names; return where the text after it begins."""
    found = EPOCH.search(text, start)
    if found:
        draft.put(found.span(1 if found[1] else 3), Role.EPOCH)
        _put_if(draft, found, 2, Role.EPOCHS)
        return found.end()
    split = _SPLIT_EPOCH.search(text[start:])
    if split:
        draft.put((start + split.start(1), start + split.end(1)), Role.EPOCH)
        return start + split.end()
    return start


def header(text: str, start: int) -> Draft | None:
    """Return the place that a line without metrics names for the lines below it."""
    if len(text) - start > LONGEST_HEADER:
        return None
    draft = Draft(Kind.HEADER)
    step = _HEADER_STEP.search(text[start:])
    if step:
        draft.put((start + step.start(3), start + step.end(3)), Role.STEP)
        if step[4]:
            draft.put((start + step.start(4), start + step.end(4)), Role.TOTAL)
    else:
        _put_epoch(draft, text, start)
    return draft if draft.fields else None


def framework(draft: Draft, bare: str) -> str | None:
    """Name the framework whose own spelling a line is, where that is sure."""
    if draft.has(Role.STEP) and "mfu" in draft.names() and bare.startswith("iter "):
        return "nanogpt"
    return "keras" if draft.has(Role.INNER) and _KERAS_LINE.search(bare) else None
