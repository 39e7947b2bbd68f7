"""What func depends on: torch's graph is looked through, for gradients that would be missing without a word.

The numpy twin has no such file: there func is handed its parameters, and autograd's boxes say what it reads besides.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from nodelib.common.arguments import warn
from nodelib.common.solution import changed
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.problem import instant


class Look:
    """What func depends on, looked at on the way there, and held against that on the way back.

    ``reached`` are the parameters, by number, that the first evaluation depended on; ``missing`` those among them that
    no product has reached yet on the way back; ``f1`` is what func gave at the last time, where that is known.
    """

    def __init__(self, params: Sequence[Tensor], form: Form, reached: frozenset[int] = frozenset()):
        self.params, self.form, self.reached, self.missing = params, form, reached, set(reached)
        self.f1: Tensor | None = None
        self.strangers: list[Tensor] | None = None  # leaves that are no parameters, once an evaluation was looked at

    def first(self, f: Tensor, y: Tensor) -> None:
        """Look through the graph of the first evaluation f at y, and warn of gradients that will be missing."""
        self.reached = self.meet(f, (y,))
        self.warn_of_strangers()
        if self.params and not self.reached:
            warn(
                "what func returns at t[0] does not depend on its parameters: is there a torch.no_grad(), detach() or "
                "item() in it?"
            )

    def meet(self, f: Tensor, known: Sequence[Tensor]) -> frozenset[int]:
        """Note the leaves in the graph of f that are neither known nor parameters; the parameters in it, by number."""
        reached, self.strangers = through(f, [*self.params, *known])
        return frozenset(i for i in reached if i < len(self.params))

    def warn_of_strangers(self) -> None:
        """Warn of those leaves: their gradients will be missing."""
        for leaf in self.strangers or ():
            warn(
                f"func uses a tensor of shape {tuple(leaf.shape)} that requires a gradient but is not among the "
                "parameters: its gradient will be missing. Pass it in adjoint_params, or make it a Parameter of func"
            )

    def blind(self, f: Tensor) -> bool:
        """Is a part of this slope all zero, so that another func might be so there, too?"""
        return any(not bool(part.any()) for part in self.parts(f))

    def parts(self, f: Tensor) -> Sequence[Tensor]:
        """The parts of a flat state or slope."""
        return f.detach().split(self.form.sizes)

    def change(self, now: Tensor, was: Tensor) -> Tensor:
        """The largest change of any part, relative to its largest entry; a 0-d tensor, so that a GPU need not wait."""
        tiny = torch.finfo(was.dtype).tiny
        pairs = zip(self.parts(now), self.parts(was), strict=True)
        return torch.stack([(a - b).abs().max() / b.abs().max().clamp_min(tiny) for a, b in pairs]).max()

    def same(self, change: Tensor, t: float, what: str = "it returns something") -> None:
        """Raise unless func is what it was, going by a ``change`` seen at t."""
        if not float(change) <= torch.finfo(change.dtype).eps ** 0.5:
            raise changed(f"at t = {t:.6g} and the same y {what} else, by {float(change):.2g} of its size")

    def again(self, func: Callable, form: Form, t0: float, y0: Tensor) -> None:
        """Raise if func depends no more on all the parameters that it depended on at t0 and y0."""
        with torch.enable_grad():
            y = y0.detach().requires_grad_()
            f = form.flatten(func(instant(t0, y), form.unflatten(y)))
        if lost := self.reached - through(f, self.params)[0]:
            shapes = ", ".join(str(tuple(self.params[i].shape)) for i in sorted(lost))
            raise changed(f"it depends no more on parameters that it depended on, of shape {shapes}")


def through(f: Tensor, inputs: Sequence[Tensor]) -> tuple[frozenset[int], list[Tensor]]:
    """The inputs, by number, and the other leaves, in the graph of f."""
    ends = {edge_of(x): i for i, x in enumerate(inputs)}
    reached, others, seen, stack = set(), [], set(), [(f.grad_fn, f.output_nr)]
    while stack:
        edge = stack.pop()
        if edge[0] is None or edge in seen:
            continue
        seen.add(edge)
        if edge in ends:
            reached.add(ends[edge])  # type: ignore[index]
        elif (leaf := getattr(edge[0], "variable", None)) is not None:
            others.append(leaf)
        else:
            stack.extend(edge[0].next_functions)
    return frozenset(reached), others


def edge_of(x: Tensor) -> tuple[Any, int]:
    """Where x stands in a graph: for a leaf the node that collects its gradient, else the node that made it."""
    if not x.is_leaf or x.layout is torch.strided:
        edge = get_gradient_edge(x)
        return edge.node, edge.output_nr
    with torch.enable_grad():
        return (1 * x).grad_fn.next_functions[0]  # type: ignore[union-attr]  # sparse: torch's own way takes a view
