"""What torch's builder is asked for, where a program is built. The numpy twin has no such file."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch._inductor.decomposition import select_decomp_table
from torch.fx import Graph

LARGE_TANH = 512  # entries
SMALL_PRODUCT = 4096  # multiplications
aten = torch.ops.aten


def settings(device: str) -> dict[str, Any]:
    """What torch's builder is asked for."""
    if device != "cpu":  # a step is one launch, of a CUDA graph
        return {"triton.cudagraphs": True}
    # a call from C++ costs less than one from Python
    return {"cpp_wrapper": sys.platform != "win32", "post_grad_custom_post_pass": TanhAsEager()}


class TanhAsEager(CustomGraphPass):
    """Let a large tanh be torch's own, as without the option.

    The builder's takes 4 to 5 ns an entry, torch's 1 (float32) or 2.6 (float64), but the call 1.5 µs: measured on one
    thread of an AVX-512 processor, with torch 2.13. Of others that were tried only exp takes longer, some twice
    as long. Where the builder's is part of a loop over a layer's units, those beyond a multiple of the vector's length
    are taken one by one: with 20 times 50 entries on an AVX2 processor torch's saved a tenth of a solve.
    """

    def __call__(self, graph: Graph) -> None:
        for node in graph.find_nodes(op="call_function", target=torch.ops.aten.tanh.default):
            if entries(node.meta["val"]) >= LARGE_TANH:
                node.meta["should_fallback"] = True

    def uuid(self) -> tuple[str, int, int]:
        """What torch's cache of programs knows the pass by, and the decompositions."""
        return "tanh as eager", LARGE_TANH, SMALL_PRODUCT


def decompositions() -> dict[Any, Any]:
    """torch's own, and those of a product of small matrices: loops that are built into the program.

    A call of torch's product takes some µs, however small the matrices. On an AVX2 processor loops took 0.5 to 0.9 of
    a solve's time with products of 4,000 to 20,000 multiplications (fixed steps, networks of one and two hidden
    layers), in float64 up to as long as calls. Programs for any size of a batch keep the call.
    """
    known = select_decomp_table()
    mm, addmm = aten.mm.default, aten.addmm.default

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if not small(a, b):
            return known[mm](a, b)
        return (a.unsqueeze(2) * b.unsqueeze(0)).sum(1)

    def with_bias(bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, beta: Any = 1, alpha: Any = 1) -> torch.Tensor:
        if not (small(a, b) and beta == alpha == 1):
            return known[addmm](bias, a, b, beta=beta, alpha=alpha)
        return bias + product(a, b)

    return {**known, mm: product, addmm: with_bias}


def small(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Does the product (m, k) times (k, n) take ``SMALL_PRODUCT`` multiplications or fewer, on a CPU?"""
    sizes = (*a.shape, b.shape[1])
    known = all(isinstance(size, int) for size in sizes)
    return known and a.device.type == "cpu" and prod(sizes) <= SMALL_PRODUCT


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
