"""What the commands share: options, settings, reading and judging, the exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loganalyze.cli.beside import probed_of
from loganalyze.cli.completion import finding_ids, run_names, setting_names
from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.progress import reading
from loganalyze.errors import SettingsError
from loganalyze.settings import Settings, check_names, from_tables, parse_assignments, read_toml

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis

FAIL_LEVELS = ("warning", "critical")
PROJECT_FILES = ("loganalyze.toml", "pyproject.toml")


@dataclass(frozen=True)
class Common:
    """The options that analysing commands take."""

    config: str | None
    assignments: tuple[str, ...]
    classes: int | None
    given: tuple[str, ...]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    isolated: bool
    quiet: bool
    verbose: bool
    color: str
    lang: str | None
    debug: bool
    run: str | None = None
    probe: str | None = None
    fail_on: str | None = None


def run_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the RUN argument."""
    return click.argument("path", metavar="RUN", type=click.Path(path_type=str))(command)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that judges one run; it receives them as one `Common` named ``common``."""
    return _with_options(command, (run_option, *_SHARED, probe_option, fail_on_option))


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add those that every analysing command takes, of which each run is named by its path."""
    return _with_options(command, _SHARED)


def _with_options(
    command: Callable[..., Any], added: tuple[Callable[..., Any], ...]
) -> Callable[..., Any]:
    names = {field.name for field in fields(Common)}

    @wraps(command)
    def packed(**options: Any) -> Any:
        common = Common(**{name: options.pop(name) for name in names & options.keys()})
        return command(common=common, **options)

    decorated: Callable[..., Any] = packed
    for option in reversed(added):
        decorated = option(decorated)
    return decorated


def _show_secrets(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Leave secrets unmasked until the command has ended."""
    if wanted and not ctx.resilient_parsing:
        from loganalyze.report.redact import secrets_shown

        ctx.with_resource(secrets_shown())


no_redact_option = click.option(
    "--no-redact",
    is_flag=True,
    expose_value=False,
    callback=_show_secrets,
    help="Show keys, tokens and passwords that the log holds.",
)

run_option = click.option(
    "--run",
    metavar="NAME",
    shell_complete=run_names,
    help="Which run, where the path holds several.",
)

probe_option = click.option(
    "--probe",
    metavar="FILE.json",
    help="What `loganalyze probe` found; by default looked for beside the run.",
)

fail_on_option = click.option(
    "--fail-on",
    type=click.Choice(FAIL_LEVELS),
    help="Exit with 1 if a finding is at least this severe.",
)

_SHARED = (
    click.option("--classes", type=click.IntRange(min=2), metavar="C",
                 help="Number of classes (or the vocabulary size): C of log(C)."),
    click.option("--given", multiple=True, metavar="KEY=VALUE",
                 help="A setting of the run that its log lacks: learning_rate=1e-5."),
    click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
                 shell_complete=setting_names,
                 help="Change a threshold: spike.z=8. `explain ID` lists them."),
    click.option("--select", multiple=True, metavar="ID", shell_complete=finding_ids,
                 help="Only these checks; loss- is a prefix."),
    click.option("--ignore", multiple=True, metavar="ID", shell_complete=finding_ids,
                 help="Leave out these checks."),
    click.option("--config", metavar="FILE", help="Settings from this TOML file."),
    click.option("--isolated", is_flag=True, help="Read no settings file."),
    click.option("-q", "--quiet", is_flag=True, help="The verdict only."),
    click.option("-v", "--verbose", is_flag=True, help="All evidence, all checks."),
    click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto",
                 show_default=True, help="Colour in the terminal."),
    lang_option,
    no_redact_option,
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
    return diagnose(run, settings, probed_of(path, run, common.probe))


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
