"""What runs have in common: honest counts, groups, and the nearest healthy run."""

from __future__ import annotations

from typing import Any

from loganalyze.fleet.neighbours import baselines
from loganalyze.fleet.patterns import finding_counts, outcomes, shared_causes
from loganalyze.fleet.row import Row


def row(name: str, *, sick: bool = False, cause: str = "lr-too-high", **config: Any) -> Row:
    return Row(
        name=name,
        path=f"/runs/{name}",
        level="critical" if sick else "healthy",
        findings=(("loss-divergence", "critical", "It rises"), ("loss-spike", "info", "A spike"))
        if sick
        else (),
        causes=((cause, cause, 0.7),) if sick else (),
        config=config,
    )


def test_counts_are_those_of_the_runs() -> None:
    rows = [
        row(f"{n}", sick=n < 6, warmup=0.0 if n < 8 else 0.1, seed=n, constant=1) for n in range(20)
    ]
    (table,), looked_at = outcomes(rows)
    assert looked_at == 1  # a seed is a name, and a constant tells nothing
    assert (table.setting, table.values) == (
        "warmup",
        (("0", (6, 0, 0, 2)), ("0.1", (0, 0, 0, 12))),
    )
    assert 0.7 < table.association < 1


def test_settings_that_cannot_be_told_apart_are_said_to_be_so() -> None:
    rows = [
        row(f"{n}", sick=n < 5, lr=1e-3 if n < 5 else 1e-4, optim="sgd" if n < 5 else "adamw")
        for n in range(10)
    ]
    (table,), _ = outcomes(rows)
    assert (table.setting, table.also, table.association) == ("lr", ("optim",), 1.0)


def test_few_runs_make_no_table() -> None:
    assert outcomes([row(f"{n}", sick=n < 3, lr=n % 2) for n in range(7)]) == ([], 0)
    assert outcomes([row(f"{n}", sick=n < 1, lr=int(n < 1)) for n in range(9)]) == ([], 0)


def test_many_numbers_become_ranges() -> None:
    (table,), _ = outcomes([row(f"{n}", sick=n >= 30, lr=n / 1000) for n in range(60)])
    assert len(table.values) == 6
    assert [sum(counts) for _, counts in table.values] == [10] * 6
    assert table.values[0][0] == "0 to 0.009"


def test_groups_and_counts() -> None:
    rows = [
        row("a", sick=True),
        row("b", sick=True),
        row("c", sick=True, cause="data-leak"),
        row("d"),
    ]
    assert [(group.id, group.rows) for group in shared_causes(rows)] == [
        ("lr-too-high", ("a", "b")),
        ("data-leak", ("c",)),
    ]
    assert finding_counts(rows) == [("loss-divergence", "critical", 3), ("loss-spike", "info", 3)]


def test_the_baseline_is_the_nearest_healthy_run() -> None:
    rows = [
        row("sick", sick=True, lr=1e-3, batch=8, optim="adamw", seed=1),
        row("far", lr=1e-5, batch=64, optim="sgd", seed=1),
        row("near", lr=5e-4, batch=8, optim="adamw", seed=2),
        row("unlike", other=1),
    ]
    found = baselines(rows)
    assert list(found) == ["sick"]
    assert (found["sick"].name, found["sick"].differences) == ("near", (("lr", "0.001", "0.0005"),))


def test_without_settings_there_is_no_baseline() -> None:
    assert baselines([row("a", sick=True), row("b")]) == {}
