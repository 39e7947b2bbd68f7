"""Run stored notebooks again, in place: `python -m nodelib.workbook.refresh [name …]`; "01" is name enough.

The bytes that are stored depend on the notebook's sources and on what they print, on nothing else: running twice in a
row changes nothing. A notebook that raises an error, or takes too long, keeps its stored form.
"""

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SECONDS = 600  # for one notebook, all its cells
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def refresh(path: Path, seconds: float = SECONDS) -> bool:
    """Execute the notebook at `path` in its own folder and store it; return whether its bytes changed.

    Raises what nbclient raises for a cell with an error, for a dead kernel, and when all cells together take longer
    than `seconds`; the stored file then stays as it was.
    """
    deadline = time.monotonic() + seconds
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",  # with this name jupyter_client starts the very Python that runs here
        timeout_func=lambda cell: max(1, round(deadline - time.monotonic())),
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that loopback is not encrypted
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory(prefix="nodelib-ipython-", ignore_cleanup_errors=True) as profile:
        client.execute(env={**os.environ, "IPYTHONDIR": profile})  # the reader's own might print something
    normalise(notebook)
    new = (nbformat.writes(notebook) + "\n").encode()
    if new == path.read_bytes():
        return False
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(new)
    os.replace(draft, path)
    return True


def normalise(notebook: NotebookNode) -> None:
    """Take out, in place, what differs between two runs of the same sources: ids, timestamps, how stdout was cut."""
    models: dict[str, str] = {}
    sources: dict[str, int] = {}
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    for cell in notebook.cells:
        times = sources[cell.source] = sources.get(cell.source, 0) + 1
        cell.id = hashlib.sha256(f"{times} {cell.source}".encode()).hexdigest()[:8]
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = merged(cell.outputs)
            for output in cell.outputs:
                if view := output.get("data", {}).get(WIDGET_VIEW):
                    view.model_id = models.setdefault(view.model_id, f"{len(models) + 1:032x}")


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs with each run of consecutive texts on one stream joined: where the kernel cuts them is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def named(names: list[str]) -> list[Path]:
    """The stored notebooks whose file names begin with one of `names`, all for no names.

    Raises ValueError for a name that no notebook has.
    """
    stored = sorted(NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in stored):
            raise ValueError(f"no notebook begins with {name!r}: there are {', '.join(p.stem for p in stored)}")
    return [path for path in stored if not names or path.name.startswith(tuple(names))]


def main(names: list[str]) -> int:
    """Refresh the named notebooks, one after the other; return how many kept their stored form because of an error."""
    failed = 0
    try:
        paths = named(names)
    except ValueError as error:
        sys.exit(str(error))
    for path in paths:
        start = time.monotonic()
        try:
            outcome = "changed" if refresh(path) else "unchanged"
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed, outcome = failed + 1, f"left as it was:\n{error}"
        print(f"{path.name}, {time.monotonic() - start:.1f} s: {outcome}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
