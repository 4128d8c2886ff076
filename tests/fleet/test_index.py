"""The index: nothing is read twice, an interrupted scan goes on, two scans at once agree."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loganalyze.errors import UsageError
from loganalyze.fleet.index import opened
from loganalyze.fleet.plan import Plan
from loganalyze.fleet.scan import scan
from loganalyze.settings import Settings
from tests.fleet.conftest import write_log

Make = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]


def test_only_what_changed_is_read_again(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(6, sick=(2,))
    plan = Plan(index=tmp_path / "index", workers=2)
    first = scan(fleet, plan=plan)
    assert first.costs.known == 0
    again = scan(fleet, plan=plan)
    assert (again.costs.known, again.costs.read) == (6, 0)
    assert again.rows == first.rows
    write_log(fleet / "run-004" / "train.log", seed=4, sick=True, points=200)
    changed = scan(fleet, plan=plan)
    assert changed.costs.known == 5
    assert {row.name for row in changed.rows if row.sick} == {"run-002", "run-004"}


def test_a_touched_and_a_moved_run_are_known_by_their_content(
    make_fleet: Make, tmp_path: Path
) -> None:
    fleet = make_fleet(2)
    plan = Plan(index=tmp_path / "index", workers=1)
    scan(fleet, plan=plan)
    os.utime(fleet / "run-000" / "train.log", (1, 1))
    shutil.move(fleet / "run-001", fleet / "elsewhere")
    found = scan(fleet, plan=plan)
    assert found.costs.known == 2
    assert {row.name for row in found.rows} == {"run-000", "elsewhere"}
    assert {row.path for row in found.rows} == {str(fleet / "run-000"), str(fleet / "elsewhere")}


def test_a_stopped_scan_goes_on_where_it_was(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(6)
    plan = Plan(index=tmp_path / "index", workers=1)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(fleet, plan=plan, progress=stop)
    assert scan(fleet, plan=plan).costs.known >= 3


def test_other_settings_are_another_result(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(1)
    index = tmp_path / "index"
    scan(fleet, plan=Plan(index=index, workers=1))
    other = Plan(Settings(select=("crash",)), index=index, workers=1)
    assert scan(fleet, plan=other).costs.known == 0
    assert scan(fleet, plan=other).costs.known == 1


def test_two_scans_at_once_leave_a_whole_index(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(12)
    index = tmp_path / "index"
    code = (
        "import sys; from pathlib import Path; from loganalyze import Plan, scan\n"
        "if __name__ == '__main__':\n"
        "    print(len(scan(sys.argv[1], plan=Plan(index=Path(sys.argv[2]), workers=1)).rows))"
    )
    script = tmp_path / "both.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, script, fleet, index], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in both] == [b"12", b"12"]
    with sqlite3.connect(index) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from units").fetchone() == (12,)
    connection.close()
    assert scan(fleet, plan=Plan(index=index)).costs.known == 12


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table units (mine text)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="no index of a scan"), opened(path, ""):
        pass
    assert path.read_bytes() == before


def test_a_damaged_index_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    with pytest.raises(UsageError, match="delete it"), opened(path, ""):
        pass


def test_what_the_index_says_of_places_is_not_believed(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(1)
    plan = Plan(index=tmp_path / "index", workers=1)
    scan(fleet, plan=plan)
    with sqlite3.connect(tmp_path / "index") as connection:
        connection.execute(
            """update results set result = replace(result, '"path":""', '"path":"/etc"')"""
        )
        connection.execute(
            """update results set result = replace(result, '"name":""', '"name":"evil"')"""
        )
    connection.close()
    (row,) = scan(fleet, plan=plan).rows
    assert (row.name, row.path) == ("run-000", str(fleet / "run-000"))


def test_a_damaged_entry_is_read_again(make_fleet: Make, tmp_path: Path) -> None:
    fleet = make_fleet(2)
    plan = Plan(index=tmp_path / "index", workers=1)
    first = scan(fleet, plan=plan)
    with sqlite3.connect(tmp_path / "index") as connection:
        connection.execute("""update results set result = '{"rows": [{"findings": 7}]}'""")
    connection.close()
    again = scan(fleet, plan=plan)
    assert (again.costs.known, again.rows) == (0, first.rows)
