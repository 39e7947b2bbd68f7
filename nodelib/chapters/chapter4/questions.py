"""The predictions of chapter 4: what is asked, what is right, and why. No cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Predictions

QUESTIONS = Predictions(
    "4",
    {
        "4.1": Choice(
            "How many determinants were computed for the six pictures?",
            ("none", "one for each pixel", "one for each pixel and step of the solver"),
            0,
            "Each pixel took one solve, along which a trace was added up.",
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
            "It needs fewer iterations, but each of them is a solve and its gradient.",
        ),
        "4.5": Choice(
            "Training pulls data to the base. To draw a new point from the trained CNF, one needs …",
            (
                "the same ODE, solved the other way, at about the same cost",
                "a root to be found in each step",
                "a second network, which learns the inverse",
            ),
            0,
            "Time runs backwards in an ODE as well as forwards.",
        ),
        "4.6": Choice(
            "With rate and initialisation tuned, and two minutes of training, the planar flow ends on the moons, in "
            "the mean of three seeds, …",
            ("over half a nat above the entropy", "about 0.04 nats above it", "as near to it as the CNF"),
            1,
            "The CNF comes nearer, to 0.012, but nobody would call this a difficulty.",
        ),
        "4.7": Choice(
            "With the exact trace the solve takes some 30 evaluations. With noise that is drawn anew at each "
            "evaluation …",
            ("about as many", "two or three times as many", "more than ten times as many"),
            2,
            "Such an $f$ jumps from call to call, and no step is small enough to find it smooth.",
        ),
        "4.8": Choice(
            "These flows are within 0.02 nats of the entropy, as good as can be. At $a = 8 \\sigma$ the density at "
            "their pass is …",
            ("zero", "about $10^{-14}$, as the target's", "about $10^{-4}$, ten powers of ten too high"),
            2,
            "So little mass is on the bridge that the likelihood hardly sees it.",
        ),
        "4.9 paths": Choice(
            "Points on the straight paths of random pairs meet: at one time, at one place. Once the network is trained "
            "on such pairs, the paths of its flow …",
            (
                "are straight, and points meet as well",
                "are straight, and points never meet",
                "are bent, and never meet",
            ),
            2,
            "Where pairs meet, the network learns the mean of their velocities.",
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
