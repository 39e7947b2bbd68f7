"""The predictions of chapter 5: what is asked, what is right, and why. No cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Predictions

QUESTIONS = Predictions(
    "5",
    {
        "5.1": Choice(
            "On 100 further points, asked for in steps of 0.01, the GRU's error is …",
            ("about the latent ODE's", "half of it", "about three times the latent ODE's"),
            2,
            "It feeds on its own forecasts, a hundred times.",
        ),
        "5.1 steps": Choice(
            "Nine GRUs and nine latent ODEs were trained. Asked in steps of 0.03, how many of the GRUs are nearer than "
            "every one of the latent ODEs?",
            ("none", "about half", "all nine"),
            2,
            "They were trained on gaps of 0.033 on average, and feed on themselves a third as often.",
        ),
        "5.2": Choice(
            "The clock is set forward by five windows, for observations and forecast alike. Which forecasts change?",
            ("of neither network", "of the one that is fed $t$", "of both"),
            1,
            "Gaps are the same on any clock.",
        ),
        "5.3": Choice(
            "From one draw to 100 inside the logarithm, the bound on $\\log p(x)$ …",
            ("falls: more terms are averaged", "stays: it is an average", "rises"),
            2,
            "In the mean it never falls with the number of draws, and it ends at $\\log p(x)$.",
        ),
        "5.4": Choice(
            "With 100 observations, one at each step of the grid, and steps of 0.01: which is nearer?",
            ("the latent ODE", "the GRU with decay", "they are about alike"),
            1,
            "Without gaps there is nothing to learn of gaps. Even the latent ODEs that do not fail are nearly three "
            "times as far off.",
        ),
        "5.5": Choice(
            "It was trained with 30 observations a series. Shown 100 of each, its error in the window …",
            ("falls", "stays", "rises"),
            2,
            "The encoder has never met a hundred small gaps in a row.",
        ),
        "5.6": Choice(
            "In the four dimensions of $z_0$, the starts of clockwise and of counter-clockwise spirals lie …",
            ("in two halves of one cloud", "each in a plane of their own", "mixed"),
            1,
            "A plane turns one way. Two planes in four dimensions need meet in one point only.",
        ),
        "5.7": Choice(
            "The first recipe lets the horizon grow. How many of ten seeds fail where the loss sees the whole window "
            "from the start?",
            ("none", "about three", "all"),
            1,
            "Three of ten, at this rate; at a rate of 0.003, all ten.",
        ),
        "5.8": Choice(
            "Rescaling with one RK4 step for each gap, of a 30th of a window on average: its largest error, beside "
            "that of 25 steps between knots, is …",
            ("less: it takes more steps", "about the same", "well over ten times as large"),
            2,
            "The longest of 6,000 gaps is several times the average, and the error grows with its fifth power.",
        ),
        "5.9": Choice(
            "One intensity from 100 sequences. The ODE's error, beside that of a kernel estimate of tuned width, is …",
            ("half of it", "about the same", "twice as large"),
            1,
            "Both smooth the same events; for one intensity nothing calls for a latent state.",
        ),
    },
)
predict, tally = QUESTIONS.ask, QUESTIONS.tally
