"""The predictions of chapter 0."""

from nodelib.workbook.predict import Choice, Number, Predictions

QUESTIONS = Predictions("0", {
    "1,000 blocks": Choice(
        "What do 1,000 blocks make of 1?",
        ("about 2.5", "about 2.7", "more than 100"), 1,
        "More and thinner blocks do not add up to more and more. They approach one smooth curve.",
    ),
    "one percent": Number(
        "How many blocks are enough to come within 1 % of the curve's end, $e = 2.718…$?", 1, 1000, 50,
        "Each block falls short a little, and $n$ blocks together by about $1/(2n)$ of the end.",
        unit="blocks", log=True,
    ),
})  # fmt: skip

predict, tally = QUESTIONS.ask, QUESTIONS.tally
