"""Recurrent networks for series at irregular times: a jump at each observation, and what the state does until the next.

``Recurrence`` is the state alone, and serves as the encoder of a latent ODE; ``Forecaster`` reads the next observation
out of it. Many models can be one module, with a leading axis of models everywhere: (*models, batch, times, …).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.models.flow_fields import Linear
from nodelib.models.flows import check_sizes
from nodelib.models.series import Series, tidy


class Affine(Linear):
    """x @ W + b for x of (*models, …, into): as ``Linear``, in one kernel, which many small models notice."""

    def forward(self, x: Tensor) -> Tensor:
        lead = self.weight.ndim - 2
        flat = x.flatten(lead, -2)
        product = torch.baddbmm if lead else torch.addmm
        y = product(self.bias[..., None, :], flat, self.weight)
        return y.unflatten(lead, x.shape[lead:-1])


# The cell, what it sees beside the values (the time of what comes next, or the gap until then), and what the state does
# in the gap.
KINDS: dict[str, tuple[str, str | None, str | None]] = {
    "rnn": ("rnn", None, None),
    "rnn-t": ("rnn", "t", None),
    "rnn-dt": ("rnn", "dt", None),
    "rnn-decay": ("rnn", None, "decay"),
    "gru-t": ("gru", "t", None),
    "gru-dt": ("gru", "dt", None),
    "gru-decay": ("gru", None, "decay"),
    "ode-rnn": ("rnn", None, "ode"),
}


class Recurrence(nn.Module):
    """h ← flow(cell(h, x), gap) at each observation x, where gap is the time from it to the next in order.

    kind:    a name in ``KINDS``. An "rnn" is h ← tanh(W (x, h) + b), a "gru" as torch's. In the gap Δt the state stays,
             or decays, h exp(-τ Δt) with τ > 0 for each unit, which solves h' = -τ h; or follows an ODE,
             h' = V tanh(U h + a) + b with ``hidden`` units, by one midpoint step (Rubanova et al. 2019).
    dim:     D, the dimension of x. units: the size of h.
    models:  the number of models side by side, or None for one without that axis.
    gap:     a typical gap: Δt is measured in it, so that its numbers are about 1.
    """

    def __init__(
        self, kind: str, dim: int = 2, units: int = 25, models: int | None = None, gap: float = 1.0, hidden: int = 20
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        check_sizes(dim=dim, units=units, models=models, hidden=hidden)
        self.kind, self.dim, self.units, self.models, self.gap = kind, dim, units, models, gap
        self.cell, self.sees, self.flows = KINDS[kind]
        gates, lead = units * (3 if self.cell == "gru" else 1), () if models is None else (models,)
        self.input, self.state = Affine(dim + (self.sees is not None), gates, models), Affine(units, gates, models)
        with torch.no_grad():  # as torch's: both alike, by the size of the state
            self.input.weight.uniform_(-(units**-0.5), units**-0.5)
        if self.flows == "decay":
            rates = 10.0 ** -torch.linspace(0, 2, units)  # for each typical gap
            self.rate = nn.Parameter(rates.expm1().log().repeat(*lead, 1))
        elif self.flows == "ode":
            self.field = Field(units, hidden, models)

    def forward(self, x: Tensor, t: Tensor, following: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """The state after each observation and the gap that follows it, over times: (*models, batch, units) of each.

        x, t:       (*models, batch, times, D) and (*models, batch, times), in the order in which they are met.
        following:  the time of what comes next after each, like t.
        mask:       where it is False the state stays as it was.
        """
        h = x.new_zeros(*x.shape[:-2], self.units)
        gaps = (following - t).abs() / self.gap
        # unbind: a loop of x[…, j] would cost O(times²) on the way back
        inputs = self.seen(x, following, gaps).transpose(-2, -3)  # times before batch: rows in a row for each time
        pres, flows = self.input(inputs).unbind(-3), self.factors(gaps)
        masks = [None] * len(pres) if mask is None else mask[..., None].unbind(-2)
        states = []
        for pre, factor, there in zip(pres, flows, masks, strict=True):
            new = self.flow(self.jump(pre, h), factor)
            h = new if there is None else torch.where(there, new, h)
            states.append(h)
        return states

    def seen(self, x: Tensor, following: Tensor, gaps: Tensor) -> Tensor:
        """What the cell sees: x, and for some kinds a time."""
        if self.sees is None:
            return x
        return torch.cat([x, (following if self.sees == "t" else gaps)[..., None]], -1)

    def jump(self, pre: Tensor, h: Tensor) -> Tensor:
        """The cell's new state, from its share of the input, (*models, batch, gates)."""
        if self.cell == "rnn":
            return torch.tanh(pre + self.state(h))
        u = self.units
        inner = self.state(h)
        r, z = torch.sigmoid(pre[..., : 2 * u] + inner[..., : 2 * u]).chunk(2, -1)
        n = torch.tanh(torch.addcmul(pre[..., 2 * u :], r, inner[..., 2 * u :]))
        return torch.lerp(n, h, z)

    def factors(self, gaps: Tensor) -> tuple[Tensor, ...]:
        """What ``flow`` needs of each gap: its length in typical gaps, or what it leaves of each unit of the state."""
        spans = gaps.transpose(-1, -2)[..., None]
        if self.flows == "decay":
            spans = torch.exp(-F.softplus(self.rate)[..., None, None, :] * spans)
        return spans.unbind(-3)

    def flow(self, h: Tensor, factor: Tensor) -> Tensor:
        """The state at the end of a gap."""
        if self.flows == "decay":
            return h * factor
        if self.flows == "ode":  # in rescaled time, since each series has a gap of its own
            middle = h + factor / 2 * self.field(None, h)
            return h + factor * self.field(None, middle)  # spelled out: a solve costs more than its two evaluations
        return h


