"""The settings of a training by the Trainer, as its own files state them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loganalyze.monitor.trainable import parameter_counts
from loganalyze.report.redact import redact_value

if TYPE_CHECKING:
    from transformers import TrainerState, TrainingArguments

_CLASSES = (
    "SequenceClassification",
    "ImageClassification",
    "TokenClassification",
    "AudioClassification",
)
_WORDS = ("CausalLM", "LMHead", "MaskedLM", "ConditionalGeneration")


def settings_of(args: TrainingArguments, state: TrainerState, model: Any) -> dict[str, Any]:
    """Return arguments, size of the model, and the number of classes that the loss is over."""
    told = {
        key: redact_value(key, value)
        for key, value in args.to_sanitized_dict().items()
        if isinstance(value, (bool, int, float, str))
    }
    if state.max_steps > 0:
        told["max_steps"] = state.max_steps
    if model is None:
        return told
    told |= parameter_counts(model)
    config, kind = getattr(model, "config", None), type(model).__name__
    for key, kinds in (("num_labels", _CLASSES), ("vocab_size", _WORDS)):
        value = getattr(config, key, None)
        if isinstance(value, int) and any(name in kind for name in kinds):
            told[key] = value
    if isinstance(problem := getattr(config, "problem_type", None), str):
        told["problem_type"] = problem
    return told
