"""Which settings two runs have, brought to one name and one spelling, and which of them differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from loganalyze.compare.axis import batch_of, tokens_of
from loganalyze.compare.values import Change, Setting, SettingKind
from loganalyze.names import CONFIG_ALIASES
from loganalyze.run import ConfigValue

if TYPE_CHECKING:
    from loganalyze.run import Run, Scalar

SAME = 1e-9  # relative: 1e-5 is 0.00001
ENVIRONMENT = re.compile(
    r"version|(?:^|[._/])(?:python|cuda|cudnn|platform|os|host(?:name)?|gpu(?:_name|_type|_model)?|node|commit|"
    r"git\w*|container|docker\w*|driver|nccl)(?:$|[._/])"
)
BOOKKEEPING = re.compile(
    r"(?:^|[._/])(?:output|logging|log|save|cache|root|run|exp|work|checkpoint)_?(?:dir|path|root|name|id|folder)?$|"
    r"_(?:dir|directory|folder|path|url|uri)$|run_?(?:name|id)|experiment|project|entity|wandb|mlflow|"
    r"(?:^|[._/])(?:name|tags?|notes?|time|date|user|timestamp|report_to|disable_tqdm|hub_\w+|push_to_hub|"
    r"logging_\w+|log_\w+|save_\w+|eval_steps|evaluation_strategy|eval_strategy|resume|verbose)$"
)
# Names and paths of what is learned from are no bookkeeping.
SUBSTANCE = re.compile(r"data|corpus|model|task|tokenizer|vocab|train_(?:file|path)|(?:^|[._/])env")
_ENUM = re.compile(r"^[A-Z]\w*\.([A-Z_]+)$")  # SchedulerType.COSINE
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None,
          "null": None, "": None}  # fmt: skip


def compare_settings(a: Run, b: Run) -> tuple[Setting, ...]:
    """Return every setting of either run, derived ones too; those that differ first, then by name."""
    ours, theirs = named(a), named(b)
    found = [_setting(key, ours.get(key), theirs.get(key)) for key in {**ours, **theirs}]
    found += _derived(a, b)
    rank = {Change.DIFFERENT: 0, Change.ONLY_A: 1, Change.ONLY_B: 1, Change.SAME: 2}
    kinds = list(SettingKind)
    found.sort(key=lambda s: (rank[s.change], kinds.index(s.kind), s.key))
    return tuple(found)


def named(run: Run) -> dict[str, ConfigValue]:
    """Return the settings of a run under one name each; what says the same again is left out."""
    found: dict[str, ConfigValue] = {}
    for key, value in run.config.items():
        folded = key.lower().replace("-", "_")
        name = _names().get(folded) or _names().get(folded.rsplit(".", 1)[-1])
        if name is None:
            found[folded] = value
            continue
        chosen = run.setting(name) or value
        found[name] = chosen
        if not same(chosen.value, value.value):
            found[folded] = value
    return found


@cache
def _names() -> Mapping[str, str]:
    return {alias: name for name, aliases in CONFIG_ALIASES.items() for alias in (name, *aliases)}


def _setting(key: str, a: ConfigValue | None, b: ConfigValue | None) -> Setting:
    if a is None or b is None:
        change = Change.ONLY_B if a is None else Change.ONLY_A
    else:
        change = Change.SAME if same(a.value, b.value) else Change.DIFFERENT
    return Setting(
        key, change, a.value if a else None, b.value if b else None, a.where if a else "",
        b.where if b else "", kind_of(key),
    )  # fmt: skip


def kind_of(key: str) -> SettingKind:
    """Tell whether a setting is of the training, of its environment, or only names things."""
    if key == "resume_from_checkpoint":
        return SettingKind.TRAINING
    if ENVIRONMENT.search(key):
        return SettingKind.ENVIRONMENT
    named = BOOKKEEPING.search(key) and not SUBSTANCE.search(key)
    return SettingKind.BOOKKEEPING if named else SettingKind.TRAINING


def _derived(a: Run, b: Run) -> list[Setting]:
    """Return what follows from several settings: samples and tokens of a step, steps of warmup."""
    found = []
    for key, worked_out in (
        ("effective_batch_size", batch_of),
        ("tokens_per_step", tokens_of),
        ("warmup_share", _warmup),
    ):
        ours, theirs = worked_out(a), worked_out(b)
        if ours is None or theirs is None:
            continue
        if key == "effective_batch_size" and _plain(a) and _plain(b):
            continue  # it repeats the batch of the device
        change = Change.SAME if same(ours, theirs) else Change.DIFFERENT
        found.append(Setting(key, change, _short(ours), _short(theirs), kind=SettingKind.DERIVED))
    return found


def _plain(run: Run) -> bool:
    return batch_of(run) == run.number("train_batch_size")


def _short(value: float) -> Scalar:
    return int(value) if value == int(value) else float(f"{value:.4g}")


def _warmup(run: Run) -> float | None:
    """Return the warmup as a share of the planned steps, however it was given."""
    steps, planned = run.number("warmup_steps"), run.number("max_steps") or run.planned_steps
    if steps and planned:
        return steps / planned if steps >= 1 else steps
    return run.number("warmup_ratio")


def same(a: Scalar, b: Scalar) -> bool:
    """Tell whether two values mean the same: ``"1e-5"`` and 0.00001, ``"True"`` and true."""
    left, right = plain(a), plain(b)
    numbers = isinstance(left, float) and isinstance(right, float)
    if numbers and isinstance(left, float) and isinstance(right, float):
        return left == right or abs(left - right) <= SAME * max(abs(left), abs(right))
    return left == right


def plain(value: Scalar) -> Scalar:
    """Return a value in one spelling: numbers as floats, words of truth as booleans, text folded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    text = value.strip().strip("\"'").strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return float(text)
    except ValueError:
        member = _ENUM.match(text)
        return (member[1] if member else text).lower()
