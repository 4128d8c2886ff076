"""The command: what it prints and writes, its exit status, its errors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.fleet.conftest import write_log

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    for number in range(4):
        write_log(tmp_path / "fleet" / f"run-{number}" / "train.log", seed=number, sick=number == 2)
        os.utime(
            tmp_path / "fleet" / f"run-{number}" / "train.log", (time.time() - 86_400 * number,) * 2
        )
    (tmp_path / "fleet" / "broken").mkdir()
    (tmp_path / "fleet" / "broken" / "train.log").write_bytes(b"\0" * 100)
    return tmp_path / "fleet"


def test_it_ranks_writes_and_remembers(call: Call, fleet: Path) -> None:
    code, out, err = call(
        "scan", fleet, "--json", "scan.json", "--table", "scan.parquet", "--reports", "reports"
    )
    assert code == 0
    assert out.startswith("▲ 1 of 5 runs need attention, all of them critical.")
    assert "run-2" in out
    assert "Wrote fleet-scan.html" in err
    document = json.loads(Path("scan.json").read_text())
    assert [run["name"] for run in document["runs"]][:2] == ["run-2", "broken"]
    assert document["runs"][1]["verdict"]["level"] == "unreadable"
    assert Path(document["runs"][0]["report"]).read_text().startswith("<!doctype html>")
    assert len(pd.read_parquet("scan.parquet")) == 5
    page = Path("fleet-scan.html").read_text()
    assert f'href="{document["runs"][0]["report"]}"' in page
    code, out, _ = call("scan", fleet, "--format", "json", "--fail-on", "critical")
    assert code == 1
    assert json.loads(out)["costs"]["known"] == 5


def test_since_and_newest(call: Call, fleet: Path) -> None:
    _, out, _ = call("scan", fleet, "--newest", "2", "--format", "json")
    assert {run["name"] for run in json.loads(out)["runs"]} == {"run-0", "broken"}
    _, out, _ = call("scan", fleet, "--since", "36h", "--format", "json")
    assert {run["name"] for run in json.loads(out)["runs"]} == {"run-0", "run-1", "broken"}
    code, out, _ = call("scan", fleet, "--newest", "1", "--fail-on", "warning")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("fleet", "--since", "soon"), "give an age"),
        (("fleet", "--table", "x.xls"), "must end in .parquet, .csv"),
        (("fleet", "--run", "x"), "scan reads all runs"),
        (("nowhere",), "nowhere does not exist"),
        (("fleet", "--index", "fleet/index"), "lies inside fleet"),
        (("fleet", "-o", "fleet/index.html", "--index", "i"), "lies inside the run directory"),
        (("none",), "no run was found below none"),
        (("gopher://x/y",), "gopher://x"),
    ],
)
def test_errors_are_one_line(
    call: Call, fleet: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    Path("none").mkdir()
    code, _, err = call("scan", *arguments)
    assert code == 2
    assert complaint in err
    assert len(err.strip().splitlines()) == 1
    assert not Path("fleet/index").exists()
