"""The audit's measurements made anew with changes planted: key -> functions of the numbers, for each of which the audit
must raise."""

from tests.chapters.chapter6.planted_costs import PLANTED as OF_COSTS
from tests.chapters.chapter6.planted_gradients import PLANTED as OF_GRADIENTS
from tests.chapters.chapter6.planted_more import MORE
from tests.chapters.chapter6.planted_networks import PLANTED as OF_NETWORKS
from tests.chapters.chapter6.planted_that_hold import PLANTED as THAT_HOLD

FIRST = {**OF_NETWORKS, **OF_GRADIENTS, **OF_COSTS, **THAT_HOLD}
PLANTED = {key: (function, *((MORE[key],) if key in MORE else ())) for key, function in FIRST.items()}
