"""A variant's rules on the tensors of another trainer, as NumPy arrays with the lab's axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab import advantages, objectives
from lab.errors import InputError, MissingFieldError
from lab.methods import Variant, variant
from lab.registry import Rule, find

__all__ = ["Rules", "Scored"]

Array = NDArray[Any]

#: What the rules of each kind are given of the rollouts of a trainer of language models.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "reward": ("mask",), "advantage": ("mask",), "objective": ("clip_scale", "logp", "logp_ref", "mask", "rewards"),
}  # fmt: skip


class Scored(NamedTuple):
    """What the rules say about a batch of groups.

    Attributes:
        rewards: after the reward rule [P, G, K].
        advantage: [P, G] or [P, G, T].
        keep: which rollouts take part [P, G].
        clip_scale: [P, G, T] or None.
    """

    rewards: Array
    advantage: Array
    keep: Array
    clip_scale: Array | None


class Rules:
    """Reward rule, advantage rule, filter and objective of a variant.

    Args:
        wanted: Name of a variant, or a `lab.methods.Variant`.
        **options: Options of its rules.

    Raises:
        MissingFieldError: A rule reads a field that language-model trainers do not have.
        InputError: The variant does what another trainer cannot: it remembers earlier steps, combines several gradients
            or turns signs at random.
    """

    def __init__(self, wanted: str | Variant, **options: Any) -> None:
        self.variant = variant(wanted, **options)
        self.objective = find("objective", self.variant.objective)
        if self.objective.extras.get("scores"):
            raise MissingFieldError(
                f"variant {self.variant.name!r}: objective {self.objective.name!r} takes the gradient of "
                f"{', '.join(self.objective.extras['scores'])}; a trainer of language models has that of log π alone"
            )
        for kind, fields in FIELDS.items():
            rule = self.variant.rule(kind)
            lacking = [f for f in rule.required if f not in fields] if rule else []
            if rule and lacking:
                raise MissingFieldError(
                    f"variant {self.variant.name!r}: {kind} rule {rule.name!r} reads {', '.join(lacking)}, which a "
                    f"trainer of language models does not give it; it gives {', '.join(fields)}"
                )
            if rule and rule.memory:
                raise InputError(
                    f"variant {self.variant.name!r}: {kind} rule {rule.name!r} remembers earlier steps, which another "
                    "trainer would not save"
                )
        if self.variant.combine is not None:
            raise InputError(
                f"variant {self.variant.name!r} combines one gradient for each reward component; another trainer takes "
                "one gradient of one loss"
            )
        if self.variant.signflip:
            raise InputError(
                f"variant {self.variant.name!r} turns signs at random (signflip={self.variant.signflip:g}), which is "
                "an experiment of lab.train alone"
            )
        self._own = dict(self.variant.options["objective"])

    def score(self, rewards: Array, mask: Array, weights: Array | None = None) -> Scored:
        """Rewards [P, G, K] with NaN where a rollout was not scored, mask [P, G, T] -> advantages and what is kept."""
        given = np.asarray(rewards, dtype=np.float64)
        if (rule := self.variant.rule("reward")) is not None:
            fields = {"mask": mask[None]} if "mask" in rule.fields else {}
            given = np.asarray(rule.function(given[None], **fields, **self.variant.given("reward")))[0]
        rule = find("advantage", self.variant.advantage)
        further: dict[str, Any] = {"mask": mask} if "mask" in rule.fields else {}
        further |= self.variant.options["advantage"]
        credit = advantages.credit(rule.name, given, weights=weights, missing="skip", **further)
        keep = np.ones(given.shape[:2], dtype=bool) if credit.keep is None else credit.keep
        if (chosen := self.variant.rule("filter")) is not None:
            useful = _useful(advantages.added(given, weights), chosen, self.variant.given("filter"))
            keep = keep & useful[..., None]
        return Scored(given, credit.advantage, keep, credit.clip_scale)

    def weigh(
        self, logp_new: Array, scored: Scored, *, logp: Array, mask: Array, logp_ref: Array | None = None,
        kl_beta: float = 0.0, kl_ratio: str = "", max_length: int | None = None,
    ) -> tuple[Array, float]:  # fmt: skip
        """Weights on ∇log π [P, G, T] of the objective, and its loss.

        Args:
            logp_new: log-probabilities now [P, G, T].
            scored: what `score` said.
            logp: log-probabilities when sampled [P, G, T].
            mask: tokens of the policy's own [P, G, T].
            logp_ref: log-probabilities under the reference policy, for a KL penalty.
            kl_beta: its coefficient.
            kl_ratio: "token" or "sequence" multiplies k3, the estimate of the penalty, with the ratio ρ of the token or
                of the rollout, which makes up for sampling from another policy; "" leaves it as it is.
            max_length: most tokens of a response, for sums over a constant.
        """
        known: Mapping[str, Any] = {
            "logp": logp, "mask": mask & scored.keep[..., None], "rewards": scored.rewards, "logp_ref": logp_ref,
            "clip_scale": scored.clip_scale,
        }  # fmt: skip
        given = {f: known[f] for f in self.objective.fields if f in known and f != "logp_ref"} | self._own
        if self.objective.options.get("max_length", 0) is None:
            given.setdefault("max_length", max_length)
        estimate = "k3" if kl_ratio else self.variant.kl or "k3"
        penalty = {"kl": estimate, "kl_beta": kl_beta} if kl_beta and estimate != "k3" else {}
        shared = {**given, **penalty, "logp_ref": logp_ref}
        w = objectives.weights(self.objective.name, logp_new, scored.advantage, **shared)
        if "loss" in self.objective.extras:
            value = float(np.sum(objectives.loss(self.objective.name, logp_new, scored.advantage, **shared)))
        else:
            value = -float((w * logp_new).sum())
        if not kl_beta or estimate != "k3":
            return w, value
        assert logp_ref is not None
        constant = objectives.penalty(self.objective, given, logp_new, "k1", kl_beta, logp_ref)
        held, cost = _k3(constant, logp_new - logp, logp_ref - logp_new, mask, kl_ratio)
        return w + held, value + cost

    def clipped(
        self, logp_new: Array, advantage: Array, *, logp: Array, mask: Array, clip_scale: Array | None = None
    ) -> tuple[Array, Array] | None:
        """Shares of each rollout's tokens [P, G] that are clipped, with a negative and with a positive advantage.

        Arguments as in `weigh`; None where the objective has no clip, or needs more than these to tell.
        """
        known = {"logp": logp, "clip_scale": clip_scale, "mask": mask}
        rule = self.objective
        if rule.coupled or "clipped" not in rule.extras or not known.keys() >= set(rule.required):
            return None
        given = {f: _alone(x) for f, x in known.items() if x is not None and f in rule.fields} | self._own
        sign = np.sign(advantage if advantage.ndim == 3 else advantage[..., None])
        low, high = (mask & (sign == side) for side in (-1, 1))

        def share(valid: Array) -> Array:
            alone = {**given, "mask": _alone(valid)}
            of_those = objectives.clip_share(rule.name, _alone(logp_new), _alone(advantage), **alone)
            return np.asarray(of_those).reshape(valid.shape[:2]) * valid.sum(-1) / np.maximum(mask.sum(-1), 1)

        return share(low), share(high)

    def needs_whole_groups(self) -> bool:
        """Whether the objective couples the rollouts of a group, so that its batch must hold whole groups."""
        return self.objective.coupled

    def refuse_parts(self) -> None:
        """Say that a batch without whole groups is of no use.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"objective {self.objective.name!r} couples the rollouts of a group, but this step's batch holds "
            "parts of groups; set steps_per_generation=1, and per_device_train_batch_size to whole groups"
        )


