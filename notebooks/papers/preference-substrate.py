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
# # A reward that was learned: how far can it be trusted?
#
# **Question.** People compare answers, a model learns from that what they like, and a policy is trained on the model.
# The model's score rises and rises. What becomes of what the people *meant*? To see it, the reward that is meant must
# be known, so this is a made-up world in which it is.
#
# **Kept** of the experiments on over-optimisation (arXiv 2210.10760): annotators who err, a reward model, best of n
# with its exact KL, training, and the gold reward beside it all. **Left out:** language, and fixed lists of candidates.
# An answer is a list of 16 numbers, the policy a normal distribution around a centre μ. **Time:** fifteen minutes to
# read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.figures.over_optimisation import over_optimisation
from lab.papers import recorded
from simulators.learned_reward import best_of_n, metrics
from simulators.learned_reward.annotators import annotate

QUICK = True  # False: as many runs as the recorded verdicts, and the headline measured again
RUNS = 4 if QUICK else 6
_ = pl.Config(tbl_rows=20, tbl_cols=10, fmt_str_lengths=90)

# %% [markdown]
# ## The mechanism
#
# Two ways lead from the base policy to more reward. *Best of n*: draw n answers and keep the one that the model likes
# best. How far is that from the base policy? Whatever the reward, $\log n - (n-1)/n$ nats. *Training*: μ moves, and the
# KL is $|\mu|^2/2$. And labels: a beats b with probability σ(β (gold(a) − gold(b))).


# %%
def kl_of_best(n):
    """KL of the best of n from one draw, nats."""
    return np.log(n) - (n - 1) / n


def best_of(proxy, worth, n):
    """Expected worth of the best of n by the proxy, from M answers drawn without replacement."""
    behind, others = np.arange(len(proxy))[:, None], len(proxy) - 1  # answers behind the i-th lowest, and in all
    rivals = np.arange(n - 1)  # of the i-th one; all of them must lie behind it
    wins = ((behind - rivals) / (others - rivals)).clip(0).prod(axis=1)
    return (n / len(proxy) * wins * worth[np.argsort(proxy)]).sum()


# %%
rng = np.random.default_rng(0)
proxy, worth = rng.normal(size=(2, 40))
for n in (1, 2, 5, 16):
    np.testing.assert_allclose(kl_of_best(n), best_of_n.kl(n))
    np.testing.assert_allclose(best_of(proxy, worth, n), best_of_n.expected(proxy, worth, n))
print("both agree with the lab's")

# %% [markdown]
# By hand: the best of 2 is log 2 − ½ = 0.19 nats away, the best of 1000 only 5.9. A long way is dear for best of n.
#
# ## Gold and proxy
#
# Gold is a *bowl* here: on one side it rises, and beyond a top it falls. 300 comparisons teach a model, which knows
# what lies where the comparisons are. Then GRPO follows it, and best of n beside.

# %%
world = lab.world("learned-reward", gold="bowl", comparisons=300)
best = lab.studies.best_of_n_curve(world, seeds=RUNS, pool=4096)
trained = lab.studies.optimisation_curve(world, "grpo", seeds=RUNS, steps=75, looks=25, lr=0.2)
both = pl.concat([best, trained])
turns = lab.studies.turning_points(both)
over_optimisation(both, turns=turns)

# %% [markdown]
# **Reading the picture.** To the right the policy goes away from where the comparisons were. Dotted is what the model
# says, full is what was meant, and a ring marks the highest gold. At first they go together. Then the model goes on
# rising and gold turns: training has found where the model is wrong, and goes there *because* it is wrong.
#
# **Published beside it:** over d = √KL, the paper finds gold to be d (α − β d) for best of n and d (α − β log d) for
# training. Fitted here:

# %%
lab.studies.gao_fit(both).select("variant", "form", "alpha", "beta", "r2")

# %% [markdown]
# The form for best of n is nearly exact, but best of n does not come far: 1024 draws are 6 nats. Training's form leaves
# something over, for beyond its top a bowl falls ever faster.
#
# ## The promise
#
# There is no method here. What a known gold is for: stop where it was best *in other runs*.

# %%
headline = papers.find_claim("preference-substrate.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# ## What the model learns from
#
# More comparisons, and fewer flipped labels. In the last column stands the calibration error: how far the model's
# probabilities are from what happens. Flips ruin it long before they ruin the order.

# %%
rows = []
for number in (250, 2000):
    for flips in (0.0, 0.2, 0.4):
        mlp = lab.world("learned-reward", gold="mlp").meant
        model = lab.reward_models.fit("bradley-terry", annotate(mlp, number, flips=flips, seeds=[0, 1]), [0, 1]).model
        found = {name: getattr(metrics, name)(model, mlp, 3000).mean() for name in ("accuracy", "calibration")}
        rows.append({"comparisons": number, "flips": flips, **found})
pl.DataFrame(rows).with_columns(pl.col("accuracy", "calibration").round(3))

# %% [markdown]
# ## With and without
#
# Each claim of this world is measured again without what it is about, and there it must fail: over-optimisation with a
# gold that rises for ever, the effect of more comparisons with as few as before.

# %%
pl.DataFrame(
    {"claim": name, "seed": each.seed, "value": each.value, "without": each.without}
    for name in ("preference-substrate.2", "preference-substrate.4", "preference-substrate.5")
    for each in recorded.read()[name].runs[:2]
).with_columns(pl.selectors.float().round(3))

# %% [markdown]
# ## Where it does not hold
#
# Gold that is lost has to be there to be lost. Where the gold rises for ever (*linear*), the same 300 comparisons and
# the same training lose nothing, though proxy and gold part all the same:

# %%
line = lab.world("learned-reward", gold="linear", comparisons=300)
calm = lab.studies.optimisation_curve(line, "grpo", seeds=RUNS, steps=75, looks=25, lr=0.2)
lab.studies.turning_points(calm).select("step", "gold", "gold_end", "proxy_end", "lost", "turns")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A trained policy has moved by |μ| = 2. How many nats is it away from the base policy?

# %%
answer_1 = None

# %%
check(answer_1, 2.0**2 / 2, "two normal distributions of the same width; the formula stands above")

# %% [markdown]
# **2.** For which n is best of n first more than 2 nats away? Try numbers.

# %%
answer_2 = None

# %%
check(answer_2, next(n for n in range(1, 1000) if best_of_n.kl(n) > 2), "`kl_of_best` of a range of numbers")

# %% [markdown]
# **3.** Stop early without knowing gold: a rule that sees only the curve of the *proxy*, and answers with the index of
# a look at which to stop. Does it end with more gold than going on to the end?


# %%
def stops(proxy):
    """Index at which to stop, from the model's mean score at each look [T]."""
    return None  # your line


# %%
if stops(np.arange(5.0)) is not None:
    curve = trained.group_by("step", maintain_order=True).agg(pl.col("proxy", "gold").mean()).sort("step")
    at = stops(curve["proxy"].to_numpy())
    check(curve["gold"][at], lambda gold: gold > curve["gold"][-1], "how large may a score be that was learned nearby?")
    print(f"gold {curve['gold'][at]:.2f}, at the end {curve['gold'][-1]:.2f}, at best {curve['gold'].max():.2f}")

# %% [markdown]
# In the dashboard (`make lab`): [over-optimisation](http://127.0.0.1:8501/over-optimisation) and [the
# claims](http://127.0.0.1:8501/papers?paper=preference-substrate).
