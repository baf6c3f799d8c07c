"""The reward that an estimator implies, its expected advantage of each response, and how far it is from the true one.

On average a policy gradient follows Σ π(a) Â(a) ∇log π(a) with Â(a) = E[A | the rollout is a], whatever the rule does
to the rewards of a group; so Â is the reward that is really climbed. Prompts are states and responses actions of a
world of one step (discount 0), in which the STARC distance compares it with the true reward: an offset of each prompt
and a positive factor don't count; what counts is the order of the responses, and how much one prompt weighs against
another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab import distances
from lab.advantages import credit
from lab.errors import InputError, MissingFieldError
from lab.measures.advantage import per_rollout
from lab.measures.interval import student_quantile
from lab.methods import Variant
from lab.methods import variant as named
from lab.sizes import sized
from lab.studies.groups import all_groups, enumerable, outcome, whole
from lab.training.loop import world_of
from simulators.mdp.mdp import MDP
from simulators.records import FIELDS, Policy, Rollouts, World

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Implied", "expected_advantage", "implied_distance", "implied_reward", "implied_reward_study"]

Array = NDArray[Any]
_BLOCKS = 16  # of draws, left out one at a time for the intervals
_COLUMNS = ("kind", "distance", "low", "high")


@dataclass(frozen=True)
class Implied:
    """The reward that an estimator implies, for each prompt and response.

    Attributes:
        reward: expected advantage of the response [P, A].
        true: expected reward of the response [P, A].
        without: `reward` from all draws but those of one block [blocks, P, A]; None where it is exact.
    """

    reward: Array
    true: Array
    without: Array | None = None

    def distance(self, name: str = "starc") -> tuple[float, float, float]:
        """Distance from the true reward with its 95% interval, by the jackknife over blocks of draws.

        The jackknife acts on the square, which has no kink at 0, so noise alone adds nothing to the distance: a rule
        that implies the true reward comes out at 0 within its interval.
        """
        prompts, responses = self.true.shape
        mdp = _contextual(prompts, responses)
        rewards = self.reward[None] if self.without is None else np.concatenate([self.reward[None], self.without])
        square = distances.compute(name, mdp, _of_actions(rewards), _of_actions(self.true)) ** 2
        if self.without is None:
            return (float(np.sqrt(square[0])),) * 3
        blocks = len(self.without)
        each = blocks * square[0] - (blocks - 1) * square[1:]
        half = student_quantile(blocks - 1) * each.std(ddof=1) / np.sqrt(blocks)
        found = np.sqrt(np.maximum(each.mean() + half * np.array([0.0, -1.0, 1.0]), 0.0))
        return float(found[0]), float(found[1]), float(found[2])


@cache
def _contextual(prompts: int, responses: int) -> MDP:
    """The world of one step whose next prompt is drawn evenly, whatever was answered."""
    return MDP(np.full((prompts, responses, prompts), 1 / prompts), discount=0.0)


def _of_actions(reward: Array) -> Array:
    """A reward of the action [..., P, A] as one of the transition [..., P, A, P]."""
    return np.broadcast_to(reward[..., None], (*reward.shape, reward.shape[-2]))


def expected_advantage(variant: str | Variant, values: Any, shares: Any, group_size: int) -> Array | None:
    """E[A | own reward] where the other rollouts of the group have independent rewards of few values, exactly.

    Args:
        variant: Its advantage rule and its filter act; a rollout that they drop counts 0.
        values: What a reward can be [V].
        shares: With which probability [V].
        group_size: Rollouts per prompt G; the variant's extra rollouts are on top.

    Returns:
        One expected advantage for each value [V]; None where groups can't be listed, because the rule looks beyond the
        group or groups are too many (20000), and where it refuses such rewards.
    """
    v, values = named(variant), np.asarray(values, np.float64)
    size = whole("group_size", [group_size])[0] + v.extra_rollouts
    rule = v.rule("advantage")
    alone = v.reward is None and rule is not None and not rule.required and enumerable(v)
    others = all_groups(values, shares, size - 1) if alone else None
    if others is None:
        return None
    rewards, probability = others
    own = np.broadcast_to(values[:, None, None, None], (len(values), len(rewards), 1, 1))
    theirs = np.broadcast_to(rewards, (len(values), *rewards.shape))
    found = outcome(v, np.concatenate([own, theirs], axis=-1).reshape(-1, 1, size))
    if found is None:
        return None
    gained = np.where(found[1], found[0], 0.0)[:, 0, 0].reshape(len(values), -1)
    return np.asarray(gained @ probability)


@sized(8.0, "groups", "group_size")
def implied_reward(
    world: World, variant: str | Variant, *, policy: Policy | None = None, group_size: int = 8, groups: int = 4096,
    seed: int = 0,
) -> Implied:  # fmt: skip
    """The reward that a variant's estimator implies under a policy.

    Exact where the groups can be listed (a bandit of one head with right-or-wrong rewards, or `RewardHacks`, under a
    rule that looks at the rewards of one group); otherwise the mean advantage over drawn groups, a batch being one
    group of every prompt; a response that was never drawn for any prompt is then left out. The reward rule, the
    advantage rule and the filter act, the objective does not.

    Args:
        world: A world that knows its truth, with few enough responses for each to be drawn often.
        variant: Name or variant.
        policy: Of one run; the world's first policy for `seed` by default.
        group_size: Rollouts per prompt G.
        groups: Groups drawn of every prompt, rounded up to a multiple of 16.
        seed: Of the first policy and of the draws.

    Raises:
        InputError: A response was hardly drawn, the rule refuses these rewards, or a number is none.
        MissingFieldError: A rule reads a field that the world does not provide.

    Source: the lab's own definition; STARC (arXiv 2309.15257).
    """
    return _implied(world_of(world), named(variant), policy, group_size, groups, seed)


def _implied(world: World, v: Variant, policy: Policy | None, group_size: int, groups: int, seed: int) -> Implied:
    """As `implied_reward`, whose size was looked at."""
    start = world.init([seed]) if policy is None else policy
    if len(start.seeds) != 1:
        raise InputError(f"the policy has {len(start.seeds)} runs; an implied reward is that of one")
    if not world.exact:
        raise InputError(f"world {world.name!r} does not know its true rewards")
    table = world.responses(start) if world.can("responses") else None
    return (table and _exact(v, table, group_size)) or _drawn(world, v, start, group_size, groups)


def _exact(v: Variant, table: tuple[Array, list[Array], list[Array]], group_size: int) -> Implied | None:
    rows = []
    for pi, values, shares in zip(*table, strict=True):
        found = expected_advantage(v, values, pi @ shares, group_size)
        if found is None:
            return None
        rows.append((shares @ found, shares @ values))
    implied, true = zip(*rows, strict=True)
    return Implied(np.stack(implied), np.stack(true))


def _drawn(world: World, v: Variant, policy: Policy, group_size: int, groups: int) -> Implied:
    """Means over drawn groups, and the same without each block of them."""
    size = whole("group_size", [group_size])[0] + v.extra_rollouts
    number = -(-whole("groups", [groups], 2)[0] // _BLOCKS) * _BLOCKS
    rules = [rule for rule in (v.rule("advantage"), v.rule("reward")) if rule is not None]
    fields = tuple(sorted({f for rule in rules for f in rule.fields if f in world.provides}))
    if "pair_scores" in fields:
        raise InputError(f"{v.name}: all groups are drawn at once here, and the scores of all pairs fit in no memory")
    flat = world.rollout(policy, number * size, 0, fields=fields)
    truth = world.truth(policy, flat, gradient=False)
    true = _grouped(truth.advantage + truth.value[..., None], number, size)
    response = _responses(_grouped(flat.actions, number, size), flat.mask, number, size)
    advantage = _advantages(v, _many(flat, number, size))
    prompts, kinds = true.shape[1], int(response.max()) + 1
    block = np.repeat(np.arange(_BLOCKS), number // _BLOCKS)[:, None, None]
    place = ((block * prompts + np.arange(prompts)[:, None]) * kinds + response).ravel()
    count, total, worth = (
        np.bincount(place, None if w is None else w.ravel(), _BLOCKS * prompts * kinds).reshape(_BLOCKS, prompts, kinds)
        for w in (None, advantage, true)
    )
    others = count.sum(axis=0) - count
    if not others.all():
        _, p, a = np.argwhere(others == 0)[0]
        raise InputError(
            f"response {a} of prompt {p} was hardly drawn in {number} groups of {size}; raise groups=, or take a world "
            "or a policy under which each response is likelier"
        )
    drawn, mean = count.sum(axis=0), (total.sum(axis=0) - total) / others
    return Implied(total.sum(axis=0) / drawn, worth.sum(axis=0) / drawn, mean)


def _grouped(array: Array, number: int, size: int) -> Array:
    """[1, P, number * size, ...] of one run as [number, P, size, ...]: many batches."""
    return np.swapaxes(array[0].reshape(array.shape[1], number, size, *array.shape[3:]), 0, 1)


def _many(flat: Rollouts, number: int, size: int) -> Rollouts:
    """The rollouts of one run with many groups of each prompt as many batches."""
    held = flat.held()
    for name, value in held.items():
        if "G" in FIELDS[name].axes:
            held[name] = _grouped(value, number, size)
        elif name == "greedy_rewards":
            held[name] = np.repeat(value, number, axis=0)
    return Rollouts.of(held)


def _responses(actions: Array, mask: Array | None, number: int, size: int) -> Array:
    """Which response each rollout is, counted from 0 over all prompts: [number, P, size, T] -> [number, P, size]."""
    shown = actions if mask is None else np.where(_grouped(mask, number, size), actions, -1)
    found = np.unique(shown.reshape(-1, shown.shape[-1]), axis=0, return_inverse=True)[1]
    return np.asarray(found).reshape(shown.shape[:-1])


def _advantages(v: Variant, rollouts: Rollouts) -> Array:
    """Advantages [batches, P, n] under the variant's rules, 0 for rollouts that they drop."""
    if v.combine is not None:
        raise InputError(f"variant {v.name!r} combines gradients: without them its advantages are not known")
    rewards, reward = rollouts.rewards, v.rule("reward")
    if reward is not None:
        given = {f: getattr(rollouts, f) for f in reward.fields} | dict(v.options.get("reward", {}))
        rewards = reward.function(rewards, **given)
    rule = v.rule("advantage")
    assert rule is not None
    fields = {f: getattr(rollouts, f) for f in rule.fields}
    if fields.get("greedy_rewards") is not None:
        fields["greedy_rewards"] = fields["greedy_rewards"].sum(axis=-1)
    made = credit(v.advantage, rewards, **fields, **v.options.get("advantage", {}))
    advantage = per_rollout(made.advantage, rollouts.mask)
    keep = np.ones(advantage.shape, bool) if made.keep is None else made.keep
    filtered = v.rule("filter")
    if filtered is not None:
        useful = filtered.function(rewards.sum(axis=-1), **{**filtered.options, **v.options.get("filter", {})})
        keep = keep & useful[..., None]
    return np.where(keep, advantage, 0.0)


