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
# # THR: pushing a wrong answer down can take a right one with it. Which words do that?
#
# **Question.** A wrong answer is seldom wrong in every word. Where it says what a right one says, or says something
# else in nearly the same situation, pushing it down moves the right answer too, for both are read off the same hidden
# state. Which words hold the right answers up, which hold them down, and what happens if one kind is pushed more than
# the other?
#
# **Kept** of the paper (arXiv 2510.03669): the token hidden reward, its threshold, the steering by its sign, and NTHR,
# which came before. **Left out:** a real language model. This one has a hidden state drawn by lot for each situation
# and trains the last layer alone; an answer is right if enough of its letters agree with one of two secret words.
# **Time:** fifteen minutes to read, twelve seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.stand_ins import replaced
from simulators import HiddenLM
from simulators.toy_lm.tasks import targets

QUICK = True  # False: with as many runs as the recorded verdicts, a few minutes
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# The last layer is a matrix $W$; the next token is drawn from softmax$(Wh)$ in the hidden state $h$. Pushing a token
# moves $W$ by $e\,h^\top$, where $e$ is 1 for the token minus the probabilities of all tokens. So two tokens help one
# another as far as both their $e$ and their $h$ agree. Add this up over the tokens of all right answers: that is how
# much pushing a token *up* raises them. A wrong answer is pushed down, so there the sign turns.


# %%
def token_hidden_reward(right, h, e):
    """THR [G, T] of one group: right [G], hidden states [G, T, D], prediction errors [G, T, V]."""
    pulled = np.einsum("gtv,gtd->vd", e[right], h[right]) / h.shape[1]
    influence = np.einsum("gtv,vd,gtd->gt", e, pulled, h)
    return np.where(right[:, None], influence, -influence)


def steered(right, h, e, p):
    """Advantages [G, T]: GRPO's, times 1 + p where a token helps and 1 − p where it hurts."""
    a = (right - right.mean()) / (right.std(ddof=1) + 1e-4)
    return (1 + p * np.sign(token_hidden_reward(right, h, e))) * a[:, None]


# %%
crowd = lab.world("hidden-lm", prompts=60, end=-700.0, shared=0.0)  # nobody ends before six letters
drawn = crowd.rollout(policy := crowd.init([0]), 16, 0, fields=("hidden", "prediction_error"))
right = drawn.rewards[0, ..., 0] > 0
mixed = np.flatnonzero(right.any(axis=1) & ~right.all(axis=1))  # questions with right and wrong answers
groups = [(right[q], drawn.hidden[0, q], drawn.prediction_error[0, q]) for q in mixed]


def by_lab(group, p=0.2, beta=0.0):
    """The same by the lab's rule; β = 0: without the threshold."""
    known = {"hidden": group[1][None], "prediction_error": group[2][None]}
    return lab.advantages.compute("thr", group[0][None, :, None] * 1.0, p=p, beta=beta, **known)[0]


for group in groups:
    np.testing.assert_allclose(steered(*group, p=0.2), by_lab(group))
print(f"ten lines and the lab's rule agree on {len(groups)} groups")

# %% [markdown]
# Check by hand that a right answer's token always helps itself: its own share of the sum is $|e|^2 |h|^2 / T$, which is
# above 0. And check by the world that the sum is what it says. Move $W$ a very small step by GRPO's weights on *one*
# question, and see how much the right answers have gained:

# %%
alone = np.zeros((1, 60, 16, 6))
alone[0, mixed[0]] = by_lab(groups[0], p=0.0)
moved = type(policy)(policy.parameters + 1e-5 * crowd.gradient(policy, drawn, alone), policy.seeds)
gain = (crowd.log_prob(moved, drawn) - drawn.logp)[0, mixed[0]].mean(axis=-1)[groups[0][0]].sum()
print("gained:", gain, " foreseen:", 1e-5 * (np.abs(alone[0, mixed[0]]) * token_hidden_reward(*groups[0])).sum())

# %% [markdown]
# ## Few tokens carry it, and p steers
#
# The share of all influence, $\sum |A|\,|THR|$, that the most influential tokens of a group carry:

# %%
rows = []
for share in np.linspace(0.02, 1, 50):
    sizes = [np.sort(np.abs(by_lab(g, p=0.0) * token_hidden_reward(*g)), axis=None)[::-1] for g in groups]
    carried = [one[: round(share * one.size)].sum() / one.sum() for one in sizes]
    rows.append(("thr", share, "carried", *mean_interval(carried)))
