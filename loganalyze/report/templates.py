"""Where the page templates are, and the environment that renders them."""

from __future__ import annotations

from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

LONGEST = 2_000  # characters of one string on a page


def template_root() -> Traversable:
    """Return the checkout's ``templates/`` when run from source, else the packaged copy."""
    checkout = Path(__file__).resolve().parents[2] / "templates"
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    return resources.files("loganalyze") / "templates"


def text(name: str) -> str:
    """Return one template's source."""
    return template_root().joinpath(*name.split("/")).read_text("utf-8")


def harmless(value: str) -> str:
    """Return text without secrets, without characters that act on the reader, and not without end."""
    cut = value if len(value) <= LONGEST else f"{value[:LONGEST]}\N{HORIZONTAL ELLIPSIS}"
    return visible(redact(cut))


def ours(value: str) -> Markup:
    """Mark our own SVG, style, script and escaped JSON as safe; nothing from a log comes here."""
    from markupsafe import Markup

    return Markup(value)  # noqa: S704 - see the docstring


def coded(value: str) -> Markup:
    """Return text as HTML in which what stands between backticks is code."""
    from markupsafe import Markup, escape

    parts = str(escape(harmless(value))).split("`")
    return Markup(  # noqa: S704 - escaped above
        "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    )


def environment(lang: str = ENGLISH) -> jinja2.Environment:
    """Return an environment that makes harmless and escapes everything, and knows no undefined names.

    Templates write their own words as ``{{ _("Findings") }}``, and sentences that no `Diagnosis` holds as
    ``{{ told(problem.text) }}``: both give them in the page's language, named by ``lang``.
    """
    import jinja2
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        # Markup is ours; numbers can do no harm.
        return value if isinstance(value, (Markup, int, float)) else harmless(str(value))

    def load(name: str) -> str | None:
        try:
            return text(name)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["coded"] = coded
    made.globals |= {
        "_": partial(label, lang=lang),
        "told": partial(translate, lang=lang),
        "lang": lang,
    }
    return made
