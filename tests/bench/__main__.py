"""All benchmarks, `python -m tests.bench`; ends with status 1 if a target is missed."""

import sys

from tests.bench import compiled, flows, gradients, latent, odenet, solvers

sys.exit(solvers.main() | gradients.main() | flows.main() | latent.main() | odenet.main() | compiled.main())
