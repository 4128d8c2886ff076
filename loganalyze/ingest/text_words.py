"""The words of logs: which name is a metric, a step, a total or a time."""

from __future__ import annotations

import re

from loganalyze.ingest.text_reading import Draft, Role, Span
from loganalyze.names import METRIC_ALIASES, canonical, fold

# In this order: where a line has several, the first that it has is the step of the run.
STEP_KEYS = (
    "global_step", "trainer/global_step", "train/global_step", "global_steps", "num_updates",
    "total_timesteps", "step", "steps", "train_step", "train_iter", "train_iteration", "training_step",
    "training_iteration", "current_steps", "iteration", "iterations", "iter",
    "iters", "itr", "it", "update", "updates", "nupdates", "n_updates", "num_timesteps",
)  # fmt: skip
TOTAL_KEYS = frozenset({"total_steps", "max_steps", "total_iters", "max_iters"})
EPOCH_KEYS = frozenset({"epoch", "epochs", "epoch_num", "ep"})
CLOCK_KEYS = frozenset({"timestamp", "_timestamp"})
CLOCK_MS_KEYS = frozenset({"time_ms"})
TIME_KEYS = frozenset({"time"}) | CLOCK_KEYS | CLOCK_MS_KEYS
METRIC_WORDS = re.compile(
    r"loss|acc(?:uracy)?$|acc[_@\d]|perplexity|grad_?norm|gnorm|^lr$|^lr_\d$|learning_rate|mfu|"
    r"(?:^|_)(?:error|error_rate|ppl|bpb|bits|f1|auc|bleu|wer|cer|kl|r2|tps|iou|m?iou|scale|prec|"
    r"precision|recall|entropy|rewards?(?:_\w+)?|f1[-_]score|rew_?mean|fps|likelihood)$|"
    r"map(?:[_@]?\.?\d+(?:[-_:]\.?\d+)?)?$|mse$|mae$|top_?[15]$|tok(?:ens)?[/_]s|like/frame$"
    r"|^(?:rpn|rcnn|roi)_(?:cls|box|reg|loc|mask|bbox)$"
    r"|^[gd]_(?:gan|real|fake|adv|l1|vgg|[ab])$|^(?:cycle|idt)_[ab]$"  # pix2pix, CycleGAN
)
_NO_METRIC = re.compile(r"\.(?:py|cc|cpp|cu|h|c)$|^hydra_|^(?:https?|file|eta)$")
_KNOWN = frozenset(
    fold(alias) for name, aliases in METRIC_ALIASES.items() for alias in (name, *aliases)
)
_UNITS = {"ms": 1e-3, "msec": 1e-3, "us": 1e-6, "k": 1e3, "m": 1e6}  # to seconds; `12.3K tok/s`
_SPLITS = ("train", "val", "eval", "test", "dev", "best")


def is_metric(folded: str) -> bool:
    """Tell whether a folded name is that of a metric."""
    if folded in _KNOWN or METRIC_WORDS.search(folded.rsplit("/", 1)[-1]):
        return True
    return "/memory_" in canonical(folded)  # their names end with a unit


def is_noise(folded: str) -> bool:
    """Tell whether a folded name is a file's, or another that is followed by numbers by accident."""
    return bool(_NO_METRIC.search(folded))


def names_a_split(folded: str) -> bool:
    """Tell whether a folded name says itself which split of the data it belongs to."""
    return folded.startswith(_SPLITS) or folded in {"lr", "learning_rate"}


def scale(folded: str, unit: str | None) -> float:
    """Return what turns a time or a rate printed in `unit` into seconds or units; else 1."""
    known = _UNITS.get((unit or "").strip().lower())
    return known if known is not None and canonical(folded).startswith("perf/") else 1.0


def is_whole(text: str) -> bool:
    """Tell whether a printed number can be a step."""
    whole, _, rest = text.replace(",", "").partition(".")
    return whole.isdigit() and not rest.strip("0")


def put_keyed(draft: Draft, items: list[tuple[str, Span, str]]) -> None:
    """Put the items ``(key, place, number)`` of a dictionary into `draft` by what their keys mean."""
    ranked = [
        (STEP_KEYS.index(folded), index)
        for index, (key, _, text) in enumerate(items)
        if (folded := fold(key)) in STEP_KEYS and is_whole(text)
    ]
    step = min(ranked, default=(0, -1))[1]
    steps = {index for _, index in ranked}
    for index, (key, span, text) in enumerate(items):
        folded = fold(key)
        if index == step:
            draft.put(span, Role.STEP)
        elif folded in EPOCH_KEYS:
            draft.put(span, Role.EPOCH)
        elif folded in TOTAL_KEYS and is_whole(text):
            draft.put(span, Role.TOTAL)
        elif folded in CLOCK_KEYS:
            draft.put(span, Role.CLOCK)
        elif folded in CLOCK_MS_KEYS:
            draft.put(span, Role.CLOCK_MS)
        elif folded not in TIME_KEYS and index not in steps:
            draft.put(span, Role.VALUE, key)
