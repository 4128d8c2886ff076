"""Runs in an object store: a real S3-compatible server on this machine, and fsspec's store in memory."""

from __future__ import annotations

import io
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loganalyze.errors import NothingReadable
from loganalyze.fleet.discover import find
from loganalyze.fleet.plan import Plan
from loganalyze.fleet.remote import fetched
from loganalyze.fleet.scan import scan

fsspec = pytest.importorskip("fsspec", reason="the extra `fleet` is not installed")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    s3fs = pytest.importorskip("s3fs", reason="the extra `fleet` is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # what another test has left in this process
    client.create_bucket(Bucket="lab")
    try:
        yield client
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        client.close()
        server.stop()


def uploaded(client: Any, fleet: Path) -> None:
    for path in fleet.rglob("*"):
        if path.is_file():
            client.upload_fileobj(
                io.BytesIO(path.read_bytes()), "lab", f"runs/{path.relative_to(fleet)}"
            )


def test_runs_in_a_bucket_are_those_of_the_folder(
    store: Any, make_fleet: Callable[..., Path], tmp_path: Path
) -> None:
    fleet = make_fleet(4, sick=(2,))
    (fleet / "run-000" / "model.safetensors").write_bytes(b"\1" * 200_000)
    uploaded(store, fleet)
    plan = Plan(index=tmp_path / "index", workers=1)
    found = scan("s3://lab/runs", plan=plan)
    here = scan(fleet, plan=Plan(workers=1))
    told = [(row.name, row.level, row.causes, row.config) for row in found.rows]
    assert told == [(row.name, row.level, row.causes, row.config) for row in here.rows]
    assert found.rows[0].path == "s3://lab/runs/run-002"
    # A head and the rest of each log, the settings in one, the weights by their head alone.
    assert found.costs.requests == 4 * 3 + 1
    again = scan("s3://lab/runs", plan=plan)
    assert (again.costs.known, again.costs.requests) == (4, 0)
    assert again.rows == found.rows


def test_only_a_changed_object_is_read_again(
    store: Any, make_fleet: Callable[..., Path], tmp_path: Path
) -> None:
    fleet = make_fleet(3)
    uploaded(store, fleet)
    plan = Plan(index=tmp_path / "index", workers=1)
    scan("s3://lab/runs", plan=plan)
    log = fleet / "run-001" / "train.log"
    log.write_text(log.read_text().replace("'loss': ", "'loss': 9", 60))
    uploaded(store, fleet)
    again = scan("s3://lab/runs", plan=plan)
    assert again.costs.known == 2


def test_an_empty_bucket_and_one_that_is_not_there(store: Any) -> None:
    with pytest.raises(NothingReadable, match="s3://lab/none"):
        scan("s3://lab/none", plan=Plan(workers=1))
    with pytest.raises(NothingReadable, match="s3://no-such-bucket"):
        scan("s3://no-such-bucket/runs", plan=Plan(workers=1))


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_the_copy_is_gone_afterwards(memory: Any) -> None:
    memory.pipe_file("/lab/a/train.log", b"{'loss': 1.0, 'epoch': 0.1}\n" * 500)
    (unit,) = find("memory://lab")
    with fetched(unit) as (folder, _):
        assert folder.is_relative_to(tempfile.gettempdir())
        assert [path.name for path in folder.rglob("*") if path.is_file()] == ["train.log"]
    assert not folder.exists()


def test_a_name_that_leads_out_is_not_fetched(memory: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    memory.pipe_file("/lab/a/train.log", b"{'loss': 1.0, 'epoch': 0.1}\n" * 500)
    (unit,) = find("memory://lab")
    evil = replace(unit.files[0], path="a/../../../train.log")
    with fetched(replace(unit, files=(evil,))) as (folder, requests):
        assert (list(folder.rglob("*")), requests) == ([], 0)


def test_a_file_address_is_a_folder(make_fleet: Callable[..., Path]) -> None:
    fleet = make_fleet(2)
    assert [unit.address for unit in find(f"file://{fleet}")] == [
        u.address for u in find(str(fleet))
    ]
