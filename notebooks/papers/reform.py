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
# # REFORM: can a reward model find its own mistakes?
#
# **Question.** In the data good answers also happen to be long, say, or polite. The reward model pays for both. Nobody
# tells it which of the two was meant. Can it find out where it is wrong, without being told what to look for?
#
# **Kept** of the paper (arXiv 2507.06419): a writer of either class that the reward itself steers to answers which it
# scores wrongly, pairs of these, a second fit. **Left out:** language; a response is a bag of 12 tokens out of 40, a
# reward is a sum over tokens. **Time:** fifteen minutes to read, ten seconds to run.

# %%
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from lab.reward_models.reform import failure_rate, variants
from simulators.learned_reward.token_bags import WORTH, compare_bags, swapped, writer

QUICK = True  # False: sixteen runs, and the measurement of the headline again
runs = list(range(4 if QUICK else 16))
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## What only goes along
#
# Tokens 0 to 7 are good, 8 to 15 bad. In the comparisons tokens 16 to 19 stand mostly in preferred responses and 20 to
# 23 mostly in rejected ones, though they are worth nothing. Bradley and Terry's reward cannot know that.

# %%
data = compare_bags(400, seeds=runs)
fresh = compare_bags(500, seeds=[1000 + run for run in runs])
before = lab.reward_models.fit("reform", data, runs, share=0.0).model


def accuracy(model, look):
    """Share of fresh pairs in which the good response scores higher, after `look` at each response."""
    return (model(look(fresh.chosen)) > model(look(fresh.rejected))).mean()


print(
    f"pairs like the data {accuracy(before, np.asarray):.2f}, with the tokens exchanged {accuracy(before, swapped):.2f}"
)

# %% [markdown]
# ## The decoder
#
# At each place some candidates are drawn, and one is chosen: likely for its class, but against the reward. By hand, for
# a preferred response (s = 1), then the lab's writer; with as many candidates as tokens nothing is left to chance.

# %%
reward, by = before.weights[0], writer()
pick = np.log(by.shares[0]) - 1 * 2.0 * reward  # log π − s α r
by_hand = 12 * np.eye(40)[pick.argmax()]
rng = np.random.default_rng(0)
anything = replace(by, worth=np.ones(40))  # every response counts as a good one
drawn = anything.write(rng, True, 1, reward=reward, tokens=40, alpha=2.0)[0]
np.testing.assert_array_equal(by_hand, drawn)
print("token", pick.argmax(), "twelve times: is that still a good response?", bool(drawn @ WORTH > 0))

# %% [markdown]
# With six candidates drawn by their likelihood the writer keeps to its class, and whatever does not is written again.

# %%
found = variants(by, reward, 200, rng)
plain = variants(by, reward, 200, rng, alpha=0.0)
for name, each in (("steered", found), ("plain", plain)):
    wrong = failure_rate(each, reward, fresh.chosen[0], fresh.rejected[0])
    print(f"{name}: {wrong:.2f} are scored wrongly; of the good ones {(each[0] @ WORTH > 0).mean():.0%} are good")

# %% [markdown]
# **Published beside it:** that a reward model finds failures nobody described is the paper's first point.
#
# ## The repair
#
# Twenty of each class are added: (a good response that scores low, a rejected one) and (a preferred one, a bad response
# that scores high). Beside it as many that the writer makes by itself.

# %%
after = lab.reward_models.fit("reform", data, runs).model
by_chance = lab.reward_models.fit("reform", data, runs, augmented="plain").model
models = {"before": before, "random variants": by_chance, "REFORM": after}
figure = go.Figure()
for name, model in models.items():
    figure.add_bar(x=np.arange(24), y=model.weights.mean(0)[:24], name=name)
figure.update_xaxes(title="token: good 0–7, bad 8–15, only going along 16–23").update_yaxes(title="weight")
figure.update_layout(height=380)
figure

# %%
for name, model in models.items():
    print(f"{name:16} like the data {accuracy(model, np.asarray):.2f}  exchanged {accuracy(model, swapped):.2f}")

# %% [markdown]
# **Reading the picture.** Before, the largest weights belong to tokens 16 to 23, and the rare good and bad ones (4 to
# 7, 12 to 15) have next to none. REFORM takes weight from the former and gives it to the latter. **Published beside
# it:** 35 to 45% more robust on average, nothing lost in distribution.
#
# ## The promise
#
# Each at its own best ridge, beside as many more comparisons; and what the best of 64 by each reward is worth. This
# measurement ships with the lab; `QUICK = False` makes it again.

# %%
headline = papers.find_claim("reform.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Reading the picture.** A row is a reward in one setting, a dot its mean over runs with its 95% interval.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail: fresh attacks on a reward that has seen
# random variants instead.

# %%
entry = recorded.read()["reform.3"].runs[0]
print(f"fresh attacks that get through: {entry.value:.2f} after REFORM, {entry.without:.2f} after random variants")

# %% [markdown]
# ## Where it does not hold
#
# Two things must be right. The writer must be steered hard enough, and it must not share the bias of the data.

# %%
for alpha in (0.5, 1.0, 2.0, 4.0):
    model = lab.reward_models.fit("reform", data, runs, alpha=alpha).model
    print(f"α = {alpha}: {len(model.found[0][0]):2} failures found, exchanged {accuracy(model, swapped):.2f}")

# %%
biased = replace(data, by=writer(biased=True))
model = lab.reward_models.fit("reform", biased, runs).model
print(f"a writer like the data: {len(model.found[0][0])} failures found, exchanged {accuracy(model, swapped):.2f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Of three tokens with likelihoods 0.5, 0.3 and 0.2 the reward pays 1, 0 and −1. All are candidates, α = 2, and
# the response shall be a preferred one. Which token (0, 1 or 2) does the steered writer choose?

# %%
answer_1 = None

# %%
likely, pays = np.array([0.5, 0.3, 0.2]), np.array([1.0, 0.0, -1.0])
check(answer_1, int((np.log(likely) - 2 * pays).argmax()), "a preferred response is pushed down")

# %% [markdown]
# **2.** And how small must α be, so that it chooses token 0 over token 2?

# %%
answer_2 = None

# %%
check(
    answer_2,
    (np.log(likely[0]) - np.log(likely[2])) / (pays[0] - pays[2]),
    "where both are worth the same",
    within=1e-2,
)

# %% [markdown]
# **3.** Write the failure rate of preferred variants: which of them score below the median rejected response?


# %%
def fooled(scores, rejected_scores):
    """Share of the scores of preferred variants that are too low."""
    return None  # your line


# %%
if fooled(np.zeros(2), np.ones(2)) is not None:
    nothing = np.zeros((0, 40))
    right = 2 * failure_rate((found[0], nothing), reward, fresh.chosen[0], fresh.rejected[0])
    check(fooled(found[0] @ reward, fresh.rejected[0] @ reward), right, "a share is a mean of Booleans", within=1e-9)

# %% [markdown]
# In the dashboard (`make lab`): [the paper's claims](http://127.0.0.1:8501/papers?paper=reform).
