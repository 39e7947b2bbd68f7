"""How much memory torch's tensors hold: a count of bytes, the same on every machine, unlike what a process occupies.

And one setting of the C library that makes torch on a CPU faster.
"""

import ctypes
import platform
import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all tensors made inside ``with PeakMemory() as memory:``, for as long as anything holds them.

    ``memory.now`` are the bytes held at this moment, ``memory.peak`` the most at any. Tensors that share a storage
    count once, whoever holds them: a variable, a graph that backpropagation needs, a list of checkpoints.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, tuple | list) else (result,):
            if isinstance(x, torch.Tensor):
                self._add(x.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's hook to leave out its compiler, whose import would take longer than the count."""
        return False


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for the next tensor, instead of giving it back to the system each time.

    On Linux with glibc; returns whether that is so. Without it, each large tensor costs as many page faults as it has
    pages, a third of the time of the networks of chapter 3. The process holds on to its peak memory in return.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold = -1, -3  # the names of glibc's malloc.h
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(mmap_threshold, 1 << 30) and libc.mallopt(trim_threshold, (1 << 31) - 1))
