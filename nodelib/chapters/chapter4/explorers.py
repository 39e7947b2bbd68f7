"""The explorers of chapter 4: densities matched to potentials, a flow on its way, and samples in a few steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from nodelib.data.toy2d import Shape, moons
from nodelib.models.flows import CNF
from nodelib.workbook.controls import wide_slider
from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import INK, LOOKS, book, label, moving, plain_ticks

from .figures import FLOW_LOOK, FLOW_NAME, WAY_LOOK, WAY_NAME
from .numbers import (
    METHODS,
    REACH,
    STEPS,
    STOPS,
    TIMES,
    Instant,
    Journey,
    Match,
    Matched,
    Sampler,
    Setting,
    matched,
    on_plane,
    plane,
    sampled,
)

PALE = "#999999"  # what stands behind


def _image(ax: Axes, reach: float, side: int, letter: str = "z", **kwargs: Any) -> AxesImage:
    """A picture of values on a ``plane`` of side² points, smooth between them, to be set; for the ``letter`` see
    ``_square``."""
    edge = reach * side / (side - 1)  # a point stands in the middle of its pixel
    kwargs = {"origin": "lower", "extent": (-edge, edge, -edge, edge), "interpolation": "bilinear"} | kwargs
    image = ax.imshow(np.zeros((side, side)), **kwargs)
    _square(ax, reach, letter)
    return image


def _square(ax: Axes, reach: float, letter: str) -> None:
    """[-reach, reach]², as wide as high, the axes named after the ``letter`` of the points."""
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel=f"{letter}₁", ylabel=f"{letter}₂")
    for axis in (ax.xaxis, ax.yaxis):
        plain_ticks(axis, [tick for tick in (-4, -2, 0, 2, 4) if abs(tick) <= reach])
    ax.grid(False)


def _behind(ax: Axes, shape: Shape, reach: float, letter: str) -> None:
    """The density of a shape in grey, for points to stand before."""
    density = on_plane(shape.log_prob(plane(reach, 120)).exp())
    _image(ax, reach, 120, letter, cmap="Greys", vmin=0, vmax=1.6 * density.max()).set_data(density)


# --- densities matched ------------------------------------------------------------------------------------------------

OUTLINED = 0.9  # the share of the target's mass that lies inside its outline


def describe_matching(m: Match) -> str:
    """The sentence under ``matching``."""
    name = f"A planar flow of {m.size} layers" if m.flow == "planar" else f"A CNF of {m.size} gated units"
    return (
        f"{name} on {m.target}, seed {m.seed}: KL(q‖p) = {m.gap:.4f} ± {m.error:.4f} nats. Of the target's mass in the "
        f"picture about {m.missed:.0%} lies where the model's density is less than a tenth of the target's, and of the "
        f"model's about {m.spilled:.0%} where the target's is less than a tenth of the model's."
    )


def matching(number: str = "4.5", flows: Matched | None = None) -> Live[Match]:
    """A potential, the density of a flow that was matched to it, and KL(q‖p) of all sizes. Figure ``number``.

    ``flows`` are those that were trained with the paper's iterations unless others are given.
    """
    flows = flows or matched()
    with book():
        fig = Figure(figsize=(8.8, 3.25))
        left, middle, right = fig.subplots(1, 3, subplot_kw={"box_aspect": 1})
        movers = [
            _density(left, flows, "target", lambda m: m.p),
            _density(middle, flows, "model, in the same colours", lambda m: m.q),
            _gaps(right, flows),
        ]
    kinds = list(dict.fromkeys(flow for flow, _ in flows.models))
    sizes = sorted({size for _, size in flows.models})
    controls = {
        "target": Dropdown(value=flows.targets[0], options=flows.targets, description="target"),
        "flow": Dropdown(value=kinds[0], options=[(FLOW_NAME[flow], flow) for flow in kinds], description="flow"),
        "size": wide_slider("layers or units", [(str(size), size) for size in sizes], sizes[0], width="22em"),
        "seed": IntSlider(value=min(1, flows.seeds - 1), min=0, max=flows.seeds - 1, description="seed"),
    }
    return Live(fig, controls, flows.match, movers, lambda m: f"Figure {number}. {describe_matching(m)}")


def _density(ax: Axes, flows: Matched, title: str, of: Callable[[Match], np.ndarray]) -> Callable[[Match], None]:
    """One of the two densities, with the outline of the target."""
    side = len(next(iter(flows.p.values())))
    brightest = max(p.max() for p in flows.p.values())
    image = _image(ax, REACH, side, vmin=0, vmax=brightest, animated=True)
    ax.set_title(title)
    lines = LineCollection([], colors="white", linewidths=0.9, alpha=0.9, animated=True)
    ax.add_collection(lines)
    outlines = {target: outline(p, REACH) for target, p in flows.p.items()}

    def move(m: Match) -> None:
        image.set_data(of(m))
        lines.set_segments(outlines[m.target])

    return move


def outline(p: np.ndarray, reach: float) -> list[np.ndarray]:
    """The curves, each (n, 2), along which a density on a ``plane`` is constant and inside which OUTLINED of its mass
    lies."""
    falling = np.sort(p, axis=None)[::-1]
    level = falling[np.searchsorted(falling.cumsum(), OUTLINED * falling.sum())]
    line = np.linspace(-reach, reach, len(p))
    with book():
        contour = Figure().subplots().contour(line, line, p, levels=[level])
    return [np.asarray(curve) for curve in contour.allsegs[0]]


def _gaps(ax: Axes, flows: Matched) -> Callable[[Match], None]:
    """KL(q‖p) of every model for the target, seed by seed, the mean as a line, and a ring around the present one."""
    kinds = list(dict.fromkeys(flow for flow, _ in flows.models))
    beside = dict(zip(kinds, np.geomspace(0.93, 1.07, len(kinds)) if len(kinds) > 1 else [1.0], strict=True))
    lines, points = {}, {}
    for flow in kinds:
        colour, line, marker = FLOW_LOOK[flow]
        lines[flow] = moving(ax, color=colour, linestyle=line)
        points[flow] = moving(ax, marker, color=colour, ms=4)
        ax.plot([], [], color=colour, linestyle=line, marker=marker, ms=4, label=FLOW_NAME[flow])
    sizes = {flow: sorted(size for kind, size in flows.models if kind == flow) for flow in kinds}
    every = np.concatenate([gap for gaps in flows.gaps.values() for gap in gaps.values()])
    ax.set(xscale="log", yscale="log", xlabel="layers or units", ylabel="nats", title="KL(q‖p), a point a seed")
    ax.set(xlim=(min(map(min, sizes.values())) / 1.25, max(map(max, sizes.values())) * 1.25))
    least = every[every > 0].min()  # what is measured from draws can come out below 0, which has no place on the axis
    ax.set(ylim=(least / 4, every.max() * 1.6))
    plain_ticks(ax.xaxis, sorted({size for _, size in flows.models}))
    ax.legend(loc="lower left", fontsize=9, handlelength=2.6)
    ring = moving(ax, "o", ms=12, mfc="none", mec=INK, mew=1.8)

    def move(m: Match) -> None:
        for flow in kinds:
            x = beside[flow] * np.array(sizes[flow], dtype=float)
            gaps = np.array([m.gaps[flow, size] for size in sizes[flow]])
            lines[flow].set_data(x, gaps.mean(1).clip(least))
            points[flow].set_data(np.repeat(x, gaps.shape[1]), gaps.ravel().clip(least))
        ring.set_data([beside[m.flow] * m.size], [max(m.gap, least)])

    return move


# --- a flow's points on their way -------------------------------------------------------------------------------------


def describe_journey(i: Instant) -> str:
    """The sentence under ``journey``."""
    x, y = i.place
    how = "stretched" if i.stretch > 1 else "squeezed"
    so_far = f"the area around it has been {how} to {i.stretch:.2g} times what it was at t = 0"
    if 0.95 < i.stretch < 1.05:
        so_far = "the area around it is about what it was at t = 0"
    return (
        f"t = {i.t:.2f}: particle {i.picked} is at ({x:.2f}, {y:.2f}), where the log density is "
        f"{i.log_p[i.at, i.picked]:.2f}; {so_far if i.stop else 'nothing has been stretched or squeezed yet'}."
    )


def journey(
    model: CNF, target: Shape, number: str = "4.7", particles: int = 300, stop: int = 12, picked: int = 0
) -> Live[Instant]:
    """A trained flow at any time between the base and the data. Figure ``number``.

    model, target:  a CNF of one model in the plane, and the shape that it was trained on.
    particles:      how many points of the base go along.
    stop, picked:   the first time, STOPS[stop], and the first particle.
    """
    way = Journey(model, target, particles)
    with book():
        fig = Figure(figsize=(8.8, 3.25))
        left, middle, right = fig.subplots(1, 3, subplot_kw={"box_aspect": 1})
        movers = [_at_time(left, way), _particles(middle, way), _log_density(right, way)]
    times = [(f"{t:.2f}", i) for i, t in enumerate(STOPS)]
    controls = {
        "stop": wide_slider("t", times, stop, width="26em"),
        "picked": IntSlider(value=picked, min=0, max=particles - 1, description="particle"),
    }
    return Live(fig, controls, way.at, movers, lambda i: f"Figure {number}. {describe_journey(i)}")


def _at_time(ax: Axes, way: Journey) -> Callable[[Instant], None]:
    """The model's density at the time, bright where it is largest at that time."""
    image = _image(ax, way.reach, way.side, vmin=0, animated=True)
    title = label(ax, "", (0, 1), shift=(0, 9), xycoords="axes fraction", fontsize=11, animated=True)

    def move(i: Instant) -> None:
        image.set_data(i.density)
        image.set_clim(0, i.density.max())
        title.set_text(f"density at t = {i.t:.2f}, up to {i.density.max():.2f}")

    return move


