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
# # Graph-GRPO: a team succeeds. Which of its channels deserves the praise?
#
# **Question.** Five agents, ten possible channels between them, and at the end the task is solved or not. Praise the
# whole graph, and channels that did nothing are praised with it. Graph-GRPO asks of each *edge* how often the graphs
# that contain it succeed. Are better teams found that way, or only smaller ones?
#
# **Kept** of the paper (arXiv 2603.02701): the success rate of an edge, its normalisation over the edges of a query,
# weights on edges that are present. **Left out:** language, and the network that looks at roles and query: here each
# edge has one probability, for all queries. **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import warnings

import numpy as np
import polars as pl

import lab
from lab import papers
from lab.advantages.graph_grpo import edge_success
from lab.errors import LabWarning
from lab.exercises import check
from lab.figures import curves, tuning
from lab.stand_ins import replaced
from simulators import Graphs

warnings.simplefilter("ignore", LabWarning)  # a single graph has no baseline, and here it is meant to have none
QUICK = True  # False: with as many runs as the recorded verdicts, half a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism


# %%
def graph_grpo(rewards, edges, floor=1e-6):
    """Advantages [P, G, E] of edges: rewards of the graphs [P, G], and 1 where an edge is present [P, G, E]."""
    graphs = edges.sum(axis=1)  # that contain it
    won = (rewards[..., None] * edges).sum(axis=1)
    rate = won / np.where(graphs > 0, graphs, np.nan)
    mean, spread = np.nanmean(rate, axis=1, keepdims=True), np.nanstd(rate, axis=1, keepdims=True)
    advantage = np.nan_to_num((rate - mean) / (spread + floor))
    return advantage[:, None] * edges


# %%
world = lab.world("graphs")  # five agents, four queries from hard to easy; edges 0, 1 and 2 matter
r = world.rollout(world.init([0]), 16, 0)
ours = graph_grpo(r.rewards[0, ..., 0], r.actions[0])
np.testing.assert_allclose(ours[None], lab.advantages.compute("graph-grpo", r.rewards, actions=r.actions), atol=1e-12)
print("both agree")

# %% [markdown]
# Check by hand: four graphs, of which the first two succeed. Edge a is in these two; edge b is in one that succeeds and
# one that fails; so is edge c. Their rates are 1, ½ and ½, the mean is ⅔, and the deviation √2/6.

# %%
four = np.array([[[1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1]]])
print(lab.advantages.compute("graph-grpo", np.array([[[1.0], [1], [0], [0]]]), actions=four)[0].round(3) + 0.0)

# %% [markdown]
# Edge a gets √2. Edges b and c get −0.71, though neither did any harm: they are *below the mean of the edges*, which
# the useful one has lifted. That is the whole method. Useless edges are driven out because others are useful.
#
# ## What becomes of the edges
#
# Sixteen graphs per query, two kinds of credit: by edges, and by whole graphs (plain GRPO, for edges that are present
# and edges that are absent). Each starts with a probability of one half.


# %%
@lab.measurement(label="useless edges", unit="share of graphs")
def useless(moment):
    """How often an edge that does not matter is in a sampled graph [S]."""
    return moment.rollouts.actions[..., 3:].mean(axis=(1, 2, 3))


@lab.measurement(label="critical edges", unit="share of graphs")
def critical(moment):
    """How often an edge that matters is in a sampled graph [S]."""
    return moment.rollouts.actions[..., :3].mean(axis=(1, 2, 3))


edges = lab.variant("graph-grpo", "edges")
graphs = lab.variant("grpo", "graphs", aggregation="seq-mean-token-sum", ddof=0, eps=1e-6)
setting = {"steps": 200, "seeds": 32, "group_size": 16, "lr": 0.3, "measure": ["useless", "critical"]}
seen = lab.train(world, [edges, graphs], **setting).summary()
curves(seen, metric="useless", label="graphs with a useless edge", percent=True, height=280)

# %%
curves(seen, metric="critical", label="graphs with a critical edge", percent=True, height=280)

# %% [markdown]
# **Reading the pictures.** Bands are 95% intervals over runs. Credit by edges drives the useless ones out, and keeps
# fewer of the critical ones for it. Take a threshold of one half at the end, as in the paper, and it keeps the three
# that matter, where credit by graphs keeps six or seven.
#
# ## The promise, on a fair track
#
# Is more *solved*? Four graphs per query, ten steps, each variant at its own best learning rate, chosen on other runs.
# The third samples a single graph.

