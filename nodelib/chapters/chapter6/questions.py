"""The predictions of chapter 6: what is asked, what is right, and why. No cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Predictions

QUESTIONS = Predictions(
    "6",
    {
        "6.1": Choice(
            "With two steps of Euler's method they have nearly all points right. Solved accurately, they have …",
            ("as many right", "a few per cent less", "on average little more than half"),
            2,
            "The weights were fitted to two steps of length 1. Nothing in training saw the field between them.",
        ),
        "6.2": Choice(
            "Of 306 trained ODEs of chapters 3 to 5, how many are none by this test?",
            ("none", "six", "about a hundred"),
            1,
            "The solvers of their trainings had converged, but for the sharpest of chapter 4's flows and a few more.",
        ),
        "6.3": Choice(
            "Alone, the stiff sample's largest error is 0.0013. In a batch of 10,000 it is about …",
            ("the same: the solver takes its small steps", "a tenth of that", "0.03", "0.2"),
            3,
            "The steps are those it takes alone, nearly; but its error is divided by the root of the batch's size, and "
            "steps at the edge of stability are accepted.",
        ),
        "6.4": Choice(
            "Which of these learns to take every $x$ to $-x$ on a line?",
            ("the one with time as an input", "the one with a dimension more", "both"),
            1,
            "A field that depends on time is still one field for all points at each moment, and they keep their order.",
        ),
        "6.5": Choice(
            "Solved at tolerance $10^{-6}$ up to $t = 12$, the largest error with $\\lambda = 1$ is about …",
            ("$10^{-6}$", "$10^{-5}$", "0.04", "30"),
            2,
            "An error that was made grows as $e^{t}$ afterwards, and $e^{12}$ is 160,000.",
        ),
        "6.6": Choice(
            "On which fields is the adjoint's gradient wrong by more than 1 %, though the solve is accurate?",
            (
                "on all where $z$ does not return",
                "where $z$ does not return and the adjoint asks for it",
                "on none",
            ),
            1,
            "What the adjoint asks of $z$ is $\\partial f/\\partial z$ and $\\partial f/\\partial\\theta$ there.",
        ),
        "6.7": Choice(
            "All three tell every point's ring in the end. Their evaluations, 20 before training, are then …",
            ("about 90, 50 and 40", "about 90 in each", "about 30 in each"),
            0,
            "To have each point right takes no more than the third's. The others' losses are smaller.",
        ),
        "6.8": Choice(
            "Measured by these four steps: in how many of the ten is the loss in the end lower by OtD, the adjoint?",
            ("none", "about half", "nine or ten"),
            0,
            "The loss that is measured is that of the steps, and OtD's is the gradient of another one.",
        ),
        "6.10": Choice(
            "The tolerance is 1e-6, and f is computed in bfloat16. The evaluations, about 60 in double, become …",
            ("about 40: less precision, less work", "about 60", "over 1,000"),
            2,
            "The error estimate sees the rounding of f, and shortens the step, which makes no rounding smaller.",
        ),
        "6.11": Choice(
            "With 16 evaluations, whose states end nearer to the accurate solution's, where both get there?",
            ("dopri5's, in nearly all models", "RK4's in about half of them", "RK4's, in all of them"),
            2,
            "`dopri5` has two steps of six, of unequal size, since it starts carefully; RK4 has four of four.",
        ),
        "6.12": Choice(
            "How many of the 25 claims hold just as they were made?",
            ("about a quarter", "about half", "about three quarters"),
            0,
            "Twelve more hold on a condition.",
        ),
        "6.13": Choice(
            "Adaptive steps of `dopri5` from 0 to 1: what does the solver make of the jump?",
            (
                "it steps over it, and the error stays unseen",
                "it rejects, shortens, and creeps up to it",
                "it raises an error",
            ),
            1,
            "The error estimate sees the jump in each step that reaches over it, however short.",
        ),
    },
)
predict, tally = QUESTIONS.ask, QUESTIONS.tally
