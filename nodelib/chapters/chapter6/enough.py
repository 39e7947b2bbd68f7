"""§ 6.11: what figures/rk4_enough.py recorded, and its figure."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nodelib.experiments import records
from nodelib.experiments.enough import BUDGETS, METHODS, NAME, Found
from nodelib.workbook.style import LOOKS, book, label, look, plain_ticks

RK4, DOPRI5 = METHODS.index("rk4"), METHODS.index("dopri5")


def recorded() -> dict[str, Found]:
    """Model -> what was found of all its seeds, each (seeds, METHODS, BUDGETS), nan where a budget is too small."""
    return {
        name: Found(*(np.array(found[what], dtype=float) for what in Found._fields))
        for name, found in records.read(NAME)["models"].items()
    }


def won_by_rk4(models: Mapping[str, Found]) -> dict[int, tuple[int, int]]:
    """For each budget, how many models dopri5 can solve with so few evaluations, and in how many of these RK4 ends
    nearer to the solution."""
    apart = np.concatenate([found.apart for found in models.values()])
    rk4, dopri5 = apart[:, RK4], apart[:, DOPRI5]
    return {
        budget: (int((~np.isnan(dopri5[:, i])).sum()), int((rk4[:, i] < dopri5[:, i]).sum()))
        for i, budget in enumerate(BUDGETS)
    }


def farther_than_with_few(models: Mapping[str, Found], few: int = 32, many: int = 64) -> float:
    """The largest ratio, of all models, of dopri5's distance with many evaluations to that with few."""
    a, b = BUDGETS.index(few), BUDGETS.index(many)
    ratios = [found.apart[:, DOPRI5, b] / found.apart[:, DOPRI5, a] for found in models.values()]
    return float(np.max(np.concatenate(ratios)))  # nan where one is missing


def euler_is_last(found: Found, from_budget: int = 16) -> bool:
    """Does Euler's method end farther off than midpoint and RK4 in every model, from so many evaluations on?"""
    apart = found.apart[:, :, BUDGETS.index(from_budget) :]
    euler, others = apart[:, METHODS.index("euler")], apart[:, [METHODS.index("midpoint"), RK4]]
    return bool((euler > others.max(1)).all())


def figure(models: Mapping[str, Found]) -> Figure:
    """Distance from the solution against evaluations: medians as lines, the range over seeds as bands."""
    with book():
        fig = Figure(figsize=(9.4, 3.3))
        axes = fig.subplots(1, len(models), sharey=True)
        for ax, (name, found) in zip(axes, models.items(), strict=True):
            for i, method in enumerate(METHODS):
                apart = found.apart[:, i]
                there = ~np.isnan(apart).any(0)  # a solver that some seed could not afford has no range
                few = np.array(BUDGETS)[there]
                ax.fill_between(
                    few, apart[:, there].min(0), apart[:, there].max(0), color=LOOKS[method].colour, alpha=0.15
                )
                ax.plot(few, np.median(apart[:, there], 0), **look(method, points=True), ms=4, label=method)
            ax.set(xscale="log", yscale="log", xlabel="evaluations", xlim=(3.5, 73))
            ax.set_title(name, fontsize=9.5)
            plain_ticks(ax.xaxis, BUDGETS)
        axes[0].set_ylabel("states apart, of the way")
        axes[0].legend(fontsize=8.5, loc="lower left", handlelength=3)
        label(
            axes[-1], "bands: all seeds", (0.97, 0.05), shift=(0, 0), ha="right", xycoords="axes fraction", fontsize=9
        )
    return fig
