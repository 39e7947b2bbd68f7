"""Rows of the audit on what a network is and what it can do: sections 6.2, 6.4 and 6.11."""

from .audit import Claim

CLAIMS = (
    Claim(
        "same_net_any_solver",
        "A trained network is an ODE: after training the solver may be chosen anew.",
        "after [P] § 1",
        "Only if the training's solver had converged (Ott et al., 2021; Krishnapriyan et al., 2023).",
        "6.2",
        "holds, on a condition",
        {
            "coarse > 0.95": lambda coarse, **_: coarse > 0.95,
            "fine > 0.95": lambda fine, **_: fine > 0.95,
            "lost > 0.1": lambda lost, **_: lost > 0.1,
        },
        "{coarse:.0%} of the networks that 2 or 8 Euler steps trained are discrete, {fine:.0%} of those by RK4 or "
        "dopri5 are ODEs; solved by dopri5, those of two steps lose {lost:.0%} of their points or more",
    ),
    Claim(
        "resnet_limit",
        "With more layers and smaller steps a residual network becomes an ODE.",
        "[P] § 1",
        "Only if its weights become smooth in depth (Sander et al., 2022).",
        "6.2",
        "holds, on a condition",
        {
            "independent > 0.4": lambda independent, **_: independent > 0.4,
            "tied < 0.05": lambda tied, **_: tied < 0.05,
        },
        "64 layers are {independent:.2f} of the way or more from the ODE with weights linear between if they began "
        "independently, about {tied:.3f} at most if they began alike",
    ),
    Claim(
        "represents_anything",
        "A neural ODE can represent any map, as a residual network can.",
        "often said",
        "A flow keeps the order on a line; with zeros appended it can map any homeomorphism (Dupont et al., 2019; "
        "Zhang et al., "
        "2020).",
        "6.4",
        "does not hold",
        {
            "plain > 0.99": lambda plain, **_: plain > 0.99,
            "augmented < 0.01": lambda augmented, **_: augmented < 0.01,
        },
        "x → −x: {plain:.2f} of a constant's loss or more on the line, about {augmented:.4f} of it at most with one "
        "dimension more",
    ),
    Claim(
        "depth_variance_suffices",
        "A field that varies with depth needs no dimension more.",
        "often said",
        "Not on a line: all points share one field at each moment. Data control does without (Massaroli et al., 2020).",
        "6.4",
        "does not hold",
        {
            "time > 0.99": lambda time, **_: time > 0.99,
            "start < 0.01": lambda start, **_: start < 0.01,
        },
        "x → −x: {time:.2f} of a constant's loss or more with time as an input, about {start:.4f} of it at most with "
        "the start",
    ),
    Claim(
        "augmentation_fewer_evaluations",
        "Augmented networks need fewer evaluations.",
        "Dupont et al. (2019)",
        "Seen there on rings and images; here on x → −x, and not on rings.",
        "6.4",
        "holds, on a condition",
        {
            "line < 0.7": lambda line, **_: line < 0.7,
            "0.9 < rings < 1.1": lambda rings, **_: 0.9 < rings < 1.1,
        },
        "{line:.2f} times as many at most on x → −x; {rings:.2f} times on the annuli, the mean of ten",
    ),
    Claim(
        "rk4_enough",
        "Runge–Kutta 4 is not enough; it takes an adaptive solver.",
        "often said",
        "At few evaluations fixed steps do better; what an adaptive solver adds is an estimate of its error.",
        "6.11",
        "does not hold",
        {
            "RK4 nearer in all that dopri5 solves with 16": lambda of_16, at_16, **_: at_16 == of_16 > 20,
            "right > 0.95": lambda right, **_: right > 0.95,
            "dopri5 nearer in most with 64": lambda of_64, at_64, **_: at_64 < of_64 / 2,
        },
        "with 16 evaluations RK4 ends nearer than dopri5 in {at_16} of the {of_16} models that dopri5 can solve with "
        "them, "
        "and has {right:.0%} of the points right or more; with 64 in {at_64} of {of_64}",
    ),
)
