"""Whatever a sentence is filled with, its translation keeps the numbers and never raises."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from loganalyze.lang import ENGLISH, LANGUAGES
from loganalyze.lang.catalogue import Kind, catalogue
from loganalyze.lang.skeleton import NUMBER, Tries
from loganalyze.lang.translation import LONGEST, MOST_TRIES, _Search, label, translate

OTHERS = [lang for lang in LANGUAGES if lang != ENGLISH]
ENTRIES = [(lang, entry) for lang in OTHERS for entry in catalogue(lang).entries]
HANGUL = re.compile("[가-힣]")
NUMBERS = st.one_of(
    st.integers(0, 10**7).map(lambda n: f"{n:,}"),
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.4g}"),
    st.floats(0, 1).map(lambda x: f"{x:.0%}"),
    st.sampled_from(["nan", "inf", "1e-05"]),
)
NAMES = st.from_regex(r"[a-z]{1,8}(?:[/_.][a-z0-9]{1,8}){0,2}", fullmatch=True)


@st.composite
def filled(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """Draw a language, a sentence of its catalogue with its holes filled, and the numbers in it."""
    lang, entry = draw(st.sampled_from(ENTRIES))
    numbers = []
    text = entry.skeleton.literals[0]
    for kind, literal in zip(entry.skeleton.holes, entry.skeleton.literals[1:], strict=True):
        part = draw(NUMBERS if kind == "#" else NAMES)
        if kind == "#":
            numbers.append(part)
        text += part + literal
    return lang, text, numbers


@given(filled())
def test_the_numbers_of_a_sentence_survive(drawn: tuple[str, str, list[str]]) -> None:
    lang, text, numbers = drawn
    for told in (translate(text, lang), label(text, lang)):
        for number in numbers:
            assert number in told


@given(filled())
def test_english_is_left_alone(drawn: tuple[str, str, list[str]]) -> None:
    _, text, _ = drawn
    assert translate(text, ENGLISH) == text
    assert label(text, ENGLISH) == text


@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(filled(), max_size=4).map(lambda d: " ".join(x[1] for x in d)),
    )
)
def test_any_text_is_translated_or_left_alone(text: str) -> None:
    for lang in OTHERS:
        assert isinstance(translate(text, lang), str)
        assert isinstance(label(text, lang), str)


def test_a_hostile_text_costs_no_more_than_it_may() -> None:
    for lang in OTHERS:
        for text in (
            "a; , . " * 280,
            "The run ended with " + "x after step 5 at " * 100,
            ": " * 900,
        ):
            search = _Search(lang)
            search.whole(text, Kind.TEXT)
            assert search.tries.left >= -1
            assert Tries(MOST_TRIES).left == MOST_TRIES
    assert translate("x" * (LONGEST + 1), "ko") == "x" * (LONGEST + 1)


def test_what_the_catalogue_does_not_know_stays_english() -> None:
    for text in ("The widget of the plugin is 3 x too blue.", "", "train/loss", "A and B"):
        assert translate(text, "ko") == text
        assert label(text, "ko") == text


def test_a_sentence_beside_an_unknown_one_is_translated() -> None:
    told = translate("The batch holds one sample: nothing is padded. The widget is blue.", "ko")
    assert HANGUL.search(told)
    assert told.endswith(" The widget is blue.")


def test_a_line_of_the_log_is_never_translated() -> None:
    told = translate('The log says "The loss does not fall".', "ko")
    assert '"The loss does not fall"' in told


def test_phrases_inside_a_sentence_are_translated_wherever_they_end() -> None:
    told = translate(
        "The run ended with ValueError after step 50 at train.py:12: bad input: 3", "ko"
    )
    assert told.startswith("학습이 step 50 이후 ValueError로 종료되었습니다(train.py:12)")
    assert told.endswith(": bad input: 3")


def test_the_first_letter_and_the_full_stop_may_differ() -> None:
    assert translate("the loss spike", "ko") == "the loss spike"
    lower = translate("the loss jumps to 8.0 x its level", "ko")
    assert lower == translate("The loss jumps to 8.0 x its level", "ko")
    assert translate("The loss jumps to 8.0 x its level.", "ko") == f"{lower}."


def test_every_translation_shows_all_that_its_sentence_holds() -> None:
    for _, entry in ENTRIES:
        slots = {int(slot) for slot in re.findall(r"(?<!\{)\{(\d+)", entry.template)}
        assert slots == set(range(len(entry.skeleton.holes))), entry.template


def test_no_korean_particle_leaves_the_choice_to_the_reader_or_to_chance() -> None:
    both = re.compile(r"[은이을과]\([는가를와]\)|\((?:으|이)\)")
    fixed = re.compile(r"\}(?:은|는|이|가|을|를|과|와|으로|로)(?=[ ,.])")
    for lang, entry in ENTRIES:
        if lang == "ko":
            assert not both.search(entry.template), entry.template
            assert not fixed.search(entry.template), entry.template


def test_a_number_is_what_formats_make() -> None:
    assert NUMBER.fullmatch(f"{1234567:,}")
    assert NUMBER.fullmatch(f"{1e-9:.3g}")
