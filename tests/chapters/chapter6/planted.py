"""The audit's measurements made anew with a planted change each: key -> the numbers, for which the audit must raise."""

from tests.chapters.chapter6.planted_costs import PLANTED as OF_COSTS
from tests.chapters.chapter6.planted_gradients import PLANTED as OF_GRADIENTS
from tests.chapters.chapter6.planted_networks import PLANTED as OF_NETWORKS
from tests.chapters.chapter6.planted_that_hold import PLANTED as THAT_HOLD

PLANTED = {**OF_NETWORKS, **OF_GRADIENTS, **OF_COSTS, **THAT_HOLD}
