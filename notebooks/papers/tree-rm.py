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
# # Tree-structured reward modeling: what should be compared with what?
#
# **Question.** Annotators compare pairs of responses. Pairs can be independent (a chain), or leaves of one prefix tree,
# which share how they begin. From which does a reward model learn more?
#
# **Kept** of the paper (arXiv 2402.10184): inference distances in a network of likenesses and comparisons, both
# topologies, the reading cost, reward models of both. **Left out:** language, PPO, the regimes of the theorem.
# **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import plotly.graph_objects as go
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from lab.studies.topologies import Network
from simulators.learned_reward.fitting import fit
from simulators.learned_reward.topologies import chain, compare, sequences, shared, tree

QUICK = True  # False: fits three times as many models, and makes the measurement of the headline again
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## How far a comparison reaches
#
# A comparison says that two rewards differ by something, up to noise of a variance. So does likeness. What is then
# known of two responses that were never compared? Variances in series add, precisions in parallel add: each edge is a
# resistor.

# %%
series = Network(3, np.array([0, 1]), np.array([1, 2]), np.array([1.0, 3.0]))
distances = lab.studies.inference_distances(series)
np.testing.assert_allclose(distances[0, 2], 1.0 + 3.0)
print("compared once more, directly:", lab.studies.inference_distances(series.with_comparisons([[0, 2]], 4.0))[0, 2])

# %% [markdown]
# ## Two topologies
#
# 243 responses are the leaves of a tree; those that part early differ more. A hundred noisy comparisons are of
# independent leaves, or of the leaves of a smaller prefix tree. Below 1 the prefix tree is ahead.

# %%
made, figure = lab.studies.latent_tree(3, 5), go.Figure()
for branches in (3, 2):
    leaves = (3, 9, 27, 81) if branches == 3 else (4, 8, 16, 32)
    ratios = [lab.studies.topology_ratios(made, 100, n, branches=branches) for n in leaves]
    error = [2 * r.std() / len(r) ** 0.5 for r in ratios]
    figure.add_scatter(x=leaves, y=[r.mean() for r in ratios], error_y={"array": error}, name=f"{branches} branches")
figure.add_hline(y=1, line_dash="dot", annotation_text="as near as after a chain")
figure.update_xaxes(title="leaves of the prefix tree", type="log").update_yaxes(title="distance, tree over chain")
figure.update_layout(height=380)

# %% [markdown]
# **Reading the picture.** With all three branches at each node the prefix tree is as good as a chain, hardly better.
# With two of three a whole branch of the responses is never compared with the others, however many leaves there are.
#
# ## What is saved in reading

# %%
rng = np.random.default_rng(0)
for name, pairs in (("chain", chain(4000, rng)), ("tree", tree(4000, rng))):
    print(f"{name}: {shared(pairs).mean():.2f} of 8 tokens in common, {16 - shared(pairs).mean():.2f} to read")

# %% [markdown]
# The paper saves 21% on average; here it is 16%.
#
# ## Reward models of both

# %%
own = list(range(4 if QUICK else 12))
meant = sequences(0)
x = meant.draw(np.random.default_rng(1), 6000)
right, lines = meant(x[:3000]) > meant(x[3000:]), {}
for name in ("chain", "tree"):
    for number in (100, 300, 1000):
        scores = fit(compare(meant, name, number, seeds=own), own, lr=2e-3, weight_decay=1e-2, epochs=10)(x[None])
        lines.setdefault(name, []).append(((scores[:, :3000] > scores[:, 3000:]) == right).mean())
figure = go.Figure([go.Scatter(x=[100, 300, 1000], y=line, name=name) for name, line in lines.items()])
figure.update_xaxes(title="comparisons", type="log").update_yaxes(title="pairs ranked rightly")
figure.update_layout(height=350)

# %% [markdown]
# ## The promise
#
# The best of 64 responses by either reward model, each at its own best learning rate. This measurement ships with the
# lab; `QUICK = False` makes it again.

# %%
headline = papers.find_claim("tree-rm.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Published beside it:** under PPO the tree wins 65% against the chain on three data sets. It is an open question what
# of language makes the difference: here leaves that share a prefix tell nothing of that prefix.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. Here with half the noise in the tree's
# comparisons: then trees are far ahead.

# %%
entry = recorded.read()["tree-rm.limit-advantage"].runs[0]
print(f"the best tree: {entry.value:.2f} of the chain's distance; with half the noise {entry.without:.2f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two responses are compared four times, each with noise of variance 10. How far apart are they then?

# %%
answer_1 = None

# %%
check(answer_1, 2.5, "precisions in parallel add")

# %% [markdown]
# **2.** Three responses are compared in a ring, each edge of variance 1. How far apart are two of them?

# %%
answer_2 = None

# %%
ring = Network(3, np.array([0, 1, 2]), np.array([1, 2, 0]), np.ones(3))
check(answer_2, lab.studies.inference_distances(ring)[0, 1], "one way of variance 1 beside one of 2", within=1e-2)

# %% [markdown]
# **3.** Write the length of the prefix that two sequences share.


# %%
def prefix(first, second):
    """Number of tokens before the first that differs."""
    return None  # your line


# %%
a, b = tree(1, np.random.default_rng(5))[0]
if prefix(a, b) is not None:
    right = int(shared(np.array([[a, b]]))[0])
    print("right" if int(prefix(a, b)) == right else "not yet: how long are they equal without a break?")

# %% [markdown]
# Reward models in the dashboard: `make lab`, page **Reward models**.
