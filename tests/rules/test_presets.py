"""The numbers of every published preset and method, as their papers and the trainers' code have them.

Whoever adds a preset or a method writes its numbers here a second time, read off the source and not off the lab.
"""

import pytest

import lab
from lab.composites import methods
from lab.registry import KINDS, rules

lab.variants()  # registers all of them

# By kind and base: what each preset has in another way than the base.
PRESETS = {
    ("advantage", "igpo"): {
        "igpo@separate": {"pool": "separate"},
    },
    ("advantage", "grpo"): {
        "grpo@trl": {},
        "grpo@trl-batch": {"scale": "batch"},
        "grpo@trl-none": {"scale": "none"},
        "grpo@verl": {"eps": 1e-06, "single": "raw"},
        "grpo@nemo-rl": {"eps": 1e-06},
        "grpo@openrlhf": {"eps": 1e-09},
        "grpo@rlhf-book": {"eps": 1e-08},
        "grpo@nano-aha-moment": {"ddof": 0},
        "grpo@grpo-zero": {"ddof": 0},
        "grpo@grpo-advantage": {"ddof": 0, "eps": 0.0},
    },
    ("advantage", "dr_grpo"): {
        "dr_grpo@verl": {"single": "raw"},
    },
    ("advantage", "gpg"): {
        "gpg@verl": {"single": "raw"},
    },
    ("advantage", "arenarl"): {
        "arenarl@round-robin": {"topology": "round-robin"},
        "arenarl@anchor": {"topology": "anchor"},
        "arenarl@unseeded": {"topology": "unseeded"},
        "arenarl@double-elimination": {"topology": "double-elimination"},
        "arenarl@swiss": {"topology": "swiss"},
    },
    ("advantage", "dr-mas"): {
        "dr-mas-global": {"pool": "all"},
        "dr-mas@zero-single": {"single": "zero"},
    },
    ("advantage", "flow-grpo"): {
        "flow-grpo@group-std": {"global_std": False},
    },
    ("advantage", "gdpo"): {
        "gdpo@trl": {},
        "gdpo@no-batch-norm": {"batch_norm": "none"},
        "gdpo@verl": {"eps": 1e-06, "batch_norm": "token", "single": "raw"},
        "gdpo@nemo-rl": {"eps": 1e-06, "batch_eps": 0.0},
        "gdpo@nemo-rl-leave-one-out": {"eps": 1e-06, "batch_eps": 0.0, "leave_out": True},
    },
    ("advantage", "golongrl-tmn"): {
        "golongrl-tmn@no-difficulty": {"gamma": 0.0},
        "golongrl-tmn@no-scale": {"scale": "none"},
    },
    ("advantage", "lare"): {
        "lare@step": {"form": "step"},
    },
    ("advantage", "mapo"): {
        "mapo@batch": {"pool": "batch"},
        "mapo@turn": {"alpha": 1.0},
        "mapo@immediate": {"alpha": 0.0},
    },
    ("advantage", "mc-grpo"): {
        "mc-grpo@gsm": {"rescale": True},
    },
    ("advantage", "thr"): {
        "thr@dominant": {"p": 0.0},
        "thr@explore": {"p": -0.1},
    },
    ("advantage", "vgpo"): {
        "vgpo@sample": {"omega": "sample"},
    },
    ("objective", "ppo_clip"): {
        "ppo_clip@verl": {"dual_clip": 3.0},
        "ppo_clip@trl": {},
        "ppo_clip@grpo": {"aggregation": "seq-mean-token-mean"},
        "ppo_clip@dr-grpo": {"aggregation": "seq-mean-token-sum-norm"},
        "ppo_clip@dapo": {"clip_high": 0.28},
        "ppo_clip@ngrpo": {"clip_low": 0.16, "clip_high": 0.24},
    },
    ("objective", "cispo"): {
        "cispo@trl": {"clip_low": 1.0, "clip_high": 4.0},
    },
    ("objective", "gspo"): {
        "gspo@trl": {},
        "luspo": {"aggregation": "seq-mean-token-sum"},
    },
    ("objective", "t-reg"): {
        "t-reg@static": {"static": True},
    },
    ("reward", "clip-delta"): {
        "process": {"form": "process"},
        "process-clip": {"form": "clip"},
        "process-delta": {"form": "delta"},
    },
    ("reward", "lsc-transform"): {
        "lsc-empirical": {"form": "empirical"},
    },
    ("reward", "par"): {
        "par-k2": {"k": 2.0},
        "par-k3": {"k": 3.0},
        "par-ref1": {"references": 1},
        "par-ref3": {"references": 3},
        "par-ref5": {"references": 5},
        "par-ref8": {"references": 8},
        "sgfc": {"shift": 3.0},
        "centered": {"shape": "line"},
        "tanh-centered": {"shape": "tanh"},
        "poly-centered": {"shape": "poly"},
    },
    ("reward", "sigmoid"): {
        "tanh": {"shape": "tanh"},
        "arctan": {"shape": "arctan"},
        "poly": {"shape": "poly"},
    },
    ("reward", "meanstd"): {
        "clip-meanstd": {"form": "clip"},
        "minmax": {"form": "minmax"},
    },
}  # fmt: skip

