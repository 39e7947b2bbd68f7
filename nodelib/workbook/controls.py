"""Controls that more than one explorer has."""

from collections.abc import Sequence
from typing import Any

from ipywidgets import FloatLogSlider, Layout, SelectionSlider


def log_slider(name: str, value: float, low: int, high: int, *, step: float = 0.25, digits: int = 1) -> FloatLogSlider:
    """From 10**low to 10**high, in steps of ``step`` decades; ``digits`` are those shown after the point."""
    shown = {"description": name, "readout_format": f".{digits}e"}
    return FloatLogSlider(value=value, base=10, min=low, max=high, step=step, **shown)


def wide_slider(name: str, options: Sequence[tuple[str, Any]], value: Any, width: str) -> SelectionSlider:
    """Over (text, value) pairs, with room for a ``name`` longer than a word; ``width`` is that of all, as in CSS."""
    look = {"style": {"description_width": "initial"}, "layout": Layout(width=width)}
    return SelectionSlider(options=options, value=value, description=name, **look)
