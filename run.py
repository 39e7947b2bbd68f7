"""Everything that this repository does, with nothing but Python installed before.

    python run.py lab              JupyterLab, opened on your own copy of the first chapter, in mine/
    python run.py lab --fresh 02   the same, after a new copy of chapter 2 beside the one you have
    python run.py test             style, types, unit tests, the notebooks, a real browser
    python run.py notebooks [01]   run the stored notebooks again, or those whose names begin so
    python run.py figures [name]   make the figures and their records again
    python run.py bench            measure the solvers' speed beside every peer's; installs those first
    python run.py bench --targets  measure it against its targets
    python run.py twins            the numpy and the torch solver side by side, where their code differs

The first call makes .venv and installs the versions in constraints.txt. Arguments after the command are passed on.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

VERSION = ".".join(map(str, sys.version_info[:2]))
if not (3, 11) <= sys.version_info[:2] <= (3, 14):  # so every line of this file must parse on older Pythons too
    sys.exit(
        f"Python 3.11 to 3.14 is needed, and this is Python {VERSION}.\n"
        "Start the same command with another one, for instance: python3.13 run.py lab"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP, PEERS = VENV / "installed", VENV / "installed-peers"
LAB_SETTINGS = ROOT / "binder" / "lab"  # JupyterLab's, for the book: it does not ask whether to fetch news
LIST_FONTS = "import matplotlib.font_manager"  # matplotlib does it once, and would say so inside a notebook
STEPS = ("Collecting", "Downloading", "Using cached", "Building", "Preparing", "Installing", "WARNING: Retrying")
REMEDY = """The lines above say why. If they speak of retries or of a connection, the index was not reached: check
the network; behind a proxy, set HTTPS_PROXY. If they speak of space: torch alone takes gigabytes where it brings CUDA.
Then start the same command again."""

# A shell may be set up for other Pythons, other test runs and other notebooks. A robot's, for one, puts pytest plugins
# on PYTHONPATH that .venv cannot import; pip would take the packages there for installed. None of it is handed on.
FOREIGN = ("PYTHON", "PYTEST_", "VIRTUAL_ENV")  # and whatever begins so, but for how text and caches are kept:
HARMLESS = {"PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
MISLEADING = {
    *("MPLBACKEND", "MATPLOTLIBRC"),  # figures in a window; another style
    *("JUPYTER_PATH", "JUPYTER_PREFER_ENV_PATH", "JUPYTERLAB_DIR"),  # kernels and a JupyterLab from elsewhere
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON"),  # an installation elsewhere
    *("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_NO_DEPS", "PIP_DRY_RUN"),  # an installation of something else
    *("PYRIGHT_PYTHON_FORCE_VERSION", "PYRIGHT_PYTHON_PYLANCE_VERSION"),  # fetches another pyright
}

CHECKS = {
    "ruff check": ["ruff", "check", "--quiet"],
    "ruff format": ["ruff", "format", "--check", "--quiet"],
    "pytest": ["pytest", "--nbval", "--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder"],
    "pyright": ["pyright"],
}


def wanted(extra: str = "test") -> str:
    """What a finished .venv was made from: where it stands, for which Python, and the packages that belong into it."""
    import tomllib  # here, since an older Python, which has none, must get as far as the message above

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [*project["dependencies"], *project["optional-dependencies"][extra]]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return hashlib.sha256("\n".join([str(ROOT), VERSION, *packages, pins]).encode()).hexdigest()


@functools.cache
def environment() -> dict[str, str]:
    """The variables to hand on. Says once which are left out, since someone may have set them on purpose."""
    out = {name for name in os.environ if (name.startswith(FOREIGN) and name not in HARMLESS) or name in MISLEADING}
    told = sorted(name for name in out if not name.startswith("VIRTUAL_ENV"))  # which any active environment sets
    if told:
        print(f"Not handed on to .venv's Python: {', '.join(told)}.", file=sys.stderr, flush=True)
    return {name: value for name, value in os.environ.items() if name not in out} | {"PIP_USER": "0"}


def ready() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted()


def install() -> None:
    """Make .venv anew. Its stamp gets its content at the end, so that an interrupted installation does not count."""
    if VENV.is_symlink():
        sys.exit(
            f"{VENV} is a symbolic link, and what it leads to would be replaced. Remove the link, then start the same"
            " command again."
        )
    if VENV.exists() and not STAMP.exists():
        sys.exit(f"{VENV} is not from run.py, which would replace it. Move it away, then start the same command again.")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit(
            "This Python cannot make virtual environments: its venv module is missing, or has no pip.\n"
            f"On Debian and Ubuntu: sudo apt install python{VERSION}-venv. Then start the same command again."
        )
    print("Installing into .venv, this once. It takes minutes, most of them for torch.", flush=True)
    start = time.monotonic()
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    STAMP.write_text("unfinished", encoding="utf-8")
    base = getattr(sys, "_base_executable", sys.executable)  # not .venv's own, should it be the one that is active
    follow("making .venv", [base, "-m", "venv", str(VENV)], start)
    pip = [str(PYTHON), "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
    follow("starting pip", [*pip, "--constraint", "constraints.txt", "--editable", ".[test]"], start)
    follow("listing the fonts", [str(PYTHON), "-c", LIST_FONTS], start)
    stamp(STAMP, wanted())
    print(f"Installed in {time.monotonic() - start:.0f} s.", flush=True)


def install_peers() -> None:
    """Add the libraries that the solvers are measured beside. They have a stamp of their own, gone when .venv is."""
    print("Installing the peers into .venv, this once.", flush=True)
    start = time.monotonic()
    pip = [str(PYTHON), "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
    follow("starting pip", [*pip, "--constraint", "constraints.txt", "--editable", ".[bench]"], start)
    stamp(PEERS, wanted("bench"))
    print(f"Installed in {time.monotonic() - start:.0f} s.", flush=True)


def stamp(path: Path, text: str) -> None:
    """Write the file as a whole, or not at all."""
    draft = path.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def follow(what: str, command: list[str], start: float) -> None:
    """Run `command` behind one line that tells the seconds since `start` and the step; if it fails, end here."""
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment(), **pipe)
    lines = [what]
    reader = threading.Thread(target=lambda: lines.extend(line.rstrip() for line in child.stdout or ()), daemon=True)
    reader.start()
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    while reader.is_alive():
        reader.join(0.2 if terminal else 10)
        step = next((line.strip() for line in reversed(lines) if line.strip().startswith(STEPS)), what)
        line = f"{time.monotonic() - start:4.0f} s  {step}"[:width]
        print(line.ljust(width) if terminal else line, end="\r" if terminal else "\n", flush=True)
    if terminal:
        print(" " * width, end="\r", flush=True)
    if child.stdout:
        child.stdout.close()
    if child.wait() != 0:
        sys.exit("\n".join([*lines[-12:], "", f"Installing failed at this step: {what}.", REMEDY]))


def python(*arguments: str) -> int:
    """Run .venv's Python with these arguments in the repository's folder; return its exit status."""
    return subprocess.call([str(PYTHON), *arguments], cwd=ROOT, env=environment())


def beside(*arguments: str) -> subprocess.Popen:
    """Start .venv's Python with these arguments, beside what comes next; what it says is kept until it is asked."""
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    return subprocess.Popen([str(PYTHON), *arguments], cwd=ROOT, env=environment(), **kept)


