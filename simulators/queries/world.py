"""A set prediction in the plane: queries near random anchors say where the objects of a scene are.

Each query predicts its anchor plus a linear map of 12 features: noisy offsets to its two nearest objects, and the same
offsets times exp(−n/0.05) and exp(−n/0.3), n their squared length. The map is shared by all queries. Queries stand in
the order of their noisy distance to the nearest object, the nearest first, as a detector's objectness would rank them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.errors import check_count, check_room, unknown_name
from simulators.random import uniforms
from simulators.records import Floats, Ints, Policy, Rollouts, Truth, World
from simulators.runs import asked, started

__all__ = ["FEATURES", "Queries", "Scenes", "costs", "gradient", "match", "matches", "predict", "scenes"]

FEATURES = 12
_NOISE, _NARROW, _WIDE = 0.15, 0.05, 0.3


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images with their queries in ranked order.

    Attributes:
        objects: places [..., J, 2] in [−1, 1]².
        anchors: [..., Q, 2].
        features: [..., Q, 12].
        distance: noisy distance to the nearest object, ascending [..., Q].
    """

    objects: Floats
    anchors: Floats
    features: Floats
    distance: Floats


def scenes(number: int, rng: np.random.Generator, *, queries: int = 24, objects: int = 4) -> Scenes:
    """Draw scenes.

    Args:
        number: B.
        rng: where the numbers come from.
        queries: Q, at least 1.
        objects: J, at least 2.

    Raises:
        ValueError: too few scenes, queries or objects.
    """
    if number < 1 or queries < 1 or objects < 2:
        raise ValueError(f"number={number}, queries={queries}, objects={objects}; at least 1, 1 and 2 are needed")
    places = rng.uniform(-1, 1, (number, objects, 2))
    anchors = rng.uniform(-1, 1, (number, queries, 2))
    return _arranged(places, anchors, rng.normal(size=(number, queries, 2, 2)), rng.normal(size=(number, queries)))


def _arranged(places: Floats, anchors: Floats, blur: Floats, doubt: Floats) -> Scenes:
    """Scenes of objects [..., J, 2] and anchors [..., Q, 2], noise on offsets [..., Q, 2, 2] and distances [..., Q]."""
    away = places[..., None, :, :] - anchors[..., :, None, :]
    square = (away**2).sum(-1)
    near = np.argsort(square, axis=-1)[..., :2]
    offset = np.take_along_axis(away, near[..., None], axis=-2) + _NOISE * blur
    length = (offset**2).sum(-1, keepdims=True)
    seen = np.concatenate([offset, offset * np.exp(-length / _NARROW), offset * np.exp(-length / _WIDE)], axis=-1)
    distance = np.sqrt(square).min(-1) + _NOISE * doubt
    order = np.argsort(distance, axis=-1)
    anchors, told = (np.take_along_axis(x, order[..., None], axis=-2) for x in (anchors, _flat(seen)))
    return Scenes(places, anchors, told, np.take_along_axis(distance, order, axis=-1))


def _flat(seen: Floats) -> Floats:
    """Features of two objects [..., 2, 6] in one row [..., 12]."""
    return seen.reshape(*seen.shape[:-2], FEATURES)


def predict(drawn: Scenes, weights: Floats) -> Floats:
    """Predictions [..., Q, 2] with the map [12, 2], or one for each scene [..., 12, 2]."""
    return drawn.anchors + drawn.features @ weights


def costs(drawn: Scenes, predicted: Floats) -> Floats:
    """Squared distance of each query to each object [..., Q, J]."""
    return ((predicted[..., :, None, :] - drawn.objects[..., None, :, :]) ** 2).sum(-1)


def gradient(drawn: Scenes, predicted: Floats, target: Floats, weights: Floats) -> Floats:
    """Σ w ∂(−squared distance to the target)/∂map [12, 2] for weights [B, Q] and targets [B, Q, 2]."""
    slope = -2 * (predicted - target) * weights[..., None]
    return np.einsum("bqf,bqd->fd", drawn.features, slope)


def matches(cost: Floats) -> Ints:
    """The query of each object in the cheapest one-to-one assignment of each image: [..., Q, J] -> [..., J].

    Up to four objects all assignments of their J nearest queries are tried at once: at most J − 1 of them can be taken
    by the other objects, so the cheapest is among these. With more objects the images are matched one by one.
    """
    queries, objects = cost.shape[-2:]
    if objects > _FEW or queries < objects:
        flat = [match(c) for c in cost.reshape(-1, queries, objects)]
        return np.array(flat, dtype=np.int64).reshape(*cost.shape[:-2], objects)
    near = np.argpartition(cost, objects - 1, axis=-2)[..., :objects, :]
    rank, own = np.indices((objects,) * objects).reshape(objects, -1), np.arange(objects)[:, None]
    chosen, total = near[..., rank, own], np.take_along_axis(cost, near, axis=-2)[..., rank, own].sum(axis=-2)
    for one, other in combinations(range(objects), 2):
        total[chosen[..., one, :] == chosen[..., other, :]] = np.inf
    best = total.argmin(axis=-1)[..., None, None]
    return np.asarray(np.take_along_axis(chosen, best, axis=-1)[..., 0])


