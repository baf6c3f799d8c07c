"""How far what is known of one response reaches to others: networks of comparisons and of likenesses.

A network's edge says that two rewards differ by something known up to noise of a variance. The inference distance of
two nodes is the variance of the difference of their rewards, given all edges: in a Gaussian network the resistance
between them, each edge a resistor of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, check_number, check_whole

__all__ = [
    "LatentTree", "Network", "chain_pairs", "inference_distances", "latent_tree", "mean_inference_distance",
    "topology_ratios", "tree_pairs",
]  # fmt: skip

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Network:
    """Edges between nodes 0 to size − 1.

    Attributes:
        size: Number of nodes.
        first: One end of each edge [E].
        second: The other one [E].
        variance: Noise of each edge [E], above 0.
    """

    size: int
    first: Ints
    second: Ints
    variance: Array

    def with_comparisons(self, pairs: ArrayLike, variance: float) -> Network:
        """One edge more for each compared pair [n, 2], all of one variance; n may be 0.

        Raises:
            InputError: A node that is none, or a variance of 0 or less.
        """
        check_number("variance", variance, lambda v: v > 0, "a number above 0")
        more = np.asarray(pairs, np.int64).reshape(-1, 2)
        if more.size and not (more.min() >= 0 and more.max() < self.size):
            raise InputError(f"pairs name node {more.min()} to {more.max()}; there are {self.size}, from 0 on")
        first, second = (np.concatenate(ends) for ends in ((self.first, more[:, 0]), (self.second, more[:, 1])))
        noise = np.concatenate([self.variance, np.full(len(more), float(variance))])
        return Network(self.size, first, second, noise)

    @property
    def laplacian(self) -> Array:
        """L = Σ_e (1/v_e) (e_i − e_j)(e_i − e_j)ᵀ [size, size]."""
        if not (np.isfinite(self.variance) & (self.variance > 0)).all():
            raise InputError("variances of a network must be finite and above 0")
        weight, i, j = 1 / self.variance, self.first, self.second
        found = np.zeros((self.size, self.size))
        for row, column, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
            np.add.at(found, (row, column), sign * weight)
        return found


def inference_distances(network: Network) -> Array:
    """Inference distance of every two nodes [size, size]; infinite where no path joins them.

    d(i, j) = (e_i − e_j)ᵀ L⁺ (e_i − e_j): variances in series add, precisions in parallel add.

    Raises:
        InputError: A variance that is 0 or less, or no number.

    Source: arXiv 2402.10184, induced Bayesian network; exact form of the card.
    """
    values, vectors = np.linalg.eigh(network.laplacian)
    still = values <= 1e-10 * max(values[-1], 1e-300)
    kernel, moving = vectors[:, still], vectors[:, ~still]
    inverse = (moving / values[~still]) @ moving.T
    own = np.diag(inverse)
    joined = kernel @ kernel.T > 0.5 / network.size  # 1/(size of its part) inside of a part, 0 elsewhere
    return np.where(joined, np.maximum(own[:, None] + own - 2 * inverse, 0.0), np.inf)


def mean_inference_distance(network: Network, nodes: ArrayLike) -> float:
    """Mean inference distance of two different ones of m nodes, in a network that is in one piece.

    (2 m tr Q − 2 ΣQ)/(m (m − 1)), Q the inverse of L with one node grounded, restricted to these nodes.

    Raises:
        InputError: Fewer than two nodes, or a network in pieces.
    """
    which = np.asarray(nodes, np.int64)
    if which.size < 2:
        raise InputError(f"{which.size} node; a mean distance needs two or more")
    q = _grounded(network)[np.ix_(which, which)]
    return _mean_distance(which.size, float(np.trace(q)), float(q.sum()))


def _grounded(network: Network) -> Array:
    """Inverse of L with the first node grounded [size, size]."""
    found = np.zeros((network.size, network.size))
    try:
        found[1:, 1:] = np.linalg.inv(network.laplacian[1:, 1:])
    except np.linalg.LinAlgError:
        raise InputError("the network is in pieces, so that some distance is infinite") from None
    return found


def _mean_distance(m: int, trace: float, total: float) -> float:
    return (2 * m * trace - 2 * total) / (m * (m - 1))


def _compared_distance(q: Array, pairs: Ints, variance: float) -> float:
    """Mean distance after comparisons of pairs [n, 2] of all m nodes, whose covariance was q [m, m]: n equations."""
    i, j = pairs.T
    told = q[:, i] - q[:, j]
    solved = np.linalg.solve(told[i] - told[j] + variance * np.eye(len(pairs)), told.T)
    whole = told.sum(0) @ solved.sum(1)
    return _mean_distance(len(q), float(np.trace(q) - (told.T * solved).sum()), float(q.sum() - whole))


@dataclass(frozen=True, eq=False)
class LatentTree:
    """Responses as leaves of a tree, alike where they part late.

    Attributes:
        network: Edges from each node to its children, root first and level by level.
        branching: Children B of a node.
        depth: Levels D below the root.
        leaves: Nodes that are responses [B^D].
    """

    network: Network
    branching: int
    depth: int
    leaves: Ints


def latent_tree(branching: int = 3, depth: int = 5, *, diversity: float = 1.0) -> LatentTree:
    """Responses that part at level k are F(k) = B^(−k·diversity) apart without any comparison; F(D) = 0.

    Args:
        branching: B, at least 2.
        depth: D, at least 1.
        diversity: a of F; larger: what shares a prefix is more alike.

    Raises:
        InputError: A number that is out of range.

    Source: arXiv 2402.10184, structure function; tree of the card.
    """
    wide, deep = check_whole("branching", branching, 2), check_whole("depth", depth, 1)
    check_number("diversity", diversity, lambda a: a > 0, "a number above 0")
    first = np.cumsum([0, *(wide**level for level in range(deep))])
    apart = np.append(float(wide) ** (-diversity * np.arange(deep)), 0.0)
    parents, children, variance = [], [], []
    for level in range(deep):
        below = np.arange(wide ** (level + 1))
        parents.append(first[level] + below // wide)
        children.append(first[level + 1] + below)
        variance.append(np.full(len(below), (apart[level] - apart[level + 1]) / 2))
    size = int(first[-1] + wide**deep)
    network = Network(size, *(np.concatenate(part) for part in (parents, children, variance)))
    return LatentTree(network, wide, deep, np.arange(first[-1], size))


def chain_pairs(made: LatentTree, number: int, rng: np.random.Generator) -> Ints:
    """Pairs of independent uniform responses [n, 2]."""
    return rng.choice(made.leaves, size=(number, 2))


def tree_pairs(
    made: LatentTree, number: int, leaves: int, rng: np.random.Generator, *, branches: int | None = None
) -> Ints:
    """Pairs of different leaves of one prefix tree [n, 2].

    From the root on the prefix tree takes some random branches of each node, until it has so many leaves; below that
    each goes on along one random branch.

    Args:
        made: The responses.
        number: Pairs n.
        leaves: Of the prefix tree.
        rng: Where the numbers come from.
        branches: That it takes of a node; None: all.

    Raises:
        InputError: Fewer than two leaves or branches, more branches than there are, or leaves that these do not reach.
    """
    taken = made.branching if branches is None else check_whole("branches", branches, 2)
    most = taken**made.depth
    if taken > made.branching or not 2 <= leaves <= most:
        raise InputError(f"branches={taken}, leaves={leaves}; at most {made.branching} branches, 2 to {most} leaves")
    nodes = np.zeros(1, np.int64)
    for _ in range(made.depth):
        here = taken if len(nodes) < leaves else 1
        ways = rng.permuted(np.tile(np.arange(made.branching), (len(nodes), 1)), axis=1)[:, :here]
        nodes = rng.permuted((nodes[:, None] * made.branching + ways).ravel())[:leaves]
    one = rng.integers(leaves, size=number)
    other = (one + rng.integers(1, leaves, size=number)) % leaves
    return made.leaves[nodes[np.stack([one, other], axis=1)]]


def topology_ratios(
    made: LatentTree, number: int, leaves: int, *, branches: int | None = None, variance: float = 10.0,
    of_tree: float = 1.0, seeds: int | Sequence[int] = 24,
) -> Array:  # fmt: skip
    """Mean inference distance after comparisons of a prefix tree over that after as many of a chain [seeds].

    Args:
        made: The responses.
        number: Comparisons n.
        leaves: Of the prefix tree.
        branches: See `tree_pairs`.
        variance: Noise of a comparison.
        of_tree: Noise of one of the tree's over that of one of the chain's.
        seeds: Of the comparisons, or how many.

    Raises:
        InputError: As `tree_pairs`, or a number that is out of range.
    """
    check_whole("number", number, 0)
    for name, value in (("variance", variance), ("of_tree", of_tree)):
        check_number(name, value, lambda v: v > 0, "a number above 0")
    q, ratios, start = _grounded(made.network)[np.ix_(made.leaves, made.leaves)], [], made.leaves[0]
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        rng = [np.random.default_rng([seed, which]) for which in (0, 1)]
        chain = chain_pairs(made, number, rng[0]) - start
        tree = tree_pairs(made, number, leaves, rng[1], branches=branches) - start
        ratios.append(_compared_distance(q, tree, of_tree * variance) / _compared_distance(q, chain, variance))
    return np.array(ratios)
