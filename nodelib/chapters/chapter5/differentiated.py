"""Exercises whose answer is a number to train with: the check compares its gradients as well."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from nodelib.workbook.check import Exercise
from nodelib.workbook.values import Odd, kind, unfinished


class Differentiated(Exercise):
    """An exercise that compares an answer's value, and the gradients of its sum by the arguments number ``by``."""

    def __init__(self, by: tuple[int, ...], *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.by = by

    def judge(self, answer: Any) -> str | None:
        if unfinished(answer) or not callable(answer):
            return super().judge(answer)
        mistakes = [(sentence, self._seen(wrong)) for sentence, wrong in self.mistakes]
        right = self._seen(self.right)
        seen = Exercise(self.name, right, self.inputs, mistakes, self.hints, self.cases, self.rtol)
        return seen.judge(self._seen(answer))

    def _seen(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def seen(*args: Any) -> Any:
            leaves = {i: args[i].clone().requires_grad_() for i in self.by}
            value = function(*(leaves.get(i, arg) for i, arg in enumerate(args)))
            return None if unfinished(value) else (*_value_and_gradients(value, list(leaves.values())),)

        return seen


def _value_and_gradients(value: Any, leaves: list[Tensor]) -> list[Tensor]:
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        value = torch.stack(list(value))
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise Odd(f"{kind(value)} through which no gradient comes back (let torch compute all of it)")
    gradients = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    found = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=True)]
    if value.isfinite().all() and not all(g.isfinite().all() for g in found):
        raise Odd("a number, but nan as its gradient")
    return [value.detach(), *found]
