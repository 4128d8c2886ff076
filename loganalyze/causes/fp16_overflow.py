"""A value beyond 65,504 becomes infinite in fp16.

What it is
----------
Activations or gradients pass the range of fp16; the loss turns NaN from one row to the next, with
healthy rows before.

What speaks for it
------------------
fp16 is on. The loss turns NaN in one row without a rise, or creeps up while the gradient norm stays. The
loss scale falls again and again. Only long inputs fail.

What speaks against it
----------------------
The run is in fp32 or bf16. The loss rose over several rows before.

How to confirm
--------------
Run the same batch in bf16 or fp32: it stays finite, and the first module with a non-finite output
is named.

Fix
---
Train in bf16; else keep normalisations and the loss in fp32.

References
----------
nanoGPT#215; litgpt#291; LlamaFactory#3474.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.causes.onset import onset
from loganalyze.finding import Clue
from loganalyze.run import EventKind

# As settings spell a precision; the longer spelling first.
WORDS = (
    ("bf16", "bf16"),
    ("bfloat16", "bf16"),
    ("fp16", "fp16"),
    ("float16", "fp16"),
    ("16-mixed", "fp16"),
    ("fp32", "fp32"),
    ("float32", "fp32"),
    ("32", "fp32"),
)
ERROR = re.compile(
    r"loss scale already at minimum|[Mm]inimum loss scale reached|loss scale.*too small"
)
LATE = 2  # epochs
MANY = 3  # reductions of the loss scale; a few at the start are its calibration


def weigh(case: Case) -> list[Clue]:
    """Weigh the precision and the shape of the fall."""
    clues = stated(case, ERROR)
    if case.found("loss-scale-collapse"):
        clues.append(Clue("The loss scale fell until nothing was left of it.", DECISIVE))
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log comes from the loss scaler.", -DECISIVE))
    half, name = precision(case)
    if half == "fp16":
        clues.append(Clue(f"The run uses fp16 ({name}).", STRONG))
    elif half is None:
        if case.run.config:  # without settings, silence says nothing
            clues.append(Clue("Nothing in the log says that the run uses fp16.", -WEAK))
    else:
        clues.append(
            Clue(f"The run uses {half} ({name}), whose range does not overflow so.", -DECISIVE)
        )
    first = onset(case)
    if first is None and clues and clues[0].weight > DECISIVE:
        return clues
    if first is None:
        weight = -WEAK if case.found("loss-scale-collapse") else -STRONG
        return [*clues, Clue("No loss or gradient was NaN or infinite.", weight)]
    if first.was_sudden:
        text = f"The loss turned NaN at step {first.step:,} in one row, without a rise before."
        clues.append(Clue(text, MODERATE if first.is_close else WEAK))
    elif first.rose_alone and half == "fp16":
        text = (
            f"The loss rose {first.rise:.1f} x before it turned NaN while the gradient norm stayed: values "
            "near the end of the range lose their digits."
        )
        clues.append(Clue(text, MODERATE))
    elif first.rose:
        text = f"The loss rose {first.rise:.1f} x before it turned NaN."
        clues.append(Clue(text, -MODERATE))
    scaled = len(case.run.events_of(EventKind.LOSS_SCALE))
    if scaled >= MANY:
        clues.append(Clue(f"The loss scaler reduced its scale {scaled} times.", MODERATE))
    if first.is_of_first_gradient and half == "fp16" and not scaled:
        text = "The very first gradient is not finite: fp16 without a loss scale leaves it so."
        clues.append(Clue(text, WEAK))
    if first.spared_the_loss:
        text = (
            f"The loss of that step is {first.loss:.4g}, only its gradient is lost on the way back."
        )
        clues.append(Clue(text, STRONG))
    if half is None and first.passes >= LATE:
        text = f"It came after {first.passes} epochs: weights grow slowly to the end of a range."
        clues.append(Clue(text, WEAK))
    if first.is_first:
        text = "The very first loss is not finite: before anything could grow."
        clues.append(Clue(text, -WEAK))
    return clues


def precision(case: Case) -> tuple[str | None, str]:
    """Return the precision of the run, where the settings say so, and the setting that does."""
    if case.run.flag("fp16"):
        return "fp16", "fp16 = true"
    if case.run.flag("bf16"):
        return "bf16", "bf16 = true"
    found = case.run.setting("mixed_precision")
    text = str(found.value).lower() if found is not None else ""
    for word, kind in WORDS:
        if word in text:
            return kind, f"mixed_precision = {text}"
    if text in {"no", "none", "false"}:
        return "fp32", f"mixed_precision = {text}"
    if case.run.flag("fp16") is False and case.run.flag("bf16") is False:
        return "fp32", "fp16 and bf16 are off"
    if case.run.events_of(EventKind.LOSS_SCALE):
        return "fp16", "the log shows a dynamic loss scale"
    return None, ""


def fix(case: Case) -> list[str]:
    """Name the switch."""
    return ["fp16 true -> false, bf16 false -> true"]


HYPOTHESIS = Hypothesis(
    id="fp16-overflow",
    title="Half precision overflows",
    prior=-1.0,
    explains=(
        "loss-nonfinite",
        "grad-nonfinite",
        "loss-zero",
        "loss-spike",
        "eval-nonfinite",
        "loss-scale-collapse",
        "crash",
    ),
    weigh=weigh,
    fix=fix,
    probe="precision",
)
