"""Neural ODEs on one page of numpy: a solver that controls its error, and the adjoint method. autograd gives v ∂f/∂x.

    ys, steps = odeint(func, y0, t)                        the states at the times t; every step that was tried
    dy0, dt, dtheta = gradients(func, ys, t, theta, g)     the gradients of a loss L, where g = dL/dys

The method is that of Chen et al. (2018), "Neural ordinary differential equations". HNW: Hairer, Nørsett & Wanner,
*Solving Ordinary Differential Equations I* (1993). A solve by ``numpy_ode`` or ``torch_ode`` takes these same steps.
"""

import numpy as np
from autograd import make_vjp
from autograd.misc import flatten

# Dormand & Prince (1980), order 5 with an estimate of the error. The slope k_i is f at t + C_i h, y + h Σ_j A_ij k_j,
# and k_0 is f(t, y). The last row of A gives the new state, so the last slope is the next step's first.
C = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
A = [
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]
ERROR = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]
DENSE = [  # Shampine (1986): y(t + θh) = y + h Σ_i w_i k_i with w_i = Σ_m DENSE_im θ^m, m = 1 … 4
    [1, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432],
    [0, 0, 0, 0],
    [0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799],
    [0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072],
    [0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632],
    [0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844],
    [0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423],
]
TINY = 10 * np.finfo(float).eps  # relative to t; a step below that would hardly move t


def odeint(func, y0, t, rtol=1e-7, atol=1e-9, norm=None, first_step=None):
    """The states of y' = func(t, y), y(t[0]) = y0 at the times t, rising or falling, in one array; and the steps.

    A step is (t, h, ratio, accepted), where ratio is its error over the tolerance. HNW II.4.
    """
    s, *inner, end = map(float, t)
    y, norm, steps = np.asarray(y0, float), norm or rms, []
    ys, slope = [y], func(s, y)
    h = first_step or guess_step(func, s, y, slope, end, rtol, atol, norm)
    h = max(h, TINY * abs(s)) * (1 if end > s else -1)
    while s != end:
        s1 = end if abs(end - s) <= abs(h) * (1 + 1e-10) else s + h
        h = s1 - s
        y1, k = dopri5(func, s, y, h, slope)
        ratio = norm(h * np.tensordot(ERROR, k, 1) / (atol + rtol * np.maximum(abs(y), abs(y1))))
        steps.append((s, h, ratio, ratio <= 1))
        h_next = h * factor(ratio)
        if ratio <= 1:
            while inner and (s1 - inner[0]) / h >= 0:
                theta = (inner.pop(0) - s) / h
                ys.append(y + h * np.tensordot(DENSE @ theta ** np.arange(1, 5), k, 1))
            s, y, slope = s1, y1, k[-1]
        elif abs(h_next) <= TINY * abs(s):
            raise RuntimeError(f"underflow in the step size at t = {s:.6g}: stiffness, a singularity or nan")
        h = h_next
    return np.array([*ys, y]), steps


def dopri5(func, t, y, h, slope):
    """One step from the state y, where f(t, y) = slope: the state at t + h, and the slopes k of the seven stages."""
    y1, k = y, np.array([slope] * 7)
    for i, (c, a) in enumerate(zip(C, A, strict=True), 1):
        y1 = y + h * np.tensordot(a, k[:i], 1)
        k[i] = func(t + c * h, y1)
    return y1, k


def rms(x):
    """Root mean square."""
    return float(np.vdot(x, x) / x.size) ** 0.5


def factor(ratio):
    """h_new / h: the error of a step behaves as h⁵, and 0.9 aims below the tolerance. Of nan it is 0.2, of 0 10."""
    return min(10.0, max(0.2, 0.9 * (ratio + 1e-99) ** (-1 / 5)))


def guess_step(func, t, y, f, end, rtol, atol, norm):
    """The first step: a trial step h0, which moves y by about 1 %, and from the y'' seen over it the step. HNW II.4."""
    scale = atol + rtol * abs(y)
    d0, d1 = norm(y / scale), norm(f / scale)
    h0 = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, abs(end - t))
    h = h0 if end > t else -h0
    d2 = norm((func(t + h, y + h * f) - f) / scale) / h0
    return min(100 * h0, (0.01 / max(d1, d2)) ** (1 / 5)) if max(d1, d2) > 1e-15 else 1e-6


def gradients(func, ys, t, theta, g, rtol=1e-7, atol=1e-9):
    """(dL/dy0, dL/dt, [dL/dθ …]) for y' = func(t, y, *theta), its states ys at the times t, and g = dL/dys.

    Algorithm 2, at several outputs as in Appendix D: z, a = dL/dz and dL/dθ go back from each to the one before.
    """
    _, unflatten = flatten((ys[0], ys[0], *theta))

    def backward(s, state):
        """d/ds [z, a, dL/dθ] = [f, -a ∂f/∂z, -a ∂f/∂θ]."""
        z, a, *_ = unflatten(state)
        product, f = make_vjp(func, tuple(range(1, 2 + len(theta))))(s, z, *theta)  # type: ignore
        return flatten((f, *product(-a)))[0]

    def largest(state):
        return max(map(rms, unflatten(state)))

    dt = np.array([np.sum(g_i * func(s, y, *theta)) for g_i, s, y in zip(g, t, ys, strict=True)])
    a, dtheta, h = 0.0, [0.0 * p for p in theta], None
    for i in range(len(t) - 1, 0, -1):
        start, _ = flatten((ys[i], a + g[i], *dtheta))  # z anew from its stored value; a jumps where L looks at z
        (_, state), steps = odeint(backward, start, [t[i], t[i - 1]], rtol, atol, largest, h)
        _, a, *dtheta = unflatten(state)
        h = abs(steps[-1][1]) * factor(steps[-1][2])  # the next interval begins with the step that this one ended on
    dt[0] = -np.sum(a * func(t[0], ys[0], *theta))  # to start later is to be pushed back along f
    return a + g[0], dt, dtheta