frame = pl.DataFrame(rows, schema=["variant", "step", "metric", "mean", "low", "high"], orient="row")
curves(frame, metric="carried", label="share of the influence", unit="share of the tokens", percent=True)

# %% [markdown]
# A fifth of the tokens carries most of it. The paper's threshold τ (a right answer's mean influence, of the lowest one)
# keeps about a tenth and drops the rest; `thr@dominant` does only that.
#
# And steering: how much one small step raises the right answers, over p, in units of the step of GRPO (p = 0):

# %%
rows = []
for p in np.linspace(-0.5, 0.5, 11):
    raised = [(np.abs(by_lab(g, p=p)) * token_hidden_reward(*g)).sum() for g in groups]
    plain = [(np.abs(by_lab(g, p=0.0)) * token_hidden_reward(*g)).sum() for g in groups]
    rows.append(("thr", p, "raised", *mean_interval(np.divide(raised, plain))))
frame = pl.DataFrame(rows, schema=["variant", "step", "metric", "mean", "low", "high"], orient="row")
curves(frame, metric="raised", label="rise of the right answers, GRPO = 1", unit="p")

# %% [markdown]
# ## In training
#
# Eight questions, three of four letters are needed. At one learning rate, p above 0 (*exploit*) learns faster and
# loses its entropy faster, p below 0 (*explore*) the other way round. So the paper says it: p steers between the two.

# %%
hard = HiddenLM(targets(8, 7, 4, 0, needed=3), logits=np.where(np.arange(7) == 0, -1000.0, 0.0))
steer = {p: lab.variant("thr", name, p=p, beta=0.0) for p, name in ((0.2, "p = 0.2"), (-0.2, "p = -0.2"))}
methods = ["grpo", *steer.values()]
setting = {"steps": 120, "seeds": 12, "group_size": 8, "reward_weights": (1, 0, 0), "every": 5}
seen = lab.train(hard, methods, lr=16.0, measure=["value", "entropy"], **setting).summary()
curves(seen, metric="value", label="P(right answer)", percent=True)

# %%
curves(seen, metric="entropy", label="entropy of an answer, nats", log=True)

# %% [markdown]
# ## The promise, on a fair track
#
# Learning faster at one learning rate is what a longer step does, too. So each variant gets its own best learning rate,
# chosen on other runs.

# %%
runs = {"seeds": 16, "tuning": range(900, 906)} if QUICK else {"seeds": 48, "tuning": range(900, 916)}
track = {"fair": True, "lrs": (32.0, 64.0, 128.0), "steps": 60, "group_size": 8, "reward_weights": (1, 0, 0), **runs}
fair = lab.compare(hard, ["grpo", steer[0.2], "thr@dominant"], **track)
tuning(fair.curve, label="P(right answer) after 60 steps")

# %% [markdown]
# **Reading the picture.** Height is the chance of a right answer at the end, a point the mean over runs with its 95%
# interval, a large point the learning rate that is then judged, on other runs. To the left p = 0.2 is ahead and the
# dominant tokens are behind; what counts is how high each line gets.

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Not shown here. The published gain is that of a large model's greedy answers, 1 to 4 points for p = 0.1:

# %%
papers.paper("thr").published[0].frame

