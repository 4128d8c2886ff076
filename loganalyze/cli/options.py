"""What the commands share: options, settings, terminal traits, safe writing of files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.progress import reading
from loganalyze.errors import SettingsError, UsageError
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label
from loganalyze.settings import Settings, check_names, from_tables, parse_assignments, read_toml

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis

FAIL_LEVELS = ("warning", "critical")
PROJECT_FILES = ("loganalyze.toml", "pyproject.toml")
PLAIN_WIDTH = 80  # columns of text that goes into a pipe or a file


@dataclass(frozen=True)
class Common:
    """The options that every analysing command takes."""

    run: str | None
    config: str | None
    assignments: tuple[str, ...]
    classes: int | None
    given: tuple[str, ...]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    isolated: bool
    fail_on: str | None
    quiet: bool
    verbose: bool
    color: str
    lang: str | None
    debug: bool


def run_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the RUN argument."""
    return click.argument("path", metavar="RUN", type=click.Path(path_type=str))(command)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options; the command receives them as one `Common` named ``common``."""
    names = {field.name for field in fields(Common)}

    @wraps(command)
    def packed(**options: Any) -> Any:
        common = Common(**{name: options.pop(name) for name in names})
        return command(common=common, **options)

    decorated: Callable[..., Any] = packed
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_OPTIONS = (
    click.option("--run", metavar="NAME", help="Which run, where the path holds several."),
    click.option("--classes", type=click.IntRange(min=2), metavar="C",
                 help="Number of classes (or the vocabulary size): C of log(C)."),
    click.option("--given", multiple=True, metavar="KEY=VALUE",
                 help="A setting of the run that its log lacks: learning_rate=1e-5."),
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
                 help="Change a threshold: spike.z=8. `explain ID` lists them."),
    click.option("--select", multiple=True, metavar="ID",
                 help="Only these checks; loss- is a prefix."),
    click.option("--ignore", multiple=True, metavar="ID", help="Leave out these checks."),
    click.option("--config", metavar="FILE", help="Settings from this TOML file."),
    click.option("--isolated", is_flag=True, help="Read no settings file."),
    click.option("--fail-on", type=click.Choice(FAIL_LEVELS),
                 help="Exit with 1 if a finding is at least this severe."),
    click.option("-q", "--quiet", is_flag=True, help="The verdict only."),
    click.option("-v", "--verbose", is_flag=True, help="All evidence, all checks."),
    click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto",
                 show_default=True, help="Colour in the terminal."),
    lang_option,
    click.option("--debug", is_flag=True, help="Show a traceback on an internal error."),
)  # fmt: skip


def settings_of(common: Common) -> Settings:
    """Combine settings file, ``--set`` and the other options; flags win over the file.

    Raises
    ------
    SettingsError
        For a file that cannot be read, an unknown name or a value of the wrong type.
    """
    from loganalyze.detect import known_settings

    given: dict[str, str | int | float | bool] = dict(parse_assignments(common.given))
    if common.classes is not None:
        given["num_classes"] = common.classes
    settings = from_tables(
        _table(common),
        parse_assignments(common.assignments),
        select=common.select,
        ignore=common.ignore,
        given=given,
    )
    check_names(settings.changed, known_settings())
    _check_ids((*settings.select, *settings.ignore))
    return settings


def _check_ids(patterns: tuple[str, ...]) -> None:
    from difflib import get_close_matches

    from loganalyze.detect import detectors

    ids = [detector.id for detector in detectors()]
    for pattern in patterns:
        if pattern in ids or (pattern.endswith("-") and any(i.startswith(pattern) for i in ids)):
            continue
        near = get_close_matches(pattern, ids, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(
            f"no check is called {pattern!r}{hint} (`loganalyze explain` lists all)"
        )


def _table(common: Common) -> dict[str, Any]:
    if common.config is not None:
        return read_toml(Path(common.config))
    return {} if common.isolated else project_table()


def project_table() -> dict[str, Any]:
    """Return the settings of the project in the working directory; empty without any."""
    for name in PROJECT_FILES:
        if Path(name).is_file():
            table = read_toml(Path(name))
            if table or name != "pyproject.toml":
                return table
    return {}


def analyse(path: str, common: Common) -> Diagnosis:
    """Read the run and diagnose it."""
    from loganalyze.diagnosis import diagnose
    from loganalyze.ingest import load

    settings = settings_of(common)
    with reading(quiet=common.quiet, lang=language(common)) as opened:
        run = load(path, run=common.run, opened=opened)
    return diagnose(run, settings)


def language(common: Common) -> str:
    """Return the language to answer in: of the option, the environment or the settings file."""
    return chosen(common.lang, lambda: _table(common))


def exit_code(diagnosis: Diagnosis, fail_on: str | None) -> int:
    """Return 1 if a finding reaches the level of ``--fail-on``, else 0."""
    from loganalyze.finding import Severity

    if fail_on is None:
        return 0
    limit = Severity(fail_on).rank
    return int(any(finding.severity.rank >= limit for finding in diagnosis.findings))


def terminal(common: Common) -> dict[str, Any]:
    """Return width, colour, Unicode and language for text on stdout: English where Unicode is not shown."""
    import shutil

    interactive = sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    wanted = {"always": True, "never": False}.get(common.color)
    if wanted is None:
        forced = bool(os.environ.get("FORCE_COLOR"))
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        wanted = (interactive or forced) and not plain
    return {
        "width": shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
        if interactive
        else PLAIN_WIDTH,
        "color": wanted,
        "unicode": encoding.startswith("utf"),
        "lang": language(common) if encoding.startswith("utf") else ENGLISH,
    }


def write_output(
    path: str,
    content: bytes,
    *,
    force: bool,
    is_ours: Callable[[bytes], bool],
    run: str,
    lang: str = ENGLISH,
) -> Path:
    """Write a result and say so on stderr.

    A file that this tool did not write, and the run's own directory, are left alone unless
    `force` is set. The file appears whole or not at all.

    Raises
    ------
    UsageError
        If the file must not, or cannot, be written.
    """
    target = Path(path)
    if not force:
        _guard(target, is_ours, run)
    try:
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as partial:
            partial.write(content)
        Path(partial.name).chmod(0o666 & ~_umask())
        Path(partial.name).replace(target)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    click.echo(label(f"Wrote {path} ({_size(len(content))})", lang), err=True)
    return target


def _guard(target: Path, is_ours: Callable[[bytes], bool], run: str) -> None:
    root = Path(run)
    if run != "-" and root.is_dir() and target.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"{target} lies inside the run directory, which is never written to; "
            "choose another place with -o, or insist with --force"
        )
    if target.is_dir():
        raise UsageError(f"{target} is a directory; give a file name with -o")
    if target.exists():
        with target.open("rb") as file:
            head = file.read(2048)
        if head and not is_ours(head):
            raise UsageError(
                f"{target} exists and was not written by loganalyze; "
                "choose another name with -o, or overwrite it with --force"
            )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _size(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count >= 1000 else f"{count} bytes"
