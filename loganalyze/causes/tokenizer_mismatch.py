"""Token ids that the embedding does not have, or that mean something else to it.

What it is
----------
The tokenizer has more entries than the embedding has rows (tokens were added without a resize, another
tokenizer was loaded), or the same ids stand for other words, so that a pretrained model reads noise.

What speaks for it
------------------
The assertion ``srcIndex < srcSelectDimSize`` on an accelerator; ``index out of range in self`` on a
CPU. Softer: a pretrained model starts above the logarithm of its vocabulary, in evaluation too.

What speaks against it
----------------------
The assertion names ``n_classes``: that is a label. The excess is a whole number that divides the
accumulation.

How to confirm
--------------
``max(input_ids)`` against ``model.get_input_embeddings().num_embeddings``; the loss of the untouched model.

Fix
---
``model.resize_token_embeddings(len(tokenizer))``, or the tokenizer that belongs to the model.

References
----------
lit-llama#306; Baichuan2#72.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.error_text import LOOKUP, device_assert, quote, stated
from loganalyze.causes.initial import (
    LARGE_NORM,
    ORDINARY_NORM,
    first_norm,
    is_training_alone,
    model_clues,
)
from loganalyze.causes.multiple import excess_clues
from loganalyze.finding import Clue
from loganalyze.run import EventKind
from loganalyze.signals.loss_kind import is_language_model

ERROR = re.compile(
    r"srcIndex < srcSelectDimSize|indexSelect\w*Index.*Assertion|ind < ind_dim_size|gather kernel index out"
)
TOO_LONG = re.compile(r"sequence length is longer than the specified maximum", re.I)
LIKELY = re.compile(
    r"index out of range in self|out of table with \d+ rows|indices.{0,60}is not in \[0, \d+\)"
    r"|size mismatch for \S*(?:(?<!class_)(?<!cls_)(?<!label_)embed|wte\b|lm_head|shared\b.*Size\(\[\d{5})"
)
OLD = re.compile(r"^RuntimeError: index out of range\b", re.M)  # PyTorch before 1.5 names no table
FAR = 7.0  # nats above log(V); logits of pretrained models have a standard deviation of 2 to 4


def weigh(case: Case) -> list[Clue]:
    """Read the message; for a high start, compare train with evaluation."""
    clues = stated(case, ERROR) or stated(case, LIKELY, DECISIVE + MODERATE)
    failed = [event.text for event in case.run.events_of(EventKind.TRACEBACK)]
    if not clues and any(OLD.search(text) and LOOKUP.search(text) for text in failed):
        clues = [Clue("An index was out of range in a look-up of embeddings.", DECISIVE + MODERATE)]
    untold = device_assert(case)
    if untold is not None and not clues:
        text = "An index was out of range on the device, perhaps that of a token."
        clues = [Clue(text, DECISIVE + MODERATE if LOOKUP.search(untold) else MODERATE)]
    if clues and quote(case, TOO_LONG):
        text = "A sequence is longer than the model bears: the index may be that of a position."
        clues.append(Clue(text, -DECISIVE))
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log comes from an embedding.", -DECISIVE))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return clues
    if case.run.setting("vocab_size") is None:
        clues.append(Clue("No vocabulary is known: it is no language model, it seems.", -STRONG))
        return clues
    about_the_model = [] if is_training_alone(case) else _excess(case, ratio)
    return [*clues, *about_the_model, *model_clues(case), *excess_clues(case, STRONG)]


def _excess(case: Case, ratio: float) -> list[Clue]:
    """A pretrained model is sure of itself, but not absurdly: on noise it costs a little more than log(V)."""
    if case.run.number("num_classes") is not None and not is_language_model(case.run):
        return [Clue("It is a classifier: its head is new, whatever it reads.", -MODERATE)]
    excess = (ratio - 1) * (case.number("initial-loss-high", "log_c") or 0.0)
    if excess > FAR:
        text = f"{excess:.1f} above log(V) is more than a pretrained model loses by reading noise."
        return [Clue(text, -STRONG)]
    norm = first_norm(case)
    if norm is not None and norm > LARGE_NORM:
        text = f"The first gradient norm is {norm:.3g}, that of weights which are far too large."
        return [Clue(text, -MODERATE)]
    text = f"The loss starts at {ratio:.2f} x log(V): a pretrained model that reads noise does."
    return [Clue(text, DECISIVE if norm is not None and norm < ORDINARY_NORM else STRONG)]


def fix(case: Case) -> list[str]:
    """Name the resize."""
    size = case.run.number("vocab_size")
    rows = f" (now {int(size):,})" if size else ""
    return [f"model.resize_token_embeddings(len(tokenizer)){rows}"]


HYPOTHESIS = Hypothesis(
    id="tokenizer-mismatch",
    title="Tokenizer and model do not belong together",
    prior=-0.8,
    explains=("crash", "initial-loss-high"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
