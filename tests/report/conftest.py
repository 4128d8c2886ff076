"""A browser for the tests that need one, and the reports that they open."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis
from loganalyze.report.html import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, started once."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: apt-get install --no-install-recommends chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@dataclass
class Opened:
    """A page in the browser, with everything that it said and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def axe(opened: Opened) -> list[str]:
    """Return what axe-core finds wrong."""
    source = pytest.importorskip("axe_playwright_python.base").AXE_SCRIPT
    opened.page.evaluate(source)
    # Without the details of what is right, which take most of its time.
    found: Any = opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a file as file://; contexts close when the test ends."""
    contexts: list[BrowserContext] = []

    def opened(path: Path, *, fragment: str = "", **options: object) -> Opened:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("dialog", lambda dialog: found.complaints.append(dialog.message))
        context.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(f"file://{path}{fragment}")
        return found

    yield opened
    for context in contexts:
        context.close()


@dataclass
class Report:
    """A diagnosis and the page made of it."""

    diagnosis: Diagnosis
    path: Path


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """Make the report of a sample, once."""
    made: dict[tuple[str, str], Report] = {}
    folder = tmp_path_factory.mktemp("reports")

    def report(name: str, lang: str = "en") -> Report:
        if (name, lang) not in made:
            diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / name))
            path = folder / f"{name}-{lang}.html"
            path.write_text(render(diagnosis, lang=lang), encoding="utf-8")
            made[name, lang] = Report(diagnosis, path)
        return made[name, lang]

    return report
