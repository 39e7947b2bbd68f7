"""The lists of packages say one thing: pyproject.toml, constraints.txt, conda's, Binder's, the imports, the README."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from jupyterlab_server.settings_utils import _get_overrides, get_settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nodelib.workbook.book import CHAPTERS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
CONDA = {"environment.yml": {"torch": "pytorch"}, "binder/environment.yml": {"torch": "pytorch-cpu"}}
IMPORTED_AS = {"PIL": "pillow", "IPython": "ipython", "sklearn": "scikit-learn", "yaml": "pyyaml"}
NEWS = "@jupyterlab/apputils-extension:notification"
START = "lab/tree/mine/00_start_here.ipynb"


def conda_list(name: str) -> list[str]:
    """The conda packages of an environment.yml, its pip section aside."""
    return re.findall(r"^  - ([^:\n]+)$", (ROOT / name).read_text(encoding="utf-8").split("dependencies:")[1], re.M)


def needed(requirement: Requirement, found: set[str]) -> set[str]:
    """The names of all that `requirement` brings along on this machine, as far as it is installed here."""
    name = canonicalize_name(requirement.name)
    if name in found:
        return found
    found.add(name)
    try:
        further = [Requirement(line) for line in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return found
    for each in further:
        if each.marker is None or any(each.marker.evaluate({"extra": x}) for x in requirement.extras or {""}):
            needed(each, found)
    return found


def imports(path: Path) -> set[str]:
    """The distributions that a module imports by absolute name, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"nodelib"}
    return {canonicalize_name(IMPORTED_AS.get(top, top)) for top in tops}


@pytest.mark.parametrize("name", CONDA)
def test_conda_gets_the_packages_of_pyproject(name):
    other = CONDA[name] | {"matplotlib": "matplotlib-base"}
    packages = [
        re.sub(r"^[\w-]+", lambda match: other.get(match[0], match[0]), line) for line in PROJECT["dependencies"]
    ]
    python, *listed = conda_list(name)
    assert listed == [*packages, "pip"]
    assert re.fullmatch(r"python=3\.\d+", python)
    assert python.removeprefix("python=") in ("3.11", "3.12", "3.13", "3.14")


@pytest.mark.parametrize("name", CONDA)
def test_conda_gets_ranges_and_one_version_of_python_alone(name):
    python, *others = conda_list(name)
    assert python.count("=") == 1
    assert [line for line in others if not re.fullmatch(r"[\w-]+(>=[\d.]+(,<[\d.]+)?)?", line)] == []


def test_torch_is_a_range_whose_ends_were_tried_and_run_py_installs_the_version_tested():
    (torch,) = (Requirement(line) for line in PROJECT["dependencies"] if line.startswith("torch"))
    assert [torch.specifier.contains(version) for version in ("2.10.0", "2.11.0", "2.13.0", "3.0.0")] == [0, 1, 1, 0]
    assert [str(pin.specifier) for pin in PINS if pin.name == "torch"] == ["==2.13.0"]


def test_conda_is_tried_every_week():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "conda.yml").read_text(encoding="utf-8"))
    assert workflow[True]["schedule"]  # YAML reads the key "on" as true
    job = workflow["jobs"]["chapter"]
    tried = {each["environment"]: each["run"] for each in job["strategy"]["matrix"]["include"]}
    assert set(tried) == set(CONDA)
    assert "--nbval notebooks/01_resnet_as_euler.ipynb" in tried["environment.yml"]
    assert {"environment-file": "${{ matrix.environment }}"} in [step.get("with") for step in job["steps"]]


def test_everything_that_is_installed_for_the_tests_is_pinned():
    project = Requirement("nodelib[test]")
    found = needed(project, set()) - {"nodelib"}
    assert len(found) > 100  # the walk went on beyond the first level
    assert sorted(found - {canonicalize_name(pin.name) for pin in PINS}) == []


def test_every_extra_is_pinned_to_one_version_within_its_bounds():
    pins = {canonicalize_name(pin.name): str(pin.specifier) for pin in PINS if not pin.marker or pin.marker.evaluate()}
    extras = PROJECT["optional-dependencies"]
    for line in [*PROJECT["dependencies"], *(line for extra in extras.values() for line in extra)]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)].removeprefix("=="))


def test_pins_are_plain_versions():
    for pin in PINS:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin  # one version, not that of one machine ("+cpu")
        assert pin.url is None
        assert not pin.extras


def test_the_package_imports_what_it_declares_and_declares_what_it_imports():
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    imported = set().union(*(imports(path) for path in (ROOT / "nodelib").rglob("*.py")))
    assert imported == declared - {"jupyterlab"}


def test_the_yardstick_is_the_same_in_both_extras():
    bench, test = (
        [line for line in PROJECT["optional-dependencies"][extra] if line.startswith("torchdiffeq")]
        for extra in ("bench", "test")
    )
    assert bench == test == ["torchdiffeq==0.2.5"]


