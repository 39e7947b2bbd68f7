"""What chapter 1 asks its reader to predict, and what is right."""

from nodelib.workbook.predict import Choice, Number, Predictions

QUESTIONS = Predictions("1", {
    "1.1": Choice(
        "The field `block(z, theta[int(t)])` is integrated from $t = 0$ to $6$ with six Euler steps. How far is the "
        "result from the network's output?",
        ("about 0.1", "about 1e-8", "0, to the last bit"), 2,
        "With $h = 1$ both do the same additions in the same order."),
    "1.2": Choice(
        "On the left of the next figure are five residual layers, on the right is a solver that takes as many steps as "
        "it needs for a tolerance of 1e-4. In which of the two do paths from different inputs cross?",
        ("in neither", "on the left", "on the right", "in both"), 1,
        "A layer looks at its start only, and may overshoot its neighbour. A solution has one way to go from each "
        "point."),
    "1.3": Choice(
        "We integrate $u' = -u$ from 0 to 2 and halve $h$ again and again. By what factor does the error at the end "
        "shrink each time?",
        ("2", "4", "8"), 0,
        "A step errs a quarter as much, but there are twice as many."),
    "1.4": Choice(
        "The true oscillator returns to its starting point for ever. What does Euler's amplitude do?",
        ("it shrinks", "it stays", "it grows"), 2,
        "Each step follows the tangent of a circle, which leads outwards."),
    "1.5": Choice(
        "One step with $h = 0.5$ from $u = 1$: on which equation do midpoint and Heun give different numbers?",
        ("on neither", "only on u' = -u", "only on u' = -u²", "on both"), 2,
        "On $u' = -u$ each gives $1 - h + h^2/2$."),
    "1.6": Choice(
        "800 evaluations of $f$ on Lotka–Volterra, both methods of order 4: which ends closer to the truth?",
        ("Runge–Kutta 4 in 200 long steps", "Adams–Bashforth in 800 short ones"), 1,
        "From each of twenty starts, near the balance and far from it: it throws no slope away."),
    "1.7": Choice(
        "One backward Euler step for $u' = -10u^2$ from $u = 1$ with $h = 0.1$. Which iteration finds the solution?",
        ("fixed point", "Newton", "both", "neither"), 1,
        "Fixed-point iteration hops between 1 and 0 for ever."),
    "1.8": Choice(
        "Where does `dopri5` take its shortest steps (apart from its first and last)?",
        ("where both populations are small", "where the prey grow alone", "where the prey collapse and predators peak"),
        2, "There the states change fastest."),
    "1.9": Choice(
        "We solve from ten starts. Of the steps that `dopri5` accepts, does the true error of the step stay below the "
        "tolerance?",
        ("always", "always at 1e-6, not at 1e-3", "not always at either"), 2,
        "The estimate rests on formulas for small $h$."),
    "1.10": Number(
        "`heun_euler` has $q = 2$. By what factor does its NFE grow when the tolerance is divided by 1000?",
        1, 1000, 31.6, "It is $1000^{1/2}$.", "times", log=True, close=0.25),
    "1.11": Number(
        "A pendulum is let go just below its upright position and followed to $t = 15$ by `dopri5`, with 1e-3 allowed "
        "for each step. How large is its error at the end?",
        1e-4, 10, 1.9, "It falls at another time, and the angle is simply wrong.", "", log=True, close=0.6),
    "1.12": Choice(
        "$u' = -50u$ from $u = 1$, twenty Euler steps of 0.05. What becomes of Euler's $u$?",
        ("it falls to 0 without changing sign", "it falls to 0, its sign alternating",
         "it grows without changing sign", "it grows, its sign alternating"), 3,
        "Each step multiplies by $1 - 2.5$."),
    "1.13": Choice(
        "The curve is the same cosine for each $\\lambda$. How does the NFE of `dopri5` grow from $\\lambda = 100$ "
        "to 1000?",
        ("hardly", "about threefold", "about tenfold"), 2,
        "Stability holds $h\\lambda$ at the border of the region."),
    "1.14": Choice(
        "Each layer is cut into thinner ones that share its weights: 6, 12, 24, … layers. By what factor does the "
        "distance to the limit shrink each time, in the end?",
        ("1: there is no limit", "2", "4"), 1,
        "It is Euler's order, seen from the other side."),
    "1.15": Choice(
        "A pendulum is let go at 1.5 and followed for 10 time units. Keep the weights that were trained by Euler, "
        "which err by 0.001 with 40 layers and by 0.7 with 80. Now take 160, 320, … 5120 thinner layers, and at last "
        "the best solver there is. What becomes of the error?",
        ("it falls below 0.01 again", "it settles between 0.7 and 1", "it grows without end"), 1,
        "The layers settle on a differential equation, but not on the pendulum's."),
})  # fmt: skip
predict, tally = QUESTIONS.ask, QUESTIONS.tally
