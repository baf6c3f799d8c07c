"""What a GRPOConfig of TRL asks of the loss, which the lab's rules replace: their options, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.errors import InputError
from lab.methods import Variant
from lab.registry import Rule, find

__all__ = ["asked", "check_asks", "factors", "global_mean"]

#: Constants of TRL's losses -> options of objectives.
_CONSTANTS = {
    "delta": "delta",
    "sapo_temperature_pos": "tau_pos",
    "sapo_temperature_neg": "tau_neg",
    "vespo_k_pos": "k_pos",
    "vespo_lambda_pos": "lambda_pos",
    "vespo_k_neg": "k_neg",
    "vespo_lambda_neg": "lambda_neg",
}
_AVERAGES = {"grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm", "bnpo": "token-mean"}
_OTHER_LOSSES = ("cispo", "sapo", "vespo")
_LOSS = ("loss_type", "epsilon", "epsilon_high", "importance_sampling_level", *_CONSTANTS)
_REWARDS = ("scale_rewards", "multi_objective_aggregation")

#: Objectives whose loss is proportional to the advantage, of each token or of a whole rollout.
_BY_TOKEN = ("ppo_clip", "cispo", "sapo", "vespo", "gpg")
_BY_ROLLOUT = ("gspo", "gmpo")


def asked(config: Any, variant: Variant, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a variant's rules that a configuration sets, named as in `Variant.with_options`.

    A setting counts as set where it differs from TRL's default. A variant that leaves the objective at `ppo_clip`, or
    the advantage at GRPO's, gets the rule that `loss_type`, `importance_sampling_level` and
    `multi_objective_aggregation` name.

    Args:
        config: A `trl.GRPOConfig`.
        variant: The variant.
        given: The options that the caller gives.

    Raises:
        InputError: A setting has no place in the variant's rules, or `given` says otherwise.
    """
    changed = {
        name: value for name in (*_LOSS, *_REWARDS) if (value := getattr(config, name)) != _default(config, name)
    }
    chosen = _chosen(config, changed, variant)
    made = variant.with_options(**chosen)
    wanted: dict[str, Any] = dict(chosen)
    wanted |= {f"objective.{k}": v for k, v in _of_the_objective(changed, _rule(made, "objective")).items()}
    wanted |= {f"advantage.{k}": v for k, v in _of_the_advantage(changed, _rule(made, "advantage")).items()}
    wanted |= {f"objective.{k}": v for k, v in _clip_of(config, chosen.get("objective")).items()}
    _check_factors(config, _rule(made, "objective"))
    for name, value in wanted.items():
        other = given.get(name, given.get(name.partition(".")[2], value))
        if other != value:
            raise InputError(f"GRPOConfig asks for {name}={value!r}, options= for {other!r}; set one of them")
    return wanted


def check_asks(config: Any, variant: Variant) -> None:
    """Refuse what a variant asks of a training loop where TRL's loop would do something else.

    TRL has a KL penalty and a largest gradient norm of its own, which must be the variant's; it samples no prompts
    again.

    Args:
        config: A `trl.GRPOConfig`, or the class, for its defaults.
        variant: The variant, with the options that the caller gives.

    Raises:
        InputError: They differ; the message says how either can be had.
    """
    own = {"kl_beta": (variant.kl_beta if variant.kl else 0.0, "beta", 0.0),
           "max_grad_norm": (variant.max_grad_norm, "max_grad_norm", None)}  # fmt: skip
    for ask, (wanted, setting, nothing) in own.items():
        if wanted not in (nothing, getattr(config, setting)):
            raise InputError(
                f"variant {variant.name!r} asks for {ask}={wanted:g}, which TRL's configuration sets: take "
                f"GRPOConfig({setting}={wanted:g}), or leave it to the configuration by options={{{ask!r}: {nothing}}}"
            )
    if config.beta and config.use_bias_correction_kl and variant.kl not in (None, "k3"):
        raise InputError(
            f"variant {variant.name!r} asks for the estimate {variant.kl} of the KL penalty, but with "
            "use_bias_correction_kl TRL's is k3 times the ratio; set it to False"
        )
    if variant.refill:
        raise InputError(
            f"variant {variant.name!r} samples prompts again in the place of those that its filter drops, up to "
            f"{variant.refill} times, which TRL does not; with options={{'refill': 0}} they only are left out"
        )


def _chosen(config: Any, changed: Mapping[str, Any], variant: Variant) -> dict[str, str]:
    """The rules that a configuration names in the place of those that the variant leaves as they are."""
    found = {}
    if variant.objective == "ppo_clip" and not variant.options["objective"]:
        sequence = config.importance_sampling_level == "sequence"
        if config.loss_type in _OTHER_LOSSES:
            found["objective"] = config.loss_type
        elif sequence:
            found["objective"] = "gspo"
    if "multi_objective_aggregation" in changed and _family(_rule(variant, "advantage"), "grpo"):
        found["advantage"] = "gdpo@trl"
    return found


def _clip_of(config: Any, objective: str | None) -> dict[str, Any]:
    """TRL's clip and average for an objective that the configuration has chosen, set or not."""
    high = config.epsilon if config.epsilon_high is None else config.epsilon_high
    if objective == "cispo":
        return {"clip_low": 1.0, "clip_high": high - 1.0}
    if objective != "gspo":
        return {}
    average = {"dapo": "token-mean", "luspo": "seq-mean-token-sum", **_AVERAGES}[config.loss_type]
    return {"clip_low": config.epsilon, "clip_high": high, "aggregation": average}


