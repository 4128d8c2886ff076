"""Advice is taken apart into settings where it names them, and left whole where it does not."""

from __future__ import annotations

import pytest

from loganalyze.report.fixes import Change, fix


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("learning_rate 0.002 -> 0.0004", [("learning_rate", "0.002", "0.0004")]),
        ("fp16 true -> false, bf16 false -> true", [("fp16", "true", "false"), ("bf16", "false", "true")]),
        ("max_grad_norm -> 1.0", [("max_grad_norm", "", "1.0")]),
        ("PYTORCH_CUDA_ALLOC_CONF -> expandable_segments:True",
         [("PYTORCH_CUDA_ALLOC_CONF", "", "expandable_segments:True")]),
        ("warmup_ratio 0.1 -> 0.03: full learning rate at step 210 instead of 700",
         [("warmup_ratio", "0.1", "0.03")]),
        ("Keep the checkpoint of step 80. load_best_model_at_end false -> true, early_stopping_patience -> 3",
         [("load_best_model_at_end", "false", "true"), ("early_stopping_patience", "", "3")]),
        ("total += loss -> total += loss.item(); detach() what outlives a step", []),
        ("loss -> loss / 12 before backward(): the initial loss should be about 5.63", []),
        ("sigmoid or tanh -> ReLU or GELU, with He initialisation", []),
    ],
)  # fmt: skip
def test_settings_are_read_from_advice(line: str, changes: list[tuple[str, str, str]]) -> None:
    assert [(c.name, c.before, c.after) for c in fix(line).changes] == changes


def test_what_is_copied_is_what_goes_into_the_settings() -> None:
    assert fix("fp16 true -> false, bf16 false -> true").copied == "fp16=false\nbf16=true"
    assert fix("Look at the batch of step 7").copied == "Look at the batch of step 7"


def test_the_sentence_stays_where_it_says_more() -> None:
    assert fix("learning_rate 0.002 -> 0.0004").rest == ""
    line = "num_labels -> 280, and check the labels"
    assert fix(line).rest == line
    assert fix(line).changes == (Change("num_labels", "", "280"),)
