"""What ``loganalyze --version --verbose`` tells, for a bug report."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, entry_points, version

from loganalyze import __version__

# What the result of an analysis may depend on.
PACKAGES = (
    "numpy", "pandas", "pyarrow", "matplotlib", "jinja2", "orjson", "click", "rich",
    "tbparse", "tensorboard", "mlflow", "torch",
)  # fmt: skip
GROUPS = ("loganalyze.detectors", "loganalyze.causes", "loganalyze.ingesters")


def versions() -> Iterator[str]:
    """Yield a line for this tool, Python, the packages beside it, and what others have added."""
    yield f"loganalyze {__version__}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for name in PACKAGES:
        yield f"{name} {_installed(name)}"
    for group in GROUPS:
        for entry in entry_points(group=group):
            yield f"{group}: {entry.name} from {entry.value}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
