"""The tables of faults and of healthy runs that look odd, and how a function is entered in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults.recipe import Recipe

Change = Callable[[Recipe], Recipe]
Names = tuple[str, ...]
EntersFault = Callable[..., Callable[[Change], Change]]


@dataclass(frozen=True)
class Fault:
    """One way to inject one cause."""

    cause: str
    variant: str
    inject: Callable[[Recipe], Recipe]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    also: tuple[str, ...]  # other causes that would be a true statement about the same run


@dataclass(frozen=True)
class Healthy:
    """One way to train or log well."""

    name: str
    change: Callable[[Recipe], Recipe]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]


def enters_fault(table: list[Fault], meant: Callable[[Names], Names] = tuple) -> EntersFault:
    """Return what enters a function in `table`, its name the variant; `meant` may add tasks."""

    def fault(
        cause: str, tasks: Names, seeds: tuple[int, ...] = (0,), also: Names = ()
    ) -> Callable[[Change], Change]:
        def enter(inject: Change) -> Change:
            table.append(Fault(cause, _name(inject), inject, meant(tasks), seeds, also))
            return inject

        return enter

    return fault


def enters_healthy(
    table: list[Healthy], seed: int, meant: Callable[[Names], Names] = tuple
) -> Callable[..., Callable[[Change], Change]]:
    """Return what enters a function in `table` under its name, with a seed if none is given."""

    def healthy(*tasks: str, seeds: tuple[int, ...] = (seed,)) -> Callable[[Change], Change]:
        def enter(change: Change) -> Change:
            table.append(Healthy(_name(change), change, meant(tasks), seeds))
            return change

        return enter

    return healthy


def _name(change: Change) -> str:
    return change.__name__.replace("_", "-")
