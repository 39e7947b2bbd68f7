"""A real JupyterLab on loopback and a real Chromium, for the tests in this folder. Nothing that is stored is changed.

The lab serves readers' copies of the notebooks from a temporary folder, with its own configuration and the settings of
`run.py lab`. Cells that no widget needs show in them what is stored: see `stored.py`.
Chromium is the one installed: `chromium`, `google-chrome` and the like, or the one that $NODELIB_CHROMIUM names.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodelib.workbook.copies import reader_copy
from tests.browser.stored import shown_as_stored

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
OVER = """cells => {  // some cell has a number and none waits; cells that are not on the page yet have no prompt
    const texts = where => [...document.querySelectorAll('.jp-Notebook ' + where)].map(p => p.textContent.trim());
    const prompts = texts('.jp-InputPrompt'), loading = texts('[data-mime-type*=widget-view]');
    return prompts.length >= cells && prompts.some(p => /\\d/.test(p)) && !prompts.includes('[*]:')
        && !loading.includes('Loading widget...');
}"""
NOT_RUN = "() => [...document.querySelectorAll('.jp-InputPrompt')].filter(p => p.textContent.trim() == '[ ]:').length"
POLL, STILL = 200, 500  # ms
ALONE = {"checkForUpdates": False}
BOOKS = ROOT / "binder" / "lab"  # the settings of `run.py lab`


@pytest.fixture(scope="session")
def browser() -> Iterator:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need playwright: pip install playwright"
    )
    path = os.environ.get("NODELIB_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip("browser tests need a Chromium: none on the PATH, and NODELIB_CHROMIUM names none")
    quiet = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    quiet += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # nothing outside is needed
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=quiet)
        yield chromium
        chromium.close()


@dataclass
class Lab:
    """A running server: the folder it serves, its address and its token."""

    folder: Path
    url: str
    token: str
    tab: "Tab | None" = None

    def add(self, path: Path) -> tuple[int, int]:
        """Put a reader's copy of the notebook into the served folder; return its code cells, and those empty."""
        copy = reader_copy(shown_as_stored(path))
        (self.folder / path.name).write_text(json.dumps(copy), encoding="utf-8")
        code = ["".join(cell["source"]).strip() for cell in copy["cells"] if cell["cell_type"] == "code"]
        return len(code), code.count("")

    def ask(self, path: str, method: str = "GET"):
        """The server's answer to an API request, decoded."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def stop_kernels(self) -> None:
        for session in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home, served = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("notebooks")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(ALONE))
    port, token = _free_port(), secrets.token_hex(16)
    folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = os.environ | {f"JUPYTER_{name}": str(home / name.lower()) for name in folders}
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    env["PYTHONPATH"] = str(ROOT)
    options = {"ip": "127.0.0.1", "port": port, "port_retries": 0, "root_dir": served, "open_browser": False}
    options |= {"allow_root": True, "terminals_enabled": False}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--LabApp.app_settings_dir={BOOKS}",
        "--LabApp.expose_app_in_browser=True",
        f"--IdentityProvider.token={token}",
    ]
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command += ["--KernelManager.shutdown_wait_time=0"]  # nothing is left to tidy up, which takes a kernel a second
    log = home / "log"
    with log.open("w") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as server:
        running = Lab(served, f"http://127.0.0.1:{port}", token)
        try:
            _wait_for(running, server, log)
            yield running
            running.stop_kernels()
        finally:
            server.terminate()


@dataclass
class Tab:
    """A page of the browser that shows the lab, and its console errors as they come."""

    page: Any
    errors: list[str]
    ran: Path | None = None  # the notebook shown, once all its cells ran

    def open(self, lab: Lab, name: str) -> None:
        """Show the served notebook of that name, alone: by its address at first, in the lab that runs after that."""
        if self.page.url.startswith(lab.url):
            self.page.evaluate("() => [...jupyterapp.shell.widgets('main')].forEach(widget => widget.dispose())")
            lab.stop_kernels()
            self.errors.clear()
            self.page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", name)
        else:
            self.page.goto(f"{lab.url}/lab/tree/{name}?reset&token={lab.token}")
        self.page.get_by_text(re.compile(r"\| Idle$")).wait_for(timeout=90_000)  # the status bar: the kernel answers


@pytest.fixture(scope="session")
def tabs(browser) -> Iterator[Callable[[], Tab]]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.add_init_script(path=HERE / "driver.js")

    def new() -> Tab:
        tab = Tab(context.new_page(), [])
        tab.page.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        return tab

    yield new
    context.close()


@pytest.fixture
def run_all(tabs: Callable[[], Tab], lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable]:
    """`run_all(path)` opens a copy of a notebook, runs all its cells and gives (page, console errors as they come).

    One page serves all tests, since JupyterLab takes longer to load than to run most notebooks, and a test that asks
    for the notebook of the test before it gets it as that test left it. Once a test has failed, each has its own page.
    """
    if lab.tab is None:
        lab.tab = tabs()
    tab = lab.tab

    def run(path: Path, seconds: float = 300) -> tuple:
        page = tab.page
        if tab.ran == path:
            return page, tab.errors
        (cells, empty), tab.ran = lab.add(path), None
        tab.open(lab, path.name)
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
        page.wait_for_function(OVER, arg=cells, timeout=1000 * seconds, polling=POLL)
        page.evaluate("ms => window.nodelib.still(ms)", STILL)
        if page.evaluate(NOT_RUN) > empty:
            shown = page.locator(
                ".jp-OutputArea-output[data-mime-type$=err], .jp-OutputArea-output[data-mime-type$=error]"
            ).all_text_contents()
            pytest.fail(f"{path.name} did not run to its end:\n" + "\n".join(shown))
        tab.ran = path
        return page, tab.errors

    yield run
    if request.session.testsfailed:
        lab.tab = None
        tab.page.close()
        lab.stop_kernels()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait_for(lab: Lab, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        try:
            lab.ask("/api/status")
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {seconds} s:\n{log.read_text()[-2000:]}")
