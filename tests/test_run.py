"""run.py, copied into a folder with a space and an accent: what it says, and when an installation counts."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AS_OLD = "import runpy, sys; sys.version_info = (3, 9, 1); sys.argv = ['run.py', 'lab']; runpy.run_path(sys.argv[0])"
WITHOUT_PIP = "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['run.py', 'lab']; "
WITHOUT_PIP += "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "my cahier é"
    copy.mkdir()
    for name in ("run.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "nodelib", copy / "nodelib", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def run(folder: Path):
    return load(folder)


def load(folder: Path):
    """The run.py of that folder, as a module."""
    spec = importlib.util.spec_from_file_location("run_copy", folder / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run Python there, without what this machine sets for pip."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | variables
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=120)


def installs(run, monkeypatch: pytest.MonkeyPatch, stop_at: str = "") -> list[str]:
    """Let the copy install without doing so; return the steps it took, the last of them `stop_at` if it is given."""
    steps = []

    def follow(what: str, command: list[str], begin: float) -> None:
        steps.append(what)
        assert what != "starting pip" or ("--constraint", "constraints.txt") in pairwise(command)
        run.PYTHON.parent.mkdir(exist_ok=True)
        run.PYTHON.touch()
        if what == stop_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "follow", follow)
    run.install()
    return steps


def calls(run, monkeypatch: pytest.MonkeyPatch, *codes: int) -> list[tuple[str, ...]]:
    """Give the copy a Python that returns these codes, one a call; return the list into which the calls will come."""
    seen, left = [], list(codes)
    monkeypatch.setattr(run, "python", lambda *arguments: (seen.append(arguments), left.pop(0))[1])
    return seen


def test_it_parses_on_pythons_that_it_turns_away():
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_an_old_python_is_told_which_one_is_needed(folder):
    done = start(folder, "-c", AS_OLD)
    assert done.returncode == 1
    assert "Python 3.11 to 3.14 is needed, and this is Python 3.9." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_venv_is_told_the_package(folder):
    done = start(folder, "-c", WITHOUT_PIP)
    assert done.returncode == 1
    assert f"sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in done.stderr
    assert not (folder / ".venv").exists()


def test_without_a_network_it_shows_what_pip_said_and_a_remedy(folder):
    index = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = start(folder, "run.py", "lab", **index)
    assert done.returncode == 1
    assert " s  making .venv" in done.stdout
    assert "No matching distribution found" in done.stderr
    assert "the index was not reached: check" in done.stderr
    assert "Then start the same command again." in done.stderr
    assert (folder / ".venv" / "installed").read_text() == "unfinished"


def test_a_venv_from_elsewhere_is_left_alone(folder):
    (folder / ".venv").mkdir()
    (folder / ".venv" / "mine").touch()
    done = start(folder, "run.py", "lab")
    assert done.returncode == 1
    assert "is not from run.py" in done.stderr
    assert (folder / ".venv" / "mine").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make symbolic links")
def test_a_venv_that_is_a_link_is_left_alone(folder, tmp_path):
    """Its stamp would make it look like our own."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "installed").write_text("for another folder")
    (folder / ".venv").symlink_to(tmp_path / "elsewhere")
    done = start(folder, "run.py", "lab")
    assert done.returncode == 1
    assert ".venv is a symbolic link" in done.stderr
    assert (tmp_path / "elsewhere" / "installed").read_text() == "for another folder"


def test_the_usage_names_every_command(folder):
    for arguments in ([], ["teach"]):
        done = start(folder, "run.py", *arguments)
        assert done.returncode == 1
        for command in ("lab", "test", "notebooks", "figures", "bench", "twins"):
            assert f"python run.py {command}" in done.stderr


def test_an_installation_counts_when_it_is_complete(run, monkeypatch):
    assert not run.ready()
    assert installs(run, monkeypatch) == ["making .venv", "starting pip", "listing the fonts"]
    assert run.ready()


@pytest.mark.parametrize("step", ["making .venv", "starting pip", "listing the fonts"])
def test_an_interrupted_installation_does_not_count_and_is_made_again(run, monkeypatch, step):
    with pytest.raises(KeyboardInterrupt):
        installs(run, monkeypatch, stop_at=step)
    assert not run.ready()
    installs(run, monkeypatch)
    assert run.ready()