def _particles(ax: Axes, way: Journey) -> Callable[[Instant], None]:
    """All particles at the time over the target's density, and the path of the picked one."""
    _behind(ax, way.target, way.reach, "z")
    ax.set_title("particles, the target in grey")
    dots = moving(ax, ".", color=LOOKS["odenet"].colour, ms=3)
    ahead, behind = moving(ax, "-", color=PALE, lw=2), moving(ax, "-", color=INK, lw=2)
    dot = moving(ax, "o", color=INK, ms=7, mec="white")

    def move(i: Instant) -> None:
        dots.set_data(*i.paths[i.at].T)
        ahead.set_data(*i.paths[i.at :, i.picked].T)
        behind.set_data(*i.paths[: i.at + 1, i.picked].T)
        dot.set_data(*i.place[:, None])

    return move


def _log_density(ax: Axes, way: Journey) -> Callable[[Instant], None]:
    """log p along all paths, pale, and along that of the picked particle."""
    ax.plot(TIMES, way.log_p, "-", color="#dddddd", lw=0.5)
    ax.set(xlabel="t", ylabel="log p(z(t))", title="log density along the path", xlim=(0, 1))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    low, high = way.log_p.min(), way.log_p.max()
    ax.set_ylim(low - 0.03 * (high - low), high + 0.06 * (high - low))
    ahead, behind = moving(ax, "-", color=PALE, lw=2), moving(ax, "-", color=INK, lw=2)
    dot = moving(ax, "o", color=INK, ms=7, mec="white", clip_on=False)

    def move(i: Instant) -> None:
        log_p = i.log_p[:, i.picked]
        ahead.set_data(TIMES[i.at :], log_p[i.at :])
        behind.set_data(TIMES[: i.at + 1], log_p[: i.at + 1])
        dot.set_data([i.t], [log_p[i.at]])

    return move