def test_every_peer_is_pinned_to_the_version_that_was_measured():
    """And the tests install none of them but the yardstick."""
    peers = {line.partition("==")[0]: line.partition("==")[2] for line in PROJECT["optional-dependencies"]["bench"]}
    measured = json.loads((ROOT / "figures" / "records" / "bench.json").read_text(encoding="utf-8"))["peers"]
    assert {name: measured[name] for name in peers} == peers
    of_tests = {Requirement(line).name for line in PROJECT["optional-dependencies"]["test"]}
    assert of_tests & set(peers) == {"torchdiffeq"}


@pytest.mark.skipif(os.name == "nt", reason="repo2docker is made for Linux and macOS")
def test_binder_would_build_the_repository(tmp_path):
    for name in ("pyproject.toml", "run.py", "environment.yml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "binder", tmp_path / "binder")
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    dockerfile = done.stdout + done.stderr
    assert done.returncode == 0, dockerfile
    assert '--file "binder/environment.yml"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile
    assert re.search(r"COPY .*environment-2epy-2d3-2e12-", dockerfile)  # the base for the Python that is asked for


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_binders_jupyterlab_is_told_not_to_ask_about_news(tmp_path):
    """JupyterLab reads its settings in its application's folder; here the script's last lines put them elsewhere."""
    lines = (ROOT / "binder" / "postBuild").read_text(encoding="utf-8").splitlines()
    (first,) = (i for i, line in enumerate(lines) if line.startswith("settings="))
    assert "/share/jupyter/lab/settings" in lines[first]
    script = [f"settings={tmp_path / 'settings'}", *lines[first + 1 :]]
    subprocess.run(["bash", "-euc", "\n".join(script)], cwd=ROOT, check=True, timeout=30)
    overrides, error = _get_overrides(str(tmp_path / "settings"))
    assert not error
    where = [str(tmp_path / "settings"), str(Path(sys.prefix) / "share/jupyter/lab/schemas"), str(tmp_path / "users")]
    settings, _ = get_settings(*where, schema_name=NEWS, overrides=overrides)
    assert settings["schema"]["properties"]["fetchNews"]["default"] == "false"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_what_must_be_executable_is():
    for name in ("binder/postBuild", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name
    for line in ("python -m pip install --no-deps --editable .", "python -m nodelib.workbook.copies"):
        assert line in (ROOT / "binder" / "postBuild").read_text()
    assert "python3 run.py test" in (ROOT / ".ci" / "run").read_text()


def test_the_readme_opens_binder_where_the_repository_is():
    """Give the repository's address in pyproject.toml under [project.urls], and the link belongs in the README."""
    assert START in README
    assert f"lab/tree/mine/{CHAPTERS[0].file}" == START
    address = PROJECT.get("urls", {}).get("repository")
    links = re.findall(r"https://mybinder\.org/v2/[^)\s]+", README)
    assert links == ([f"https://mybinder.org/v2/git/{quote(address, safe='')}/HEAD?urlpath={START}"] if address else [])


def test_the_readme_maps_the_chapters_that_there_are():
    rows = re.findall(r"^\| \[(\d) (.+?)\]\(notebooks/(.+?)\) \| (\d+(?: \+ \d+)?) \|", README, re.MULTILINE)
    ready = [(str(n), c.title, c.file, str(c.minutes)) for n, c in enumerate(CHAPTERS) if c.ready]
    assert rows == ready


def test_the_links_of_the_readme_and_of_contributing_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{name}: {link}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_is_there(name):
    paths = named_paths((ROOT / name).read_text(encoding="utf-8"))
    assert len(paths) > 10
    assert [path for path in sorted(paths) if not any(ROOT.glob(path))] == []


def test_the_tests_that_contributing_names_are_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 10
    assert sorted(named - set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))) == []


def named_paths(text: str) -> set[str]:
    """The paths, and the modules as paths, in what is set as code; NN_name stands for a file, N for a number."""
    code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)).replace("lab/tree/", "")
    code = re.sub(r"\.venv\S+|\bmine/\S*", "", code)  # not there in a conda environment; not there yet
    words = re.findall(r"(?<![\w/.{])[.\w-]+/[\w./-]*|[\w-]+\.(?:py|yml|toml|txt|ipynb|cff)\b", code)
    modules = [f"{module.replace('.', '/')}*" for module in re.findall(r"\bnodelib(?:\.\w+)+", code)]
    return {re.sub(r"NN_name|(?<=chapter)N\b", "*", word).rstrip("/") for word in [*words, *modules]}


def test_the_examples_of_the_readme_run(capsys):
    example, report = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert names["y"].shape == (200, 2)
    exec(report, names)
    assert "evaluations" in capsys.readouterr().out
