"""The predictions of chapter 4: what is asked, what is right, and why. No cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Predictions

QUESTIONS = Predictions(
    "4",
    {
        "4.1": Choice(
            "How many determinants were computed for the six pictures?",
            ("none", "one for each pixel", "one for each pixel and step of the solver"),
            0,
            "Each pixel after t = 0 took one solve, along which a trace was added up.",
        ),
        "4.2": Choice(
            "For $y = z - 2 \\tanh z$ the formula at $z = 0$ gives $p(0)/|g'(0)| = 0.40$. The density of $y$ at $0$ "
            "is …",
            ("the same", "less", "more"),
            2,
            "Three $z$ lead there, and each brings its share.",
        ),
        "4.3": Choice(
            "From 32 steps to 64, the difference between the sum of log-determinants and the integral of the trace …",
            ("stays zero: both are exact", "halves", "falls to a quarter"),
            1,
            "Each step errs by $O(h^2)$, and there are $1/h$ of them.",
        ),
        "4.4": Choice(
            "Nine pairs of target and size; three seeds each; equal time. In how many of the nine does the CNF of "
            "gated units end lower in all three seeds?",
            ("in one", "in five", "in all nine"),
            0,
            "Each of its iterations is a solve and its gradient: it makes up to eighty times fewer.",
        ),
        "4.5": Choice(
            "A CNF that pulls data to the base draws by the same ODE, the other way. A planar flow that was trained to "
            "pull has a formula for each layer. To draw from it one needs …",
            (
                "the same formulas, in reverse order",
                "a root to be found in each layer",
                "a second flow, trained to push",
            ),
            1,
            "$a + (w \\cdot u) \\tanh a$ has no formula for its inverse.",
        ),
        "4.6": Choice(
            "With rate and initialisation tuned for both, and two minutes of training: on the moons, how far from the "
            "entropy does the planar flow end?",
            ("over half a nat further than the CNF", "about 0.1 nats further", "about as near, to some hundredths"),
            2,
            "Its difficulty is its rate: at 0.003 it is slow, at 0.3 unstable.",
        ),
        "4.7": Choice(
            "With the exact trace the solve takes some 30 evaluations. With noise that is drawn anew at each "
            "evaluation …",
            ("about as many", "two or three times as many", "more than ten times as many"),
            2,
            "Such an $f$ jumps from call to call, and no step is small enough to find it smooth.",
        ),
        "4.8": Choice(
            "These flows are within 0.02 nats of the entropy. At $a = 8 \\sigma$ the density at their pass is …",
            ("zero", "about $10^{-14}$, as the target's", "about $10^{-4}$, ten powers of ten too high"),
            2,
            "So little mass is on the bridge that the likelihood hardly sees it.",
        ),
        "4.9 paths": Choice(
            "At one time many random pairs could bring a point to the same place, each with a velocity of its own; a "
            "flow has one velocity there. The paths of the flow that is learnt from such straight pairs are …",
            ("as straight as those of the pairs", "straight, but in other directions", "bent"),
            2,
            "The network learns the mean of the velocities, and that changes on the way.",
        ),
        "4.9 step": Choice(
            "Trained on optimal pairs, the flow takes each draw to a point. One single Euler step misses it by …",
            ("about 1, half a moon", "about 0.1, the width of a moon", "less than 0.01"),
            1,
            "The paths are nearly straight, and their speed nearly constant.",
        ),
    },
)
predict, tally = QUESTIONS.ask, QUESTIONS.tally
