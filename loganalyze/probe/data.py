"""Is the data what the model takes it for?

What it does
------------
Reads batches as the training gets them, and samples before they are collated where the target has them.
Batches: NaN and infinity, labels out of range, share of ignored labels and rows without any that counts,
padding that counts in the loss, class balance, order of the classes, samples that come twice or with two
labels, size of the inputs. Samples: empty texts, pictures that are missing, empty or of an unusual mode,
texts that do not survive tokenization, or are longer than the model takes. Tokenizer: BOS, EOS, PAD, their
being distinct and those of the model. A sheet of samples with their labels is drawn, to be looked at.

Thresholds
----------
Inputs are unscaled from a mean of 10, or a standard deviation of 20, on: pictures of 0 to 255 have about 120
and 60. Batches hold one class each from 4 times the variance of shuffled ones on.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019): "become one with the data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.errors import UsageError
from loganalyze.probe import data_batches, data_pictures, data_samples, data_tokens
from loganalyze.probe.probe import Probe
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

BATCHES = 64  # that are read


def run(bench: Bench) -> ProbeResult:
    """Read, then judge each thing by itself."""
    read = []
    for position, batch in enumerate(bench.stream()):
        read.append(batch)
        bench.report(position + 1, BATCHES)
        if len(read) >= BATCHES or not bench.clock.allows(0.4):
            break
    if not read:
        raise UsageError("the target has no batch: its DataLoader or list is empty")
    verdict = Verdict()
    measured, figures = data_batches.judge(bench, read, verdict)
    measured |= data_tokens.judge(bench, read, verdict)
    measured |= data_samples.judge(bench, verdict)
    pictures, tables = data_pictures.sheet(bench, read)
    count = measured["samples"]
    return verdict.result(
        f"Nothing is wrong with {count:,} samples in {len(read)} batches.",
        measured, (*pictures, *figures), tables,
    )  # fmt: skip


PROBE = Probe("data", "Is the data what the model takes it for?", run, judges_labels=True)
