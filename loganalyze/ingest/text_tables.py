"""Tables printed into a log: a name and a number in each row, or names above columns of numbers."""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import NUMBER, Draft, Kind, Role
from loganalyze.ingest.text_words import STEP_KEYS, is_metric, is_whole
from loganalyze.names import fold

_CELL = re.compile(rf"(?:^|\s)\|\s*([A-Za-z][\w/ .@-]{{0,60}}?)\s*\|\s*({NUMBER})\s*\|\s*$", re.I)
_TWO_CELLS = re.compile(
    rf"(?:^|\s)([A-Za-z][\w/.@-]{{0,60}})\s*\|\s*({NUMBER}|N/A)\s*\|\s*({NUMBER}|N/A)\s*$", re.I
)
_BULLET = re.compile(rf"(?:^|\s)\|\s*>\s*([A-Za-z][\w/.@-]{{0,60}}):\s*({NUMBER})(?![\w.])", re.I)
_STABLE_BASELINES = {
    **dict.fromkeys(("ep_len_mean", "ep_rew_mean", "success_rate"), "rollout/"),
    **dict.fromkeys(("fps", "time_elapsed", "iterations", "total_timesteps"), "time/"),
    **dict.fromkeys(("mean_ep_length", "mean_reward"), "eval/"),
}
_TABLE_STEP = "total_timesteps"

_AXES = frozenset({"epoch", "step", "iter", "iteration", "class"})
_WORD = re.compile(r"[A-Za-z][\w@()./:-]*(?: [A-Za-z(][\w@()./:-]*)*")
_ENTRY = re.compile(
    rf"(?P<of>(\d+)/(\d+))(?=\s)|(?P<number>{NUMBER})(?P<unit>[GM]i?B?)?(?=[\s:]|$)|\S+", re.I
)
MOST_COLUMNS = 40
# YOLOv5 names the terms of its loss in the head, and gives the size of the images last.
_YOLO = {
    **{name: f"train/{name}_loss" for name in ("box", "obj", "cls", "giou", "dfl")},
    **{
        f"{name}_loss": f"train/{name}_loss"
        for name in ("box", "cls", "dfl", "seg", "pose", "kobj")
    },
    "GIoU": "train/giou_loss",
    "total": "loss",
}
_YOLO_ROW = re.compile(
    rf"^\s*(\d{{1,6}})/(\d{{1,6}})\s+[\d.]+G\s+((?:{NUMBER}\s+){{3,4}})\d+\s+\d+(?=\s|:|$)", re.I
)
_TERMS = ("train/box_loss", "train/obj_loss", "train/cls_loss", "loss")
# The head of a table that has an axis, in the syntax of RE2.
HEAD = (
    r"^[\s|\x{2502}\x{2503}]*(?i:epoch|step|iter|iteration|class)"
    r"(?:[\s|\x{2502}\x{2503}]+[A-Za-z][\w@():./-]*){2,40}[\s|\x{2502}\x{2503}]*(?:\d{1,3}%\|.*)?$"
)
# A row of numbers, in the syntax of RE2.
ROW = r"^[\s|\x{2502}\x{2503}]*\d[\d.,:eE+/%nainf\s|\x{2502}\x{2503}-]*$"
_BARS = str.maketrans({"\u2502": "|", "\u2503": "|"})  # those of a box
_PROGRESS = re.compile(r":\s+\d{1,3}%\|.*$")  # a bar that is drawn behind the head of a table
_BOX = re.compile(r"Box\((P)$")  # ultralytics: `Box(P  R  mAP50  mAP50-95)`


def cell(text: str, start: int) -> Draft | None:
    """Return one row of a table of names and numbers; None for any other line.

    Known are the pipe tables of Stable-Baselines, the two columns (training, validation) of AllenNLP,
    and the bullets of Coqui TTS.
    """
    if "|" not in text:
        return None
    draft = Draft(Kind.CELL)
    two = _TWO_CELLS.search(text, start)
    if two:
        for group, name in ((2, two[1]), (3, f"eval_{two[1]}")):
            if two[group].upper() != "N/A" and is_metric(fold(two[1])):
                draft.put(two.span(group), Role.VALUE, name)
        draft.words.append(two.span(1))
        return draft if draft.fields else None
    found = _CELL.search(text) or _BULLET.search(text)
    if found is None:
        return None
    name, span = found[1], found.span(2)
    draft.words.append(found.span(1))
    if name == _TABLE_STEP and is_whole(found[2]):
        draft.put(span, Role.STEP)
    else:
        draft.put(span, Role.VALUE, f"{_STABLE_BASELINES.get(name, '')}{name}")
    return draft


