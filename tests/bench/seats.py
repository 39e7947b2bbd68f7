"""What a reader costs a server: `python -m tests.bench.seats`, some six minutes.

Each chapter is run from its first cell to its last in a kernel of its own, and then the first control of each explorer
is dragged from one end to the other; the kernel says what that took. A JupyterLab is opened in a browser, once with an
empty cache and once again. Leaves figures/records/seats.json, from which README's tables on teaching are made
(``chapters_table``, ``classes_table``; `--tables` prints them). MNIST is used where it is; without it chapter 3 is
smaller. Needs Linux, playwright and a Chromium.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from nodelib.data.folders import mnist_folder
from nodelib.experiments import records
from nodelib.workbook.refresh import NOTEBOOKS

NAME = "seats"
READERS = (30, 300, 1000)
SESSION = 90 * 60  # seconds that a chapter takes its reader
AT_ONCE = 0.2  # of a class, the share that a server must serve at the same moment
DRAG = 10  # pictures a second
SPARE_GB = 2  # for the system and the hub
MB, GB = 1e6, 1e9

# Runs inside the kernel. A drag is over all values of the first control that has an order; each gives a picture.
DRAGS = """
def drags():
    import gc, time
    from nodelib.workbook.live import Live

    session = get_ipython().kernel.session
    send, sent = session.send, []

    def counted(*args, **kwargs):
        message = send(*args, **kwargs)
        sent.append(sum(map(len, session.serialize(message))))
        return message

    def values(control):
        if hasattr(control, "options"):
            return [pair[1] if isinstance(pair, tuple) else pair for pair in control.options]
        steps = round((control.max - control.min) / control.step)
        return [control.min + i * control.step for i in range(steps + 1)]

    found, session.send = [], counted
    for live in {id(x): x for x in gc.get_objects() if type(x) is Live}.values():
        control = next((c for c in live.controls.values() if hasattr(c, "step") or hasattr(c, "options")), None)
        if control is None or isinstance(control.value, tuple):
            continue
        sent.clear()
        start, pictures = time.process_time(), 0
        for value in values(control):
            before = live.png
            control.value = value
            pictures += live.png is not before
        found.append({"pictures": pictures, "bytes": sum(sent), "cpu": time.process_time() - start})
    session.send = send
    return found
