"""What every test run shares, from whatever folder: how nbval compares, a clean IPython, torch as it was before."""

import gc
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
# IPython runs the first and imports from the second; the third asks for windows.
READERS = ("PYTHONSTARTUP", "VIRTUAL_ENV", "MPLBACKEND")
LONGEST = ("tests/browser/", "notebooks/")  # files that take minutes

# Read when torch is imported. Three workers and their kernels share the cores, and threads that wait for each other
# take several times longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
    for name in READERS:
        os.environ.pop(name, None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare Python's collector what stays to the end: modules and thousands of tests, most of a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have nbval's kernels do more than run each cell once; begin with the longest files.

    A worker that took one of those last would be waited for alone.
    """
    if any(item.path.suffix == ".ipynb" for item in items):
        from tests.again import with_further  # here, since it needs nbval

        items[:] = with_further(items)
    items.sort(key=lambda item: [not item.nodeid.startswith(place) for place in LONGEST])


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> Iterator[None]:
    """Subnormal numbers are 0 for a whole process once a script has asked torch for that: not beyond its test."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for torch: what is timed, or compared to the last bit, must not depend on the machine's cores."""
    import torch  # here, since not every test run needs it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured: `record_property("measured", "one line")` in a test ends up here."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, line in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(line)
