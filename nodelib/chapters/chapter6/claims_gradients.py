"""Rows of the audit on solvers and gradients: sections 6.3, 6.5, 6.6, 6.8 and box 6.9."""

from .audit import Claim

CLAIMS = (
    Claim(
        "adapts_per_input",
        "The cost of a model adapts to each input.",
        "[P] § 1",
        "A batch takes one step for all, and averages the error over them (Lienen & Günnemann, 2022).",
        "6.3",
        "holds, on a condition",
        {
            "joint > 4 alone": lambda joint, alone, **_: joint > 4 * alone,
            "error_joint > 20 error_alone": lambda error_joint, error_alone, **_: error_joint > 20 * error_alone,
        },
        "in a batch an ordinary sample takes {joint} evaluations, {alone} alone; the odd one's error is "
        "{error_joint:.2g}, {error_alone:.2g} alone",
    ),
    Claim(
        "accuracy_as_requested",
        "A solver attains the accuracy that is asked for.",
        "[P] § 1",
        "A tolerance bounds the error of a step; the flow decides what becomes of it (Hairer, Nørsett & Wanner, 1993).",
        "6.5",
        "holds, on a condition",
        {
            "contracting < 3": lambda contracting, **_: contracting < 3,
            "expanding > 1000": lambda expanding, **_: expanding > 1000,
        },
        "error over tolerance {contracting:.1f} where the flow contracts, {expanding:.1e} where it expands",
    ),
    Claim(
        "nfe_back_half",
        "The way back takes half the evaluations.",
        "[P] § 3, Figure 3c",
        "Seen in the first MNIST experiments only, says an author (torchdiffeq, issue 77).",
        "6.5",
        "does not hold",
        {
            "least > 0.65": lambda least, **_: least > 0.65,
            "most > 0.95": lambda most, **_: most > 0.95,
        },
        "back over there is {least:.2f} to {most:.2f}",
    ),
    Claim(
        "reverse_is_safe",
        "To solve for z backwards is no problem in practice.",
        "[P] § 6",
        "It is where the flow contracts: Gholami et al. (2019) and Zhuang et al. (2020) keep states.",
        "6.6",
        "holds, on a condition",
        {
            "adjoint > 0.02": lambda adjoint, **_: adjoint > 0.02,
            "checkpoint < 1e-4": lambda checkpoint, **_: checkpoint < 1e-4,
        },
        "contractive networks: the adjoint's gradient is off by {adjoint:.0%} or more, the checkpoint's by at most "
        "{checkpoint:.0e}",
    ),
    Claim(
        "memory_needs_adjoint",
        "Memory that does not grow with the steps needs the adjoint.",
        "after [P] § 1",
        "Reversible solvers have it with exact gradients (Kidger et al., 2021; McCallum & Foster, 2024).",
        "6.6",
        "does not hold",
        {
            "long = short": lambda long, short, **_: long == short,
            "apart < 1e-12": lambda apart, **_: apart < 1e-12,
        },
        "300 coupled steps keep as many bytes as 10, and the gradient is that of backpropagation to 1e-12",
    ),
    Claim(
        "do_not_differentiate_the_solver",
        "Approximate the derivative, do not differentiate the approximation.",
        "the authors' slides; [P] § 2",
        "Discretise first is cheaper in most problems, and exact for what is computed (Onken & Ruthotto, 2020).",
        "6.8",
        "does not hold",
        {
            "wins = 10": lambda wins, **_: wins == 10,
            "ratio > 5": lambda ratio, **_: ratio > 5,
        },
        "four Euler steps: the loss is lower by DtO in {wins} of 10 networks, in the median {ratio:.0f} times",
    ),
    Claim(
        "adjoint_is_one_state",
        "z, a and dL/dθ are one state, solved to one tolerance.",
        "[P] Algorithm 1",
        "dL/dθ is an integral that feeds nothing back, and need not decide the step (Kidger, Chen & Lyons, 2021).",
        "6.9",
        "does not hold",
        {
            "least > 0.1": lambda least, **_: least > 0.1,
            "error < tolerance": lambda error, tolerance, **_: error < tolerance,
        },
        "without dL/dθ in the norm {least:.0%} to {most:.0%} fewer evaluations back, errors up to {error:.0e} at "
        "tolerance {tolerance:.0e}",
    ),
)