# --- samples in a few steps -------------------------------------------------------------------------------------------

FOLLOWED, SHOWN = 40, 500  # points whose paths are drawn, and that are drawn as samples


def describe_sampler(s: Setting) -> str:
    """The sentence under ``sampler``."""
    return (
        f"Trained by {WAY_NAME[s.way]}; {counted(s.steps, 'step')} of {s.method}, "
        f"{counted(s.run.nfe, 'evaluation')}: the RMS error of x(1) is {s.run.error:.2g}. The exact paths are "
        f"{s.excess:.3f} times as long as their chords."
    )


def sampler(number: str = "4.12", samples: Sampler | None = None) -> Live[Setting]:
    """Samples of networks that were trained in three ways, by a few steps of a method. Figure ``number``.

    ``samples`` are those of the networks that were trained on the moons unless others are given.
    """
    samples = samples or sampled()
    with book():
        fig = Figure(figsize=(8.8, 3.25))
        left, middle, right = fig.subplots(1, 3, subplot_kw={"box_aspect": 1})
        movers = [_polylines(left, samples), _samples(middle, samples), _sampling_errors(right, samples)]
    ways = list(samples.exact)
    controls = {
        "way": Dropdown(value=ways[0], options=[(WAY_NAME[way], way) for way in ways], description="trained by"),
        "method": Dropdown(value=METHODS[0], options=METHODS, description="method"),
        "steps": wide_slider("steps", [(str(n), n) for n in STEPS], 2, width="20em"),
    }
    return Live(fig, controls, samples.setting, movers, lambda s: f"Figure {number}. {describe_sampler(s)}")


