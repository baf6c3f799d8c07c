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
# # PAR: does a curve protect a reward from being hacked?
#
# **Question.** A learned reward is right near its data and wrong far out. Whoever maximises it goes far out. PAR does
# not pay the score itself but the chance of being preferred to a reference answer: a curve that is steep near the
# references and flat beyond them. Does that help, and is it the curve or only its scale?
#
# **Kept** of the paper (arXiv 2502.18770): PAR with its references and its steepness, and every shaping that it is
# compared with. **Left out:** language models, their judge, PPO with its critic, reward models that are better in
# themselves. A prompt has 256 possible answers here, and policies over them are exact. **Time:** fifteen minutes to
# read, ten seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, curves
from lab.papers import recorded
from lab.studies.candidates import hackable, shaped, tilted
from lab.trace import summarise

QUICK = True  # False: as many draws as the recorded verdicts, and the headline measured again
_ = pl.Config(tbl_rows=20, tbl_cols=10, fmt_str_lengths=90)

# %% [markdown]
# ## The mechanism
#
# A row for each prompt: scores r of its answers, and scores of ten answers of the first policy, the references.


# %%
def par(r, references, k=1.0):
    """Rewards [P, G] of scores [P, G] beside those of references [P, M]."""
    lead = r[:, :, None] - references[:, None, :]
    return (1 / (1 + np.exp(-k * lead))).mean(axis=-1)


# %%
rng = np.random.default_rng(0)
r, references = rng.normal(size=(4, 8)), rng.normal(size=(4, 10))
for k, name in ((1.0, "par"), (3.0, "par-k3")):
    theirs = lab.rewards.apply(name, r, reference_rewards=references)[..., 0]
    np.testing.assert_allclose(par(r, references, k), theirs)
print("both agree with the lab's")

# %% [markdown]
# By hand: a score as high as its one reference earns ½, one that is log 3 = 1.1 higher earns ¾, one that is 5 higher
# 0.993. From there on nothing is to be won, wherever the answer goes.

# %%
par(np.array([[0.0, np.log(3), 5.0, 50.0]]), np.zeros((1, 1))).round(3)

# %% [markdown]
# ## A reward that can be hacked
#
# An answer has a quality q and something else, h, which the proxy likes as well. A little of h does no harm; beyond 1
# it costs, and the more the further: gold is $q - 2.4 \max(h - 1, 0)^2$, the proxy $q + h$ and some noise. The best
# policy for a reward u at a KL of so many nats is proportional to $e^{u/\beta}$; nothing is sampled.

# %%
answers = hackable(range(8 if QUICK else 24))
raw = answers.proxy[..., 0]


def over_raw(name, kls=(0.25, 0.5, 1.0, 2.0, 3.0), **options):
    """Gold above that of the raw reward at each KL: a row for each draw and KL."""
    rows = []
    for kl in kls:
        gold = [(tilted(u, kl) * answers.gold).sum(-1).mean(-1) for u in (shaped(name, answers, **options), raw)]
        rows += [{"variant": name, "seed": i, "step": kl, "gold": lead} for i, lead in enumerate(gold[0] - gold[1])]
    return pl.DataFrame(rows)


names = ("par", "centered", "meanstd", "minmax", "lsc-transform")
found = pl.concat([over_raw(name) for name in names] + [over_raw("sgfc", k=3.0)])
found.group_by("variant", "step", maintain_order=True).agg(pl.col("gold").mean().round(3)).pivot(
    "step", index="variant", values="gold"
)

# %% [markdown]
# **Affine shapings do nothing.** Centred, standardised, from 0 to 1: at an equal KL they are the raw reward, and so
# they are for GRPO, which standardises anyway. **A curve does something**: PAR has more gold at every KL. And not every
# curve will do: *sgfc* grows slowly and converges fast, its middle three above the references, and is worse than raw.

# %%
curves(
    summarise(found, ["gold"]), metric="gold", label="gold above that of the raw reward", unit="KL, nats",
    variants=["par", "centered", "lsc-transform", "sgfc"],
)  # fmt: skip

# %% [markdown]
# **Reading the picture.** To the right a policy goes further from the first one. 0 is the raw reward at the same KL,
# and bands are 95% intervals over draws of the answers. **Published beside it:** on AlpacaEval 2.0, win rates at least
# five points above the other shapings; the table's numbers were not available.
#
# ## The promise, on a fair track
#
# Now trained, on a reward that was learned from 300 comparisons, each with its own best learning rate:

# %%
headline = papers.find_claim("par.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# ## With and without
#
# Each claim is measured again with the straight line in PAR's place (*centered*), and there it must fail.

# %%
papers.table("par.2", "par.3", "par.check-signal").drop("published")

# %% [markdown]
# ## Where it does not hold
#
# PAR is not the best shaping of this reward: what is bad lies in the extreme tail, and a blunt cut one deviation above
# the mean takes just that away. And the more the policy outgrows its references, the less PAR tells its answers apart:

# %%
print(papers.find_claim("par.limit-best").sentence)
noise = rng.normal(size=(1, 50_000))
pl.DataFrame({"lead over the references": m, "spread of PAR": par(noise + m, np.zeros((1, 1))).std()} for m in range(6))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** How high above its only reference must a score be to earn 0.9?

# %%
answer_1 = None

# %%
check(
    None if answer_1 is None else par(np.array([[answer_1]]), np.zeros((1, 1)))[0, 0],
    0.9,
    "invert the curve",
    within=0.002,
)

# %% [markdown]
# **2.** GRPO divides by the spread of the group. For a group of three scores 0, 1 and 9 with one reference at 0: which
# advantage has the *second* answer on PAR (`lab.advantages.compute("grpo", ...)`)? On the raw scores it is −0.47.

# %%
answer_2 = None

# %%
three = np.array([[0.0, 1.0, 9.0]])
check(
    answer_2, lab.advantages.compute("grpo", par(three, np.zeros((1, 1))))[0, 1], "shape first, then compare the group"
)

# %% [markdown]
# **3.** A shaping of your own, of scores and references: try to beat the cut at the mean plus one deviation, at a KL of
# 1. The check asks only for more gold than the raw reward has.


# %%
def mine(rewards, *, reference_rewards):
    """Rewards [..., P, G, K] of scores [..., P, G, K] beside those of references [..., P, M, K]."""
    return None  # your line


# %%
if mine(np.zeros((1, 2, 1)), reference_rewards=np.zeros((1, 3, 1))) is not None:
    from lab.stand_ins import replaced

    with replaced({"reward:par": mine}):
        lead = over_raw("par", kls=(1.0,))["gold"].mean()
    check(lead, lambda lead: lead > 0, "what is wrong with the answers of the highest scores?")
    print(f"{lead:.2f} above raw; PAR {found.filter(variant='par', step=1.0)['gold'].mean():.2f}")

# %% [markdown]
# In the dashboard (`make lab`): [over-optimisation](http://127.0.0.1:8501/over-optimisation) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=par).
