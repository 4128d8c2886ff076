"""Activations of one micro-batch, with weights and optimizer state, need more memory than there is.

What it is
----------
Memory grows in proportion to the micro-batch; the first full step with optimizer state is the
largest.

What speaks for it
------------------
It fails in the first steps. Allocated is close to the capacity.

What speaks against it
----------------------
It fails late: then a long sample, a leak or an evaluation is likelier. The batch is 1 already.

How to confirm
--------------
Halve the micro-batch: it runs.

Fix
---
Halve the batch and double the accumulation; gradient checkpointing.

References
----------
pytorch#16417; transformers#17211.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.memory_request import large_request, spare_memory
from loganalyze.finding import Clue, Finding

EARLY = 20  # steps within which a batch that does not fit fails
FULL = 0.9  # share of the capacity that counts as full


def weigh(case: Case) -> list[Clue]:
    """Weigh when it failed and how full the memory was."""
    clues = []
    finding = case.found("oom-gpu")
    clues = [_when(finding)] if finding else []
    allocated, capacity = (case.number("oom-gpu", f"{n}_gib") for n in ("allocated", "capacity"))
    if allocated and capacity and allocated > FULL * capacity:
        clues.append(Clue(f"{allocated:.1f} of {capacity:.1f} GiB were allocated.", MODERATE))
    share = large_request(case)
    if share is not None:
        text = f"A single request asked for {share:.0%} of the memory: not one activation of many."
        clues.append(Clue(text, -WEAK))
    if (free := spare_memory(case)) is not None:
        text = f"{free:.1f} GiB were free, far more than what was asked for."
        clues.append(Clue(text, -DECISIVE))
    if case.run.number("train_batch_size") == 1:
        clues.append(Clue("The micro-batch is 1 already.", -STRONG))
    if case.found("memory-leak"):
        clues.append(Clue("The memory had grown step by step until then.", -DECISIVE - MODERATE))
    if finding and finding.evidence.get("phase") == "evaluation":
        clues.append(Clue("It failed in an evaluation.", -STRONG))
    if finding and finding.evidence.get("fragmentation") == "likely":
        clues.append(Clue("Much of the memory was reserved and not allocated.", -MODERATE))
    return clues


def _when(finding: Finding) -> Clue:
    if finding.steps is None:
        return Clue("It failed before the first logged step.", MODERATE)
    step = finding.steps[1]
    if step <= EARLY:
        return Clue(f"It failed at the start, after step {step:,}.", STRONG)
    return Clue(f"It failed late, after step {step:,}.", -MODERATE)


def fix(case: Case) -> list[str]:
    """Keep the effective batch."""
    finding = case.found("oom-gpu")
    return [
        *(finding.fix if finding else ()),
        "gradient_checkpointing false -> true: less memory, about a third more time",
    ]


HYPOTHESIS = Hypothesis(
    id="batch-too-large",
    title="The batch does not fit into memory",
    prior=0.6,
    explains=("oom-gpu",),
    weigh=weigh,
    fix=fix,
    probe="batch",
)