def joined(paths: np.ndarray) -> np.ndarray:
    """Paths (times, points, 2) as one line with a gap after each, (2, points · (times + 1))."""
    gap = np.full((1, *paths.shape[1:]), np.nan)
    return np.concatenate([paths, gap]).swapaxes(0, 1).reshape(-1, 2).T


def _polylines(ax: Axes, samples: Sampler) -> Callable[[Setting], None]:
    """A few exact paths, pale, and the method's own."""
    _square(ax, 1.05 * max(float(np.abs(run.path[:, :FOLLOWED]).max()) for run in samples.runs.values()), "x")
    ax.set_title("paths, the exact ones in grey")
    exact = moving(ax, "-", color="#bbbbbb", lw=1.2)
    begins = moving(ax, ".", color=LOOKS["data"].colour, ms=4)
    lines = {way: moving(ax, "-", color=WAY_LOOK[way].colour, lw=0.9) for way in samples.exact}
    ends = moving(ax, ".", color=INK, ms=5)

    def move(s: Setting) -> None:
        paths = s.run.path[:, :FOLLOWED]
        exact.set_data(*joined(s.exact[:, :FOLLOWED]))
        begins.set_data(*paths[0].T)
        ends.set_data(*paths[-1].T)
        for way, line in lines.items():
            line.set_data(*(joined(paths) if way == s.way else ([], [])))

    return move


def _samples(ax: Axes, samples: Sampler) -> Callable[[Setting], None]:
    """Where the method ends over the density that the networks learned, in axes that hold the exact flow's ends."""
    reach = 1.05 * max(float(np.abs(path[-1, :SHOWN]).max()) for path in samples.exact.values())
    _behind(ax, moons(), reach, "x")
    ax.set_title("samples, the target in grey")
    dots = {way: moving(ax, ".", color=WAY_LOOK[way].colour, ms=2.5) for way in samples.exact}

    note = label(ax, "", (1, 0.04), shift=(-4, 0), xycoords="axes fraction", animated=True)

    def move(s: Setting) -> None:
        ends = s.run.path[-1, :SHOWN]
        for way, points in dots.items():
            points.set_data(*(ends.T if way == s.way else ([], [])))
        outside = int((np.abs(ends) > reach).any(1).sum())
        note.set_text(f"{outside} of {len(ends)} lie outside" if outside else "")

    return move


def _sampling_errors(ax: Axes, samples: Sampler) -> Callable[[Setting], None]:
    """The error of the method against evaluations, one line a way, and a ring around the present setting."""
    lines = {}
    for way in samples.exact:
        colour, line, marker = WAY_LOOK[way]
        look: dict[str, Any] = {"color": colour, "linestyle": line, "marker": marker}
        lines[way] = moving(ax, **look)
        ax.plot([], [], label=way, **look)
    errors, nfe = ([getattr(run, name) for run in samples.runs.values()] for name in ("error", "nfe"))
    ax.set(xscale="log", yscale="log", title="error by this method")
    ax.set(xlabel="evaluations of f", ylabel="RMS error of x(1)")
    ax.set(xlim=(0.8, 1.25 * max(nfe)), ylim=(min(errors) / 2, 2 * max(errors)))
    plain_ticks(ax.xaxis, [1, 2, 4, 8, 16, 32, 64])
    ax.legend(loc="lower left", fontsize=9, handlelength=2.6)
    ring = moving(ax, "o", ms=13, mfc="none", mec=INK, mew=1.8)

    def move(s: Setting) -> None:
        for way, line in lines.items():
            line.set_data(*s.errors[way].T)
        ring.set_data([s.run.nfe], [s.run.error])

    return move