def _alone(array: Array) -> Array:
    """[P, G, ...] -> each rollout as a run of its own [P G, 1, 1, ...]."""
    return array.reshape(-1, 1, 1, *array.shape[2:])


def _k3(c: Array, log_ratio: Array, d: Array, mask: Array, by: str) -> tuple[Array, float]:
    """Weights on ∇log π [P, G, T] and the loss of the penalty −Σ c ρ k3, k3 = e^d − d − 1 with d = log π_ref/π.

    Unlike verl's, TRL's k3 has no limit. ρ is the "token"'s ratio, that of the "sequence", exp of the mean of its log
    ratios, or 1.
    """
    d, log_ratio = np.clip(d, -20, 20), np.clip(log_ratio, -20, 20)
    k3 = np.exp(d) - d - 1
    through_ratio = c * k3 if by else np.zeros_like(k3)
    if by == "sequence":
        share = mask / np.maximum(mask.sum(-1, keepdims=True), 1)
        log_ratio = (share * log_ratio).sum(-1, keepdims=True)
        through_ratio = share * through_ratio.sum(-1, keepdims=True)
    ratio = np.exp(log_ratio) if by else 1.0
    return ratio * (c * (1 - np.exp(d)) + through_ratio), -float((ratio * c * k3).sum())


def _useful(total: Array, rule: Rule, options: Mapping[str, Any]) -> Array:
    """Which groups [P] the filter keeps, by the rewards [P, G] of those of their rollouts that are scored."""
    kept = np.zeros(len(total), dtype=bool)
    for p, group in enumerate(total):
        if (scored := group[~np.isnan(group)]).size:
            kept[p] = rule.function(scored[None], **options)[0]
    return kept