@pytest.mark.parametrize(("name", "old", "new"), [
    ("pyproject.toml", "torch>=2.11", "torch>=2.12"),
    ("pyproject.toml", '"pytest>=', '"pytest>=8.5,>='),
    ("constraints.txt", "torch==2.13.0", "torch==2.13.1"),
])  # fmt: skip
def test_another_list_of_packages_is_installed_anew(run, monkeypatch, name, old, new):
    installs(run, monkeypatch)
    path = run.ROOT / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert not run.ready()
    assert installs(run, monkeypatch)
    assert run.ready()


def test_a_moved_folder_is_installed_anew(run, monkeypatch, tmp_path):
    installs(run, monkeypatch)
    run.ROOT.rename(tmp_path / "moved")
    assert not load(tmp_path / "moved").ready()


def test_bench_installs_the_peers_once_and_again_when_their_list_changes(run, monkeypatch):
    installs(run, monkeypatch)
    seen = calls(run, monkeypatch, 0, 0, 0, 0)
    commands = []
    monkeypatch.setattr(run, "follow", lambda what, command, begin: commands.append(command))
    run.bench("--only", "CNF")
    run.bench()
    assert [command[-3:] for command in commands] == [["constraints.txt", "--editable", ".[bench]"]]
    assert seen == [("-m", "tests.bench.peers", "--only", "CNF"), ("-m", "tests.bench.peers")]
    path = run.ROOT / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("diffrax==", "diffrax>="), encoding="utf-8")
    run.bench()
    assert len(commands) == 2


def test_peers_whose_installation_was_interrupted_do_not_count(run, monkeypatch):
    def interrupted(what: str, command: list[str], begin: float) -> None:
        raise KeyboardInterrupt

    installs(run, monkeypatch)
    calls(run, monkeypatch, 0)
    monkeypatch.setattr(run, "follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.bench()
    assert not run.PEERS.exists()


def test_the_targets_need_no_peers(run, monkeypatch):
    installs(run, monkeypatch)
    seen = calls(run, monkeypatch, 0)
    run.bench("--targets")
    assert seen == [("-m", "tests.bench")]
    assert not run.PEERS.exists()


def test_the_tests_do_not_wait_for_the_peers(run, monkeypatch):
    """The list of the peers is none of theirs: .venv stays."""
    installs(run, monkeypatch)
    path = run.ROOT / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("diffrax==", "diffrax>="), encoding="utf-8")
    assert run.ready()


def test_another_python_is_installed_anew(run, monkeypatch):
    installs(run, monkeypatch)
    monkeypatch.setattr(run, "VERSION", "3.99")
    assert not run.ready()


@pytest.mark.parametrize("name", [
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONSAFEPATH",
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "VIRTUAL_ENV", "MPLBACKEND", "MATPLOTLIBRC",
    "JUPYTER_PATH", "JUPYTERLAB_DIR", "PIP_TARGET", "PIP_CONSTRAINT",
])  # fmt: skip
def test_what_a_shell_has_set_for_others_reaches_no_python_of_ours(run, monkeypatch, name):
    monkeypatch.setenv(name, "elsewhere")
    is_there = f"import os, sys; sys.exit({name!r} in os.environ)"
    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    assert run.python("-c", is_there) == 0
    with run.beside("-c", is_there) as child:
        assert child.wait() == 0
    run.follow("a step of the installation", [sys.executable, "-c", is_there], time.monotonic())


@pytest.mark.parametrize("name", [
    "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CERT", "PIP_ROOT_USER_ACTION", "HTTPS_PROXY", "NODELIB_DATA",
    "MPLCONFIGDIR", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "JUPYTER_TOKEN",
])  # fmt: skip
def test_what_the_reader_may_set_for_us_arrives(run, monkeypatch, capsys, name):
    monkeypatch.setenv(name, "as set")
    assert run.environment()[name] == "as set"
    assert name not in capsys.readouterr().err