# %%
one = lab.variant("dr_grpo@verl", "one graph", aggregation="seq-mean-token-sum")
runs = {"seeds": 128, "tuning": range(900, 932)} if QUICK else {"seeds": 256, "tuning": range(900, 964)}
track = {"fair": True, "lrs": (4.0, 8.0, 16.0, 32.0), "steps": 10, **runs}
fair = lab.compare(world, [graphs, edges], group_size=4, **track)
fair = fair.beside(lab.compare(world, [one], group_size=1, **track))
tuning(fair.curve, label="queries solved after 10 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Either way of looking at a group is much better than one graph. But credit by edges solves *less* than credit by
# graphs. The published ablation, with language-model agents, says the opposite:

# %%
papers.paper("graph-grpo").published[1].frame

# %%
headline = papers.find_claim("graph-grpo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("graph-grpo.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with credit by whole graphs in both places. There it must fail. (The first is the final
# probability of a useless edge over that under credit by graphs, the second the number of edges that are kept.)

# %%
papers.table("graph-grpo.1", "graph-grpo.2", *([] if QUICK else ["graph-grpo.3"])).drop("published")

# %% [markdown]
# By hand: the mean push on the useless edges at the start.


# %%
def push(rule, queries=2000):
    """Mean advantage of the present useless edges, over queries of easiness 0."""
    many = Graphs(easiness=np.zeros(queries))
    r = many.rollout(many.init([0]), 16, 0)
    a = lab.advantages.compute(rule, r.rewards, actions=r.actions)
    a = a if a.ndim == 4 else np.broadcast_to(a[..., None], r.actions.shape)
    return float(a[..., 3:].mean(where=r.actions[..., 3:] == 1).round(3))


print("with it   ", push("graph-grpo"))
with replaced({"advantage:graph-grpo": "grpo"}):
    print("without it", push("graph-grpo"))

# %% [markdown]
# ## Where it does not hold
#
# **Where all edges matter.** Normalised over edges, the advantages of a query always sum to nothing: some edges must
# go, even if every one of them is needed. Here all ten help alike, and it takes eight to solve half of the queries.

# %%
needed = Graphs(critical=range(10), easiness=np.zeros(4), effect=1.0, enough=8.0)
print(lab.compare(needed, [graphs, edges], group_size=16, **{**track, "seeds": 32, "steps": 20}).sentence)

# %% [markdown]
# **Where few matter,** credit by edges does what it is made for. What is kept by a threshold of one half solves as much
# with half of the messages; whether agents talk better for it, in language, no world without language can say.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Four graphs, of which only the first succeeds. Edge a is in the first two, edge b in the last two, edge c in
# all four. What does edge a get?

# %%
answer_1 = None

# %%
present = np.array([[[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]]])
right = lab.advantages.compute("graph-grpo", np.array([[[1.0], [0], [0], [0]]]), actions=present)[0, 0, 0]
check(answer_1, right, "three rates, one per edge; the deviation is over these three and divides by three")

# %% [markdown]
# **2.** With very many graphs per query all useless edges have one rate and all critical ones another. How many of the
# ten must be critical, so that a critical edge gets exactly as much as a useless one loses? (What a critical edge adds
# does not enter. Why?)

# %%
answer_2 = None


# %%
def balanced(number):
    """Whether advantages of so many critical edges and of the useless ones are as large as each other."""
    many = Graphs(critical=range(int(number)), easiness=[0.0])
    r = many.rollout(many.init([0]), 100_000, 0)
    a = lab.advantages.compute("graph-grpo", r.rewards, actions=r.actions)[0, 0].max(axis=0)
    low = lab.advantages.compute("graph-grpo", r.rewards, actions=r.actions)[0, 0].min(axis=0)
    return abs(a[:number].mean() + low[number:].mean()) < 0.1


check(
    answer_2,
    lambda n: 0 < n < 10 and balanced(n),
    "advantages sum to nothing over the ten; what does that say of the two?",
)

# %% [markdown]
# **3.** Take the drift away: compare an edge's rate with the success rate of *all* graphs of the query, in the place of
# the mean over edges. Useless edges then stay where they are. Before you run it: are critical ones better kept?


# %%
@lab.advantage(name="without-drift")
def without_drift(rewards, *, actions):
    """Advantages [..., P, G, E]; rewards [..., P, G], `rate` [..., P, E]."""
    rate = edge_success(rewards, actions)
    beside = None  # your line: how far each edge's rate is above the query's [..., P, E]
    if beside is None:
        return None
    spread = np.nanstd(rate, axis=-1, keepdims=True) + 1e-6
    return np.nan_to_num(beside / spread)[..., None, :] * actions


# %%
mine = without_drift(r.rewards[..., 0], actions=r.actions)
if mine is not None:
    rate = edge_success(r.rewards[..., 0], r.actions)
    wanted = (rate - r.rewards[..., 0].mean(axis=-1, keepdims=True)) / (rate.std(axis=-1, keepdims=True) + 1e-6)
    check(mine.max(axis=-2), np.maximum(wanted, 0), "a query has one success rate, and that axis must be kept")
    tried = lab.Variant("without-drift", advantage="without-drift", objective="graph-grpo")
    print(lab.compare(world, [tried, edges, graphs], group_size=4, **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [credit by edges and by graphs while
# training](http://127.0.0.1:8501/train?world=graphs&variants=graph-grpo~grpo), [the same with four graphs
# a query](http://127.0.0.1:8501/compare?world=graphs&variants=graph-grpo~grpo&group_size=4) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=graph-grpo).
