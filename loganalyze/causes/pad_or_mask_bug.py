"""The pad token, the attention mask or the position that is pooled is wrong, so that the model
reads padding.

What it is
----------
A decoder that classifies by its last token reads the padding if it does not know the pad token; a
loss over padded positions counts them as text.

What speaks for it
------------------
A single sample has a normal loss and a batch has not. The pad token equals the end-of-text token.
The loss starts above log(C). A model that attends turns NaN in one row without a rise. A language model
learns one easy thing in the first steps and nothing after it, none of which shows in the evaluation.

What speaks against it
----------------------
Batches of one sample or of equal lengths. A normal evaluation loss on padded batches.

How to confirm
--------------
Compare the loss of a padded batch with the mean loss of its samples one by one: they must agree.

Fix
---
Set pad_token_id in the model's configuration, pass the attention mask, and mask padded labels
with -100.

References
----------
trl#976: pad = eos; Hugging Face documentation, decoder models for sequence classification.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.causes.eval_mismatch import APART, learned_at_once, learned_padding
from loganalyze.causes.initial import model_clues
from loganalyze.causes.multiple import excess_clues
from loganalyze.causes.onset import onset
from loganalyze.causes.reads import NAMES, is_named_sequence, is_named_text
from loganalyze.finding import Clue
from loganalyze.run import EventKind
from loganalyze.signals.first_pass import FirstPass, first_pass
from loganalyze.signals.loss_kind import is_language_model

# Settings of models that read sequences.
SEQUENCES = (
    "vocab_size",
    "pad_token_id",
    "max_position_embeddings",
    "max_seq_length",
    "seq_length",
)

MUCH = 5.0  # times log(C): more than a guess among unused answers ever costs
NO_PADDING = "Nothing says that the model reads padded sequences."
ATTENDS = re.compile(
    r"attention|transformer|former|bert|gpt|llama|mistral|qwen|gemma|(?:^|[-_/])(?:vit|deit|t5|opt)",
    re.I,
)


SHOWS = ("initial-loss-high", "loss-nonfinite", "grad-nonfinite", "overfit-gap", "eval-at-chance")
ERROR = re.compile(
    r"no padding token is defined|tokenizer does not have a padding token|pad_token_id.{0,20}is not set"
)


def weigh(case: Case) -> list[Clue]:
    """Look for a missing or doubled pad token; a large excess needs wrong inputs, not only a wrong scale."""
    if told := stated(case, ERROR):
        return told
    if case.found("crash") and not case.found(*SHOWS):
        return [Clue("No error in the log speaks of padding.", -STATED)]
    if case.number("initial-loss-high", "ratio_to_log_c") is None:
        return _not_a_number(case)
    clues = [] if _may_pad(case) else [Clue(NO_PADDING, -MODERATE)]
    pad, end = case.run.setting("pad_token_id"), case.run.setting("eos_token_id")
    if pad is not None and pad.value is None:
        # A decoder that writes text has none by default; one that pools its last token needs it.
        weight = WEAK if is_language_model(case.run) else STRONG
        clues.append(Clue("pad_token_id is not set in the model's configuration.", weight))
    elif pad is not None and end is not None and pad.value == end.value:
        clues.append(Clue(f"The pad token is the end-of-text token ({pad.value}).", MODERATE))
    if any("pad" in event.text.lower() for event in case.run.events_of(EventKind.HINT)):
        clues.append(Clue("The log warns of the pad token.", MODERATE))
    if (case.number("initial-loss-high", "ratio_to_log_c") or 0.0) > MUCH:
        text = "Padding that is read makes answers worse than a guess, not sure and wrong."
        clues.append(Clue(text, -MODERATE))
    batch = case.run.number("train_batch_size")
    if batch == 1:
        clues.append(Clue("The batch holds one sample: nothing is padded.", -STRONG))
    return clues + model_clues(case) + excess_clues(case)


def _not_a_number(case: Case) -> list[Clue]:
    """A row that attends to padding alone is 0 / 0; it comes with the data, not with a rise."""
    first = onset(case)
    seen = first_pass(case.run)
    if (
        first is None
        and _reads_sequences(case)
        and seen is not None
        and (seen.apart or 0.0) > APART
    ):
        text = (
            f"Before any sample was seen twice the evaluation loss was {seen.apart:.1f} x the train loss: "
            "padding that is learned makes the train loss low at once."
        )
        return [Clue(text, DECISIVE if learned_padding(case) else STRONG)]
    if first is None and is_named_sequence(case) and _parts_at_once(case, seen):
        text = (
            "Nearly all was learned in the first steps and the evaluation shows none of it: padding that is "
            "learned does that, and the evaluation asks for what is not padding."
        )
        return [Clue(text, DECISIVE)]
    if first is None and _is_of_rows(case) and case.found("eval-at-chance"):
        text = "Rows are learned, and no evaluation is better than a guess: they may be full of padding."
        return [Clue(text, MODERATE)]
    if first is None:
        return [Clue("The initial loss does not stand out.", -DECISIVE)]
    clues = []
    if _reads_sequences(case) or is_named_sequence(case):
        clues.append(Clue("The model reads sequences: a row may hold padding alone.", WEAK))
    elif _attends(case):
        # In the public reports models that attend met masked rows; data held NaN for detectors, regressions.
        clues.append(Clue("The model attends, by its name: a row may attend to nothing.", MODERATE))
    else:
        clues.append(Clue(NO_PADDING, -MODERATE))
    if first.rose:
        clues.append(Clue("The loss rose before it was no number; a mask breaks at once.", -STRONG))
    elif first.was_sudden:
        clues.append(Clue("The loss did not rise before it was no number.", WEAK))
    return clues


def _parts_at_once(case: Case, seen: FirstPass | None) -> bool:
    return seen is not None and (seen.apart or 0.0) > APART and learned_at_once(case)


def _attends(case: Case) -> bool:
    """Tell whether the model attends, by its name."""
    return any(ATTENDS.search(str(item.value)) for key in NAMES if (item := case.run.setting(key)))


def _is_of_rows(case: Case) -> bool:
    """Tell whether the model reads rows, by the settings or by its name."""
    return _reads_sequences(case) or is_named_text(case) or is_named_sequence(case)


def _may_pad(case: Case) -> bool:
    """Tell whether rows may be padded, by the settings or the name of the model, if it has one."""
    named = any(case.run.setting(key) is not None for key in NAMES)
    return not named or _is_of_rows(case) or _attends(case)


def _reads_sequences(case: Case) -> bool:
    return any(case.run.setting(key) is not None for key in SEQUENCES)


def fix(case: Case) -> list[str]:
    """Name the three places."""
    return ["model.config.pad_token_id = tokenizer.pad_token_id, with a pad token of its own"]


HYPOTHESIS = Hypothesis(
    id="pad-or-mask-bug",
    title="Padding takes part in the loss or in the pooling",
    prior=-0.7,
    explains=(*SHOWS, "crash"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
