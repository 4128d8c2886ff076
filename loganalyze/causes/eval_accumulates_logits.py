"""Predictions of the whole evaluation set are gathered on the accelerator.

What it is
----------
The Trainer concatenates the logits of all batches before it computes metrics: vocabulary times
tokens times samples.

What speaks for it
------------------
The error comes in evaluate, prediction_step or nested_concat; training itself runs.

What speaks against it
----------------------
The traceback is in backward or in the first forward.

How to confirm
--------------
Evaluate on 10 samples: it runs.

Fix
---
eval_accumulation_steps, or take the argmax in preprocess_logits_for_metrics.

References
----------
transformers#17089; DNABERT_2#78.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.memory_request import large_request
from loganalyze.finding import Clue
from loganalyze.run import EventKind


def weigh(case: Case) -> list[Clue]:
    """Look at where it failed."""
    finding = case.found("oom-gpu", "oom-host")
    if finding and finding.evidence.get("phase") == "evaluation":
        return [Clue("The error came inside the evaluation; training ran.", DECISIVE + MODERATE)]
    errors = case.run.events_of(EventKind.OOM_GPU, EventKind.OOM_HOST)
    clues = []
    if any("\n" in error.text.strip() for error in errors):
        clues.append(Clue("The traceback does not lead through an evaluation.", -STRONG))
    share = large_request(case)
    if share is not None:
        text = (
            f"A single request asked for {share:.0%} of the memory, as joining many batches does."
        )
        clues.append(Clue(text, STRONG))
    return clues


def fix(case: Case) -> list[str]:
    """Name the two settings."""
    return [
        "eval_accumulation_steps -> 8",
        "preprocess_logits_for_metrics -> argmax over the vocabulary",
    ]


HYPOTHESIS = Hypothesis(
    id="eval-accumulates-logits",
    title="The evaluation keeps all logits",
    prior=-1.5,
    explains=("oom-gpu", "oom-host"),
    weigh=weigh,
    fix=fix,
    probe="memory",
)
