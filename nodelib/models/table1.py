"""The networks of Table 1 by name, and those that were trained for it: ``figures/table1_mnist.py`` writes them."""

from collections.abc import Callable
from typing import Any

from torch import nn

from nodelib.models.checkpoints import parameters
from nodelib.models.odenet import ODENet, RKNet
from nodelib.models.resnet import MLP, ResNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "resnet": ResNet,
    "resnet1": lambda: ResNet(blocks=1),  # the two ablations
    "resnet0": lambda: ResNet(blocks=0),
    "rknet": RKNet,
    "odenet": ODENet,
}
# What those with an ODE are built with for compiled solves.
COMPILED: dict[str, dict[str, Any]] = {name: {"options": {"compile": True}} for name in ("rknet", "odenet")}


def trained(run: str) -> nn.Module:
    """The network of one run as it was after training, on the CPU: ``run`` is the name of its record, such as
    "mnist_odenet_12epochs_seed0". Raises FileNotFoundError, with the names there are."""
    model = MODELS[run.split("_")[1]]()
    model.load_state_dict(parameters(run))
    return model
