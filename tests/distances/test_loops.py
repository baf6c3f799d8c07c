"""The fast distances are those of plain loops over (s, a, s')."""

import numpy as np
import pytest

from lab import distances
from lab.bench import loop_distances
from simulators.mdp import families


@pytest.mark.parametrize("canon", loop_distances.CANONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_loops_agree(canon: str, seed: int) -> None:
    mdp = families.sparse(5, 3, 0.8, source=seed)
    a, b = np.random.default_rng(seed).standard_normal((2, *mdp.transition.shape))
    names = [n for n in distances.names() if n.startswith(f"{canon}-") and n.count("-") == 2]
    assert len(names) == 42
    for name, value in distances.compare(mdp, a, b, names).items():
        assert value == pytest.approx(loop_distances.distance(name, mdp.transition, 0.8, a, b), rel=1e-10), name
