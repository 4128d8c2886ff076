"""How faults and look-alikes are entered here: a run's format follows from the place in its own table."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from benchmarks.faults.recipe import Recipe
from benchmarks.faults.tables import Change, Fault, Healthy, Names, enters_fault, enters_healthy


def _placed(change: Change, place: int) -> Change:
    """Return `change` of a recipe whose format follows from a place and its seed."""

    @wraps(change)
    def changed(recipe: Recipe) -> Recipe:
        formats = recipe.task.formats
        return change(recipe.but(format=formats[(place + recipe.seed) % len(formats)]))

    return changed


def enters_fault_here(table: list[Fault]) -> Callable[..., Callable[[Change], Change]]:
    """Return what enters a function in `table`."""
    general = enters_fault(table)

    def fault(
        cause: str, tasks: Names, seeds: tuple[int, ...] = (0,), also: Names = ()
    ) -> Callable[[Change], Change]:
        def enter(inject: Change) -> Change:
            general(cause, tasks, seeds, also)(_placed(inject, len(table)))
            return inject

        return enter

    return fault


def enters_healthy_here(
    table: list[Healthy], seed: int
) -> Callable[..., Callable[[Change], Change]]:
    """Return what enters a function in `table` with a seed if none is given."""
    general = enters_healthy(table, seed)

    def healthy(*tasks: str, seeds: tuple[int, ...] = (seed,)) -> Callable[[Change], Change]:
        def enter(change: Change) -> Change:
            general(*tasks, seeds=seeds)(_placed(change, len(table)))
            return change

        return enter

    return healthy
