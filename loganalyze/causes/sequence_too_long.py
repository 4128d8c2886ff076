"""One sample is far longer, or larger, than the others.

What it is
----------
The memory of a step grows with the longest sample in it, for attention with its square. The run goes well
until that sample comes.

What speaks for it
------------------
It fails late, with one request for a large part of the memory, at the same place in the data whatever
the batch size. The tokenizer warns that a sequence is longer than the model's limit.

What speaks against it
----------------------
It fails in the first steps, on a small request.

How to confirm
--------------
Print the shape of the batch that fails, and the largest length in the data set.

Fix
---
Truncate or bucket by length; drop what is longer than the 99.9th percentile.

References
----------
allennlp#2515; peft#525; OFA#153.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import quote, stated
from loganalyze.causes.memory_request import SIZEABLE, large_request, share_of_request
from loganalyze.finding import Clue

LIMIT = re.compile(r"sequence length is longer than the specified maximum", re.I)
INDEX = re.compile(r"index out of range|srcIndex < srcSelectDimSize|device-side assert")
LATE = 100  # steps after which every ordinary length has been seen


def weigh(case: Case) -> list[Clue]:
    """Weigh when it failed, and how much it asked for at once."""
    clues = stated(case, LIMIT, STRONG)
    if clues and quote(case, INDEX):
        text = "An index was out of range, as that of a position beyond the model's limit is."
        clues.append(Clue(text, DECISIVE))
    finding = case.found("oom-gpu")
    if finding is None:
        return clues or [Clue("Nothing in the log tells of a length.", -DECISIVE)]
    share = large_request(case)
    some = share_of_request(case)
    if share is not None:
        text = f"A single request asked for {share:.0%} of the whole memory."
        clues.append(Clue(text, STRONG))
    elif some is not None and some > SIZEABLE:
        text = f"The request was for {some:.0%} of the memory, more than most layers take."
        clues.append(Clue(text, WEAK))
    if finding.steps is not None and finding.steps[1] >= LATE:
        text = f"It failed after {finding.steps[1]:,} steps that had fitted."
        clues.append(Clue(text, MODERATE))
    elif finding.steps is not None:
        clues.append(Clue("It failed among the first steps.", -MODERATE))
    if finding.evidence.get("phase") == "evaluation":
        clues.append(Clue("It failed in an evaluation.", -STRONG))
    return clues


def fix(case: Case) -> list[str]:
    """Cut the length."""
    length = case.run.number("max_seq_length")
    if length:
        return [f"max_seq_length {int(length)} -> {int(length) // 2}"]
    return ["Truncate the inputs, or sort them by length and look at the longest"]


HYPOTHESIS = Hypothesis(
    id="sequence-too-long",
    title="A sample is too long",
    prior=-1.0,
    explains=("oom-gpu", "crash"),
    weigh=weigh,
    fix=fix,
    probe="memory",
)
