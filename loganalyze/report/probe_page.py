"""The results of a probe as one self-contained page in the report's style."""

from __future__ import annotations

from loganalyze import __version__
from loganalyze.lang import ENGLISH
from loganalyze.probed import Probed
from loganalyze.report.policy import plain_script, policy
from loganalyze.report.probe_text import described
from loganalyze.report.templates import environment, text


def render(probed: Probed, *, lang: str = ENGLISH) -> str:
    """Return the complete page."""
    from markupsafe import Markup

    theme, script = (plain_script(text(name)) for name in ("theme.js", "report.js"))
    own = {"style": text("style.css"), "policy": policy([theme, script])}
    page = environment(lang).get_template("probe.html.j2")
    return page.render(
        probed=probed,
        described=described(probed),
        version=__version__,
        theme=Markup(theme),  # noqa: S704 - our own script
        script=Markup(script),  # noqa: S704
        **{name: Markup(value) for name, value in own.items()},  # noqa: S704
    )
