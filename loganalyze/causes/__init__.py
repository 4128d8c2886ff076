"""Causes: hypotheses that weigh the evidence for and against themselves, and their ranking."""

from __future__ import annotations

from functools import cache

from loganalyze.causes import (
    batch_too_large,
    eval_accumulates_logits,
    fp16_overflow,
    frozen_parameters,
    head_init_scale,
    host_memory_exhausted,
    killed,
    labels_all_masked,
    labels_wrong,
    loss_not_normalized,
    lr_too_high,
    lr_too_low,
    memory_fragmentation,
    nan_in_data,
    no_grad_clipping,
    num_labels_mismatch,
    outlier_batch,
    overfit_small_data,
    pad_or_mask_bug,
    software_bug,
    warmup_too_long,
)
from loganalyze.causes.cause import Hypothesis

# In the order of the taxonomy: optimisation, precision, data, model, accounting, lifecycle, system.
HYPOTHESES: tuple[Hypothesis, ...] = (
    lr_too_high.HYPOTHESIS,
    lr_too_low.HYPOTHESIS,
    warmup_too_long.HYPOTHESIS,
    no_grad_clipping.HYPOTHESIS,
    fp16_overflow.HYPOTHESIS,
    outlier_batch.HYPOTHESIS,
    nan_in_data.HYPOTHESIS,
    labels_wrong.HYPOTHESIS,
    labels_all_masked.HYPOTHESIS,
    pad_or_mask_bug.HYPOTHESIS,
    overfit_small_data.HYPOTHESIS,
    frozen_parameters.HYPOTHESIS,
    head_init_scale.HYPOTHESIS,
    num_labels_mismatch.HYPOTHESIS,
    loss_not_normalized.HYPOTHESIS,
    killed.HYPOTHESIS,
    batch_too_large.HYPOTHESIS,
    memory_fragmentation.HYPOTHESIS,
    eval_accumulates_logits.HYPOTHESIS,
    host_memory_exhausted.HYPOTHESIS,
    software_bug.HYPOTHESIS,
)


@cache
def hypotheses() -> tuple[Hypothesis, ...]:
    """Return the causes of this package and those that others add (``loganalyze.causes``)."""
    from importlib.metadata import entry_points

    return (*HYPOTHESES, *(entry.load() for entry in entry_points(group="loganalyze.causes")))
