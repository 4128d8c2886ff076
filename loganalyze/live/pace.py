"""When to look at a growing log again: often while it is short, then each time it has grown by a share.

So the work of all looks together grows with the log, not with its square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EVERY = 5  # log points between two looks at a short log
GROWTH = 0.1  # share by which a long log grows between two looks
AFTER = (0, 1, 2, 3, 5, 8)  # log points after something odd: what it was shows in the next few


@dataclass
class Pace:
    """Counts log points and says when to look.

    Attributes
    ----------
    points
        Log points so far.
    due
        Number of log points at which the next regular look is due.
    watched
        Number of log points at which something odd was seen; what it is shows soon after.
    """

    points: int = 0
    due: int = EVERY
    watched: int | None = None

    def count(self, *, odd: bool) -> bool:
        """Count one log point; tell whether to look now. `odd` says that something stood out."""
        self.points += 1
        if odd and not self.is_close:
            self.watched = self.points
        return self.points >= self.due or self._is_after()

    def looked(self) -> bool:
        """Note that a look was taken; tell whether it was a regular one."""
        regular = self.points >= self.due
        if regular:
            self.due = max(self.points + EVERY, math.ceil(self.points * (1 + GROWTH)))
        return regular

    @property
    def is_close(self) -> bool:
        """Tell whether something odd was seen a few points ago."""
        return self.watched is not None and self.points - self.watched <= AFTER[-1]

    def _is_after(self) -> bool:
        return self.watched is not None and self.points - self.watched in AFTER