def _default(config: Any, name: str) -> Any:
    """TRL's own default, whatever a class of the user's makes of it."""
    declared = (getattr(cls, "__dataclass_fields__", {}) for cls in reversed(type(config).__mro__))
    return next(fields[name].default for fields in declared if name in fields)


def _rule(variant: Variant, kind: str) -> Rule:
    rule = variant.rule(kind)
    assert rule is not None
    return rule


def _of_the_objective(changed: Mapping[str, Any], objective: Rule) -> dict[str, Any]:
    level, own = changed.get("importance_sampling_level"), _family(objective, *_BY_TOKEN, *_BY_ROLLOUT)
    if level == "sequence" and own not in (*_BY_ROLLOUT, "vespo"):
        raise _refused("importance_sampling_level", level, objective, "variant='gspo' has one ratio for a rollout")
    constants = {name: option for name, option in _CONSTANTS.items() if name in changed}
    for name, option in constants.items():
        if option not in objective.options:
            raise _refused(name, changed[name], objective, f"it has no option {option}")
    found = {option: changed[name] for name, option in constants.items()}
    return found | _clip(changed, objective) | _loss(changed, objective, own)


def _clip(changed: Mapping[str, Any], objective: Rule) -> dict[str, Any]:
    """The range of the clip; epsilon alone holds on both sides, and CISPO's is a cap on the ratio, as in TRL."""
    low, high = changed.get("epsilon"), changed.get("epsilon_high", changed.get("epsilon"))
    if low is None and high is None:
        return {}
    name = "epsilon" if low is not None else "epsilon_high"
    if _family(objective, "cispo"):
        return {"clip_low": 1.0, "clip_high": high - 1.0}
    if not {"clip_low", "clip_high"} <= objective.options.keys():
        raise _refused(name, changed[name], objective, "it has no clip")
    return {option: value for option, value in (("clip_low", low), ("clip_high", high)) if value is not None}


def _loss(changed: Mapping[str, Any], objective: Rule, own: str | None) -> dict[str, Any]:
    """What loss_type says: another average over tokens, or an objective that the variant must have."""
    kind = changed.get("loss_type")
    if kind in _AVERAGES and own not in _OTHER_LOSSES and "aggregation" in objective.options:
        return {"aggregation": _AVERAGES[kind]}
    if kind == "luspo" and own in ("gspo", "ppo_clip"):
        return {"aggregation": "seq-mean-token-sum"}
    if kind is None or kind == own:
        return {}
    advice = f"variant={kind!r} has it" if kind in (*_OTHER_LOSSES, "luspo") else "it averages in a way of its own"
    raise _refused("loss_type", kind, objective, advice)


def _of_the_advantage(changed: Mapping[str, Any], advantage: Rule) -> dict[str, Any]:
    """What becomes of the rewards; the lab's advantage rule takes the place of all of it."""
    scale, several = changed.get("scale_rewards"), changed.get("multi_objective_aggregation")
    if several is not None and not _family(advantage, "gdpo"):
        raise _refused("multi_objective_aggregation", several, advantage, "variant='gdpo@trl' normalises each reward")
    if scale is None or several is not None or (scale == "none" and _family(advantage, "dr_grpo")):
        return {}  # TRL itself reads one of the two alone
    if not _family(advantage, "grpo"):
        raise _refused("scale_rewards", scale, advantage, "it divides by what its paper says")
    return {"scale": scale}


def _family(rule: Rule, *names: str) -> str | None:
    """Which of these the rule is, whatever its preset."""
    return next((name for name in names if find(rule.kind, name).function is rule.function), None)


def _refused(name: str, value: Any, rule: Rule, why: str) -> InputError:
    return InputError(
        f"GRPOConfig({name}={value!r}) has no place in {rule.kind} rule {rule.name!r}, which stands in for TRL's: {why}"
    )


def factors(objective: Rule) -> str | None:
    """How factors on the loss of each token act: "token" and "rollout" on its advantage, None: nobody can say."""
    own = _family(objective, *_BY_TOKEN, *_BY_ROLLOUT)
    return None if own is None else "token" if own in _BY_TOKEN else "rollout"


def _check_factors(config: Any, objective: Rule) -> None:
    """Refuse what multiplies the loss of each token where the objective's is not proportional to an advantage."""
    corrects = config.use_vllm and config.vllm_importance_sampling_correction
    used = {
        "top_entropy_quantile": config.top_entropy_quantile < 1.0,
        "off_policy_mask_threshold": config.off_policy_mask_threshold is not None,
        "vllm_importance_sampling_correction": corrects,
    }
    for name, on in used.items():
        if on and factors(objective) is None:
            may = ", ".join((*_BY_TOKEN, *_BY_ROLLOUT))
            raise _refused(name, getattr(config, name), objective, f"possible with {may}")
    if corrects and _family(objective, "vespo"):
        raise _refused(
            "vllm_importance_sampling_correction", True, objective, "its ratio has no place for it; set False"
        )


def global_mean(config: Any, variant: Variant) -> bool:
    """Whether a mean over tokens is one over the accumulated batch of all processes, and not over each part of it."""
    return variant.given("objective").get("aggregation") == "token-mean" and config.loss_type != "bnpo"
