"""The documentation in another language keeps its sections, its code and what is cited."""

from __future__ import annotations

import pytest

from loganalyze.causes import HYPOTHESES
from loganalyze.cli.explain import explanation
from loganalyze.detect import DETECTORS
from loganalyze.lang.explanations import digest, explained, section, sections

TEXT = """The loss jumps.

What it does
------------
It looks at `window` points.

Settings
--------
`window`.

References
----------
A paper (2020).
"""


def test_a_documentation_is_its_sections() -> None:
    assert sections(TEXT) == {
        "summary": "The loss jumps.",
        "What it does": "It looks at `window` points.",
        "Settings": "`window`.",
        "References": "A paper (2020).",
    }


def test_the_digest_follows_what_is_translated_and_nothing_else() -> None:
    assert digest(TEXT) == digest(TEXT.replace("A paper", "Another paper"))
    assert digest(TEXT) != digest(TEXT.replace("It looks", "It stares"))


def test_what_has_no_translation_stays_english() -> None:
    told = explained("finding", "no-such-finding", TEXT, "ko")
    assert "It looks at `window` points." in told
    assert explained("finding", "loss-spike", TEXT, "en") == TEXT


@pytest.mark.parametrize("item", [*DETECTORS, *HYPOTHESES], ids=lambda item: item.id)
def test_each_is_explained_in_korean(item: object) -> None:
    told = explanation(item.id, "ko")  # type: ignore[attr-defined]
    assert "참고 문헌" in told
    assert "What it" not in told
    references = sections(item.explanation).get("References", "")  # type: ignore[attr-defined]
    assert references in told or explanation(item.id).startswith(f"{item.id} (finding)")  # type: ignore[attr-defined]


def test_a_section_is_one_line() -> None:
    assert section("cause", "lr-too-high", "How to confirm", "x", "ko").count("\n") == 0
    assert section("cause", "nothing", "How to confirm", "Do it.", "ko") == "Do it."
