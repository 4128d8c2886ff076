"""What the model reads: numbers of tokens, or measured values that may be large, missing or infinite."""

from __future__ import annotations

import re

from loganalyze.causes.cause import Case
from loganalyze.signals.loss_kind import LossKind, loss_kind

LANGUAGE = frozenset(
    {"lm loss", "lm_loss", "ppl", "perplexity", "mfu", "tok/s", "num_tokens", "mean_token_accuracy"}
)  # of language models
NAMES = ("model", "model_type", "model_name", "_name_or_path", "architectures", "arch")
# Models of text by name, and words for what they do with it.
TEXT = re.compile(
    r"(?<!vis)(?<!image)bert(?![a-z]*v\d)|gpt|llama|mistral|qwen|gemma|electra|deberta|roberta|bloom|pythia"
    r"|(?:^|[-_/ .])(?:t5|bart|opt|nlp|lm|ner|text|word|token|char|sentence|language|reader|tagger"
    r"|translat\w*)"
    r"(?=$|[-_/ .])",
    re.I,
)
SEQUENTIAL = re.compile(r"gru|lstm|(?<!c)rnn|seq|tagger|transformer", re.I)  # layers that read rows
SEEN = re.compile(r"vit|clip|vision|image|patch|wav|audio|speech|whisper", re.I)


def reads_tokens(case: Case) -> bool:
    """Tell whether the inputs are numbers of tokens: by the vocabulary, by what is logged, or by its name."""
    if case.run.number("vocab_size") and loss_kind(case.run) is not LossKind.REGRESSION:
        return True
    if loss_kind(case.run) is LossKind.PREFERENCE:
        return True  # answers are compared by the probabilities of their tokens
    names = {str(name) for name in case.run.metrics["name"].cat.categories}
    return case.run.framework == "nanogpt" or bool(names & LANGUAGE) or is_named_text(case)


def is_named_text(case: Case) -> bool:
    """Tell whether the model has the name of one that reads text."""
    found = (case.run.setting(key) for key in NAMES)
    words = " ".join(str(item.value) for item in found if item is not None)
    return bool(TEXT.search(words)) and not SEEN.search(words)


def is_named_sequence(case: Case) -> bool:
    """Tell whether the model has the name of one that reads sequences, which may be padded."""
    found = (case.run.setting(key) for key in NAMES)
    words = " ".join(str(item.value) for item in found if item is not None)
    return (bool(SEQUENTIAL.search(words)) and not SEEN.search(words)) or is_named_text(case)
