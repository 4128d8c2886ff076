"""Which checks the causes of a run ask for."""

from __future__ import annotations

from collections.abc import Sequence

from loganalyze.finding import Cause


def recommended(causes: Sequence[Cause]) -> list[str]:
    """Return the checks that would confirm or rule out these causes, in the order to run them in.

    Without any cause nothing is suspected: then the checks of a first look, `init` and `overfit`.
    """
    from loganalyze.causes import hypotheses
    from loganalyze.probe import PROBES

    named = {cause.id for cause in causes}
    asked = {one.probe for one in hypotheses() if one.is_testable and one.id in named}
    chosen = asked or {"init", "overfit"}
    return [one.id for one in PROBES if one.id in chosen]