# Options that a method gives its rules, and what it asks of the loop.
METHODS = {
    "flow-grpo": {"max_grad_norm": 1.0},
    "vgpo": {"max_grad_norm": 1.0},
    "marble": {"objective": {"velocity_kl": 0.0}, "max_grad_norm": 1.0},
    "marble@amortised": {
        "objective": {"velocity_kl": 0.0}, "combine": {"every": 10, "ema": 0.35}, "max_grad_norm": 1.0,
    },
    "dapo": {"refill": 3},
    "grpo-kl": {"kl": "k3", "kl_beta": 0.04},
    "diffusion-nft": {"max_grad_norm": 1.0},
    "gdro": {"max_grad_norm": 1.0},
    "gdso": {"advantage": {"ddof": 0}},
    "gcpo": {"objective": {"aggregation": "seq-mean-token-mean"}},
    "mc-grpo": {"extra_rollouts": 1, "max_grad_norm": 1.0},
    "mc-grpo@gsm": {"extra_rollouts": 1, "max_grad_norm": 1.0},
    "mc-grpo-control": {"extra_rollouts": 1},
    "refine-rft": {"objective": {"aggregation": "seq-mean-token-mean"}},
    "par": {"advantage": {"eps": 1e-08}},
    "ensemble-uwo": {"reward": {"penalty": 0.1, "ddof": 1}},
    "semantic-reward": {"advantage": {"ddof": 0, "eps": 1e-08}},
    "toolrl": {"advantage": {"eps": 1e-06}},
    "grqo": {"kl": "k3", "kl_beta": 0.04},
    "dino-r1": {"kl": "k3", "kl_beta": 0.04},
    "reg-grpo": {"advantage": {"ddof": 0, "eps": 0.0}, "kl": "k3", "kl_beta": 0.1, "max_grad_norm": 1.0},
}  # fmt: skip


def presets():
    """Rules that are others with other defaults, by kind and base."""
    found = {}
    for kind in KINDS:
        bases = {}
        for rule in rules(kind).values():
            base = bases.setdefault(rule.function, rule)
            if base is not rule:
                other = {name: value for name, value in rule.options.items() if base.options[name] != value}
                found.setdefault((kind, base.name), {})[rule.name] = other
    return found


def test_presets_have_the_numbers_of_their_sources():
    assert presets() == PRESETS


def test_methods_have_the_numbers_of_their_papers():
    found = {}
    for name in methods():
        made = lab.variant(name)
        found[name] = {kind: dict(options) for kind, options in made.options.items() if options} | dict(made.asks)
    assert {name: facts for name, facts in found.items() if facts} == METHODS


@pytest.mark.parametrize(
    ("kind", "name", "numbers"),
    [
        ("advantage", "grpo", {"ddof": 1, "eps": 1e-4}),
        ("objective", "ppo_clip", {"clip_low": 0.2, "clip_high": 0.2, "dual_clip": None}),
        ("objective", "gspo", {"clip_low": 3e-4, "clip_high": 4e-4}),
        ("objective", "dino-r1", {"alpha": 0.01}),
    ],
)
def test_bases_have_them_too(kind, name, numbers):
    assert {option: rules(kind)[name].options[option] for option in numbers} == numbers