def test_pip_installs_into_the_venv_even_where_the_user_has_set_otherwise(run, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    assert run.environment()["PIP_USER"] == "0"  # stated, since a pip.conf may say 1 as well


def test_it_says_once_what_it_did_not_hand_on(run, monkeypatch, capsys):
    for name in ("PYTHONPATH", "PYTEST_ADDOPTS", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "elsewhere")
    run.environment()
    run.environment()
    lines = [line for line in capsys.readouterr().err.splitlines() if "PYTHONPATH" in line]
    assert len(lines) == 1
    assert "PYTEST_ADDOPTS" in lines[0]
    assert "VIRTUAL_ENV" not in lines[0]


def test_pytest_plugins_on_the_pythonpath_that_do_not_import_harm_nothing(run, monkeypatch, tmp_path):
    """A machine with ROS: its shell puts them there."""
    info = tmp_path / "ros" / "launch_testing_ros-0.19.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: launch-testing-ros\nVersion: 0.19\n")
    (info / "entry_points.txt").write_text("[pytest11]\nlaunch_ros = launch_testing_ros_entry\n")
    (info.parent / "launch_testing_ros_entry.py").write_text("import a_package_of_the_ros_distribution\n")
    (run.ROOT / "test_one.py").write_text("def test_one(): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(info.parent))
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"]
    assert subprocess.run([sys.executable, *arguments], cwd=run.ROOT, capture_output=True).returncode != 0  # the trap
    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    assert run.python(*arguments) == 0


FIRST = "--LabApp.default_url=/lab/tree/mine/00_start_here.ipynb"


def test_lab_copies_the_chapters_opens_the_first_and_passes_arguments_on(run, monkeypatch):
    seen = calls(run, monkeypatch, 0, 0)
    run.lab("--no-browser")
    settings = f"--LabApp.app_settings_dir={run.ROOT / 'binder' / 'lab'}"
    assert seen == [("-m", "nodelib.workbook.copies"), ("-m", "jupyterlab", FIRST, settings, "--no-browser")]
    assert (ROOT / "binder" / "lab" / "overrides.json").exists()


def test_lab_makes_a_fresh_copy_on_demand(run, monkeypatch):
    seen = calls(run, monkeypatch, 0, 0)
    run.lab("--no-browser", "--fresh", "02", "--port=1", "--fresh", "03")
    assert seen[0] == ("-m", "nodelib.workbook.copies", "--fresh", "02", "--fresh", "03")
    assert seen[1][-2:] == ("--no-browser", "--port=1")


def test_lab_does_not_start_where_no_copies_could_be_made(run, monkeypatch):
    seen = calls(run, monkeypatch, 1)
    assert run.lab("--fresh", "07") == 1
    assert len(seen) == 1


def types(run, monkeypatch: pytest.MonkeyPatch, said: str, code: int) -> list[tuple[str, ...]]:
    """Give the copy a Python for what runs beside: it says that and returns the code. Return the list of its calls."""
    seen, popen = [], run.subprocess.Popen
    program = f"import sys; print({said!r}); sys.exit({code})"

    def beside(*arguments: str) -> subprocess.Popen:
        seen.append(arguments)
        return popen([sys.executable, "-c", program], stdout=subprocess.PIPE, encoding="utf-8")

    monkeypatch.setattr(run, "beside", beside)
    return seen


def test_test_runs_every_check_whatever_failed_before(run, monkeypatch, capsys):
    beside, seen = types(run, monkeypatch, "a wrong type", 1), calls(run, monkeypatch, 1, 0, -9)
    assert run.test("-k", "tableau")
    assert beside == [("-m", "pyright")]
    assert [call[1] for call in seen] == ["ruff", "ruff", "pytest"]
    assert [call[-2:] == ("-k", "tableau") for call in seen] == [False, False, True]
    printed = capsys.readouterr().out.splitlines()
    assert printed[printed.index("== pyright") + 1] == "a wrong type"
    assert printed[-1] == "ruff check: FAILED, ruff format: passed, pytest: FAILED, pyright: FAILED"


@pytest.mark.parametrize("code", [0, 1])
def test_test_passes_when_every_check_does(run, monkeypatch, code):
    types(run, monkeypatch, "", code)
    calls(run, monkeypatch, 0, 0, 0)
    assert run.test() == bool(code)


def test_what_runs_beside_says_all_it_has_to_say(run, monkeypatch):
    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with run.beside("-c", program) as child:
        assert sorted(child.communicate()[0].split()) == ["err", "out"]
    assert child.returncode == 3


def test_figures_are_made_by_name_or_all_until_one_fails(run, monkeypatch):
    (run.ROOT / "figures").mkdir()
    scripts = [run.ROOT / "figures" / f"{name}.py" for name in "abc"]
    for script in scripts:
        script.touch()
    seen = calls(run, monkeypatch, 0, 1, 0)
    assert run.figures()
    assert seen == [(str(script),) for script in scripts[:2]]
    assert not run.figures("c")
    assert seen[2:] == [(str(scripts[2]),)]
    with pytest.raises(SystemExit, match=r"No such figure: z\. There are: a, b, c\."):
        run.figures("z")