"""
USED = """
import json, resource
own = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps({"cpu": own.ru_utime + own.ru_stime, "peak": 1024 * int(peak)}))
"""


def chapter(path: Path) -> dict[str, Any]:
    """What one reader of the notebook takes of a server.

    start:  seconds until the kernel has answered and the first cell, with the imports, is done.
    cpu:    seconds of processor time of all cells, imports included.
    longest: seconds of the clock of the longest cell.
    peak:   bytes of memory that the kernel occupied at most, before anything was dragged.
    drags:  for each explorer whose first control has an order: the pictures of a drag from end to end, the bytes sent
            to the browser, the processor seconds.
    """
    notebook, start = nbformat.read(path, as_version=4), 0.0
    cells = list(notebook.cells)  # nbclient puts each cell that it runs into the notebook
    with tempfile.TemporaryDirectory(prefix="nodelib-ipython-", ignore_cleanup_errors=True) as profile:
        client = NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"], timeout=600)
        client.resources = {"metadata": {"path": str(path.parent)}}
        begun = time.perf_counter()
        seconds: list[float] = []
        with client.setup_kernel(env={**os.environ, "IPYTHONDIR": profile}):
            client.execute_cell(nbformat.v4.new_code_cell("pass"), 0, store_history=False)
            for i, cell in enumerate(cells):
                if cell.cell_type == "code" and cell.source.strip():
                    cell_begun = time.perf_counter()
                    client.execute_cell(cell, i)
                    seconds.append(time.perf_counter() - cell_begun)
                    start = start or time.perf_counter() - begun
            used = json.loads(said(client, USED))
            drags = json.loads(said(client, DRAGS + "\nimport json\nprint(json.dumps(drags()))"))
    return {"start": start, "longest": max(seconds), "drags": drags, **used}


def said(client: NotebookClient, source: str) -> str:
    """What the kernel prints for this source."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source)
    client.execute_cell(cell, 0, store_history=False)
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def memory(pid: int | str, what: str) -> int:
    """The bytes that a process occupies (VmRSS), or has at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """A JupyterLab on loopback that serves an empty folder: its address and the number of its process."""
    from socket import socket

    with socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    options = {"ip": "127.0.0.1", "port": port, "port_retries": 0, "root_dir": folder, "open_browser": False}
    command = [sys.executable, "-m", "jupyterlab", "--IdentityProvider.token=", "--ServerApp.allow_root=True"]
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    env = os.environ | {f"JUPYTER_{name}": str(folder / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()


def lab() -> dict[str, float]:
    """Bytes that a browser fetches to open JupyterLab, with an empty cache and again; memory of the server then."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUMS

    chromium = os.environ.get("NODELIB_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (url, pid), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        found: dict[str, float] = {}
        for visit in ("first", "again"):
            page, total, seen = context.new_page(), [0.0], 0
            network = context.new_cdp_session(page)
            network.send("Network.enable")
            network.on("Network.loadingFinished", lambda event, total=total: total.append(event["encodedDataLength"]))
            for _ in range(100):
                try:
                    page.goto(f"{url}/lab")
                    break
                except Exception:
                    time.sleep(0.2)
            page.locator(".jp-Launcher").first.wait_for(timeout=90_000)
            while len(total) > seen:  # extensions come after the page
                seen = len(total)
                page.wait_for_timeout(2000)
            found[visit] = sum(total)
            page.close()
        found["memory"] = memory(pid, "VmRSS")
        browser.close()
    return found


def chapters_table(record: dict[str, Any]) -> str:
    """README's table of what one reader of each chapter takes."""
    lines = [
        "| Chapter | Start, s | CPU, s | Longest cell, s | Peak memory, MB | One picture, kB | CPU a picture, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(record["chapters"].items()):
        kb, ms = a_picture(row)
        pictures = (f"{kb:.0f}", f"{ms:.0f}") if kb else ("–", "–")
        cells = (int(name[:2]), *(f"{row[key]:.0f}" for key in ("start", "cpu", "longest")), f"{row['peak'] / MB:.0f}")
        lines.append("| " + " | ".join(map(str, (*cells, *pictures))) + " |")
    return "\n".join(lines)


def a_picture(row: dict[str, Any]) -> tuple[float, float]:
    """Of a chapter's explorers, in the median: kilobytes and milliseconds of processor time for a picture; or zeros."""
    drags = [drag for drag in row["drags"] if drag["pictures"]]
    if not drags:
        return 0.0, 0.0
    return (
        median(drag["bytes"] / drag["pictures"] for drag in drags) / 1e3,
        median(drag["cpu"] / drag["pictures"] for drag in drags) * 1e3,
    )


def classes_table(record: dict[str, Any]) -> str:
    """README's table of what a server for so many readers needs.

    Memory: each reader's server and largest chapter, and ``SPARE_GB``.  Cores: for cells alone, the chapter with the
    most CPU seconds over ``SESSION``; of ``AT_ONCE`` of the readers, who drag; and a core for each of as many.
    Network: what those who drag are sent.
    """
    rows = list(record["chapters"].values())
    seat = max(row["peak"] for row in rows) + record["lab"]["memory"]
    share = max(row["cpu"] for row in rows) / SESSION
    picture, drawing = (max(column) for column in zip(*map(a_picture, rows), strict=True))
    lines = [
        "| Readers | Memory, GB | Cores, cells alone | a fifth dragging | a fifth computing | Network while dragging |",
        "|---|---|---|---|---|---|",
    ]
    for n in READERS:
        cells = (
            f"{n:,}",
            f"{ceil(n * seat / GB + SPARE_GB)}",
            f"{n * share:.1f}",
            f"{n * AT_ONCE * DRAG * drawing / 1e3:.0f}",
            f"{ceil(n * AT_ONCE)}",
            f"{n * AT_ONCE * DRAG * picture / 1e3:.0f} MB/s",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="only print README's tables, from the record")
    parser.add_argument("--only", nargs="+", help="of the chapters' numbers and lab, those to measure; others stay")
    a = parser.parse_args()
    if not a.tables:
        begun = time.perf_counter()
        numbers = {"chapters": {}, "lab": {}, **(records.read(NAME) if a.only else {})}
        for path in sorted(NOTEBOOKS.glob("0*.ipynb")):
            if not a.only or path.name[:2] in a.only:
                numbers["chapters"][path.stem] = chapter(path)
                print(path.stem, numbers["chapters"][path.stem], flush=True)
        if not a.only or "lab" in a.only:
            numbers["lab"] = lab()
        numbers["mnist"] = mnist_folder() is not None
        records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device("cpu"))
    record = records.read(NAME)
    print(chapters_table(record), classes_table(record), sep="\n\n")


if __name__ == "__main__":
    main()
