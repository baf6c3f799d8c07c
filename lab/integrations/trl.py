"""TRL's GRPOTrainer with any advantage rule and objective of the lab.

    from lab.integrations.trl import GRPOTrainer
    trainer = GRPOTrainer(model, reward_funcs=..., args=GRPOConfig(...), train_dataset=..., variant="gdpo")

Sampling, rewards, optimizer, logging and checkpoints are TRL's. What comes between rewards and gradient is the lab's:
the loss that is differentiated is −Σ w log π with the weights w of the variant's objective held fixed, and the loss
that is logged is the objective's own. A KL penalty is switched on by TRL's `beta`, because TRL holds the reference
model, and multiplied with the ratio of the token or, with `importance_sampling_level="sequence"`, of the rollout, where
`use_bias_correction_kl` says so, as it does by default. With several processes the rules see the groups of all of
them, and each process weighs its own rollouts.

What GRPOConfig says of the loss becomes an option of the variant's rules or is refused by name (`trl_settings`):
epsilon, epsilon_high, delta, loss_type, importance_sampling_level, the constants of SAPO and VESPO, scale_rewards and
multi_objective_aggregation; without a variant all of them act as in TRL. A setting counts as set where it differs from
TRL's default, so a variant keeps its own average over tokens where loss_type="dapo" or nothing is written. What stands
beside the loss acts as in TRL, too: the entropy bonus and its control, top_entropy_quantile,
off_policy_mask_threshold, vLLM's importance correction, the loss of a mixture's router.

What the variant asks of the training loop is TRL's to do: its kl_beta must be `beta`, its max_grad_norm TRL's, and
prompts are not sampled again; a trainer where these differ is refused, with the setting to change. `num_generations`
counts all rollouts of a group, those that a variant draws beyond the group size too.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor
from trl import GRPOConfig
from trl import GRPOTrainer as Plain

from lab.integrations.rules import Rules, Scored
from lab.integrations.trl_settings import asked, check_asks, factors, global_mean
from lab.methods import Variant
from lab.methods import variant as named

__all__ = ["GRPOTrainer"]

#: What a batch holds beside its tokens, such as images: TRL's own list, those of its arguments that may be None.
_BESIDE = tuple(
    name
    for name, given in inspect.signature(Plain._get_per_token_logps_and_entropies).parameters.items()
    if given.default is None and name != "batch_size"
)


class GRPOTrainer(Plain):
    """TRL's trainer; every argument but the first two is TRL's.

    Args:
        variant: Name of a variant (`advlab variants`), or a `lab.methods.Variant`. Its name with "@trl" behind it is
            TRL's own rule where there is one.
        options: Options of its rules by name, such as {"eps": 1e-6}.
        *args: As TRL takes them.
        **kwargs: As TRL takes them.

    Raises:
        MissingFieldError: A rule reads a field that TRL does not have.
        InputError: A setting of GRPOConfig has no place in the variant's rules, or `options` says otherwise; the
            variant asks of the loop what TRL's does not do. While training: an objective that couples the rollouts of a
            group got parts of groups.
    """

    entropy_coef: float  # both are TRL's, which keeps them with its checkpoints
    _entropy_window_stats: Tensor | None

    def __init__(
        self, *args: Any, variant: str | Variant = "grpo@trl", options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        config = inspect.signature(Plain).bind_partial(*args, **kwargs).arguments.get("args")
        own = options or {}
        self.rules = Rules(variant, **own | (asked(config, named(variant, **own), own) if config is not None else {}))
        check_asks(config or GRPOConfig, self.rules.variant)
        super().__init__(*args, **kwargs)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        self._scored_by = super()._calculate_rewards(*args, **kwargs)  # [rows of all processes, K], NaN: not scored
        return self._scored_by

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        size = self.num_generations if self.model.training else self.num_generations_eval
        device, (count, length) = batch["completion_ids"].device, batch["completion_ids"].shape
        padded = self.accelerator.pad_across_processes(_mask(batch).long(), dim=1)
        rewards, mask = (_grouped(x, size) for x in (self._scored_by, self.accelerator.gather(padded).bool()))
        scored = self.rules.score(rewards, mask, self.reward_weights.double().cpu().numpy())
        own = torch.arange(count, device=device) + self.accelerator.process_index * count

        def rows(array: Any) -> Tensor:
            flat = torch.from_numpy(np.ascontiguousarray(array).reshape(-1, *array.shape[2:])).to(device)[own]
            return flat[:, :length] if array.shape[2:] == mask.shape[2:] else flat

        batch["advantages"] = rows(scored.advantage).float()
        batch["num_items_in_batch"] = torch.tensor((mask & scored.keep[..., None]).sum(), device=device)
        batch["lab_row"] = own
        batch["lab_keep"], batch["lab_rewards"] = rows(scored.keep), rows(scored.rewards)
        if scored.clip_scale is not None:
            batch["lab_clip_scale"] = rows(scored.clip_scale)
        self._relog(scored.advantage, mask)
        return batch

    def _relog(self, advantage: Any, mask: Any) -> None:
        """Log the lab's advantages with the completions in the place of TRL's; of those per token the mean."""
        if advantage.shape == mask.shape:
            advantage = (advantage * mask).sum(-1) / np.maximum(mask.sum(-1), 1)
        logged = self._logs["advantages"]
        for _ in range(min(advantage.size, len(logged))):
            logged.pop()
        logged.extend(advantage.ravel().tolist())

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        seen = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        length, mask = inputs["completion_ids"].size(1), _mask(inputs)
        logp, entropy, router = self._get_per_token_logps_and_entropies(
            model, ids, seen, length, compute_entropy=True, compute_aux_loss=self.aux_loss_enabled,
            **{name: inputs.get(name) for name in _BESIDE},
        )  # fmt: skip
        chosen = mask
        if self.top_entropy_quantile < 1.0:
            chosen = self.get_high_entropy_mask(entropy, mask, 1 - self.top_entropy_quantile)
        policy, weights = self._policy_loss(inputs, logp, mask, self._advantages(inputs, logp.detach(), mask, chosen))
        accumulated = self.current_gradient_accumulation_steps if self.model.training else 1.0
        loss = policy * self._share(inputs, mask, accumulated)
        logged = loss.detach() if global_mean(self.args, self.rules.variant) else policy.detach()
        if self._entropy_bonus_enabled:
            loss = loss - self._entropy_bonus(entropy, chosen, logged) / accumulated
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * router / accumulated
            self._note("aux_loss", self.accelerator.gather_for_metrics(router).mean().item())
        self._log(entropy.detach(), mask, weights)
        self._log_distance(inputs, logp.detach(), mask)
        return loss

    def _policy_loss(
        self, inputs: dict[str, Any], logp: Tensor, mask: Tensor, advantage: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The objective's loss with its gradient, and the weights on ∇log π [rows, T]."""
        order, size = self._order(inputs)

        def grouped(rows: Tensor | None) -> Any:
            return None if rows is None else _grouped(rows[order], size)

        now = logp.detach()
        rewards, keep, scale = (grouped(inputs.get(f"lab_{part}")) for part in ("rewards", "keep", "clip_scale"))
        weights, value = self.rules.weigh(
            grouped(now.double()), Scored(rewards, grouped(advantage), keep, scale), mask=grouped(mask),
            logp=grouped(inputs.get("old_per_token_logps", now).double()),
            logp_ref=grouped(inputs.get("ref_per_token_logps")), kl_beta=self.beta,
            kl_ratio=self.importance_sampling_level if self.args.use_bias_correction_kl else "",
            max_length=self.max_completion_length,
        )  # fmt: skip
        w = torch.empty_like(now)
        w[order] = torch.from_numpy(weights.reshape(now.shape)).to(now)
        surrogate = -(w * torch.where(mask, logp, 0.0)).sum()
        return surrogate - surrogate.detach() + value, w

    def _advantages(self, inputs: dict[str, Any], now: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
        """Advantages [rows] or [rows, T] times what TRL multiplies the loss of a token or of a rollout with."""
        advantage = inputs["advantages"]
        by_token = advantage if advantage.dim() > 1 else advantage[:, None]
        parts = [] if chosen is mask else [chosen.to(now)]
        if (limit := self.off_policy_mask_threshold) is not None:
            old = inputs.get("sampling_per_token_logps", inputs.get("old_per_token_logps", now))
            parts.append(self.get_off_policy_mask(by_token, now, old, mask.to(now), limit))
        if self.use_vllm and self.vllm_importance_sampling_correction:
            parts.append(inputs["importance_sampling_ratio"])
        if not parts:
            return advantage
        factor = torch.stack(torch.broadcast_tensors(*parts)).prod(0)
        if factors(self.rules.objective) == "rollout" and factor.size(1) > 1:
            factor = (factor * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        return (by_token * factor).squeeze(1) if max(by_token.size(1), factor.size(1)) == 1 else by_token * factor

    def _share(self, inputs: dict[str, Any], mask: Tensor, accumulated: float) -> Any:
        """What this part of the batch counts in the step: as much as any other, or by its tokens."""
        if not global_mean(self.args, self.rules.variant):
            return 1.0 / accumulated
        steps = accumulated / self.args.steps_per_generation if self.model.training else 1.0
        whole = inputs["num_items_in_batch"].clamp(min=1) / self.accelerator.num_processes * steps
        return (mask & inputs["lab_keep"][:, None]).sum() / whole

    def _entropy_bonus(self, entropy: Tensor, chosen: Tensor, policy: Tensor) -> Tensor:
        """Coefficient times mean entropy of the tokens, and TRL's control of the coefficient (Skywork-OR1)."""
        total, count = (entropy * chosen).sum(), chosen.sum()
        low = not self.use_adaptive_entropy or self._last_world_entropy <= self.args.entropy_target
        bonus = (self.entropy_coef if low else 0.0) * total / count.clamp(min=1)
        self._note("policy_loss", self.accelerator.gather(policy).nanmean().item())
        if self.model.training:
            if self.use_adaptive_entropy:
                self._control(torch.stack([total.detach(), count.to(total)]))
            if self.accelerator.sync_gradients:
                self._note("entropy_coef", self.entropy_coef)
        return bonus

    def _control(self, measured: Tensor) -> None:
        """Move the coefficient after the last part of a step, by the entropy of all its parts on all processes."""
        before = self._entropy_window_stats
        self._entropy_window_stats = measured if before is None else before + measured
        if self.accelerator.sync_gradients:
            total, count = self.accelerator.reduce(self._entropy_window_stats, reduction="sum")
            self._last_world_entropy = (total / count.clamp(min=1)).item()
            step = self.args.entropy_coef_delta
            if self._last_world_entropy <= self.args.entropy_target:
                self.entropy_coef = min(self.entropy_coef + step, self.args.entropy_coef_max)
            else:
                self.entropy_coef = max(self.entropy_coef - step, self.args.entropy_coef_min)
            self._entropy_window_stats = None

    def _order(self, inputs: dict[str, Any]) -> tuple[Tensor, int]:
        """Rows back in their groups, which TRL shuffles, and the group size; single rows where groups are cut."""
        size = self.num_generations if self.model.training else self.num_generations_eval
        order = inputs["lab_row"].argsort()
        group = inputs["lab_row"][order] // size
        if len(group) % size == 0 and bool((group.view(-1, size) == group.view(-1, size)[:, :1]).all()):
            return order, size
        if self.rules.needs_whole_groups():
            self.rules.refuse_parts()
        return order, 1

    def _note(self, name: str, value: float) -> None:
        self._metrics["train" if self.model.training else "eval"][name].append(value)

    def _log(self, entropy: Tensor, mask: Tensor, weights: Tensor) -> None:
        self._note("entropy", self._mean(entropy, mask))
        self._note("lab/zero_weight", self._mean((weights == 0).to(entropy), mask))

    def _log_distance(self, inputs: dict[str, Any], now: Tensor, mask: Tensor) -> None:
        """The estimate of the KL penalty and the shares of clipped tokens, under TRL's names."""
        old = inputs.get("old_per_token_logps", now)
        if self.beta:
            d, ratio = inputs["ref_per_token_logps"] - now, self._ratio(now - old, mask)
            self._note("kl", self._mean((d.exp() - d - 1) * ratio, mask))
        scale = inputs.get("lab_clip_scale")
        shares = self.rules.clipped(
            _grouped(now.double(), 1), _grouped(inputs["advantages"], 1), logp=_grouped(old, 1), mask=_grouped(mask, 1),
            clip_scale=None if scale is None else _grouped(scale, 1),
        )  # fmt: skip
        if shares is not None:
            low, high = (torch.from_numpy(x)[:, 0].to(now) for x in shares)
            for name, share in (("low", low), ("high", high), ("region", low + high)):
                self._note(f"clip_ratio/{name}_mean", self._mean(share, mask.sum(1)))
            self._note("clip_ratio/low_min", float(self.accelerator.gather(low).min()))
            self._note("clip_ratio/high_max", float(self.accelerator.gather(high).max()))

    def _ratio(self, log_ratio: Tensor, mask: Tensor) -> Tensor | float:
        """What the KL penalty is multiplied with."""
        if not self.args.use_bias_correction_kl:
            return 1.0
        if self.importance_sampling_level == "sequence":
            log_ratio = (log_ratio * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        return log_ratio.exp()

    def _mean(self, values: Tensor, weight: Tensor) -> float:
        """Mean of [rows] or [rows, T] over the rows of all processes."""
        own = torch.stack([(values * weight).sum(), weight.sum().to(values)])
        total, count = self.accelerator.reduce(own, reduction="sum")
        return float(total / count.clamp(min=1))


def _mask(batch: dict[str, Any]) -> Tensor:
    """The policy's own tokens [rows, T]: completions without what tools wrote."""
    mask = batch["completion_mask"]
    return (mask * batch["tool_mask"] if "tool_mask" in batch else mask).bool()


def _grouped(rows: Tensor, size: int) -> Any:
    """[rows, ...] -> NumPy [P, G, ...]."""
    return rows.detach().cpu().unflatten(0, (-1, size)).numpy()
