"""Trains one variant on two gloo processes; the first one keeps losses and weights: folder, out, "lab" or "trl"."""

import os
import sys
from pathlib import Path

import datasets
import torch
import trl

from lab.integrations.trl import GRPOTrainer
from lab.methods import Variant


def main(model: str, out: str, which: str) -> None:
    """Three steps of four rows a process in groups of eight, so that every group lies in both."""
    torch.set_num_threads(1)
    data = datasets.Dataset.from_dict({"prompt": [f"{a}+{b}=" for a in range(4) for b in range(4)]})
    args = trl.GRPOConfig(
        output_dir=f"{out}-{which}", per_device_train_batch_size=4, num_generations=8, max_completion_length=6,
        max_steps=3, learning_rate=0.5, optim="sgd", lr_scheduler_type="constant", logging_steps=1, report_to=[],
        save_strategy="no", seed=3, use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True,
        loss_type="grpo",
    )  # fmt: skip
    given = {"model": model, "reward_funcs": digits, "args": args, "train_dataset": data}
    own = Variant("own", advantage="grpo@trl", objective="ppo_clip@grpo")
    torch.manual_seed(int(os.environ["RANK"]))
    trainer = GRPOTrainer(variant=own, **given) if which == "lab" else trl.GRPOTrainer(**given)
    trainer.train()
    weights = torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    torch.save({"weights": weights, "losses": losses}, Path(out) / f"{which}-{os.environ['RANK']}.pt")


def digits(completions, **_):
    """Share of digits."""
    return [sum(c.isdigit() for c in text) / 6 for text in completions]


if __name__ == "__main__":
    main(*sys.argv[1:])
