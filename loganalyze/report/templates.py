"""Where the page templates are, and the environment that renders them."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    import jinja2

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


def environment() -> jinja2.Environment:
    """Return an environment that makes harmless and escapes everything, and knows no undefined names."""
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

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
