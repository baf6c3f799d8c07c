"""Worlds and rewards that Hypothesis draws: small, of every kind, with a discount and numbers of moderate size."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simulators.mdp import families
from simulators.mdp.mdp import MDP

seeds = st.integers(0, 2**31)
discounts = st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.95, 0.97])
#: Multiples of 1/8, so that nothing is nearly zero that is not.
numbers = st.integers(-80, 80).map(lambda n: n / 8)
factors = st.integers(-6, 6).map(lambda n: 1.7**n)


@st.composite
def worlds(draw: st.DrawFn, least: int = 1) -> MDP:
    """S and A from `least` to 4 and 3."""
    make = draw(st.sampled_from([families.dirichlet, families.sparse, families.deterministic]))
    sizes = draw(st.integers(least, 4)), draw(st.integers(least, 3))
    return make(*sizes, draw(discounts), source=draw(seeds))


def rewards(mdp: MDP) -> st.SearchStrategy[np.ndarray]:
    """R [S, A, S]."""
    return arrays(np.float64, mdp.transition.shape, elements=numbers)


def potentials(mdp: MDP) -> st.SearchStrategy[np.ndarray]:
    """phi [S]."""
    return arrays(np.float64, mdp.states, elements=numbers)
