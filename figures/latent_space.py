"""Where a latent ODE keeps its spirals: Figures 8 and 9 of the paper, with numbers.

    python figures/latent_space.py       measures the nine latent ODEs that figures/table2_spirals.py trained, and draws

For each of them: how much of the variance of the latent starts, of either sense of rotation, lies in one plane; the
cosines of the two angles between the planes; and how often what is decoded turns in a window, from starts between the
two. Leaves figures/records/latent_space.json, and latent_space.png, fig8_spirals.png and fig9_between.png.
"""

import time
from pathlib import Path

import torch

from nodelib.chapters.chapter5.explorers import latent_planes
from nodelib.chapters.chapter5.figures import foretold, interpolation
from nodelib.chapters.chapter5.numbers import LatentPlanes
from nodelib.data.spirals import make_spirals
from nodelib.experiments import records
from nodelib.models.flows import one_of
from nodelib.models.trained_series import DATA_SEEDS, STARTS, trained_series
from nodelib.workbook.style import save

K, ANGLES = 30, 12
MIXES = [i / 10 for i in range(11)]
NAME = "latent_space"
HERE = Path(__file__).parent


def main() -> None:
    begun = time.perf_counter()
    torch.set_num_threads(1)
    nine, runs = trained_series("latent ODE", K), []
    for number in range(DATA_SEEDS * STARTS):
        spirals = make_spirals(K, number // STARTS)
        model = one_of(nine, number)
        planes = LatentPlanes(model, spirals)
        turned = [[planes.at(i / ANGLES, mix).turns for i in range(ANGLES)] for mix in MIXES]
        runs.append({"shares": planes.shares.tolist(), "cosines": planes.cosines.tolist(), "turns": turned})
        if number == 1:
            live = latent_planes("5.8", planes)
            (HERE / f"{NAME}.png").write_bytes(live.png)
            save(interpolation(planes), HERE / "fig9_between.png")
            save(foretold(spirals, [0, 1, 2, 5], {"latent ODE": model}), HERE / "fig8_spirals.png")
    numbers = {"observed": K, "angles": ANGLES, "mixes": MIXES, "runs": runs}
    records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
