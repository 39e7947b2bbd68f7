"""Rows of the audit on solvers and gradients: sections 6.3, 6.5, 6.6, 6.8 and box 6.9."""

from .audit import Claim

CLAIMS = (
    Claim(
        "adapts_per_input",
        "The cost of a model adapts to each input.",
        "[P], abstract",
        "Alone it does. A batch takes one step for all, and averages the error over them (Lienen & Günnemann, 2022).",
        "6.3",
        "holds, on a condition",
        {
            "odd_alone > 4 alone": lambda odd_alone, alone, **_: odd_alone > 4 * alone,
            "joint > 4 alone": lambda joint, alone, **_: joint > 4 * alone,
            "error_joint > 20 error_alone": lambda error_joint, error_alone, **_: error_joint > 20 * error_alone,
        },
        "alone an ordinary sample takes {alone} evaluations and the odd one {odd_alone}; in a batch each takes "
        "{joint}, "
        "and the odd one's error is {error_joint:.2g} for {error_alone:.2g}",
    ),
    Claim(
        "accuracy_as_requested",
        "A solver attains the accuracy that is asked for.",
        "[P] § 1",
        "A tolerance bounds the estimated error of a step; the flow decides what becomes of it (Hairer, Nørsett & "
        "Wanner, 1993).",
        "6.5",
        "holds, on a condition",
        {
            "contracting < 3": lambda contracting, **_: contracting < 3,
            "expanding > 1000": lambda expanding, **_: expanding > 1000,
        },
        "one sample, error over tolerance: {contracting:.1f} where the flow contracts, {expanding:.1e} where it "
        "expands",
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
        "A problem on contractive networks, silently: Gholami et al. (2019) and Zhuang et al. (2020) keep states.",
        "6.6",
        "holds, on a condition",
        {
            "mild < 1e-5": lambda mild, **_: mild < 1e-5,
            "adjoint > 0.02": lambda adjoint, **_: adjoint > 0.02,
            "checkpoint < 1e-4": lambda checkpoint, **_: checkpoint < 1e-4,
        },
        "at 1e-6 the adjoint's gradient is off by about {mild:.0e} at most on mild networks, by about {adjoint:.0%} "
        "or more "
        "on contractive ones, the checkpoint's there by about {checkpoint:.0e} at most",
    ),
    Claim(
        "memory_needs_adjoint",
        "Memory that does not grow with the steps needs the adjoint.",
        "after [P] § 1",
        "Reversible solvers have it with exact gradients (Kidger, Foster et al., 2021; McCallum & Foster, 2024).",
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
        "Where steps resolve the flow, either will do; where they are very coarse, the adjoint's does not descend "
        "(Onken & Ruthotto, 2020).",
        "6.8",
        "holds, on a condition",
        {
            "wins = 10": lambda wins, **_: wins == 10,
            "ratio > 5": lambda ratio, **_: ratio > 5,
            "rk4_wins from 3 to 7": lambda rk4_wins, **_: 3 <= rk4_wins <= 7,
        },
        "four Euler steps: the loss by these steps is lower by DtO in {wins} of 10 networks, in the median "
        "{ratio:.0f} times; "
        "by four RK4 steps in {rk4_wins}",
    ),
    Claim(
        "adjoint_is_one_state",
        "dL/dθ must be solved to the tolerance, as z and a are.",
        "after [P] Algorithm 1",
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
