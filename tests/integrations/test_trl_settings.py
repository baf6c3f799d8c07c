"""What a GRPOConfig says of the loss acts in the lab's trainer as in TRL's own, or is refused by name."""

import pytest

pytest.importorskip("trl")

import datasets
import torch
import trl

from lab.errors import InputError
from lab.integrations.trl import GRPOTrainer
from lab.integrations.trl_settings import asked, check_asks
from lab.methods import Variant, variant

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

ROWS = 8


def configured(out, **settings):
    given = {
        "per_device_train_batch_size": ROWS, "num_generations": 4, "max_completion_length": 8, "report_to": [],
        "seed": 3, "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "disable_tqdm": True,
    }  # fmt: skip
    return trl.GRPOConfig(output_dir=str(out), **{**given, **settings})


def digits(completions, **_):
    return [sum(c.isdigit() for c in text) / 8 for text in completions]


def prepared(model, out, chosen, **settings):
    """A trainer in the middle of a step, and a batch that another policy and another engine have sampled."""
    data = datasets.Dataset.from_dict({"prompt": [f"{a}+{a}=" for a in range(ROWS)]})
    torch.manual_seed(0)
    trainer = GRPOTrainer(str(model), [digits], configured(out, **settings), data, variant=chosen)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 2
    batch = trainer._generate_and_score_completions([{"prompt": f"{a // 4}+{a // 4}="} for a in range(ROWS)])
    ids, seen = (torch.cat([batch[f"prompt_{x}"], batch[f"completion_{x}"]], 1) for x in ("ids", "mask"))
    length = batch["completion_ids"].size(1)
    now = trainer._get_per_token_logps_and_entropies(trainer.model, ids, seen, length)[0].detach()
    noise = torch.randn(2, *now.shape, generator=torch.Generator().manual_seed(1))
    batch["old_per_token_logps"] = now + 0.1 * noise[0]
    if trainer.beta:
        batch["ref_per_token_logps"] = now + 0.2 * noise[1]
    return trainer, batch


def measured(trainer, batch, compute):
    """Loss, gradient, and what the control of the entropy has become."""
    trainer.entropy_coef, trainer._last_world_entropy = trainer.args.entropy_coef, 1.0
    trainer._entropy_window_stats = None
    trainer._metrics["train"].clear()
    trainer.model.zero_grad()
    loss = compute(trainer.model, batch)
    loss.backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in trainer.model.parameters() if p.grad is not None])
    names = {"policy_loss", "entropy_coef", "aux_loss", "entropy", "kl"}
    if trainer.loss_type in CLIPS and trainer.importance_sampling_level == "token":
        names |= {f"clip_ratio/{part}" for part in ("low_mean", "low_min", "high_mean", "high_max", "region_mean")}
    told = {name: values for name, values in trainer._metrics["train"].items() if name in names}
    return loss.item(), gradient, told


def agrees(trainer, batch):
    ours = measured(trainer, batch, trainer._compute_loss)
    theirs = measured(trainer, batch, lambda *given: trl.GRPOTrainer._compute_loss(trainer, *given))
    assert ours[0] == pytest.approx(theirs[0], abs=2e-6)
    assert torch.allclose(ours[1], theirs[1], atol=2e-6) and theirs[1].abs().max() > 1e-3
    assert ours[2].keys() == theirs[2].keys()
    for name, values in theirs[2].items():
        assert ours[2][name] == pytest.approx(values, abs=2e-6)
    return theirs


