"""Lines are as wide as a terminal counts them."""

from __future__ import annotations

from loganalyze.report.wrap import columns, wrap


def test_a_korean_letter_takes_two_columns() -> None:
    assert columns("loss 급등") == 9


def test_lines_keep_the_width() -> None:
    lines = wrap("loss가 기존 수준의 8.0배로 급등 " * 6, 30, indent="- ", hang="  ")
    assert len(lines) > 1
    assert all(columns(line) <= 30 for line in lines)
    assert (
        " ".join(line.strip("- ") for line in lines)
        == ("loss가 기존 수준의 8.0배로 급등 " * 6).strip()
    )


def test_a_long_word_is_never_cut() -> None:
    assert wrap("a " + "x" * 50, 20) == ["a", "x" * 50]
