"""What waits in memory to be used on the way back: results counted, and bytes."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from autograd.core import VJPNode
from autograd.tracer import trace


def kept(value: Callable[[Any], Any], x: Any) -> int:
    """How many results autograd keeps on the way from x to value(x), to go back through them."""
    _, last = trace(VJPNode.new_root(), value, x)
    found, stack = set(), [last]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += node.parents
    return len(found)


def megabytes(run: Callable[[], Any]) -> tuple[float, float]:
    """What is held when run() returns, its result included, and the most that was held meanwhile, in megabytes."""
    gc.disable()  # it would free what is in circles at moments of its own
    tracemalloc.start()
    try:
        result = run()
        held, most = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
        gc.enable()
    return held / 1e6, most / 1e6
