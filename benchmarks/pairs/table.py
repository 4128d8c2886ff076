"""Which runs there are, and which pairs of them are compared."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations

from benchmarks.faults.recipe import Recipe
from benchmarks.pairs import runs
from benchmarks.pairs.kept import Pair
from benchmarks.pairs.runs import (
    CHANGES,
    DEVELOPMENT,
    HELD_OUT,
    PLAIN_DEVELOPMENT,
    PLAIN_HELD_OUT,
    VISIBLE,
)

SEEDS = {"dev": 4, "held-out": 3}
KNOWN = {"dev": 24, "held-out": 40}  # runs that change at a known step
# How the run that changes is compared: with the same seed or another, logged alike or not.
MANNERS = ("same-seed", "other-seed", "same-seed-other-interval", "other-seed-other-interval")


def pairs() -> list[Pair]:
    """Return all pairs."""
    return [pair for pair, _ in _table()]


@cache
def recipes() -> dict[str, Recipe]:
    """Return the recipe of each run that a pair needs."""
    return {name: recipe for _, made in _table() for name, recipe in made.items()}


@cache
def _table() -> tuple[tuple[Pair, dict[str, Recipe]], ...]:
    return (*_seeds(), *_known(), *_settings(), *_lifecycle(), *_different())


def _base(task: str, seed: int) -> tuple[str, Recipe]:
    return f"{task}.base.{seed}", runs.recipe_of(task, seed)


def _seeds() -> Iterator[tuple[Pair, dict[str, Recipe]]]:
    for split, tasks in (("dev", DEVELOPMENT), ("held-out", HELD_OUT)):
        for task in tasks:
            extra = int(task == HELD_OUT[0])  # so that there are forty
            made = dict(_base(task, seed) for seed in range(SEEDS[split] + extra))
            chosen = list(combinations(made, 2))[: 4 if extra else None]
            for a, b in chosen:
                yield Pair("seeds", split, a, b), made


def _known() -> Iterator[tuple[Pair, dict[str, Recipe]]]:
    for split, tasks in (("dev", PLAIN_DEVELOPMENT), ("held-out", PLAIN_HELD_OUT)):
        for index in range(KNOWN[split]):
            task = tasks[index % len(tasks)]
            manner = MANNERS[index % len(MANNERS)]
            seed = 1 if manner.startswith("other") else 0
            known = VISIBLE if seed else tuple(CHANGES)
            turn = index // len(MANNERS) + index % len(MANNERS)
            name = known[turn % len(known)]
            key, recipe = _base(task, 0)
            other = runs.recipe_of(task, seed)
            if manner.endswith("interval"):
                other = other.but(log_every=2 * other.log_every)
            step = int(recipe.steps * (0.3 + 0.5 * (index * 0.618 % 1.0)))
            changed = runs.changed_at(other, step, CHANGES[name])
            made = f"{task}.{name}.{manner}.{step}"
            yield Pair(f"known-{manner}", split, key, made, step), {key: recipe, made: changed}


def _settings() -> Iterator[tuple[Pair, dict[str, Recipe]]]:
    for split, tasks in (("dev", PLAIN_DEVELOPMENT[:4]), ("held-out", PLAIN_HELD_OUT[:6])):
        for task in tasks:
            key, recipe = _base(task, 0)
            other = runs.recipe_of(task, 1)
            name = f"{task}.lr-x10.1"
            made = {key: recipe, name: other.but(lr=10 * other.lr)}
            yield Pair("lr-x10", split, key, name), made
            one, two = f"{task}.warmup-0.1.0", f"{task}.warmup-0.03.1"
            made = {one: runs.warmed(recipe, 0.1), two: runs.warmed(other, 0.03)}
            yield Pair("warmup", split, one, two), made
            one, two = f"{task}.accumulate-bug.0", f"{task}.accumulate.1"
            made = {
                one: runs.accumulated(recipe, bug=True),
                two: runs.accumulated(other, bug=False),
            }
            yield Pair("accumulation", split, one, two), made
            one, two = f"{task}.batch-8.0", f"{task}.batch-64.1"
            made = {one: recipe.but(batch=8), two: other.but(batch=64)}
            yield Pair("batch", split, one, two), made


def _lifecycle() -> Iterator[tuple[Pair, dict[str, Recipe]]]:
    for split, tasks in (("dev", PLAIN_DEVELOPMENT[:3]), ("held-out", PLAIN_HELD_OUT[:5])):
        for index, task in enumerate(tasks):
            key, recipe = _base(task, 0)
            other = runs.recipe_of(task, 1)
            for kind, lost in (("resumed", False), ("resumed-lost", True)):
                name = f"{task}.{kind}.0"
                yield (
                    Pair(kind, split, key, name),
                    {key: recipe, name: runs.resumed(recipe, lost=lost)},
                )
            for seed, one in ((0, recipe), (1, other)):
                name = f"{task}.interval-x4.{seed}"
                made = {key: recipe, name: one.but(log_every=4 * recipe.log_every)}
                yield Pair(f"interval-seed-{seed}", split, key, name), made
            name = f"{task}.crashed.1"
            crashed = runs.crashed_at(other, recipe.steps * (index + 2) // 7, index)
            yield Pair("crashed", split, name, key), {key: recipe, name: crashed}
            name = f"{task}.bare.1"
            made = {key: recipe, name: other.but(hides=("grad_norm", "lr", "accuracy"))}
            yield Pair("missing", split, key, name), made


def _different() -> Iterator[tuple[Pair, dict[str, Recipe]]]:
    for split, tasks in (("dev", DEVELOPMENT), ("held-out", HELD_OUT)):
        for one, two in zip(tasks[::2], tasks[1::2], strict=False):
            made = dict([_base(one, 0), _base(two, 1)])
            yield Pair("different-tasks", split, *made), made