def columns(text: str) -> tuple[str, ...] | None:
    """Return the names in the head of a table: a metric among them, and an axis first.

    The names are parted by bars, tabs or blanks; between bars no axis is needed.
    """
    text = _PROGRESS.sub("", text.translate(_BARS))
    cells = _parted(text)
    fewest = 2 if "\t" in text else 3  # two words in a line are prose
    if not fewest <= len(cells) <= MOST_COLUMNS or not all(map(_WORD.fullmatch, cells)):
        return None
    if fold(cells[0]) not in _AXES and "|" not in text:
        return None
    names = tuple("precision" if _BOX.search(name) else name.strip("()") for name in cells)
    if fold(names[0]) == "epoch" and "gpu_mem" in map(fold, names):
        names = tuple(_YOLO.get(name, name) for name in names)
    return names if any(is_metric(fold(name)) for name in names) else None


def _parted(text: str) -> list[str]:
    for mark in ("|", "\t"):
        if mark in text:
            return [cell.strip() for cell in text.strip(f"{mark} ").split(mark) if cell.strip()]
    return text.split()


def row(text: str, start: int, names: tuple[str, ...]) -> Draft | None:
    """Return a row of numbers below the head `names`; None where they do not fit."""
    entries = [entry for entry in _ENTRY.finditer(text, start) if entry[0] not in "|\u2502\u2503"]
    if fold(names[0]) == "class":
        return _class_row(entries, names, barred="|" in text)
    if len(entries) < len(names) or not (entries[0]["of"] or entries[0]["number"]):
        return None
    draft = Draft()
    for name, entry in zip(names, entries, strict=False):
        if entry is entries[0] and fold(name) in _AXES:
            is_step = fold(name) in STEP_KEYS
            draft.put(
                entry.span(2 if entry["of"] else "number"), Role.STEP if is_step else Role.EPOCH
            )
            if entry["of"]:
                draft.put(entry.span(3), Role.TOTAL if is_step else Role.EPOCHS)
        elif entry["number"] is not None:
            draft.put(entry.span("number"), Role.VALUE, name)
        elif is_metric(fold(name)):
            return None
    return draft if any(is_metric(fold(name)) for name in draft.names()) else None


def headless(text: str) -> Draft | None:
    """Return a row of YOLOv5 whose head is not in the log: ``3/99  2.1G  0.07  0.05  0.02  31  640``."""
    found = _YOLO_ROW.match(text)
    if found is None:
        return None
    draft = Draft()
    draft.put(found.span(1), Role.EPOCH)
    draft.put(found.span(2), Role.EPOCHS)
    numbers = re.finditer(NUMBER, found[3], re.I)
    for name, one in zip(_TERMS, numbers, strict=False):
        draft.put((found.start(3) + one.start(), found.start(3) + one.end()), Role.VALUE, name)
    return draft


def _one_class(entries: list[re.Match[str]], names: tuple[str, ...]) -> Draft | None:
    """Return the row of one class in a table of mmsegmentation: ``| road | 97.1 | 98.2 |``."""
    draft = Draft(Kind.CELL)
    for name, entry in zip(names[1:], entries[1:], strict=False):
        if entry["number"] is None or not is_metric(fold(name)):
            return None
        draft.put(entry.span("number"), Role.VALUE, f"eval/{name}.{entries[0][0]}")
    return draft if len(entries) == len(names) else None


def _class_row(
    entries: list[re.Match[str]], names: tuple[str, ...], *, barred: bool
) -> Draft | None:
    """Return the row over all classes of an evaluation of detections, or of one class between bars."""
    if len(entries) < len(names):
        return None
    if barred and entries[0][0] != "all":
        return _one_class(entries, names)
    if entries[0][0] != "all":
        return None
    draft = Draft()
    for name, entry in zip(names[1:], entries[1:], strict=False):
        if entry["number"] is None:
            return None
        draft.put(entry.span("number"), Role.VALUE, f"metrics/{name}")
    return draft
