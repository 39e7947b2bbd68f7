"""The flows that the scripts in ``figures/`` trained, by name."""

from typing import Any

from nodelib.models.checkpoints import parameters
from nodelib.models.flow_fields import FreeField, GatedField, TimedField
from nodelib.models.flows import CNF, PlanarFlow


def trained_flow(name: str, rtol: float = 1e-5) -> Any:
    """The flow ``figures/checkpoints/NAME.safetensors``, on the CPU; a ``CNF`` is solved to ``rtol``, absolute as well.

    The names are "fig4_PART_FLOW_SIZE", nine models side by side (three seeds of U1, of U2, of U3), "fig5_FLOW_SHAPE",
    three seeds, "bridge_RATIO" and "regularised_flows_WEIGHT", ten seeds, and "flow_matching_WAY_SEED", one. Raises
    FileNotFoundError, with the names there are.
    """
    state = parameters(name)
    model = _empty(name, {"rtol": rtol, "atol": rtol})
    model.load_state_dict(state)
    return model


def _empty(name: str, settings: dict[str, Any]) -> Any:
    if name.startswith("flow_matching_"):
        return CNF(FreeField(64), **settings)
    if name.startswith("fig5_planar_"):
        return PlanarFlow(64, models=3, towards="base")
    if name.startswith(("bridge_", "regularised_flows_")):
        return CNF(GatedField(64, models=10), **settings)
    if name.startswith("fig5_"):
        return CNF(GatedField(64, models=3), **settings)
    _, _, flow, size = name.split("_")
    if flow == "planar":
        return PlanarFlow(int(size), models=9)
    return CNF({"gated": GatedField, "timed": TimedField}[flow](int(size), models=9), **settings)
