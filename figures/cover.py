"""The picture in the README: one vector field, read by five layers and by a solver (after Figure 1 of the paper)."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nodelib.chapters.chapter1.explorers import DEPTH, STARTS, field
from nodelib.numpy_ode import odeint, solve
from nodelib.workbook import style


def evaluated(t, z, seen):
    """``field``, noting where it was evaluated."""
    seen.append((t, z.copy()))
    return field(t, z)


def arrows(ax):
    """The field behind the curves."""
    t, z = np.meshgrid(np.linspace(0, DEPTH, 25), np.linspace(-3.0, 3.0, 19))
    slope = field(t, z)
    length = np.hypot(1, slope)
    ax.quiver(t, z, 1 / length, slope / length, color="#c9c9ce", angles="xy", scale=34, width=0.0022, headwidth=4)


def draw():
    """Both panels: the blocks' states, and the solver's evaluations on its curves."""
    layers, fine, seen = np.arange(DEPTH + 1), np.linspace(0, DEPTH, 200), []
    blocks = odeint(field, STARTS, layers, method="euler")
    sol = solve(lambda t, z: evaluated(t, z, seen), STARTS, fine, rtol=1e-3, atol=1e-3)
    with style.book():
        fig = Figure(figsize=(9.0, 3.7))
        left, right = fig.subplots(1, 2, sharey=True)
        for ax in (left, right):
            arrows(ax)
            ax.grid(False)
            ax.set(xlim=(-0.1, DEPTH + 0.1), ylim=(-3.1, 3.1), xlabel="depth t")
        for i in range(len(STARTS)):
            left.plot(layers, blocks[:, i], **style.look("resnet", points=True), markersize=6)
            right.plot(fine, sol.y[:, i], **style.look("odenet"))
            right.plot([t for t, _ in seen], [z[i] for _, z in seen], "o", color=style.INK, markersize=2.4)
        left.set(ylabel="state z", title="Five residual blocks: z ← z + f(z, t)")
        right.set_title(f"One ODE: dz/dt = f(z, t), evaluated {sol.stats.nfe} times")
    return fig


def main():
    """Write cover.png beside this file."""
    style.save(draw(), Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
