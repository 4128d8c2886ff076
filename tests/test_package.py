"""The wheel, built and installed away from the checkout, makes a report."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build sdist and wheel with the backend that is installed: no download."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return out


def test_templates_and_schema_are_in_the_wheel_and_in_the_sdist(built: Path) -> None:
    import tarfile

    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "loganalyze/templates/report.html.j2" in names
    assert "loganalyze/diagnosis.schema.json" in names
    assert "loganalyze/py.typed" in names
    assert "loganalyze/lang/ko/findings.toml" in names
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        assert any(name.endswith("/templates/report.html.j2") for name in sdist.getnames())


def test_the_installed_wheel_makes_a_report_away_from_the_checkout(
    built: Path, tmp_path: Path
) -> None:
    """The package itself goes into an empty environment; its dependencies are borrowed."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*/site-packages"))
    wheel = str(next(built.glob("*.whl")))
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    borrowed = [p for p in sys.path if p.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    work = tmp_path / "elsewhere"
    work.mkdir()
    sample = ROOT / "sample_logs" / "report-280-classes"
    apart = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(  # noqa: PLW1510 - the exit status is asserted below
        [str(python), "-m", "loganalyze", "report", str(sample), "-o", "out.html"],
        cwd=work,
        capture_output=True,
        text=True,
        env=apart,
    )
    assert result.returncode == 0, result.stderr
    assert "initial-loss-high" in result.stdout
    assert "<!doctype html>" in (work / "out.html").read_text("utf-8")[:100].lower()
    where = subprocess.run(
        [str(python), "-c", "import loganalyze; print(loganalyze.__file__)"],
        cwd=work, capture_output=True, text=True, check=True, env=apart,
    )  # fmt: skip
    assert str(site) in where.stdout
