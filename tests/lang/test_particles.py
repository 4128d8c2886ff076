"""Particles follow the sound before them."""

from __future__ import annotations

import pytest

from loganalyze.lang.particles import particle


@pytest.mark.parametrize(
    ("before", "form", "told"),
    [
        ("값", "이", "이"), ("배", "이", "가"), ("정확도", "은", "는"), ("기준", "을", "을"),
        ("10", "이", "이"), ("12", "을", "를"), ("3", "은", "은"), ("1,000", "과", "과"), ("45%", "을", "를"),
        ("7", "으로", "로"), ("6", "으로", "으로"), ("5.63", "으로", "으로"), ("말", "으로", "로"),
        ("train/loss", "이", "가"), ("train/grad_norm", "이", "이"), ("RuntimeError", "으로", "로"),
        ("step", "은", "은"), ("KL", "은", "은"), ("fp16", "을", "을"), ("(100 batch)", "이", "가"),
        ("'train.log'", "은", "는"), ("", "이", "가"),
    ],
)  # fmt: skip
def test_the_form_fits_the_last_sound(before: str, form: str, told: str) -> None:
    assert particle(before, form) == told
