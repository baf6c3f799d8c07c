"""Measurements: rollouts, advantages and gradients in, numbers out. Each has one definition, written once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.diagnostics.advantage import (
        advantage_spread,
        distinct_levels,
        effective_rollouts,
        largest_advantage,
        no_signal_share,
        sign_flip_rate,
    )
    from lab.diagnostics.agents import agent_spikes, agent_tails
    from lab.diagnostics.alike import answer_rows, same_answers
    from lab.diagnostics.blending import blend_policies, blend_study
    from lab.diagnostics.collapse import level_counts, signal_study
    from lab.diagnostics.distance_regret import distance_study, regret_correlations
    from lab.diagnostics.field_samples import field_table, sample_fields
    from lab.diagnostics.gains import half_gains
    from lab.diagnostics.gold import parting
    from lab.diagnostics.gradient import clip_norm, cosine, norm, relative_error, spikes
    from lab.diagnostics.implied_reward import implied_distance, implied_reward_study
    from lab.diagnostics.messages import message_study
    from lab.diagnostics.redistribution import (
        redistributed_episode,
        redistribution_study,
        redistribution_training,
    )
    from lab.diagnostics.reward_hacking import hacking_study
    from lab.diagnostics.reward_pairs import reward_map, reward_pair, reward_walk
    from lab.diagnostics.rollouts import recorded
    from lab.diagnostics.shaping import shaping_policies, shaping_scores, shaping_study
    from lab.diagnostics.sign_flips import sign_flip_study
    from lab.diagnostics.tokens import token_weights, weight_spread
    from lab.diagnostics.what_if import advantage_summary, advantage_table
    from lab.diagnostics.your_run import diagnose

_HOME = {
    "advantage": ("advantage_spread", "distinct_levels", "effective_rollouts", "largest_advantage", "no_signal_share",
                  "sign_flip_rate"),
    "agents": ("agent_spikes", "agent_tails"),
    "alike": ("answer_rows", "same_answers"),
    "blending": ("blend_policies", "blend_study"),
    "collapse": ("level_counts", "signal_study"),
    "distance_regret": ("distance_study", "regret_correlations"),
    "field_samples": ("field_table", "sample_fields"),
    "gains": ("half_gains",),
    "gold": ("parting",),
    "gradient": ("clip_norm", "cosine", "norm", "relative_error", "spikes"),
    "implied_reward": ("implied_distance", "implied_reward_study"),
    "messages": ("message_study",),
    "redistribution": ("redistributed_episode", "redistribution_study", "redistribution_training"),
    "reward_hacking": ("hacking_study",),
    "reward_pairs": ("reward_map", "reward_pair", "reward_walk"),
    "rollouts": ("recorded",),
    "shaping": ("shaping_policies", "shaping_scores", "shaping_study"),
    "sign_flips": ("sign_flip_study",),
    "tokens": ("token_weights", "weight_spread"),
    "what_if": ("advantage_summary", "advantage_table"),
    "your_run": ("diagnose",),
}  # fmt: skip

__all__ = [
    "advantage_spread", "advantage_summary", "advantage_table", "agent_spikes", "agent_tails", "answer_rows",
    "blend_policies", "blend_study", "clip_norm", "cosine", "diagnose", "distance_study", "distinct_levels",
    "effective_rollouts", "field_table", "hacking_study", "half_gains", "implied_distance", "implied_reward_study",
    "largest_advantage", "level_counts", "message_study", "no_signal_share", "norm", "parting", "recorded",
    "redistributed_episode",
    "redistribution_study", "redistribution_training", "regret_correlations", "relative_error", "reward_map",
    "reward_pair", "reward_walk", "same_answers", "sample_fields", "shaping_policies", "shaping_scores",
    "shaping_study", "sign_flip_rate", "sign_flip_study", "signal_study", "spikes", "token_weights", "weight_spread",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, members in _HOME.items():
        if name in members:
            return getattr(importlib.import_module(f"lab.diagnostics.{module}"), name)
    raise AttributeError(f"module 'lab.diagnostics' has no attribute {name!r}")