CLIPS = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")
SEQUENCE = {"importance_sampling_level": "sequence", "use_bias_correction_kl": False}
SETTINGS = {
    "named by the loss alone: cispo": (None, {"loss_type": "cispo"}),
    "named by the loss alone: sapo": (None, {"loss_type": "sapo", "sapo_temperature_pos": 0.5}),
    "named by the level alone": (None, {**SEQUENCE, "loss_type": "dr_grpo", "epsilon_high": 0.01}),
    "luspo of tokens": (None, {"loss_type": "luspo"}),
    "dapo": ("ppo_clip", {"epsilon": 0.05, "epsilon_high": 0.1, "beta": 0.1}),
    "delta": ("ppo_clip", {"delta": 1.05, "epsilon": 0.02, "loss_type": "bnpo"}),
    "dr_grpo": ("ppo_clip", {"loss_type": "dr_grpo"}),
    "sapo": ("sapo", {"loss_type": "sapo", "sapo_temperature_pos": 0.5, "sapo_temperature_neg": 3.0}),
    "cispo": ("cispo", {"loss_type": "cispo", "epsilon_high": 1.05}),
    "vespo": ("vespo", {"loss_type": "vespo", "vespo_k_pos": 1.5, "vespo_lambda_pos": 1.0, "vespo_k_neg": 2.0,
                        "vespo_lambda_neg": 1.0}),
    "gspo": ("gspo", {**SEQUENCE, "loss_type": "grpo", "epsilon": 0.01, "epsilon_high": 0.02, "beta": 0.1}),
    "luspo": ("gspo", {**SEQUENCE, "loss_type": "luspo", "epsilon": 0.05}),
    "entropy of some tokens": ("ppo_clip", {"entropy_coef": 0.3, "top_entropy_quantile": 0.4, "beta": 0.1}),
    "entropy up to a target": ("ppo_clip", {"use_adaptive_entropy": True, "entropy_target": 1.5, "entropy_coef": 0.3,
                                            "entropy_coef_delta": 0.02, "entropy_coef_max": 0.31}),
    "entropy above its target": ("ppo_clip", {"use_adaptive_entropy": True, "entropy_target": 0.5, "entropy_coef": 0.3,
                                              "entropy_coef_min": 0.29}),
    "kl times the ratio of a rollout": ("gspo", {"importance_sampling_level": "sequence", "loss_type": "grpo",
                                                 "beta": 0.3, "epsilon": 0.3}),
    "the same, summed over tokens": ("gspo", {"importance_sampling_level": "sequence", "loss_type": "luspo",
                                              "beta": 0.3, "epsilon": 0.3}),
    "some tokens of a rollout": ("gspo", {**SEQUENCE, "top_entropy_quantile": 0.4, "loss_type": "grpo",
                                          "epsilon": 0.3}),
    "off-policy mask": ("ppo_clip", {"off_policy_mask_threshold": 0.005, "epsilon": 0.3}),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_acts_as_in_trl(tiny, tmp_path, name):
    objective, settings = SETTINGS[name]
    chosen = Variant("own", objective=objective) if objective else "grpo@trl"
    trainer, batch = prepared(tiny, tmp_path, chosen, **settings)
    told = agrees(trainer, batch)
    assert ("policy_loss" in told[2]) == name.startswith("entropy")


@pytest.mark.parametrize(("objective", "columns"), [("ppo_clip", 8), ("sapo", 1), ("gspo", 8)])
def test_the_correction_for_another_engine_acts_as_in_trl(tiny, tmp_path, objective, columns):
    level = {**SEQUENCE, "epsilon": 0.3} if objective == "gspo" else {"epsilon": 0.3} if objective == "ppo_clip" else {}
    loss = {"loss_type": "sapo" if objective == "sapo" else "grpo"}
    trainer, batch = prepared(tiny, tmp_path, Variant("own", objective=objective), **level, **loss)
    without = agrees(trainer, batch)
    columns = min(columns, batch["completion_ids"].size(1))
    trainer.use_vllm = True
    batch["importance_sampling_ratio"] = torch.linspace(0, 2, ROWS * columns).view(ROWS, columns)
    assert not torch.allclose(agrees(trainer, batch)[1], without[1], atol=1e-4)


def test_the_images_of_a_batch_reach_the_model(tiny, tmp_path, monkeypatch):
    trainer, batch = prepared(tiny, tmp_path, "grpo@trl")
    beside = {"pixel_values": 1, "image_grid_thw": 2, "num_images": 3, "image_sizes": 4, "mm_token_type_ids": 5}
    given = {}

    def scored(*_, **named):
        given.update(named)
        raise InterruptedError

    monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", scored)
    with pytest.raises(InterruptedError):
        trainer._compute_loss(trainer.model, batch | beside)
    assert {name: given[name] for name in beside} == beside and given["pixel_attention_mask"] is None


def test_completions_are_logged_with_the_advantages_that_were_used(tiny, tmp_path):
    trainer, batch = prepared(tiny, tmp_path, "dr_grpo")
    assert list(trainer._logs["advantages"]) == pytest.approx(batch["advantages"].tolist())
    assert sorted(set(trainer._logs)) == ["advantages", "completion", "extra", "images", "prompt", "rewards"]


@pytest.mark.parametrize(
    ("chosen", "settings", "words"),
    [
        ("sapo", {"epsilon": 0.1}, "epsilon=0.1.*'sapo'.*it has no clip"),
        ("gspo", {"delta": 2.0}, "delta=2.0.*no option delta"),
        ("grpo", {"sapo_temperature_pos": 2.0}, "sapo_temperature_pos=2.0.*no option tau_pos"),
        ("grpo", {"vespo_k_neg": 2.0}, "vespo_k_neg=2.0.*no option k_neg"),
        ("sapo", {"importance_sampling_level": "sequence"}, "'sequence'.*variant='gspo' has one ratio"),
        ("grpo", {"importance_sampling_level": "sequence", "delta": 2.0}, "delta=2.0.*no option delta"),
        ("dapo", {"loss_type": "sapo"}, "loss_type='sapo'.*variant='sapo' has it"),
        ("sapo", {"loss_type": "grpo"}, "loss_type='grpo'.*averages in a way of its own"),
        ("gmpo", {"loss_type": "luspo"}, "loss_type='luspo'.*variant='luspo' has it"),
        ("rloo", {"scale_rewards": "batch"}, "scale_rewards='batch'.*advantage rule 'rloo'"),
        ("rloo", {"multi_objective_aggregation": "normalize_then_sum"}, "variant='gdpo@trl' normalises each reward"),
        ("reg-grpo", {"top_entropy_quantile": 0.5}, "top_entropy_quantile=0.5.*possible with ppo_clip"),
        ("reg-grpo", {"off_policy_mask_threshold": 0.5}, "off_policy_mask_threshold=0.5.*possible with ppo_clip"),
        ("reg-grpo", {"use_vllm": True}, "vllm_importance_sampling_correction=True.*possible with ppo_clip"),
        ("vespo", {"use_vllm": True}, "vllm_importance_sampling_correction=True.*no place for it; set False"),
    ],
)
def test_a_setting_without_a_place_is_refused_by_name(tmp_path, chosen, settings, words):
    with pytest.raises(InputError, match=words):
        asked(configured(tmp_path, **settings), variant(chosen), {})


@pytest.mark.parametrize(
    ("chosen", "settings", "words"),
    [
        ("grpo-kl", {}, r"'grpo-kl' asks for kl_beta=0.04.*take GRPOConfig\(beta=0.04\).*options={'kl_beta': 0.0}"),
        ("grpo-kl", {"beta": 0.1}, r"take GRPOConfig\(beta=0.04\)"),
        ("grpo-kl:kl=k2", {"beta": 0.04}, "estimate k2 of the KL penalty.*use_bias_correction_kl"),
        (
            "mc-grpo",
            {"max_grad_norm": 0.2},
            r"max_grad_norm=1.*take GRPOConfig\(max_grad_norm=1\).*'max_grad_norm': None",
        ),
        ("dapo", {}, "'dapo' samples prompts again.*up to 3 times.*options={'refill': 0}"),
    ],
)
def test_what_a_variant_asks_of_the_loop_is_done_or_refused(tmp_path, chosen, settings, words):
    with pytest.raises(InputError, match=words):
        check_asks(configured(tmp_path, **settings), variant(chosen))
    with pytest.raises(InputError, match=words):
        GRPOTrainer("no model is loaded", [digits], configured(tmp_path, **settings), variant=chosen)


def test_what_trl_does_as_asked_or_is_left_to_it_passes(tmp_path):
    check_asks(trl.GRPOConfig, variant("mc-grpo"))
    check_asks(configured(tmp_path, beta=0.04), variant("grpo-kl"))
    check_asks(configured(tmp_path, beta=0.04, use_bias_correction_kl=False), variant("grpo-kl", kl="k2"))
    check_asks(configured(tmp_path, beta=0.1), variant("grpo-kl", kl_beta=0.0))
    check_asks(configured(tmp_path, beta=0.1, max_grad_norm=0.2), variant("grpo"))
    check_asks(configured(tmp_path, max_grad_norm=0.2), variant("mc-grpo", max_grad_norm=None))
    check_asks(configured(tmp_path), variant("dapo", refill=0))


def test_settings_become_options(tmp_path):
    config = configured(tmp_path, epsilon=0.1, loss_type="dr_grpo", scale_rewards=False)
    wanted = {
        "objective.clip_low": 0.1,
        "objective.clip_high": 0.1,
        "objective.aggregation": "seq-mean-token-sum-norm",
        "advantage.scale": "none",
    }
    assert asked(config, variant("grpo@trl"), {}) == wanted
    assert asked(config, variant("grpo@trl"), {"clip_low": 0.1}) == wanted
    with pytest.raises(InputError, match=r"objective\.clip_low=0\.1, options= for 0\.3"):
        asked(config, variant("grpo@trl"), {"objective.clip_low": 0.3})
    assert asked(configured(tmp_path), variant("gspo"), {}) == {}
    assert asked(configured(tmp_path, scale_rewards="none"), variant("dr_grpo"), {}) == {}
    named = asked(configured(tmp_path, importance_sampling_level="sequence", loss_type="luspo"), variant("gdpo"), {})
    assert named == {
        "objective": "gspo",
        "objective.clip_low": 0.2,
        "objective.clip_high": 0.2,
        "objective.aggregation": "seq-mean-token-sum",
    }
    several = configured(tmp_path, multi_objective_aggregation="normalize_then_sum")
    assert asked(several, variant("gdpo@trl"), {}) == {}
    assert asked(several, variant("grpo@trl"), {}) == {"advantage": "gdpo@trl"}