def implied_distance(
    world: World, variants: Iterable[str | Variant], *, policy: Policy | None = None, group_size: int = 8,
    groups: int = 4096, seed: int = 0, distance: str = "starc",
) -> pl.DataFrame:  # fmt: skip
    """Distance from the reward that each variant implies to the true one, see `implied_reward`.

    Returns:
        Table variant, kind ("exact", with low = high = distance, or "drawn" with a 95% interval), distance, low, high;
        a distance is null where a rule refuses these rewards or reads what the world does not have.
    """
    import polars as pl

    def measured(v: Variant) -> tuple[Any, ...]:
        try:
            found = implied_reward(world, v, policy=policy, group_size=group_size, groups=groups, seed=seed)
        except (InputError, MissingFieldError):
            return None, None, None, None
        return "drawn" if found.without is not None else "exact", *found.distance(distance)

    chosen = [named(v) for v in variants]
    columns = {"variant": pl.String, "kind": pl.String, **dict.fromkeys(_COLUMNS[1:], pl.Float64)}
    return pl.DataFrame([(v.name, *measured(v)) for v in chosen], schema=columns, orient="row")


@sized(8.0, "groups", "group_sizes")
def implied_reward_study(
    variants: Iterable[str | Variant],
    group_sizes: Iterable[int],
    success: Iterable[float],
    *,
    beside: float = 0.5,
    groups: int = 4096,
    seed: int = 0,
) -> pl.DataFrame:
    """How far the implied reward is from the true one, over group size and success probability.

    The world has two prompts with a right response (reward 1) and a wrong one (0): one that the policy gets right with
    probability p, the other with probability `beside`. Their order is never in doubt; what an estimator can get wrong
    is how much the one prompt weighs against the other.

    Args:
        variants: Names or variants.
        group_sizes: Rollouts per prompt G.
        success: Values of p, above 0 and below 1.
        beside: Success probability of the other prompt.
        groups: Groups drawn where they can't be listed.
        seed: Of the draws.

    Returns:
        Table variant, group_size, success, kind, distance, low, high, lift: the implied reward of right minus wrong on
        the first prompt over that on the second, 1 for the true reward; null where undefined or refused.

    Raises:
        InputError: A probability outside (0, 1), or a number that is none.
    """
    import polars as pl

    from simulators.bandit.world import Bandit

    chosen, sizes = [named(v) for v in variants], whole("group_sizes", group_sizes)
    rows = list[tuple[Any, ...]]()
    for v in chosen:
        for size in sizes:
            for p in success:
                if not (0 < p < 1 and 0 < beside < 1):
                    raise InputError(f"success={p}, beside={beside}; probabilities above 0 and below 1 are needed")
                odds = np.log([p / (1 - p), beside / (1 - beside)])
                logits = np.stack([np.zeros(2), odds], axis=-1)[:, None]
                world = Bandit(success=[[0.0, 1.0], [0.0, 1.0]], logits=logits)
                rows.append((v.name, size, float(p), *_cell(world, v, size, groups, seed)))
    columns = {"variant": pl.String, "group_size": pl.Int64, "success": pl.Float64, "kind": pl.String,
               "distance": pl.Float64, "low": pl.Float64, "high": pl.Float64, "lift": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def _cell(world: World, v: Variant, size: int, groups: int, seed: int) -> tuple[Any, ...]:
    """Kind, distance, low, high and lift of one place of the study."""
    try:
        found = _implied(world, v, None, size, groups, seed)
    except (InputError, MissingFieldError):
        return (None,) * 5
    here, there = found.reward[:, 1] - found.reward[:, 0]
    lift = float(here / there) if abs(there) > 1e-12 else None
    return ("drawn" if found.without is not None else "exact"), *found.distance(), lift
