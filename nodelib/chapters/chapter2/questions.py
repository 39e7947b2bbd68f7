"""The predictions of chapter 2, and what is right: no cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Number, Predictions

QUESTIONS = Predictions(
    "2",
    {
        "2.1": Number(
            "autograd keeps about 400 results for 10 steps of Runge–Kutta 4. How many does it keep for 1,000?",
            100, 1e6, 40_000, "Each step adds the same number, whatever came before.", "results", log=True, close=0.2,
        ),
        "2.2": Choice(
            "At the end, t = t₁, no theory is needed. What is a(t₁) for our loss?",
            ("zero", "z(t₁) − c", "c − z(t₁)", "that takes a solve"), 1,
            "L is half the squared distance from c, and nothing follows any more: differentiate it.",
        ),
        "2.3 Euler": Choice(
            "g₀ is the gradient that backpropagation gets through n Euler steps. Twice as many steps: how does its "
            "distance from a(t₀) change?",
            ("it stays: g₀ is exact", "it becomes half", "it becomes a quarter"), 1,
            "Euler's method is of first order, and so is its backpropagation.",
        ),
        "2.3 lines": Choice(
            "The O's say how fast lines 1, 2 and 4 err, and the quotient. Line 3 has none. How large is its error at "
            "ε = 1/8?",
            ("about 1/8", "about 1/64", "round-off"), 2, "Line 3 is the chain rule, and no approximation.",
        ),
        "2.3 Lagrange": Choice(
            "The sum equals L whatever the multipliers are. Is its *partial* derivative by W, states held fixed, the "
            "same whatever they are?",
            ("yes", "no"), 1, "The states depend on W as well; only the adjoint makes that part vanish.",
        ),
        "2.4 half": Choice(
            "Change W₁₂, or b₁, in the second half of the time only. How large is the effect, against a change "
            "throughout?",
            ("half of it", "more than half", "less than half"), 1,
            "Both parameters multiply something that starts at 0, so that they act late.",
        ),
        "2.4 end": Choice(
            "Which starting value at t₁ for a′ = −a f_t makes the way back arrive at dL/dt₀?",
            ("0", "a(t₁) · f", "−a(t₁) · f"), 2, "0 gives the effect of moving both ends; take that of t₁ away.",
        ),
        "2.4 conserved": Choice(
            "If f does not depend on t, how does a · f move along a path?",
            ("it grows", "it decays", "it does not move", "that depends on L"), 2, "Its derivative is a · ∂f/∂t.",
        ),
        "2.5": Choice(
            "The loss has a term at t₀, too. Where does its gradient g₀ belong?",
            ("into dL/dz₀ and dL/dt₀", "into dL/dz₀ only", "into dL/dt₀ only", "into neither"), 1,
            "y₀ is given, not computed: moving t₀ does not move it.",
        ),
        "2.6": Choice(
            "The networks see the spiral only. Where in the plane do their arrows point the right way?",
            ("everywhere alike", "nearer right where the data are", "nearer right away from the data"), 1,
            "What is drawn where nothing was seen is an opinion.",
        ),
        "2.7": Choice(
            "Two libraries, two languages of automatic differentiation. To how many digits do the gradients agree?",
            ("3", "6", "10 or more"), 2, "They take the same steps.",
        ),
        "2.8 four": Choice(
            "Four Euler steps from 0 to 2. How far apart are the two gradients?",
            ("a millionth", "a percent", "a third"), 2, "They differ by a multiple of h, and h is large.",
        ),
        "2.8 free": Choice(
            "dopri5 at tolerance 1e-3 chooses its steps anew for every change of θ. How far is backpropagation from "
            "the differences of that loss?",
            ("round-off", "a millionth", "some percent"), 2,
            "Backpropagation takes the step sizes for constants. They are not.",
        ),
        "2.8 laboratory": Choice(
            "Does the adjoint ever need less memory here than the checkpoint, as in Figure 2.1?",
            ("from 8 steps on", "from 32 steps on", "nowhere here"), 2,
            "A state of this network is two numbers; the gradient of θ that the adjoint carries is forty.",
        ),
        "2.8 cost": Choice(
            "Solving back takes how many evaluations, against the solve forwards, for two outputs?",
            ("about half", "about as many", "ten times as many"), 1,
            "All but two of them have a product with the Jacobian besides.",
        ),
        "2.8 reverse": Choice(
            "z′ = −20 z from z(0) = 1 to t = 1, tolerance 1e-6, and back: 1 returns as 15.6. How wrong is dL/dz₀ by "
            "the adjoint, for L = z(1)?",
            ("1,500 %", "some 100 %", "less than 1 %"), 2, "∂f/∂z is −20 everywhere: a never asks where z is.",
        ),
        "2.8 oscillator": Choice(
            "Adjoint and checkpoint, tolerances 1e-3 and 1e-6: four gradients. How many are right within 1 %?",
            ("four", "three", "two", "one"), 3, "Only the checkpoint, and only at the tight tolerance.",
        ),
        "2.9 A": Choice(
            "Suspect A: only the rows of θ are off. What was done wrong?",
            ("∂f/∂θ is not integrated", "a sign at t₀", "the jumps are missing", "a′ has the wrong sign"), 0,
            "a and the times are right, so what is collected from them is not.",
        ),
        "2.9 B": Choice(
            "Suspect B: only the row of t₀ is off, by 200 %. What was done wrong?",
            ("∂f/∂θ is not integrated", "a sign at t₀", "the jumps are missing", "a′ has the wrong sign"), 1,
            "200 % off is right but for its sign.",
        ),
        "2.9 C": Choice(
            "Suspect C: z₀, θ and t₀ are off, the later times are not. What was done wrong?",
            ("∂f/∂θ is not integrated", "a sign at t₀", "the jumps are missing", "a′ has the wrong sign"), 2,
            "Wrong is all that comes after the inner outputs on the way back: the data there never reach a.",
        ),
        "2.11": Choice(
            "At this tolerance an adjoint is a little wrong. How far apart are the page's gradient and the library's?",
            ("about as far as both are wrong", "by round-off"), 1,
            "Both try the same steps, so they make the same errors.",
        ),
    },
)  # fmt: skip
predict, tally = QUESTIONS.ask, QUESTIONS.tally
