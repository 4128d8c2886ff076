"""Every text that a reader sees has a translation, and every translation a text."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loganalyze.lang import ENGLISH, LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
OTHERS = [lang for lang in LANGUAGES if lang != ENGLISH]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "wording":
            del sys.modules[name]


def skeletons(source: str) -> list[str]:
    from wording.source import skeletons as of

    expression = ast.parse(source, mode="eval").body
    return of(expression) or []


@pytest.mark.parametrize("lang", OTHERS)
def test_nothing_lacks_a_translation(lang: str) -> None:
    from wording.faults import faults

    assert list(faults(lang)) == []


def test_numbers_phrases_and_values_leave_different_holes() -> None:
    assert skeletons('f"At {step:,} {what} in {where[0]} of {path}"') == [
        "At {#} {what} in {where} of {}"
    ]
    assert skeletons('f"{len(values)} of {share:.0%}" "; joined"') == ["{#} of {#}; joined"]


def test_a_string_for_format_has_the_holes_of_its_fields() -> None:
    assert skeletons("'best {value:.4g}, step {step:,.0f} of {name}; {} and {0 :x}'") == [
        "best {#}, step {#} of {name}; {{}} and {{0 :x}}"
    ]


def test_alternatives_are_sentences_of_their_own() -> None:
    assert skeletons('f"It {\'is\' if x else \'was\'} so" + (f": {m}" if m else ".")') == [
        "It is so: {m}",
        "It is so.",
        "It was so: {m}",
        "It was so.",
    ]
    assert skeletons("f\"{n:,} step{'s' * (n > 1)}\"") == ["{#} steps", "{#} step"]


def found(source: str, tmp_path: Path) -> list[str]:
    from wording.source import Reader

    reader = Reader("module.py")
    reader.visit(ast.parse(source))
    return [text.skeleton for text in reader.found]


def test_names_patterns_and_documentation_are_no_texts(tmp_path: Path) -> None:
    source = '''
"""What the module is for."""
import re
PATTERN = re.compile(r"out of memory")
def detect(run):
    """Find it."""
    if run.framework == "some words":
        return run.series("train/loss").get("a b")
    return {"some_key": run.number("learning_rate")}
'''
    assert found(source, tmp_path) == []


def test_texts_are_found_wherever_they_stand(tmp_path: Path) -> None:
    source = """
def detect(run):
    what = "infinite" if run else "gone"
    text = f"The loss is {what}"
    effects = {"momentum": (0.99, "remembers dozens of steps")}
    return Finding(id="loss spike", title="Spikes", summary=f"{text}; {step:,} in all",
                   fix=("Clip it",), levels={f"best {low:.4g}": low})
"""
    assert found(source, tmp_path) == [
        "infinite", "gone", "The loss is {what}", "remembers dozens of steps", "Spikes", "{text}; {#} in all",
        "Clip it", "best {#}",
    ]  # fmt: skip


def test_words_of_templates_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import wording.templates as templates

    folder = tmp_path / "templates"
    folder.mkdir()
    page = (
        '<h1 class="x">{{ _("Findings") }}</h1><p title="Bare title">{{ _("%d more" % n) }} bare words</p>'
        '{{ _("step %s to %s" % (number(n), name) if n else "no step") }}<code>id</code>'
    )
    (folder / "page.html.j2").write_text(page, encoding="utf-8")
    monkeypatch.setattr(templates, "ROOT", tmp_path)
    assert [text.skeleton for text in templates.template_texts()] == [
        "Findings", "{#} more", "step {#} to {}", "no step",
    ]  # fmt: skip
    assert {text.skeleton for text in templates.bare_words()} == {"Bare title", "bare words"}
