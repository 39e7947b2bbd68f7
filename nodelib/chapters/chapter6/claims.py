"""The claims that chapter 6 audits, in the order of its sections, and the audit of this session."""

from .audit import Audit, together
from .claims_costs import CLAIMS as OF_COSTS
from .claims_gradients import CLAIMS as OF_GRADIENTS
from .claims_networks import CLAIMS as OF_NETWORKS
from .claims_that_hold import CLAIMS as THAT_HOLD

ANCHORS = {
    "6.2": "6.2-Is-it-an-ODE?",
    "6.3": "6.3-One-step-for-all",
    "6.4": "6.4-What-an-ODE-cannot-do",
    "6.5": "6.5-What-a-tolerance-promises",
    "6.6": "6.6-The-way-back",
    "6.7": "6.7-What-makes-it-slow",
    "6.8": "6.8-Which-gradient?",
    "6.9": "Box-6.9-The-seminorm",
    "6.10": "Box-6.10-Precision",
    "6.11": "6.11-Is-RK4-enough?",
    "6.12": "6.12-The-audit",
}
AUDIT = Audit(together([OF_NETWORKS, OF_GRADIENTS, OF_COSTS, THAT_HOLD]), ANCHORS)
measured = AUDIT.measured