def lab(*arguments: str) -> int:
    """Copy the chapters that the reader has not got yet, then JupyterLab; the stored notebooks stay as they are."""
    left, fresh = list(arguments), []
    while "--fresh" in left:
        at = left.index("--fresh")
        fresh += left[at : at + 2]
        del left[at : at + 2]
    if python("-m", "nodelib.workbook.copies", *fresh) != 0:
        return 1
    # the address that JupyterLab prints, for those whose browser does not open by itself, leads to the chapter as well
    first = "--LabApp.default_url=/lab/tree/mine/00_start_here.ipynb"
    return python("-m", "jupyterlab", first, f"--LabApp.app_settings_dir={LAB_SETTINGS}", *left)


def test(*arguments: str) -> int:
    """All checks, whatever the others said; the last line says which failed.

    Pyright, which keeps one core busy for a minute, runs beside pytest and says what it found after it.
    """
    failed = {}
    with beside("-m", *CHECKS["pyright"]) as types:
        for name in ("ruff check", "ruff format", "pytest"):
            print(f"\n== {name}", flush=True)
            failed[name] = python("-m", *CHECKS[name], *(arguments if name == "pytest" else ())) != 0
        print(f"\n== pyright\n{types.communicate()[0]}", end="", flush=True)
        failed["pyright"] = types.returncode != 0
    print("\n" + ", ".join(f"{name}: {'FAILED' if bad else 'passed'}" for name, bad in failed.items()))
    return any(failed.values())


def notebooks(*names: str) -> int:
    return python("-m", "nodelib.workbook.refresh", *names)


def figures(*names: str) -> int:
    scripts = {path.stem: path for path in sorted((ROOT / "figures").glob("*.py"))}
    unknown = set(names) - set(scripts)
    if unknown:
        sys.exit(f"No such figure: {', '.join(sorted(unknown))}. There are: {', '.join(scripts)}.")
    return any(python(str(scripts[name])) for name in names or scripts)  # the first that fails ends it


def bench(*arguments: str) -> int:
    """Every peer in one table, which installs them first; with --targets, the races that need none but torchdiffeq."""
    if "--targets" in arguments:
        return python("-m", "tests.bench", *(each for each in arguments if each != "--targets"))
    if not (PEERS.exists() and PEERS.read_text(encoding="utf-8") == wanted("bench")):
        install_peers()
    return python("-m", "tests.bench.peers", *arguments)


def twins(*arguments: str) -> int:
    return python("-m", "nodelib.workbook.twins", *arguments)


def main() -> None:
    commands = {command.__name__: command for command in (lab, test, notebooks, figures, bench, twins)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    try:
        if not ready():
            install()
        sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted.")


if __name__ == "__main__":
    main()