def match(cost: Floats) -> Ints:
    """The query of each object in the cheapest one-to-one assignment of one image [J].

    Shortest augmenting paths (Hungarian method): objects are added one by one, each with dual prices that keep all
    reduced costs at least 0.

    Args:
        cost: [Q, J] with Q ≥ J.
    """
    queries, objects = cost.shape
    if queries < objects:
        raise ValueError(f"{queries} queries for {objects} objects; each object needs a query of its own")
    table = cost.T
    price_object, price_query = np.zeros(objects), np.zeros(queries + 1)
    owner = np.full(queries + 1, -1)  # of each query; the last one is where a new object starts
    for new in range(objects):
        owner[queries], at = new, queries
        slack, came = np.full(queries, np.inf), np.full(queries, queries)
        done = np.zeros(queries + 1, dtype=bool)
        while owner[at] >= 0:
            done[at] = True
            reduced = table[owner[at]] - price_object[owner[at]] - price_query[:queries]
            open_ = ~done[:queries]
            better = open_ & (reduced < slack)
            slack[better], came[better] = reduced[better], at
            at = int(np.where(open_, slack, np.inf).argmin())
            step = slack[at]
            price_object[owner[done]] += step
            price_query[done] -= step
            slack[open_] -= step
        while at != queries:
            before = int(came[at])
            owner[at], at = owner[before], before
    found = np.empty(objects, dtype=np.int64)
    taken = np.flatnonzero(owner[:queries] >= 0)
    found[owner[taken]] = taken
    return found


_FEW = 4  # objects up to which all assignments are tried
_OBJECTS, _PER_QUERY = 1024, 12  # first draw of a scene's objects; draws of a query
_STEPS = 2**32  # scene numbers leave room for that many steps
_TEST, _TEST_QUERIES = 100, 24
_SHARP = 4.0


