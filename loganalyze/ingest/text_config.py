"""Settings that a program printed into its log: ``Namespace(...)``, argument dumps, banners."""

from __future__ import annotations

import re

from loganalyze.ingest.text_words import is_metric
from loganalyze.names import CONFIG_ALIASES, fold
from loganalyze.run import ConfigValue, Scalar

_NAMESPACE = re.compile(r"\b(?:Namespace|\w*Arguments|\w*Config)\((.{3,20000})")
_ASSIGNED = re.compile(
    r"\b([a-z_][\w.]{1,60})=('[^']{0,200}'|\"[^\"]{0,200}\"|[^,()\[\]{}\s]{1,100})"
)
_LINE = re.compile(
    r"^\s{0,8}(?:--)?['\"]?([A-Za-z][\w. -]{1,50}?)['\"]?\s*(?:=|:|\.{3,}(?![.:]))"
    r"\s*['\"]?(?!.*: )([^'\"{}\[\]]{1,100}?)['\"]?,?\s*$"
)
_PARTS = re.compile(r",\s+(?=[A-Za-z][\w. -]{1,50}[:=])")
_WORDS = frozenset(
    fold(alias) for key, aliases in CONFIG_ALIASES.items() for alias in (key, *aliases)
) | {"seed", "optimizer", "optim", "model", "model_name_or_path", "adam_epsilon", "adam_beta2"}
_NAMED = frozenset({"loss", "optimizer", "scheduler"})  # set by name; a number is a metric
_ITEM = re.compile(  # of a dictionary: `'lr': 0.1`, `"batch_size": 32`
    r"['\"]([A-Za-z][\w.-]{1,60})['\"]:\s*('[^']{0,200}'|\"[^\"]{0,200}\"|[^,(){}\[\]'\"]{1,100})"
)
_ROW = re.compile(
    r"^\s*\|?\s*([A-Za-z][\w ./-]{1,50}?)\s*(?:\([^)|]{1,20}\)\s*)?\|\s*([^|]{1,100}?)\s*\|\s*$"
)
_BANNER = {
    "total_optimization_steps": "max_steps",
    "num_epochs": "num_train_epochs",
    "instantaneous_batch_size_per_device": "per_device_train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "total_train_batch_size_(w._parallel,_distributed_&_accumulation)": "total_train_batch_size",
}


# Words in lines that may state settings, in the syntax of RE2.
INTEREST = (
    r"Namespace\(|Arguments\(|Config\(|(?i:"
    + "|".join(sorted(word.replace("_", "[-_ ]") for word in _WORDS))
    + r"|num epochs|instantaneous batch|total optimization|total train batch)"
    r"\s*(?:\([^)|]{1,20}\)\s*)?['\"]?\s*(?:[:=|]|\.\.\.)"
)


def is_setting(folded: str) -> bool:
    """Tell whether a folded name is that of a setting, and of no metric."""
    return folded in _WORDS and not is_metric(folded)


def is_dump(text: str) -> bool:
    """Tell whether a line prints a whole set of settings: ``Namespace(lr=0.1, ...)``."""
    return "(" in text and _NAMESPACE.search(text) is not None


def settings(text: str, where: str) -> dict[str, ConfigValue]:
    """Return the settings that one line of a log states; empty for any other line."""
    block = _NAMESPACE.search(text)
    if block:
        return {
            key: ConfigValue(scalar(value), where) for key, value in _ASSIGNED.findall(block[1])
        }
    if "{" in text:
        items = ((fold(key), value) for key, value in _ITEM.findall(text))
        return {key: ConfigValue(scalar(value), where) for key, value in items if key in _WORDS}
    parts = _PARTS.split(text.strip())
    if len(parts) > 1 and all(map(_LINE.match, parts)):  # `Learning Rate: 0.001, Momentum: 0.9`
        return {key: value for part in parts for key, value in settings(part, where).items()}
    found = _ROW.match(text) or _LINE.match(text)
    if not found:
        return {}
    key = fold(found[1])
    key = _BANNER.get(key, key)
    value = scalar(found[2].strip())
    if key not in _WORDS or (key in _NAMED and not isinstance(value, str)):
        return {}
    return {key: ConfigValue(value, where)}


def scalar(text: str) -> Scalar:
    """Read a printed value: None, a truth value, a number, or text."""
    text = text.strip().strip("'\"")
    low = text.lower()
    if low in {"none", "null"}:
        return None
    if low in {"true", "false"}:
        return low == "true"
    plain = text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else text
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text