class Field(nn.Module):
    """f(z) = V tanh(U z + a) + b, the same at all times. ``nfe`` counts the evaluations."""

    def __init__(self, dim: int, hidden: int, models: int | None = None):
        super().__init__()
        self.first, self.second, self.nfe = Affine(dim, hidden, models), Affine(hidden, dim, models), 0

    def forward(self, t: Tensor | None, z: Tensor) -> Tensor:
        self.nfe += 1
        return self.second(torch.tanh(self.first(z)))


class Forecaster(nn.Module):
    """A recurrent network that foretells the next observation as the last one plus an increment read from its state.

    The arguments are those of ``Recurrence``. It is trained on the observed values and foretells several by taking its
    own predictions for values. The state decays, or follows its ODE, before the increment is read.
    """

    def __init__(
        self, kind: str, dim: int = 2, units: int = 25, models: int | None = None, gap: float = 1.0, hidden: int = 20
    ):
        super().__init__()
        self.recurrence, self.readout = Recurrence(kind, dim, units, models, gap, hidden), Affine(units, dim, models)
        self.models = models

    def next(self, series: Series) -> tuple[Tensor, Tensor | None]:
        """Predictions of the second, third … observation, (*models, batch, times - 1, D); and the mask of those."""
        x, t, mask, *_ = tidy(series)
        earlier = None if mask is None else mask[..., 1:]
        states = self.recurrence(x[..., :-1, :], t[..., :-1], t[..., 1:], earlier)
        if not states:  # one observation alone has no next
            return x[..., 1:, :], earlier
        return x[..., :-1, :] + self.readout(torch.stack(states, -2)), earlier

    def loss(self, series: Series, noise: Tensor | None = None) -> Tensor:
        """The mean squared error of predictions of the next observation: (*models,). ``noise`` is not needed."""
        series = tidy(series)
        predicted, mask = self.next(series)
        errors = (predicted - series.x[..., 1:, :]).square().mean(-1)
        if mask is None:
            return errors.mean((-2, -1))
        return torch.where(mask, errors, 0).sum((-2, -1)) / mask.sum((-2, -1)).clamp_min(1)

    @torch.no_grad()
    def forecast(self, series: Series, times: Tensor) -> Tensor:
        """Predictions at the increasing times (K,), all later than t: (*models, batch, K, D)."""
        x, t, mask, *_ = tidy(series)
        after = torch.cat([t[..., 1:], times[0].expand_as(t[..., :1])], -1)
        if mask is not None:
            last = torch.cat([~mask[..., 1:], torch.ones_like(mask[..., :1])], -1)
            after = torch.where(last, times[0], after)
        h = self.recurrence(x, t, after, mask)[-1]
        x, found = x[..., -1, :], []
        r = self.recurrence
        for i, now in enumerate(times):
            x = x + self.readout(h)
            found.append(x)
            if i + 1 < len(times):
                following = times[i + 1].expand(x.shape[:-1])
                gaps = (following - now) / r.gap
                h = r.flow(r.jump(r.input(r.seen(x, following, gaps)), h), *r.factors(gaps[..., None]))
        return torch.stack(found, -2)
