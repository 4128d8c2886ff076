"""The place that a line of text names: step, epoch, batch; and the headings that stand above lines."""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import Draft, Kind, Role
from loganalyze.ingest.text_words import is_whole
from loganalyze.names import fold

EPOCH = re.compile(  # Keras begins `Epoch 00001: val_loss improved` right behind the number of its bar
    r"(?:\b|(?<=\d)(?=Epoch \d{5}:))ep(?:ochs?)?\b[\s:=#\[]*(\d{1,9}(?:\.\d+)?)\b(?:\s*/\s*(\d{1,9}))?"
    r"|(?<![\w.])(\d{1,9})epoch\b", re.I
)  # fmt: skip
_BRACKET = re.compile(  # [100/5005], [1,000/1,000,000 (0%)]
    r"\[\s*(\d{1,3}(?:,\d{3})+|\d{1,12})\s*/\s*(\d{1,3}(?:,\d{3})+|\d{1,12})(?:\s*\([^)]*\))?\s*\]"
)
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
_LEADING = re.compile(  # `[100] loss=2.3`: loops in JAX, boosted trees; `  100 loss=2.3 lr=0.1`
    r"\s*\[\s*(\d{1,12})\s*\]\s|\s*(\d{1,12})\s+(?=[A-Za-z][\w/.-]*\s?[=:])"
)
_TRAILING = re.compile(r"\)\s+(\d{1,12})/(\d{1,12})\s*$")  # `| Loss: 1.2 | Acc: 50% (50/100) 1/391`
_HEADER_END = re.compile(  # `[step=100/5000]`, `[batch=100/5000]:` and nothing after it
    r"\[(?:global_?)?(?:step|iter(?:ation)?|batch)[=: ]+(\d{1,12})(?:\s*/\s*(\d{1,12}))?[^\]]{0,80}\]:?\s*$",
    re.I,
)
_METRIC_OF_EPOCHS = re.compile(r"[\w]/epochs?\b", re.I)  # `time/epoch: 0`
_HEADER_STEP = re.compile(
    r"^[\W_]*(?:(?:step|iter(?:ation)?)\W{1,3}(\d{1,12})\s*/\s*(\d{1,12})\s*--\s*)?"
    r"(?:global[_ ])?(?:step|iteration|iter)s?\b\W{0,3}(\d{1,12})(?:\s*/\s*(\d{1,12}))?\W*$", re.I,
)  # fmt: skip
_STEP_BEFORE = re.compile(
    r"\b(?:global[_ ])?(?:step|iter(?:ation)?)s?\b[\s:=#\[(]*(\d{1,12})(?:\s*/\s*(\d{1,12}))?", re.I
)
# A split of the data that stands alone, in the syntax of RE2.
HEADING = (
    r"(?i)(?:^|[*=#>\]:|-]\s+)\W*(?:(?:running|starting|start|begin)\s+)?"
    r"(train(?:ing)?|valid(?:ation|ating|ate)?|val|eval(?:uation|uating|uate)?|test(?:ing)?|dev)"
    r"(?:\s+(?:error|set|results?|metrics?|phase|loop|scores?|performance))?\s*[^\w\s/]*\s*[^\w\s/]*\s*$"
)
_HEADING = re.compile(HEADING)
LONGEST_HEADER = 200  # characters; an epoch named in a longer line is part of prose
_LLM_C = re.compile(r"s:(\d{1,12}) (?=trl:|tel:)")  # llm.c: `s:7 trl:10.2 lr:6e-6 norm:6.1`
_TUTORIAL = re.compile(r"\s*\[\s*(\d{1,9}),\s*(\d{1,12})\]")  # `[2,  4000] loss: 1.9`: epoch, batch


def put_place(draft: Draft, text: str, start: int, *, is_eval: bool) -> None:
    """Put the place that a line names; what an evaluation counts is no place in the training."""
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
    if (leading := _LEADING.match(text, start)) and not draft.has(Role.STEP, Role.EPOCH):
        draft.put(leading.span(leading.lastindex or 0), Role.STEP)
    if draft.has(Role.STEP) or is_eval:
        return  # the place in an evaluation is no place in the training
    inner = (
        _BRACKET.search(text, after)
        or _KERAS_BAR.match(text[start:])
        or _BATCH.search(text, after)
        or _TRAILING.search(text, after)
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
    if step := _HEADER_STEP.search(text[start:]):
        draft.put((start + step.start(3), start + step.end(3)), Role.STEP)
        if step[4]:
            draft.put((start + step.start(4), start + step.end(4)), Role.TOTAL)
    elif ended := _HEADER_END.search(text, start):
        draft.put(ended.span(1), Role.STEP)
        _put_if(draft, ended, 2, Role.TOTAL)
    elif not _METRIC_OF_EPOCHS.search(text, start):
        _put_epoch(draft, text, start)
    return draft if draft.fields else None


def put_step(draft: Draft, found: re.Match[str]) -> None:
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


def outside(draft: Draft, text: str, start: int, stop: int) -> bool:
    """Put the place that stands in ``text[start:stop]``, before a dictionary; tell if there is one."""
    if step := _STEP_BEFORE.search(text, start, stop):
        draft.put(step.span(1), Role.STEP)
        _put_if(draft, step, 2, Role.TOTAL)
    _put_epoch(draft, text[:stop], start)
    return draft.has(Role.STEP, Role.EPOCH)


def heading(text: str) -> Draft | None:
    """Return what a heading says, ``Test Error:``, ``***** Running evaluation *****``; else None."""
    if len(text) > LONGEST_HEADER or not (found := _HEADING.search(text)):
        return None
    return Draft(Kind.TRAINING if found[1].lower().startswith("train") else Kind.EVALUATION)
