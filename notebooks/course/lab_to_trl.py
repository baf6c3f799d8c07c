# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From the lab to TRL
#
# **Question.** A rule looked good in the lab. How does it get into a trainer that people use, and how does one know
# that it is still the same rule there?
#
# **Kept:** TRL's own `GRPOTrainer` with its sampling, rewards, optimizer, logging and checkpoints. **Left out:** a
# model that knows anything: a Llama of two layers with random weights and a tokenizer of characters are made here, so
# nothing is downloaded. With `MODEL` set to a name or a folder the rest works as it stands. **Time:** ten minutes to
# read, about a minute to run. It needs TRL (`pip install 'advantage-lab[trl]'`).

# %%
import os
import tempfile
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # take this line out to fetch a model by name
warnings.filterwarnings("ignore")

import datasets
import numpy as np
import torch
import transformers
import trl
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import lab
from lab.errors import LabError
from lab.integrations.rules import FIELDS
from lab.integrations.trl import GRPOTrainer

torch.set_num_threads(1)  # quicker for so small a model
STEPS = 3  # 500 and a pretrained model for a run that learns something
FOLDER = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A tiny model on disk

# %%
words = {c: i for i, c in enumerate(["<pad>", "<eos>", "<unk>", *"0123456789+= abc"])}
tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
).save_pretrained(FOLDER / "tiny")
torch.manual_seed(0)
shape = transformers.LlamaConfig(
    vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=1,
)  # fmt: skip
transformers.LlamaForCausalLM(shape).save_pretrained(FOLDER / "tiny")
MODEL = FOLDER / "tiny"

# %% [markdown]
# ## Two rewards and a trainer
#
# Rewards are functions of the completions, as TRL takes them. The lab's trainer is TRL's with one more argument: the
# name of a variant.


# %%
def digits(completions, **_):
    """The share of digits, of eight characters."""
    return [sum(c.isdigit() for c in text) / 8 for text in completions]


def short(completions, **_):
    """Whether a completion has fewer than six characters."""
    return [float(len(text) < 6) for text in completions]


def trained(kind, name, **own):
    """A run of a trainer: its losses, and the trainer."""
    torch.manual_seed(0)
    args = trl.GRPOConfig(
        output_dir=str(FOLDER / name), per_device_train_batch_size=8, num_generations=4, max_completion_length=8,
        max_steps=STEPS, learning_rate=0.5, optim="sgd", lr_scheduler_type="constant", logging_steps=1, report_to=[],
        save_strategy="no", seed=3, use_cpu=True, gradient_checkpointing=False, bf16=False, disable_tqdm=True,
        loss_type="dr_grpo",
    )  # fmt: skip
    data = datasets.Dataset.from_dict({"prompt": [f"{a}+{b}=" for a in range(4) for b in range(4)]})
    trainer = kind(model=str(MODEL), reward_funcs=[digits, short], args=args, train_dataset=data, **own)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row], trainer


# %% [markdown]
# ## Is it the same?
#
# First the rule that TRL has itself, in the lab's words: GRPO's advantage as TRL computes it, and the objective of its
# `loss_type`. Losses and weights must agree with plain TRL at each step; only then does another rule mean anything.

# %%
theirs, plain = trained(trl.GRPOTrainer, "plain")
same = lab.Variant("same", advantage="grpo@trl", objective="ppo_clip@dr-grpo")
ours, mine = trained(GRPOTrainer, "same", variant=same)
apart = max(
    float((a.detach() - b.detach()).abs().max())
    for a, b in zip(plain.model.parameters(), mine.model.parameters(), strict=True)
)
print("losses of TRL:", theirs, "losses here:", ours, "largest difference of a weight:", apart, sep="\n")

# %% [markdown]
# ## Another rule
#
# GDPO normalises each reward on its own before it adds them. One word changes:

# %%
losses, _ = trained(GRPOTrainer, "gdpo", variant="gdpo")
losses

# %% [markdown]
# ## What cannot go along
#
# Rules that read more than TRL knows are refused before anything is sampled, with the names of what they lack.

# %%
print("TRL knows:", ", ".join(sorted(FIELDS)))
try:
    GRPOTrainer(variant="remax")
except LabError as refusal:
    print(refusal)

# %% [markdown]
# ## And back: a log of TRL in the lab
#
# With `log_completions=True` TRL writes each completion with its rewards and advantages. The lab reads such a folder,
# finds the rule that made the advantages, and says what the others would have given. A small real log comes with it:

# %%
table = lab.load(lab.logs.bundled()["two_rewards"])
found = lab.diagnose(table)
print(*found.findings, sep="\n")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** TRL adds 1e-4 to the deviation. Eight equal rewards but one that is larger by 0.0001: what is the largest
# advantage under `grpo@trl`? (In the lab's float64.)

# %%
answer_1 = None

# %%
if answer_1 is not None:
    expected = lab.advantages.compute("grpo@trl", [0.5] * 7 + [0.5001]).max()
    print("right" if abs(answer_1 - expected) < 0.01 else "not yet: 8.75e-05 over a deviation of 3.5e-05 and 1e-4")

# %% [markdown]
# **2.** Which share of the groups of the bundled log `two_rewards` has equal rewards?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    print("right" if abs(answer_2 - found.no_signal) < 1e-6 else "not yet: found has a property for it")

# %% [markdown]
# **3.** Write a rule in this notebook and hand its name to TRL: the reward minus the median of its group.


# %%
@lab.advantage(name="median-baseline")
def median_baseline(rewards):
    """A = R − median(R); rewards [..., P, G]."""
    return None  # your line


# %%
if median_baseline(np.zeros((1, 4))) is not None:
    good = np.allclose(lab.advantages.compute("median-baseline", [0.0, 1.0, 1.0, 3.0]), [-1, 0, 0, 2])
    losses, _ = trained(GRPOTrainer, "median", variant="median-baseline")
    print("right" if good and len(losses) == STEPS else "not yet: np.median over the last axis, keepdims=True")

# %% [markdown]
# The same rules on logged rewards in the dashboard: `make lab`, page **My run**, log *two_rewards*.
