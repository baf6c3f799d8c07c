"""Inference distances against resistors and covariances, chains and prefix trees, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.studies import inference_distances, latent_tree, mean_inference_distance, topology_ratios
from lab.studies.topologies import Network, chain_pairs, tree_pairs
from simulators.learned_reward import topologies
from simulators.learned_reward.topologies import chain, compare, one_hot, sequences, shared, tree


def network(size, edges):
    first, second, variance = zip(*edges, strict=True)
    return Network(size, np.array(first), np.array(second), np.array(variance, float))


def test_resistors_in_series_and_in_parallel():
    series = inference_distances(network(3, [(0, 1, 1.0), (1, 2, 1.0)]))
    assert series == pytest.approx(np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]))
    assert inference_distances(network(2, [(0, 1, 1.0)] * 2))[0, 1] == pytest.approx(0.5)
    ring = inference_distances(network(4, [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0)]))
    assert ring[0, 2] == pytest.approx(1.0) and ring[0, 1] == pytest.approx(0.75)


def test_what_no_path_joins_is_infinitely_far():
    found = inference_distances(network(5, [(0, 1, 2.0), (2, 3, 1.0)]))
    assert found[0, 1] == pytest.approx(2.0) and found[2, 3] == pytest.approx(1.0) and (np.diag(found) == 0).all()
    assert np.isinf(found[0, 2]) and np.isinf(found[4, :4]).all()
    with pytest.raises(InputError, match="in pieces"):
        mean_inference_distance(network(3, [(1, 2, 1.0)]), [0, 1])


def connected(draw_size, rng):
    edges = [(k, int(rng.integers(k)), rng.uniform(0.1, 5)) for k in range(1, draw_size)]
    return edges + [(*map(int, rng.integers(draw_size, size=2)), rng.uniform(0.1, 5)) for _ in range(draw_size)]


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_a_comparison_makes_no_distance_longer_and_they_are_a_metric(size, seed):
    rng = np.random.default_rng(seed)
    before = network(size, connected(size, rng))
    after = inference_distances(before.with_comparisons(rng.integers(size, size=(1, 2)), float(rng.uniform(0.1, 5))))
    d = inference_distances(before)
    assert (after <= d + 1e-9).all() and d == pytest.approx(d.T)
    assert (d[:, None, :] <= d[:, :, None] + d[None] + 1e-9).all()
    off = ~np.eye(size, dtype=bool)
    assert mean_inference_distance(before, np.arange(size)) == pytest.approx(d[off].mean())


def test_a_distance_is_the_posterior_variance_of_a_difference():
    rng = np.random.default_rng(0)
    edges = connected(6, rng)
    precision = np.eye(6) * 1e-9
    for i, j, v in edges:
        way = np.eye(6)[i] - np.eye(6)[j]
        precision += np.outer(way, way) / v
    cov = np.linalg.inv(precision)
    own = np.diag(cov)
    assert inference_distances(network(6, edges)) == pytest.approx(own[:, None] + own - 2 * cov, abs=1e-5)


def test_leaves_that_part_at_a_level_are_as_far_apart_as_the_structure_function_says():
    made = latent_tree(2, 3, diversity=2.0)
    assert made.network.size == 15 and made.leaves.tolist() == list(range(7, 15))
    apart = inference_distances(made.network)[np.ix_(made.leaves, made.leaves)]
    assert apart[0].tolist() == pytest.approx([0, 1 / 16, 1 / 4, 1 / 4, 1, 1, 1, 1])


def test_ratios_are_those_of_the_whole_networks():
    made = latent_tree(3, 3)
    found = topology_ratios(made, 12, 9, branches=3, variance=0.5, of_tree=2.0, seeds=[4])[0]
    rng = [np.random.default_rng([4, which]) for which in (0, 1)]
    pairs = chain_pairs(made, 12, rng[0]), tree_pairs(made, 12, 9, rng[1])
    means = [mean_inference_distance(made.network.with_comparisons(p, v), made.leaves)
             for p, v in zip(pairs, (0.5, 1.0), strict=True)]  # fmt: skip
    assert found == pytest.approx(means[1] / means[0])
    assert topology_ratios(made, 0, 9).tolist() == pytest.approx([1.0] * 24)


def test_a_prefix_tree_takes_its_branches_and_no_others():
    made = latent_tree(3, 4)
    for leaves, branches, roots in ((9, 2, 2), (9, None, 3), (2, 2, 2), (8, 2, 2)):
        pairs = tree_pairs(made, 400, leaves, np.random.default_rng(0), branches=branches)
        own = (pairs - made.leaves[0]) // 27
        assert len(np.unique(pairs)) == leaves and len(np.unique(own)) == roots and (pairs[:, 0] != pairs[:, 1]).all()
        assert set(np.unique(pairs)) <= set(made.leaves)


@pytest.mark.parametrize(
    ("call", "said"),
    [(lambda: latent_tree(1), "branching"), (lambda: latent_tree(3, 0), "depth"),
     (lambda: latent_tree(diversity=0), "diversity"), (lambda: topology_ratios(latent_tree(3, 2), 5, 10), "leaves=10"),
     (lambda: topology_ratios(latent_tree(3, 2), 5, 4, branches=4), "at most 3 branches"),
     (lambda: topology_ratios(latent_tree(3, 2), -1, 3), "number"),
     (lambda: topology_ratios(latent_tree(3, 2), 5, 3, variance=0), "variance"),
     (lambda: latent_tree(3, 2).network.with_comparisons([[0, 13]], 1.0), "there are 13"),
     (lambda: latent_tree(3, 2).network.with_comparisons([[0, 1]], 0.0), "variance"),
     (lambda: mean_inference_distance(latent_tree(3, 2).network, [1]), "two or more"),
     (lambda: inference_distances(network(2, [(0, 1, -1.0)])), "above 0")],
)  # fmt: skip
def test_what_is_no_network_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()


def test_leaves_of_a_tree_share_prefixes_and_part_for_good():
    pairs = tree(4000, np.random.default_rng(0))
    prefix = shared(pairs)
    # three places in order out of 0 to 7 have means 5/4, 7/2, 23/4; a pair parts there with chances 4/7, 2/7, 1/7
    assert prefix.mean() == pytest.approx(4 / 7 * 1.25 + 2 / 7 * 3.5 + 1 / 7 * 5.75, abs=0.1)
    assert (pairs[:, 0] != pairs[:, 1]).any(-1).all() and pairs.shape == (4000, 2, 8)
    assert shared(chain(4000, np.random.default_rng(0))).mean() == pytest.approx(1 / 7, abs=0.03)
    assert shared(np.array([[[1, 2, 3], [1, 4, 3]], [[5, 5, 5], [5, 5, 5]]])).tolist() == [1, 3]
    assert shared(tree(50, np.random.default_rng(1), length=1, splits=1)).tolist() == [0] * 50


def test_one_tree_with_one_split_is_one_comparison_again_and_again():
    pairs = tree(6, np.random.default_rng(2), splits=1, each=6)
    assert len({tuple(sorted(map(tuple, pair))) for pair in pairs.tolist()}) == 1


def test_labels_follow_the_gold_and_both_topologies_are_fit_to_learn_from():
    meant = sequences(3)
    x = meant.draw(np.random.default_rng(0), 4000)
    assert x.shape == (4000, 64) and meant(x).mean() == pytest.approx(0, abs=0.1)
    assert meant(x).std() == pytest.approx(1, abs=0.1)
    sure, coin = (compare(meant, "tree", 300, beta=beta, seeds=[0, 1]) for beta in (1e3, 0.0))
    assert sure.chosen.shape == (2, 300, 64) and sure.wrong.mean() < 0.02 and 0.4 < coin.wrong.mean() < 0.6
    assert np.array_equal(
        compare(meant, "chain", 9, seeds=1).chosen[0], compare(meant, "chain", 9, seeds=[0, 1]).chosen[1]
    )
    assert one_hot(np.array([[1, 0]]), 2).tolist() == [[0, 1, 1, 0]]


@pytest.mark.parametrize(
    ("call", "said"),
    [(lambda: compare(sequences(), "ring", 3), "'ring'"), (lambda: compare(sequences(), "tree", 3, beta=-1.0), "beta"),
     (lambda: compare(sequences(), "chain", 0), "number"), (lambda: tree(0, None), "number"),
     (lambda: tree(3, None, splits=9), "splits"), (lambda: tree(3, None, vocabulary=1), "vocabulary"),
     (lambda: tree(3, None, each=0), "each"), (lambda: topologies.sequences(length=1), "length")],
)  # fmt: skip
def test_what_is_no_topology_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
