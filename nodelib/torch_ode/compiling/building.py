"""What torch's builder is asked for, where a program is built. The numpy twin has no such file."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch.fx import Graph

LARGE_TANH = 1024  # entries


def build_settings(device: str) -> dict[str, Any]:
    """What torch's builder is asked for."""
    if device != "cpu":  # a step is one launch, of a CUDA graph
        return {"triton.cudagraphs": True}
    # a call from C++ costs less than one from Python
    return {"cpp_wrapper": sys.platform != "win32", "post_grad_custom_post_pass": TanhAsEager()}


class TanhAsEager(CustomGraphPass):
    """Let a large tanh be torch's own, as without the option.

    The builder's takes 4 to 5 ns an entry, torch's 1 (float32) or 2.6 (float64), but the call 1.5 µs: measured on one
    thread of an AVX-512 processor, with torch 2.13. Of others that were tried only exp takes longer, some twice
    as long.
    """

    def __call__(self, graph: Graph) -> None:
        for node in graph.find_nodes(op="call_function", target=torch.ops.aten.tanh.default):
            if entries(node.meta["val"]) >= LARGE_TANH:
                node.meta["should_fallback"] = True

    def uuid(self) -> tuple[str, int]:
        """What torch's cache of programs knows the pass by."""
        return "tanh as eager", LARGE_TANH


def entries(x: torch.Tensor) -> int:
    """The number of entries; where it may vary, that of the tensor that the program was traced with."""
    number = x.numel()
    return number if isinstance(number, int) else number.node.hint or 0


@contextmanager
def quiet() -> Iterator[None]:
    """Without the builder's own warnings: of what is deprecated in it, and of the calls of ``TanhAsEager``."""
    logger = logging.getLogger("torch._inductor.ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
