"""The lab's rules inside TRL: with TRL's own rule every step agrees with plain TRL; others go their own way."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

import datasets
import torch
import trl

from lab.errors import InputError, MissingFieldError
from lab.integrations.trl import GRPOTrainer
from lab.methods import Variant

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
STEPS = 4


def digits(completions, **_):
    return [sum(c.isdigit() for c in text) / 8 for text in completions]


def short(completions, **_):
    return [float(len(text) < 6) for text in completions]


def trained(make, tiny, out, *, rewards=(digits,), **settings):
    given = {
        "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 8, "max_steps": STEPS,
        "learning_rate": 0.5, "optim": "sgd", "lr_scheduler_type": "constant", "logging_steps": 1, "report_to": [],
        "save_strategy": "no", "seed": 3, "use_cpu": True, "gradient_checkpointing": False, "bf16": False,
        "disable_tqdm": True,
    }  # fmt: skip
    data = datasets.Dataset.from_dict({"prompt": [f"{a}+{b}=" for a in range(4) for b in range(4)]})
    torch.manual_seed(0)
    args = trl.GRPOConfig(output_dir=str(out), **{**given, **settings})
    trainer = make(model=str(tiny), reward_funcs=list(rewards), args=args, train_dataset=data)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    weights = torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])
    return losses, weights, trainer


def ours(variant, **options):
    return lambda **given: GRPOTrainer(variant=variant, options=options, **given)


OWN = {
    "grpo": Variant("own", advantage="grpo@trl", objective="ppo_clip@grpo"),
    "dr_grpo": Variant("own", advantage="grpo@trl", objective="ppo_clip@dr-grpo"),
    "bnpo": Variant("own", advantage="grpo@trl", objective="ppo_clip@trl"),
}


@pytest.mark.parametrize("loss_type", OWN)
@pytest.mark.parametrize(
    "settings",
    [{}, {"num_iterations": 2, "beta": 0.05, "use_bias_correction_kl": False}, {"num_iterations": 2, "beta": 0.05}],
    ids=["plain", "two-epochs-kl", "kl-times-ratio"],
)
def test_with_trls_own_rule_every_step_is_trls(tiny, tmp_path, loss_type, settings):
    given = {"loss_type": loss_type, **settings}
    theirs, expected, _ = trained(trl.GRPOTrainer, tiny, tmp_path / "theirs", **given)
    losses, weights, _ = trained(ours(OWN[loss_type]), tiny, tmp_path / "ours", **given)
    assert len(losses) == STEPS and losses == pytest.approx(theirs, abs=2e-6)
    assert torch.allclose(weights, expected, atol=2e-5)
    start = torch.cat([p.detach().reshape(-1) for p in trained(trl.GRPOTrainer, tiny, tmp_path / "0", max_steps=1,
                                                              learning_rate=0.0)[2].model.parameters()])  # fmt: skip
    assert (weights - start).abs().max() > 1e-3, "the policy moved"


@pytest.mark.parametrize("variant", ["gdpo", "mc-grpo-control", "reg-grpo", "dapo", "grpo-s", "dno", "gspo"])
def test_other_variants_train_with_several_rewards(tiny, tmp_path, variant):
    asks = {"refill": 0} if variant == "dapo" else {}
    beta = {"beta": 0.1} if variant == "reg-grpo" else {}
    losses, weights, trainer = trained(ours(variant, **asks), tiny, tmp_path, rewards=(digits, short), **beta)
    assert len(losses) == STEPS and weights.isfinite().all()
    assert "lab/zero_weight" in trainer.state.log_history[0]


def test_shuffled_parts_of_groups_are_put_together_or_refused(tiny, tmp_path):
    whole = {"per_device_train_batch_size": 16, "beta": 0.1}
    losses, _, _ = trained(ours("reg-grpo"), tiny, tmp_path, **whole)
    assert len(losses) == STEPS
    parts = {"beta": 0.1, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    with pytest.raises(InputError, match="couples the rollouts"):
        trained(ours("reg-grpo"), tiny, tmp_path, **parts)


def test_a_rule_without_its_field_is_refused(tiny, tmp_path):
    with pytest.raises(MissingFieldError, match="greedy_rewards"):
        trained(ours("remax"), tiny, tmp_path)


def test_groups_that_two_processes_share_are_trls_too(tiny, tmp_path):
    """Four rows a process in groups of eight: each process has half of every group."""
    script = Path(__file__).with_name("two_processes.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for which in ("lab", "trl"):
        shared = os.environ | {
            "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        command = [sys.executable, "-W", "ignore", str(script), str(tiny), str(tmp_path), which]
        both = [
            subprocess.Popen(command, env=shared | {"RANK": str(r), "LOCAL_RANK": str(r)}, stdout=subprocess.DEVNULL,
                             stderr=(tmp_path / f"{which}-{r}.log").open("w"))
            for r in range(2)
        ]  # fmt: skip
        codes = [each.wait(timeout=300) for each in both]
        assert codes == [0, 0], (tmp_path / f"{which}-0.log").read_text()[-2000:]
    told = {name: torch.load(tmp_path / f"{name}.pt") for name in ("lab-0", "lab-1", "trl-0")}
    assert torch.equal(told["lab-0"]["weights"], told["lab-1"]["weights"])
    assert told["lab-0"]["losses"] == pytest.approx(told["trl-0"]["losses"], abs=2e-6)
    assert torch.allclose(told["lab-0"]["weights"], told["trl-0"]["weights"], atol=2e-5)
