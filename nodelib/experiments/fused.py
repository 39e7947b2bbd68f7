"""Whole iterations of training in one function: loss, gradient and update, compiled where a compiler is.

Half a million iterations of a small model are half a million times the overhead of Python. Here an iteration is one
call; on a GPU a hundred of them are one graph.
"""

import torch
from torch import Tensor, nn
from torch.utils._triton import has_triton

from nodelib.experiments.optimize import Loss

Tensors = dict[str, Tensor]


def compiler(device: str) -> bool:
    """Can torch.compile make code for "cpu" or "cuda" here?"""
    try:
        if device.startswith("cuda"):
            return has_triton()
        from torch._inductor.cpp_builder import get_cpp_compiler  # here, since it takes seconds to import

        get_cpp_compiler()
        return torch._dynamo.is_dynamo_supported()
    except Exception:  # whatever is missing, eager works
        return False


class FusedRMSprop:
    """``loss`` of ``model`` minimised by RMSprop with momentum 0.9, else as torch's, ``chunk`` iterations a run.

    shape:    of one iteration's batch; ``run`` takes its batches from the buffer ``batch``, (chunk, *shape).
    backend:  that of torch.compile; None, or no compiler on this machine, leaves the iteration as it is.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        shape: tuple[int, ...],
        chunk: int = 100,
        backend: str | None = "inductor",
    ):
        first, whole = next(model.parameters()).detach(), _Loss(model, loss)
        self.device = first.device
        self.params = {name: p.detach() for name, p in model.named_parameters()}
        self.square = {name: torch.zeros_like(p) for name, p in self.params.items()}
        self.mean = {name: torch.zeros_like(p) for name, p in self.params.items()}
        self.batch, self.lr = first.new_zeros(chunk, *shape), first.new_zeros(())
        self.losses, self.graph = torch.zeros(0), None  # of the last call, on a GPU

        def losses_of(params: Tensors, batch: Tensor) -> tuple[Tensor, Tensor]:
            each = torch.func.functional_call(whole, {f"model.{k}": p for k, p in params.items()}, batch)
            return each.sum(), each.detach()

        def iteration(params: Tensors, square: Tensors, mean: Tensors, batch: Tensor, lr: Tensor) -> Tensor:
            gradients, losses = torch.func.grad(losses_of, has_aux=True)(params, batch)
            for name, g in gradients.items():
                params[name].sub_(lr * rmsprop(g, square[name], mean[name]))
            return losses

        self.iteration = iteration
        if backend and (backend != "inductor" or compiler(self.device.type)):
            self.iteration = torch.compile(iteration, backend=backend, dynamic=False, fullgraph=True)

    @torch.no_grad()
    def prepare(self) -> None:
        """Compile, and on a GPU record the graph, so that no time is lost to it later; nothing has changed after it."""
        tensors = list(self.tensors().values())
        before = [x.clone() for x in tensors]
        if self.device.type == "cuda":
            self._capture()
        else:
            self._iterations(self.batch[:1])
        for x, old in zip(tensors, before, strict=True):
            x.copy_(old)

    @torch.no_grad()
    def run(self) -> Tensor:
        """One iteration on each batch in the buffer; the losses before each, (chunk, models)."""
        if self.graph is None:
            return self._iterations(self.batch)
        self.graph.replay()
        return self.losses

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes, by name."""
        groups = {"": self.params, "square.": self.square, "velocity.": self.mean}
        return {prefix + name: x for prefix, group in groups.items() for name, x in group.items()}

    def evaluations(self) -> int:
        """None: a planar flow has no f."""
        return 0

    def _iterations(self, batches: Tensor) -> Tensor:
        groups = self.params, self.square, self.mean
        return torch.stack([self.iteration(*groups, batch, self.lr) for batch in batches])

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._iterations(self.batch[:3])
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = self._iterations(self.batch)


def rmsprop(g: Tensor, square: Tensor, mean: Tensor) -> Tensor:
    """RMSprop's step for a gradient g, for a rate of 1; its two averages are renewed in place."""
    square.mul_(0.99).addcmul_(g, g, value=0.01)
    return mean.mul_(0.9).add_(g / (square.sqrt() + 1e-8))


class _Loss(nn.Module):
    """The loss as a module around the model, so that ``functional_call`` reaches its parameters."""

    def __init__(self, model: nn.Module, loss: Loss):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Tensor) -> Tensor:
        return self.loss(self.model, batch)