class Queries(World):
    """Set prediction as a world: a scene is a prompt, its queries are the group, and nothing is sampled but scenes.

    The reward of a query is minus the squared distance of its prediction to the nearest object. It is a function of the
    map, so its gradient can be taken: the world offers two scores beside log π,

    - "reward": the reward itself;
    - "match": −(Q/J) times the squared distance of a query to the object that it is matched with in the cheapest
      one-to-one assignment, 0 for a query without one, so that the mean over queries is that over objects.

    π is the objectness: a query is taken for an object with probability σ(b − a·noisy distance). Parameters are the
    map, 24 numbers, then a = 4 and b = 0. Every step has new scenes, numbered on; values are exact for those at hand.

    Args:
        scenes: Scenes in a step P.
        objects: Objects of a scene J, at least 2.

    Raises:
        ValueError: For too few of either.
    """

    name = "queries"
    provides: tuple[str, ...] = ()
    components: tuple[str, ...] = ("nearest",)
    scores: tuple[str, ...] = ("reward", "match")
    fresh = True

    def __init__(self, scenes: int = 4, *, objects: int = 4) -> None:
        self.prompts = check_count("scenes", scenes, least=1)
        self.objects = check_count("objects", objects, least=2)
        check_room(8 * _TEST * objects * max(_TEST_QUERIES, objects), objects=objects)

    def __repr__(self) -> str:
        return f"Queries(scenes={self.prompts}, objects={self.objects})"

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """A map of zeros and the initial objectness for each seed: parameters [S, 26]."""
        return started(np.append(np.zeros(2 * FEATURES), [_SHARP, 0.0]), seeds)

    def rollout(
        self, policy: Policy, group_size: int = _TEST_QUERIES, step: int = 0, *, attempt: int = 0,
        fields: Sequence[str] = (),
    ) -> Rollouts:  # fmt: skip
        """New scenes with `group_size` queries each, the likeliest first: rewards [S, P, Q, 1].

        Args:
            policy: Parameters [S, 26].
            group_size: Queries of a scene Q, at least as many as objects.
            step: Counter of the step.
            attempt: Counter of the draw within the step.
            fields: None is provided.

        Returns:
            Rollouts whose `prompt` [S, P] numbers the scenes and whose actions are all 0: every query predicts.

        Raises:
            ValueError: Fewer queries than objects, or a field.
        """
        _, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=64 + 8 * self.objects)
        if group_size < self.objects:
            raise ValueError(f"group_size must be at least the {self.objects} objects of a scene, not {group_size}")
        scene = (attempt * _STEPS + step) * self.prompts + np.arange(self.prompts)
        number = np.tile(scene, (policy.seeds.size, 1))
        drawn = self._scenes(policy, number, group_size)
        rewards = -costs(drawn, self._predicted(policy, drawn)).min(-1)[..., None]
        logp = _log_sigmoid(_objectness(policy, drawn))[..., None]
        return Rollouts(rewards, np.zeros(logp.shape, np.int64), logp, prompt=number)

    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each query to be taken for an object [S, P, Q, 1], nats."""
        return _log_sigmoid(_objectness(policy, self._again(policy, rollouts)))[..., None]

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Floats:
        """Σ w ∇log σ(b − a·distance) for weights [S, P, Q, 1]; the map has no part in it [S, 26]."""
        drawn = self._again(policy, rollouts)
        slope = np.asarray(weights)[..., 0] * np.exp(_log_sigmoid(-_objectness(policy, drawn)))
        out = np.zeros(policy.parameters.shape)
        out[:, -2], out[:, -1] = -(slope * drawn.distance).sum(axis=(1, 2)), slope.sum(axis=(1, 2))
        return out

    def scores_of(self, policy: Policy, rollouts: Rollouts, names: Sequence[str]) -> dict[str, Floats]:
        """The scores of these names on the queries of the rollouts [S, P, Q, 1]; see the class.

        Raises:
            ValueError: No such score.
        """
        own = tuple(name for name in names if name != "logp")
        found = super().scores_of(policy, rollouts, [name for name in names if name == "logp"])
        if own:
            _, predicted, parts = self._measured(policy, rollouts, own)
            for name, (place, w) in zip(own, parts, strict=True):
                found[name] = (-w * ((predicted - place) ** 2).sum(-1))[..., None]
        return found

    def pull(self, policy: Policy, rollouts: Rollouts, weights: Mapping[str, Floats]) -> Floats:
        """Σ w ∇score for weights [S, P, Q, 1], nearest and matched objects as they are now [S, 26]."""
        own = tuple(name for name in weights if name != "logp")
        out = np.zeros(policy.parameters.shape)
        if own:
            drawn, predicted, targets = self._measured(policy, rollouts, own)
            slope = np.zeros(predicted.shape)
            for name, (place, w) in zip(own, targets, strict=True):
                slope -= 2 * (np.asarray(weights[name])[..., 0] * w)[..., None] * (predicted - place)
            out[:, :-2] = np.einsum("spqf,spqd->sfd", drawn.features, slope).reshape(len(slope), -1)
        return out + self.gradient(policy, rollouts, weights["logp"]) if "logp" in weights else out

    def truth(
        self, policy: Policy, rollouts: Rollouts, *, gradient: bool = True, weights: ArrayLike | None = None
    ) -> Truth:
        """Mean reward of each scene [S, P], each query's above it [S, P, Q], and the gradient of the mean [S, 26]."""
        scale = 1.0 if weights is None else float(np.asarray(weights, np.float64).reshape(1)[0])
        reward = scale * self.scores_of(policy, rollouts, ("reward",))["reward"]
        value = reward.mean(axis=(2, 3))
        if not gradient:
            return Truth(value, reward[..., 0] - value[..., None])
        even = np.full(reward.shape, scale / (reward.shape[1] * reward.shape[2]))
        return Truth(value, reward[..., 0] - value[..., None], self.pull(policy, rollouts, {"reward": even}))

    def gold(self, policy: Policy) -> Floats:
        """Minus the mean distance between objects and the queries matched with them, on 100 scenes kept apart [S]."""
        drawn = self._test()
        cost = costs(drawn, self._predicted(policy, drawn))
        own = np.take_along_axis(cost, matches(cost)[..., None, :], axis=-2)
        return np.asarray(-np.sqrt(own).mean(axis=(1, 2, 3)))

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of a query's objectness, mean over the scenes kept apart [S], nats."""
        z = _objectness(policy, self._test())
        return np.asarray(-sum((np.exp(x) * x).mean(axis=(1, 2)) for x in (_log_sigmoid(z), _log_sigmoid(-z))))

    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of a query's objectness, mean over the scenes kept apart [S], nats."""
        ours, theirs = (_objectness(p, self._test()) for p in (policy, other))
        sides = (np.exp(_log_sigmoid(k * ours)) * (_log_sigmoid(k * ours) - _log_sigmoid(k * theirs)) for k in (1, -1))
        return np.asarray(sum(side.mean(axis=(1, 2)) for side in sides))

    def _test(self) -> Scenes:
        """Scenes that no run trains on, the same for all [1, 100, ...]."""
        drawn = scenes(
            _TEST, np.random.default_rng(_TEST), queries=max(_TEST_QUERIES, self.objects), objects=self.objects
        )
        return Scenes(drawn.objects[None], drawn.anchors[None], drawn.features[None], drawn.distance[None])

    def _predicted(self, policy: Policy, drawn: Scenes) -> Floats:
        return predict(drawn, policy.parameters[:, None, :-2].reshape(-1, 1, FEATURES, 2))

    def _measured(
        self, policy: Policy, rollouts: Rollouts, names: Sequence[str]
    ) -> tuple[Scenes, Floats, list[tuple[Floats, Any]]]:
        """Scenes, predictions [S, P, Q, 2] and `_targets`, kept until the scenes or the parameters are others."""
        drawn, known = self._again(policy, rollouts), policy.memo.get("targets")
        if known is None or known[0] is not drawn or known[1] != tuple(names) or (known[2] != policy.parameters).any():
            predicted = self._predicted(policy, drawn)
            found = drawn, predicted, self._targets(drawn, predicted, names)
            known = policy.memo["targets"] = (drawn, tuple(names), policy.parameters.copy(), found)
        measured: tuple[Scenes, Floats, list[tuple[Floats, Any]]] = known[3]
        return measured

    def _targets(self, drawn: Scenes, predicted: Floats, names: Sequence[str]) -> list[tuple[Floats, Any]]:
        """For each score the object that a query is measured from [S, P, Q, 2], and its factor [S, P, Q]."""
        for name in names:
            if name not in self.scores:
                raise unknown_name("score of the queries world", name, self.scores)
        cost = costs(drawn, predicted)
        nearest = np.take_along_axis(drawn.objects, cost.argmin(-1)[..., None], axis=-2)
        found: dict[str, tuple[Floats, Any]] = {"reward": (nearest, 1.0)}
        if "match" in names:
            queries, own, factor = matches(cost), nearest.copy(), np.zeros(nearest.shape[:-1])
            np.put_along_axis(factor, queries, cost.shape[-2] / self.objects, axis=-1)
            np.put_along_axis(own, queries[..., None], drawn.objects, axis=-2)
            found["match"] = own, factor
        return [found[name] for name in names]

    def _again(self, policy: Policy, rollouts: Rollouts) -> Scenes:
        """The scenes of rollouts, found again by their numbers."""
        if rollouts.prompt is None:
            raise ValueError("rollouts.prompt must number the scenes, as `rollout` does")
        number = np.broadcast_to(rollouts.prompt, (policy.seeds.size, rollouts.rewards.shape[1]))
        return self._scenes(policy, number, rollouts.rewards.shape[2])

    def _scenes(self, policy: Policy, number: Ints, queries: int) -> Scenes:
        """Scenes [S, P, ...] by number, kept until others are asked for."""
        known = policy.memo.get("queries")
        if known is None or known[0].shape != number.shape or known[1] != queries or (known[0] != number).any():
            known = policy.memo["queries"] = (number, queries, self._drawn(policy.seeds, number, queries))
        found: Scenes = known[2]
        return found

    def _drawn(self, seeds: NDArray[np.uint64], number: Ints, queries: int) -> Scenes:
        step, slot = np.divmod(number, self.prompts)
        attempt, step = np.divmod(step, _STEPS)
        own, counters = seeds[:, None], {"step": step, "attempt": attempt, "prompt": slot}
        places = uniforms(
            own[..., None],
            **{k: v[..., None] for k, v in counters.items()},
            draw=_OBJECTS + np.arange(2 * self.objects),
        )
        member = np.arange(queries)[:, None]
        u = uniforms(
            own[..., None, None], **{k: v[..., None, None] for k, v in counters.items()}, rollout=member,
            draw=np.arange(_PER_QUERY),
        )  # fmt: skip
        noise = np.sqrt(-2 * np.log1p(-u[..., 2:7])) * np.cos(2 * np.pi * u[..., 7:])
        blur = noise[..., :4].reshape(*u.shape[:-1], 2, 2)
        return _arranged(2 * places.reshape(*number.shape, -1, 2) - 1, 2 * u[..., :2] - 1, blur, noise[..., 4])


def _objectness(policy: Policy, drawn: Scenes) -> Floats:
    """Logits b − a·distance [S, P, Q]."""
    a, b = policy.parameters[:, -2, None, None], policy.parameters[:, -1, None, None]
    return np.asarray(b - a * drawn.distance)


def _log_sigmoid(x: Floats) -> Floats:
    return np.asarray(-np.logaddexp(0, -x))
