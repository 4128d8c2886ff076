"""Lines whose meaning is their framework's own, which no general grammar could tell."""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import NUMBER, Draft, Role

DARKNET = re.compile(
    rf"^\s*(\d{{1,12}}):\s+({NUMBER}),\s+({NUMBER})\s+avg(?: loss)?,\s+({NUMBER})\s+rate", re.I
)
_KALDI = re.compile(  # nnet3: what is maximised, per frame
    rf"\bobjective function for '[\w.-]{{1,60}}' for minibatches \d+-(\d{{1,12}}) is ({NUMBER}) over"
)
_RATE = re.compile(
    rf"(?<![\w.])({NUMBER})\s?(?:% bf16\s)?((?:tok|tokens|samples|imgs?|examples)/s(?:ec)?|MFU)\b",
    re.I,
)
# `Time 0.154 (8.010)  Data 0.001 (7.720)`: seconds of this batch, and their mean.
_METER = re.compile(rf"(?<![\w.])(Time|Data)\s+({NUMBER})\s+\(\s*{NUMBER}\)")
_METERS = {"Time": "batch_time", "Data": "data_time"}
_MEGATRON = re.compile(r"\biteration\s+\d+/\s*\d+\s*\|.*consumed samples:")
# Nothing was skipped: the count says so, or there is no scaler (bf16) that would.
_SKIPPED_NONE = re.compile(r"number of skipped iterations:\s+(0)\s|loss scale:\s+1\.0\s+(\|)")
_KERAS_LINE = re.compile(r"^\s*\d+/\d+ .*(?:ETA: |\d[mu]?s/(?:step|sample))")


def whole_line(text: str) -> Draft | None:
    """Return the record of a line of Darknet or Kaldi; None for any other."""
    if darknet := DARKNET.match(text):
        draft = Draft()
        draft.put(darknet.span(1), Role.STEP)
        for group, name in ((2, "loss/batch"), (3, "avg_loss"), (4, "lr")):
            draft.put(darknet.span(group), Role.VALUE, name)
        return draft
    if kaldi := _KALDI.search(text):
        draft = Draft()
        draft.put(kaldi.span(1), Role.STEP)
        draft.put(kaldi.span(2), Role.VALUE, "objective function")
        return draft
    return None


def put_idioms(draft: Draft, text: str, start: int, names: set[str]) -> None:
    """Put what stands beside the pairs of a line: a loss left out, rates, and mean times."""
    if _MEGATRON.search(text, start):
        _put_missing_loss(draft, text, start, names)
    for found in _RATE.finditer(text, start):  # the name follows the number: `165926 tok/s`
        if found[2] not in names:
            names.add(found[2])
            draft.put(found.span(1), Role.VALUE, found[2])
            draft.words.append(found.span(2))
    for meter in _METER.finditer(text, start):
        if _METERS[meter[1]] not in names:
            names.add(_METERS[meter[1]])
            draft.put(meter.span(2), Role.VALUE, _METERS[meter[1]])
            draft.words.append(meter.span(1))


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


def framework(draft: Draft, bare: str) -> str | None:
    """Name the framework whose own spelling a line is, where that is sure."""
    if draft.has(Role.STEP) and "mfu" in draft.names() and bare.startswith("iter "):
        return "nanogpt"
    return "keras" if draft.has(Role.INNER) and _KERAS_LINE.search(bare) else None
