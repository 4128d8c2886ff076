from __future__ import annotations

from importlib.metadata import version

import loganalyze


def test_the_version_is_one_line(call) -> None:
    assert call("--version") == (0, f"loganalyze {loganalyze.__version__}\n", "")


def test_a_bug_report_gets_what_it_needs(call) -> None:
    for arguments in (("--version", "--verbose"), ("-v", "--version")):
        code, out, _ = call(*arguments)
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == f"loganalyze {loganalyze.__version__}"
        assert lines[1].startswith("Python 3.")
        assert f"pandas {version('pandas')}" in lines


def test_verbose_before_a_command_is_told_where_it_goes(call) -> None:
    code, _, err = call("--verbose", "diagnose", "x")
    assert code == 2
    assert "after the command" in err
