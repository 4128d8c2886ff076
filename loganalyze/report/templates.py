"""Where the page templates are, and the environment that renders them."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def template_root() -> Traversable:
    """Return the checkout's ``templates/`` when run from source, else the packaged copy."""
    checkout = Path(__file__).resolve().parents[2] / "templates"
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    return resources.files("loganalyze") / "templates"


def text(name: str) -> str:
    """Return one template's source."""
    return template_root().joinpath(*name.split("/")).read_text("utf-8")


def environment() -> jinja2.Environment:
    """Return an environment that escapes everything and knows no undefined names."""
    import jinja2

    def load(name: str) -> str | None:
        try:
            return text(name)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
