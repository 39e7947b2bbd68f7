"""The checks of § 6.7 and box 6.14: right answers of several forms pass, plausible wrong ones fail with a sentence."""

import numpy as np
import torch

from nodelib.chapters.chapter6.exercises_leapfrog import LEAPFROG, leapfrog
from nodelib.chapters.chapter6.exercises_newton import NEWTON, implicit_step
from tests.workbook.graded import graded, line


def by_size(x, change):
    return abs(change).max() <= 1e-10


def corrected(f, J, t, z, h, enough=by_size, most=20):
    """So many corrections with this Jacobian, and (x, True) where ``enough(x, change)`` holds of the last."""
    x, change = z, z
    with np.errstate(all="ignore"):
        for _ in range(most):
            change = np.linalg.solve(np.eye(z.shape[1]) - h * J, (z + h * f(t + h, x) - x)[..., None])[..., 0]
            x = x + change
            if by_size(x, change):
                return x, True
    return (x, True) if enough(x, change) else (z, False)


def test_a_step_that_may_fail():
    def full_newton(f, jacobian, t, z, h):
        x = z.copy()
        for _ in range(20):
            with np.errstate(all="ignore"):
                matrix = np.eye(z.shape[1]) - h * jacobian(t + h, x)
                if not np.isfinite(matrix).all():
                    return z, False
                change = np.linalg.solve(matrix, (x - z - h * f(t + h, x))[..., None])[..., 0]
                x = x - change
            if np.abs(change).max() < 1e-10:
                return x, True
        return z, False

    def by_torch(f, jacobian, t, z, h):
        start = torch.tensor(z)
        lu = torch.linalg.lu_factor(torch.eye(z.shape[1]).double() - h * torch.tensor(jacobian(t, z)))
        x = start + h * torch.tensor(f(t, z)) * 0
        for _ in range(20):
            with np.errstate(all="ignore"):
                right = start + h * torch.tensor(f(t + h, x.numpy())) - x
            change = torch.linalg.lu_solve(*lu, right[..., None])[..., 0]
            x += change
            if float(change.abs().max()) < 1e-10:
                return x, True
        return start, False

    def by_rows(f, jacobian, t, z, h):
        def rest(x):
            return x - z - h * f(t + h, x)

        x, J = z, jacobian(t, z)
        for _ in range(20):
            with np.errstate(all="ignore"):
                off = rest(x)
                change = np.array([np.linalg.solve(np.eye(z.shape[1]) - h * J[i], off[i]) for i in range(len(z))])
                x = x - change
            if np.abs(change).max() < 1e-10:
                return x, np.bool_(True)
        return z, np.bool_(False)

    wrong = [
        lambda f, J, t, z, h: (z, True),
        (lambda f, J, t, z, h: (z, False), "gives up where a step exists"),
        (lambda f, J, t, z, h: implicit_step(f, lambda t, z: J(t, z).swapaxes(-1, -2), t, z, h), "rows and columns"),
        (lambda f, J, t, z, h: implicit_step(f, lambda t, z: -J(t, z), t, z, h), "with h, the minus"),
        (lambda f, J, t, z, h: implicit_step(f, lambda t, z: J(t, z) / h, t, z, h), "with h, the minus"),
        (lambda f, J, t, z, h: implicit_step(f, lambda t, z: 0 * J(t, z), t, z, h), "fixed-point iteration"),
        lambda f, J, t, z, h: implicit_step(f, J, t, z, h)[0],
        (lambda f, J, t, z, h: implicit_step(lambda s, x: f(t, x), J, t, z, h), "at the end of the step"),
        lambda f, J, t, z, h: implicit_step(f, J, t, z, abs(h)),
        lambda f, J, t, z, h: implicit_step(f, J, t, z, h)[::-1],
        (lambda f, J, t, z, h: (z + h * f(t, z), True), "explicit Euler"),
        lambda f, J, t, z, h: implicit_step(f, J, t, z, h / 2),
        lambda f, J, t, z, h: corrected(f, J(t, z), t, z, h, lambda x, change: np.isfinite(x).all()),
        lambda f, J, t, z, h: corrected(f, J(t, z), t, z, h, lambda x, change: abs(x).max() < 1e3, 12),
        lambda f, J, t, z, h: corrected(f, J(t, z)[:1], t, z, h),
        lambda f, J, t, z, h: corrected(f, J(t, z)[::-1], t, z, h),
        lambda f, J, t, z, h: corrected(f, J(t, z).mean(0, keepdims=True), t, z, h),
        lambda f, J, t, z, h: corrected(f, J(t, 0 * z), t, z, h),
        (lambda f, J, t, z, h: corrected(f, J(t, z), t, z, h, most=2), "too few corrections"),
    ]
    graded(NEWTON, [implicit_step, full_newton, by_torch, by_rows], wrong)


