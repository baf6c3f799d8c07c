"""TRL's GRPOTrainer with any advantage rule and objective of the lab.

    from lab.integrations.trl import GRPOTrainer
    trainer = GRPOTrainer(model, reward_funcs=..., args=GRPOConfig(...), train_dataset=..., variant="gdpo")

Sampling, rewards, optimizer, logging and checkpoints are TRL's. What comes between rewards and gradient is the lab's:
the loss that is differentiated is −Σ w log π with the weights w of the variant's objective held fixed, and the loss
that is logged is the objective's own. A KL penalty is switched on by TRL's `beta`, because TRL holds the reference
model, and multiplied with the ratio where `use_bias_correction_kl` says so, as it does by default. With several
processes the rules see the groups of all of them, and each process weighs its own rollouts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from trl import GRPOTrainer as Plain

from lab.integrations.rules import Rules, Scored
from lab.methods import Variant

__all__ = ["GRPOTrainer"]


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
        InputError: While training: an objective that couples the rollouts of a group got parts of groups.
    """

    def __init__(
        self, *args: Any, variant: str | Variant = "grpo@trl", options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        self.rules = Rules(variant, **(options or {}))
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
        batch["lab_row"] = own
        batch["lab_keep"], batch["lab_rewards"] = rows(scored.keep), rows(scored.rewards)
        if scored.clip_scale is not None:
            batch["lab_clip_scale"] = rows(scored.clip_scale)
        return batch

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        seen = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        length = inputs["completion_ids"].size(1)
        logp, entropy, _ = self._get_per_token_logps_and_entropies(model, ids, seen, length, compute_entropy=True)
        order, size = self._order(inputs)

        def grouped(rows: Tensor | None) -> Any:
            return None if rows is None else _grouped(rows[order], size)

        mask, now = _mask(inputs), logp.detach()
        parts = ("lab_rewards", "advantages", "lab_keep", "lab_clip_scale")
        rewards, advantage, keep, scale = (grouped(inputs.get(part)) for part in parts)
        weights, value = self.rules.weigh(
            grouped(now.double()), Scored(rewards, advantage, keep, scale), mask=grouped(mask),
            logp=grouped(inputs.get("old_per_token_logps", now).double()),
            logp_ref=grouped(inputs.get("ref_per_token_logps")), kl_beta=self.beta,
            kl_ratio=self.args.use_bias_correction_kl, max_length=self.max_completion_length,
        )  # fmt: skip
        w = torch.empty_like(now)
        w[order] = torch.from_numpy(weights.reshape(now.shape)).to(now)
        surrogate = -(w * torch.where(mask, logp, 0.0)).sum()
        self._log(entropy, mask, w)
        loss = surrogate - surrogate.detach() + value
        return loss / (self.current_gradient_accumulation_steps if self.model.training else 1.0)

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

    def _log(self, entropy: Tensor, mask: Tensor, weights: Tensor) -> None:
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["entropy"].append(float((entropy * mask).sum() / mask.sum().clamp(min=1)))
        metrics["lab/zero_weight"].append(float(((weights == 0) & mask).sum() / mask.sum().clamp(min=1)))


def _mask(batch: dict[str, Any]) -> Tensor:
    """The policy's own tokens [rows, T]: completions without what tools wrote."""
    mask = batch["completion_mask"]
    return (mask * batch["tool_mask"] if "tool_mask" in batch else mask).bool()


def _grouped(rows: Tensor, size: int) -> Any:
    """[rows, ...] -> NumPy [P, G, ...]."""
    return rows.detach().cpu().unflatten(0, (-1, size)).numpy()
