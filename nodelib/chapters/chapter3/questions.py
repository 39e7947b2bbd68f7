"""The predictions of chapter 3: what is asked, what is right, and why. No cell of the notebook holds an answer."""

from nodelib.workbook.predict import Choice, Number, Predictions

QUESTIONS = Predictions(
    "3",
    {
        "3.1": Number(
            "Take the six blocks, or the field, away altogether. How many parameters remain, in stem and head?",
            0,
            200_000,
            132_874,
            "Both networks carry them. Two thirds of the ODE-Net's parameters are not in its field.",
        ),
        "3.2 time": Choice(
            "Which of the four takes longest for one training?",
            ("MLP", "ResNet", "RK-Net", "ODE-Net"),
            3,
            "It evaluates the field forward, and again on the way back, where each evaluation has a product with the "
            "Jacobian as well.",
        ),
        "3.2 curves": Choice(
            "RK-Net and ODE-Net begin with the same weights and see the same batches. Their losses during training …",
            (
                "stay within 1 % of each other",
                "are within 1 % after one epoch, and over 10 % apart after five",
                "are over 10 % apart after one epoch",
            ),
            1,
            "So it is on the average of ten seeds. Training enlarges any difference: RK-Nets that begin a millionth "
            "apart are over 10 % apart after five epochs as well.",
        ),
        "3.3": Number(
            "[P] has 0.41 % for the ResNet and 0.42 % for the ODE-Net. Which error has a network with nothing in the "
            "middle?",
            0.2,
            10,
            0.74,
            "It is the mean of three seeds. Stem and head do most of the work.",
            unit="%",
            log=True,
            close=0.2,
        ),
        "3.4": Choice(
            "Of three gradients, by backpropagation, by checkpoints and by the adjoint: whose memory grows, from 8 "
            "evaluations to 16, by about as much as 8 more blocks of a ResNet take?",
            ("backpropagation's", "backpropagation's and the checkpoints'", "all three", "none"),
            0,
            "Backpropagation keeps what is inside of each evaluation; checkpoints keep one state a step; the adjoint "
            "keeps nothing.",
        ),
        "3.5": Choice(
            "The way back, by the adjoint, at the tolerance of the training and with dopri5: how many evaluations, for "
            "each one forward?",
            ("about half as many", "between 0.6 and 1.1", "more than twice as many"),
            1,
            "The paper reports about half, and calls it surprising. Why it is so few here is the rest of the section.",
        ),
        "3.6 few": Choice(
            "How many evaluations of f until fewer than one in a hundred test images gets another class than by a "
            "tight solve?",
            ("2", "8", "26"),
            0,
            "Two steps of Euler's method, or one of the midpoint rule.",
        ),
        "3.6 finer": Choice(
            "A network was trained with one Euler step and is right on about 95 % of the test digits. With two steps, "
            "and with more, it is right on …",
            ("more", "as many, within 2 %", "far fewer"),
            2,
            "It never saw its field between the steps that it was trained with.",
        ),
        "3.7": Choice(
            "Runge–Kutta 4 has order 4 if the field is smooth. And with ReLUs in it, or with ELUs, which have a first "
            "derivative everywhere, and a jump in the second?",
            ("4 with either", "3 with ELUs, 2 with ReLUs", "3 with either", "4 with ELUs, 1 with ReLUs"),
            1,
            "A step across a kink is wrong by the square of its length, whatever the method. One derivative more is "
            "one order more.",
        ),
    },
)
predict, tally = QUESTIONS.ask, QUESTIONS.tally
