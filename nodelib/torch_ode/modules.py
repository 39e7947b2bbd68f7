"""What a func brings along when it is a torch Module: its parameters, its training mode, its callbacks.

The numpy twin has no such file: there func is a function, and nothing else.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from nodelib.common.arguments import Method, warn

CALLBACKS = ("callback_step", "callback_accept_step", "callback_reject_step")


def module_of(func: Any) -> nn.Module | None:
    """The Module that func is, or that it is a method of."""
    owner = func if isinstance(func, nn.Module) else getattr(func, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def parameters_of(module: nn.Module) -> Iterator[Tensor]:
    """The module's parameters; those of a replica of DataParallel, which are no Parameters, as well."""
    if not getattr(module, "_is_replica", False):
        yield from module.parameters()
    for part in module.modules() if getattr(module, "_is_replica", False) else ():
        yield from getattr(part, "_former_parameters", {}).values()


def has_parameters(func: Any) -> bool:
    """Does func belong to a Module with parameters that require gradients?"""
    module = module_of(func)
    return module is not None and any(p.requires_grad for p in parameters_of(module))


def modes_of(func: nn.Module) -> Iterator[str]:
    """What to say of layers that make func another function at each evaluation, or change as they are evaluated."""
    for name, module in func.named_modules():
        if module.training and isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            yield f"func has an active Dropout ({name}): each evaluation is another function. Use func.eval()"
        if module.training and isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            yield (
                f"func has a BatchNorm in training mode ({name}): its running statistics change at every evaluation, "
                "so that training and evaluation see different functions. Use GroupNorm, or func.eval()"
            )
        if module.training and isinstance(module, parametrizations._SpectralNorm):
            yield (
                f"func has a spectral_norm in training mode ({name}): its weights change a little at every evaluation, "
                "so that the way back sees another function. Use func.eval()"
            )


def warn_of_modes(func: nn.Module) -> None:
    """Warn of such layers."""
    for sentence in modes_of(func):
        warn(sentence)


def callbacks_of(func: Any, method: Method, suffix: str = "") -> dict[str, Callable[..., Any]]:
    """The callbacks that func has for this method: for fixed steps callback_step alone, as in torchdiffeq."""
    found = {name: getattr(func, name + suffix) for name in CALLBACKS if hasattr(func, name + suffix)}
    known = () if method.kind == "scipy" else CALLBACKS if method.adaptive else CALLBACKS[:1]
    for name in found:
        if name not in known:
            raise ValueError(
                f"func has {name}{suffix}, which {method.name} would never call: take "
                + ("a method of our own, as dopri5, or remove it" if not known else "an adaptive method, or remove it")
            )
    return found
