"""Sources whose steps were counted, because their lines hold none.

What such a source calls step 40 is its 40th line; how many optimizer steps lie between two lines is not known
unless the settings say how often was logged.
"""

from __future__ import annotations

from loganalyze.run import Run

COUNTED = "counted"  # in the remark of such a source


def counted_sources(run: Run) -> frozenset[str]:
    """Return the paths of the sources whose steps were counted."""
    return frozenset(
        source.path
        for source in run.sources
        if any(COUNTED in problem.text for problem in source.problems)
    )
