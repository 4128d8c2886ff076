"""What earlier scans found, in a small SQLite file beside the output: an unchanged run is not read again.

Nothing in it is trusted with a place: where a run lies always comes from the listing of this scan. Every
few finished runs are one transaction, so that a scan may be stopped at any time and two may share the file.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from loganalyze.errors import UsageError

MARK = 0x6C6F6761  # "loga": what tells the file from any other SQLite database
FORMAT = 1  # raised when the tables, or what stands in them, change
PATIENCE = 60.0  # seconds to wait for another scan that is writing
PAUSE = 0.5  # seconds after which what is done is written
_TABLES = (
    "create table if not exists units (key text primary key, stamp text, content text)",
    "create table if not exists results (content text, settings text, size integer, failure text, "
    "result text, primary key (content, settings))",
    "create index if not exists sizes on results (size)",
)


class Known(NamedTuple):
    """What is remembered of a unit: the fingerprint of its content, the result, why there is none."""

    content: str
    result: dict[str, Any]
    failure: str


class Index:
    """The index of one scan; `settings` is a fingerprint of what results depend on beside files."""

    def __init__(self, connection: sqlite3.Connection, settings: str) -> None:
        self._connection = connection
        self._settings = settings
        self._waiting: list[tuple[str, str, str, int, str, str]] = []
        self._written = time.monotonic()

    def known(self, key: str, stamp: str) -> Known | None:
        """Return what was found in a unit that has not changed; None if it has."""
        query = (
            "select r.content, r.result, r.failure from units u join results r on r.content = u.content "
            "where u.key = ? and u.stamp = ? and r.settings = ?"
        )
        return self._found(query, (key, stamp, self._settings))

    def same(self, content: str) -> Known | None:
        """Return the result for content that was read before, under whatever name."""
        query = "select content, result, failure from results where content = ? and settings = ?"
        return self._found(query, (content, self._settings))

    def may_know(self, size: int) -> bool:
        """Tell whether anything of this size was read before."""
        query = "select 1 from results where size = ? and settings = ? limit 1"
        return self._connection.execute(query, (size, self._settings)).fetchone() is not None

    def _found(self, query: str, values: tuple[str, ...]) -> Known | None:
        row = self._connection.execute(query, values).fetchone()
        if row is None:
            return None
        try:
            result = json.loads(row[1])
        except ValueError:
            return None  # damaged: it is read again
        return Known(str(row[0]), result, str(row[2])) if isinstance(result, dict) else None

    def keep(
        self,
        key: str,
        stamp: str,
        content: str,
        size: int,
        result: Mapping[str, Any],
        failure: str,
    ) -> None:
        """Remember a result; it is on disk within `PAUSE` seconds of the next one, or with `flush`."""
        packed = json.dumps(result, default=str, separators=(",", ":"))
        self._waiting.append((key, stamp, content, size, failure, packed))
        if time.monotonic() - self._written >= PAUSE:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            with self._connection:
                self._connection.executemany(
                    "insert or replace into units values (?, ?, ?)",
                    [(key, stamp, content) for key, stamp, content, *_ in self._waiting],
                )
                self._connection.executemany(
                    "insert or replace into results values (?, ?, ?, ?, ?)",
                    [
                        (content, self._settings, size, failure, result)
                        for _, _, content, size, failure, result in self._waiting
                    ],
                )
        self._waiting.clear()
        self._written = time.monotonic()


@contextmanager
def opened(path: Path, settings: str) -> Iterator[Index]:
    """Open the index at `path`, made anew where there is none, or one of another version.

    Raises
    ------
    UsageError
        If the file is something else, damaged, or cannot be written.
    """
    try:
        connection = sqlite3.connect(path, timeout=PATIENCE)
        try:
            _prepare(connection, path)
            index = Index(connection, settings)
            try:
                yield index
            finally:
                index.flush()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise UsageError(
            f"the index {path} cannot be used ({error}): delete it, or name another with --index"
        ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma trusted_schema = off")
    connection.execute("begin immediate")
    mark = connection.execute("pragma application_id").fetchone()[0]
    version = connection.execute("pragma user_version").fetchone()[0]
    tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
    if tables and mark != MARK:
        connection.rollback()
        raise UsageError(f"{path} is a database, but no index of a scan: name another with --index")
    if version != FORMAT:
        connection.execute("drop table if exists units")
        connection.execute("drop table if exists results")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"pragma application_id = {MARK}")
    connection.execute(f"pragma user_version = {FORMAT}")
    connection.commit()
