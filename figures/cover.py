"""The picture in the README: one vector field, read by five layers and by a solver (after Figure 1 of the paper)."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from nodelib.numpy_ode import odeint, solve
from nodelib.workbook import style

STARTS = np.array([-1.9, -1.2, -0.5, 0.2, 0.9])
DEPTH = 5.0


def field(t, h):
    """dh/dt of the hidden states h: they spread out, swing together and come back."""
    return 1.1 * np.cos(1.3 * t) * np.sin(1.2 * h) + 0.8 * np.sin(1.9 * t)


def evaluated(t, h, seen):
    """``field``, noting where it was evaluated."""
    seen.append((t, h.copy()))
    return field(t, h)


def arrows(ax):
    """The field behind the curves."""
    t, h = np.meshgrid(np.linspace(0, DEPTH, 25), np.linspace(-3.0, 3.0, 19))
    slope = field(t, h)
    length = np.hypot(1, slope)
    ax.quiver(t, h, 1 / length, slope / length, color="#c9c9ce", angles="xy", scale=34, width=0.0022, headwidth=4)


def main():
    """Draw both panels and write cover.png beside this file."""
    style.use()
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.7), sharey=True)
    layers = np.arange(DEPTH + 1)
    blocks = odeint(field, STARTS, layers, method="euler")
    seen = []
    fine = np.linspace(0, DEPTH, 200)
    sol = solve(lambda t, h: evaluated(t, h, seen), STARTS, fine, rtol=1e-3, atol=1e-3)
    for ax in (left, right):
        arrows(ax)
        ax.grid(False)
        ax.set(xlim=(-0.1, DEPTH + 0.1), ylim=(-3.1, 3.1), xlabel="depth t")
    for i, colour in enumerate(style.PETROFF6[:5]):
        left.plot(layers, blocks[:, i], "o-", color=colour, markersize=6)
        right.plot(fine, sol.y[:, i], "-", color=colour)
        right.plot([t for t, _ in seen], [h[i] for _, h in seen], "o", color=style.INK, markersize=2.4)
    left.set(ylabel="hidden state h", title="Five residual blocks: h ← h + f(h, t)")
    right.set_title(f"One ODE: dh/dt = f(h, t), evaluated {sol.stats.nfe} times")
    fig.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
