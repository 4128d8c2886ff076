"""Sentences with holes: what is an instance of them, and at what price."""

from __future__ import annotations

import pytest

from loganalyze.lang.skeleton import Skeleton, Spent, Tries


def match(
    key: str, text: str, known: frozenset[str] | None = None, tries: int = 1000
) -> tuple[str, ...] | None:
    is_known = None if known is None else known.__contains__
    return Skeleton.parse(key).match(text, Tries(tries), is_known)


def test_a_key_is_literals_around_holes() -> None:
    parsed = Skeleton.parse("{{a}} {#} x {where}{}.")
    assert parsed.literals == ("{a} ", " x ", "", ".")
    assert parsed.holes == ("#", "where", "")


@pytest.mark.parametrize("number", ["8", "1,234", "-0.5", "8.4e-05", "93%", "nan", "inf", "+3"])
def test_a_number_fills_the_hole_of_a_number(number: str) -> None:
    assert match("at {#}.", f"at {number}.") == (number,)


@pytest.mark.parametrize("other", ["", "x", "1,23", "1 2", "12 %", "0x10"])
def test_nothing_else_fills_the_hole_of_a_number(other: str) -> None:
    assert match("at {#}.", f"at {other}.") is None


def test_a_full_stop_is_no_part_of_a_number() -> None:
    assert match("{#} of {#}, {#}.", "1,000 of 2,000, 3.") == ("1,000", "2,000", "3")


def test_the_whole_text_must_fit() -> None:
    assert match("a {} c", "a b c") == ("b",)
    assert match("a {} c", "a b c d") is None
    assert match("a c", "a c d") is None


def test_of_several_places_of_a_literal_the_one_with_a_known_phrase_counts() -> None:
    key, text = "The run {what} {step}", "The run was stopped by hand after step 5"
    assert match(key, text) == ("was", "stopped by hand after step 5")
    known = frozenset({"was stopped by hand", "after step 5"})
    assert match(key, text, known) == ("was stopped by hand", "after step 5")


def test_holes_side_by_side_part_where_both_are_known() -> None:
    known = frozenset({"it came back", "; 3 in all", ""})
    assert match("{a}{b}.", "it came back; 3 in all.", known) == ("it came back", "; 3 in all")
    assert match("{a}{b}.", "it came back.", known) == ("it came back", "")


def test_a_hostile_text_ends_the_search() -> None:
    with pytest.raises(Spent):
        match("a {x} {y} {z} b", "a" + " c" * 500 + " b", frozenset(), tries=100)