def test_some_steps_exist_and_some_do_not():
    found = [implicit_step(*case) for case in NEWTON.arguments()]
    assert 2 <= sum(not solved for _, solved in found) <= len(found) - 4
    for (f, _, t, z, h), (x, solved) in zip(NEWTON.arguments(), found, strict=True):
        assert np.abs(x - z - h * f(t + h, x)).max() < 1e-8 if solved else x is not None
        if not solved and f.kind == "square":
            assert (z + 0 > 1 / (4 * h)).any()  # the discriminant of x = z + h x² is negative there
    assert {f.kind for (f, *_), (_, solved) in zip(NEWTON.arguments(), found, strict=True) if not solved} == {
        "square", "flat",
    }  # fmt: skip


def test_the_jacobian_of_the_inputs_is_that_of_f():
    for f, jacobian, t, z, _ in NEWTON.arguments():
        for j in range(z.shape[1]):
            nudge = np.zeros_like(z)
            nudge[:, j] = 1e-6
            found = (f(t, z + nudge) - f(t, z - nudge)) / 2e-6
            assert np.allclose(jacobian(t, z)[..., j], found, rtol=1e-5, atol=1e-6)


def test_there_and_back():
    def drift_first(force, q, p, h):
        q = q + h / 2 * p
        p = p + h * force(q)
        return q + h / 2 * p, p

    def verlet(force, q, p, h):
        a = force(q)
        new = q + h * p + h**2 / 2 * a
        return [new, p + h / 2 * (a + force(new))]

    def in_torch(force, q, p, h):
        q, p = torch.tensor(np.asarray(q)), torch.tensor(np.asarray(p))
        p = p + h / 2 * torch.tensor(force(q.numpy()))
        q = q + h * p
        return q, p + h / 2 * torch.tensor(force(q.numpy()))

    def euler(force, q, p, h):
        return q + h * p, p + h * force(q)

    def symplectic_euler(force, q, p, h):
        p = p + h * force(q)
        return q + h * p, p

    def heun(force, q, p, h):
        a = force(q)
        return q + h * p + h**2 / 2 * a, p + h / 2 * (a + force(q + h * p))

    def old_force(force, q, p, h):
        half = p + h / 2 * force(q)
        return q + h * half, half + h / 2 * force(q)

    def midpoint(force, q, p, h):
        return q + h * (p + h / 2 * force(q)), p + h * force(q + h / 2 * p)

    def idle_third(force, q, p, h):
        force(q)
        return leapfrog(force, q, p, h)

    def forest_ruth(force, q, p, h):
        a = 1 / (2 - 2 ** (1 / 3))
        for c, d in zip((a / 2, (1 - a) / 2, (1 - a) / 2), (a, 1 - 2 * a, a), strict=True):
            q = q + c * h * p
            p = p + d * h * force(q)
        return q + a / 2 * h * p, p

    def nearly(force, q, p, h):
        q, p = leapfrog(force, q, p, h)
        return q + 1e-6 * h * h * abs(p), p

    def driven(force, q, p, h):
        """Of order 2 and reversible, and yet it adds to the energy."""
        gain = np.exp(0.05 * h**3)
        q, p = leapfrog(force, q, gain * p, h)
        return q, gain * p

    wrong = [
        (nearly, "not reversible"),
        (driven, "not conserved"),
        (euler, "order 1"),
        (idle_third, "3.0 evaluations of force a step"),
        (forest_ruth, "3.0 evaluations of force a step"),
        (lambda force, q, p, h: leapfrog(lambda q: 1.02 * force(q), q, p, h), "does not converge"),
        (symplectic_euler, "order 1"),
        (heun, "not reversible"),
        (midpoint, "not reversible"),
        (old_force, "order 1"),
        (lambda force, q, p, h: (q, p), "no step for"),
        (lambda force, q, p, h: leapfrog(lambda q: -force(q), q, p, h), "off"),
        (lambda force, q, p, h: leapfrog(force, q, p, h)[::-1], "off"),
        (lambda force, q, p, h: leapfrog(force, q, p, h)[0], "a pair"),
        (lambda force, q, p, h: leapfrog(force, q, p, abs(h)), "not reversible"),
        (lambda force, q, p, h: (q[:1], p[:1]), "shape"),
        (lambda force, q, p, h: 1 / 0, "raises"),
        (7, "a function is asked"),
    ]

    def rows(force, q, p, h):
        return np.array(leapfrog(force, q, p, h))

    graded(LEAPFROG, [leapfrog, drift_first, verlet, in_torch, rows], wrong)
    assert "not written yet" in line(LEAPFROG, lambda force, q, p, h: ...)
    assert len(LEAPFROG.hints) == len(NEWTON.hints) == 2
