"""Which gradient is nearer, the adjoint's or backpropagation's: on sixty networks or problems, paired.

    python figures/gradients_compared.py        half a minute on one CPU core

Against differences of the computed loss with free steps, and against the flow's gradient, at two tolerances of dopri5;
and against the flow's, with four steps of two methods. The errors' ratios are kept for each. Leaves
figures/records/gradients_compared.json, which chapter 2 reads.
"""

import time

import torch

from nodelib.chapters.chapter2 import free_steps
from nodelib.experiments import records


def main() -> None:
    torch.set_num_threads(1)
    begun = time.perf_counter()
    ratios = {
        reference: {f"{tol:.0e}": free_steps.paired(reference, tol).tolist() for tol in free_steps.COMPARED}
        for reference in ("free", "flow")
    }
    ratios["fixed"] = {
        method: [free_steps.fixed_pair(method, seed) for seed in range(free_steps.NETWORKS)]
        for method in free_steps.METHODS
    }
    numbers = {"networks": free_steps.NETWORKS, "ratios": ratios}
    records.write(free_steps.RECORD, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
