"""All benchmarks, `python -m tests.bench`; ends with status 1 if a target is missed."""

import sys

from tests.bench import gradients, odenet, solvers

sys.exit(solvers.main() | gradients.main() | odenet.main())