# %%
headline = papers.find_claim("thr.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("thr.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with GRPO's advantage under THR's name. There it must fail.

# %%
papers.table("thr.2", "thr.3", *([] if QUICK else ["thr.1", "thr.4", "thr.5"])).drop("published")

# %% [markdown]
# By hand: inside the block, whoever asks for THR gets GRPO, and p steers nothing any more.

# %%
with replaced({"advantage:thr": "grpo"}):
    both = lab.train(hard, list(steer.values()), lr=16.0, measure=["value"], **{**setting, "steps": 60}).summary()
seen_by = [seen.filter(pl.col("variant") != "grpo", pl.col("step") < 60)]
seen_by.append(both.with_columns(pl.col("variant") + "@without it"))
curves(pl.concat(seen_by), metric="value", label="P(right answer)", percent=True)

# %% [markdown]
# ## Where it does not hold
#
# **Is p more than a longer step?** Time taken out: the entropy that is left at each accuracy. If p steered between
# exploring and exploiting, one line would lie above the other.

# %%
wide = seen.pivot("metric", index=["variant", "step"], values=["mean", "low", "high"])
path = wide.select("variant", "mean_value", mean="mean_entropy", low="low_entropy", high="high_entropy")
path = path.rename({"mean_value": "step"}).with_columns(metric=pl.lit("entropy"))
curves(path, metric="entropy", label="entropy of an answer, nats", unit="P(right answer)", log=True)

# %% [markdown]
# They do not: the three lie on one another. In this world p says how fast one goes, along one and the same path, and
# not where. What the published runs would show in such a picture is not known.
#
# **More tries.** Exploring should pay where one may try often: p below 0 is published with 69.7% of the problems solved
# in 128 tries, GRPO with 67.3%. Here, with sixteen tries, it is behind as long as steps are short, since it has learnt
# less. Where they are far too long, so that a policy freezes early, it is no longer behind; a lead is not sure.


# %%
@lab.measurement(label="solved in 16 tries")
def in_16(truth):
    """Mean over the questions of 1 − (1 − P(right))^16 [S]."""
    return (1 - (1 - np.clip(truth.value, 0, 1)) ** 16).mean(axis=-1)


for lr in (8.0, 256.0):
    last = {"seeds": 48, "steps": 60, "every": 59, "measure": ["in_16"]}
    ends = lab.train(hard, list(steer.values()), lr=lr, **{**setting, **last}).frame.filter(step=59).sort("seed")
    less, more = (ends.filter(variant=steer[p].name)["in_16"].to_numpy() for p in (-0.2, 0.2))
    print("learning rate {:3.0f}: p = -0.2 solves {:+.3f} ({:+.3f} to {:+.3f})".format(lr, *mean_interval(less - more)))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Answers of one letter, of which there are two, both with probability ½. The right answer of a group says A. A
# wrong one says A as well, in another situation, whose hidden state has a product of 0.6 with the first one's. What is
# the THR of its letter?

# %%
answer_1 = None

# %%
a_minus_q = np.array([[[0.5, -0.5]], [[0.5, -0.5]]])
states = np.array([[[1.0, 0.0]], [[0.6, 0.8]]])
found = token_hidden_reward(np.array([True, False]), states, a_minus_q)[1, 0]
check(answer_1, found, "the product of two e, times that of two h; and which way is a wrong answer pushed?")

# %% [markdown]
# **2.** Look at the groups above. Which share of the tokens of *wrong* answers hurts the right ones when it is pushed
# down? (`groups` is a list of what `token_hidden_reward` takes.)

# %%
answer_2 = None

# %%
hurt = np.concatenate([token_hidden_reward(*group)[~group[0]].ravel() for group in groups])
check(answer_2, (hurt < 0).mean(), "put the tokens of all wrong answers into one array, and look at a sign")

# %% [markdown]
# **3.** Do no harm: leave those tokens alone. Write the factor on GRPO's advantage that is 0 where a wrong answer's
# token would hurt, and 1 elsewhere. How far does that get, at its own best learning rate?


# %%
def own_factor(thr, right):
    """Factor [..., G, T] from the THR [..., G, T] and which answers are right [..., G]."""
    return None  # your line


# %%
@lab.advantage(name="no-harm")
def no_harm(rewards, *, hidden, prediction_error):
    """GRPO's advantage times the factor."""
    a = lab.advantages.compute("grpo", rewards[..., None])
    influence = lab.advantages.thr.hidden_influence(a > 0, hidden, prediction_error)
    return own_factor(np.where(a > 0, 1, -1)[..., None] * influence, a > 0) * a[..., None]


tried = own_factor(token_hidden_reward(*groups[0]), groups[0][0])
if tried is not None:
    spared = (token_hidden_reward(*groups[0]) < 0) & ~groups[0][0][:, None]
    check(np.array_equal(tried, np.where(spared, 0, 1)), True, "two conditions, and `right` has no axis of tokens yet")
    print(lab.compare(hard, ["grpo", "no-harm"], **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [exploring with a hidden
# state](http://127.0.0.1:8501/train?world=hidden-lm&variants=grpo~thr~thr@explore), [the rules as they are
# written](http://127.0.0.1:8501/papers?paper=thr&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=thr).
