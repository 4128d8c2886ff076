"""Causes: hypotheses that weigh the evidence for and against themselves, and their ranking."""

from __future__ import annotations

from functools import cache

from loganalyze.causes import (
    batch_too_large,
    communication_timeout,
    disk_full,
    eval_accumulates_logits,
    fp16_overflow,
    frozen_parameters,
    hardware_fault,
    head_init_scale,
    host_memory_exhausted,
    killed,
    label_out_of_range,
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
    sequence_too_long,
    software_bug,
    time_limit,
    tokenizer_mismatch,
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
    label_out_of_range.HYPOTHESIS,
    pad_or_mask_bug.HYPOTHESIS,
    tokenizer_mismatch.HYPOTHESIS,
    overfit_small_data.HYPOTHESIS,
    frozen_parameters.HYPOTHESIS,
    head_init_scale.HYPOTHESIS,
    num_labels_mismatch.HYPOTHESIS,
    loss_not_normalized.HYPOTHESIS,
    killed.HYPOTHESIS,
    time_limit.HYPOTHESIS,
    batch_too_large.HYPOTHESIS,
    sequence_too_long.HYPOTHESIS,
    memory_fragmentation.HYPOTHESIS,
    eval_accumulates_logits.HYPOTHESIS,
    host_memory_exhausted.HYPOTHESIS,
    communication_timeout.HYPOTHESIS,
    hardware_fault.HYPOTHESIS,
    disk_full.HYPOTHESIS,
    software_bug.HYPOTHESIS,
)


@cache
def hypotheses() -> tuple[Hypothesis, ...]:
    """Return the causes of this package and those that others add (``loganalyze.causes``)."""
    from importlib.metadata import entry_points

    return (*HYPOTHESES, *(entry.load() for entry in entry_points(group="loganalyze.causes")))
