"""What every test run shares, from whatever folder it is started: how nbval compares, and a clean IPython."""

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    """Give nbval its settings, and the kernels a profile of their own.

    The reader's own IPython profile might print or import something, and its history is a database that two kernels
    at a time lock.
    """
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")
    config.option.nbval_cell_timeout = 120.0
    profile = tempfile.TemporaryDirectory(prefix="nodelib-ipython-", ignore_cleanup_errors=True)
    config.add_cleanup(profile.cleanup)
    os.environ["IPYTHONDIR"] = profile.name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured: `record_property("measured", "one line")` in a test ends up here."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, line in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(line)
