"""Everything this package raises on purpose.

    LogAnalyzeError            caught once, in the command line: one line, exit status 2
    ├── NothingReadable        the path holds no training log that could be read
    ├── UsageError             an option or a value that cannot be meant
    │   └── SettingsError      an unknown or ill-typed setting
    └── MissingExtra           an optional dependency is not installed

Bad *data* never raises: it becomes a `Problem` of its source.
"""


class LogAnalyzeError(Exception):
    """Base of all deliberate errors; its message says what, where and what to do next."""

    exit_code = 2


class NothingReadable(LogAnalyzeError):  # noqa: N818 - reads as the fact it states
    """No readable training log was found at the given path."""


class UsageError(LogAnalyzeError):
    """A command-line option or argument cannot be used as given."""


class SettingsError(UsageError):
    """A setting is unknown or has a value of the wrong type."""


class MissingExtra(LogAnalyzeError):  # noqa: N818 - reads as the fact it states
    """A feature needs an optional dependency; the message names the extra to install."""
