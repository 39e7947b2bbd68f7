"""Rows of the audit on what the paper's idea gives: gradient, memory, a dial, accuracy, a density."""

from .audit import Claim

CLAIMS = (
    Claim(
        "adjoint_is_the_gradient",
        "The solution of the adjoint equation is the gradient.",
        "[P] § 2",
        "Yes. Solved numerically it is as right as z comes back: see the row on that.",
        "6.6",
        "holds",
        {
            "loose < 0.01": lambda loose, **_: loose < 0.01,
            "tight < 1e-8": lambda tight, **_: tight < 1e-8,
        },
        "a mild network: the gradient is off by {loose:.0e} at 1e-3, by less than 1e-8 at 1e-9",
    ),
    Claim(
        "adjoint_keeps_no_steps",
        "Training by the adjoint takes memory that does not grow with depth.",
        "[P] § 1",
        "Yes, apart from what is asked for at the output times.",
        "6.6",
        "holds",
        {
            "long = short": lambda long, short, **_: long == short,
            "backprop > 20 long": lambda long, backprop, **_: backprop > 20 * long,
        },
        "300 steps keep as many bytes as 10, {long:,}; backpropagation {backprop:,}",
    ),
    Claim(
        "accuracy_is_a_dial",
        "After training, accuracy can be traded for speed.",
        "[P] § 1",
        "For networks whose solver had converged: others lose what they learnt.",
        "6.11",
        "holds, on a condition",
        {
            "64 nearer than 32, each": lambda ratio, **_: ratio < 1,
            "lost > 0.1": lambda lost, **_: lost > 0.1,
        },
        "dopri5 with 64 evaluations is nearer to the solution than with 32 in each of 39 models, {ratio:.2f} times as "
        "far at most; those that two Euler steps trained lose {lost:.0%} of their points or more, solved accurately",
    ),
    Claim(
        "as_accurate_as_a_resnet",
        "An ODE-Net is about as accurate as a ResNet on MNIST.",
        "[P] Table 1",
        "Yes, and so is a single block.",
        "6.12",
        "holds",
        {"within 0.1 %": lambda ode, resnet: abs(ode - resnet) < 0.001},
        "three seeds: {ode:.2%} wrong, the ResNet {resnet:.2%}",
    ),
    Claim(
        "density_by_trace",
        "The logarithm of a density changes by minus the trace of ∂f/∂z.",
        "[P] Theorem 1",
        "Yes, for fields that are Lipschitz; the theorem's f need not be invertible.",
        "6.12",
        "holds",
        {"off < 1e-7": lambda off: off < 1e-7},
        "the integral of the trace and the logarithm of the flow's determinant differ by {off:.0e} at 1e-9",
    ),
)
