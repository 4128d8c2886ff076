"""Every step keeps something of the last: tensors with their graphs, histories, caches.

What it is
----------
``total += loss`` keeps the graph of every step alive; a list of outputs keeps the outputs; a growing cache
keeps all.

What speaks for it
------------------
Memory grows by the same amount every step, and does not fall at the end of an epoch. It runs out late.
The line of code at the error puts a tensor where later steps find it.

What speaks against it
----------------------
Memory settles after the first steps (the allocator's pool), or it runs out at once.

How to confirm
--------------
Log torch.cuda.memory_allocated() every 100 steps: a straight line.

Fix
---
``total += loss.item()``; detach() what is kept; clear lists per epoch.

References
----------
PyTorch documentation, "My model reports cuda runtime error(2): out of memory" (accumulating history).
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.error_text import quote
from loganalyze.causes.memory_request import SIZEABLE, share_of_request
from loganalyze.finding import Clue

LATE = 100  # steps after which the memory of an ordinary step is known to fit
# A line of code that puts a tensor of the step where the next step finds it.
KEEPS = re.compile(
    r"^\s*(?:self\.)?\w+\.append\(\s*(?:\w*loss|outputs?|preds?|logits|hidden\w*)\s*\)$"
    r"|^\s*(?:self\.)?\w+\s*\+=\s*\w*loss$"
)


def weigh(case: Case) -> list[Clue]:
    """Weigh the growth, and when the memory ran out."""
    clues = []
    if case.found("memory-leak"):
        clues.append(Clue("The memory grows with every step.", STRONG))
    line = quote(case, KEEPS)
    if line is not None:
        clues.append(Clue(f'The code at the error, "{line}", keeps the graph of its step.', STRONG))
    full = case.found("oom-gpu", "oom-host")
    if full and full.steps is not None and full.steps[1] >= LATE:
        clues.append(Clue(f"It ran out after {full.steps[1]:,} steps that had fitted.", MODERATE))
        share = share_of_request(case)
        if share is not None and share > SIZEABLE:
            text = f"The last request was for {share:.0%} of the memory; what piles up fails at a small one."
            clues.append(Clue(text, -MODERATE))
    elif full and not clues:
        clues.append(Clue("It ran out at once: nothing could have piled up.", -DECISIVE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the usual line."""
    return ["total += loss -> total += loss.item(); detach() what outlives a step"]


HYPOTHESIS = Hypothesis(
    id="memory-leak-retained-graph",
    title="Every step keeps memory",
    prior=-0.6,
    explains=("memory-leak", "oom-gpu", "oom-host"),
    weigh=weigh,
    fix=fix,
    probe="memory",
)
