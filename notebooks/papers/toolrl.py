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
# # ToolRL: a call has five parts. Pay for the call, or for its parts?
#
# **Question.** A model is to call a tool: the right tool, the right parameters, the right values. One can pay for a
# call that is right as a whole, which cannot be cheated, or for each part that is right. Everyone who has taught knows
# the answer; what does it depend on, and does the *size* of the pay matter, too?
#
# **Kept** of the paper (arXiv 2504.13958): every reward of the released code, its scales and schedules. **Left out:**
# language; a call is five letters, each chosen by itself. **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.rewards.toolrl import correctness, matched
from lab.stand_ins import replaced
from simulators import ToyLM
from simulators.toy_lm.tasks import tool_call

QUICK = True  # False: with as many runs as the recorded verdicts, a minute or two
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# A point for the tool's name, one for the names of the parameters (common ones over all), one for each right value. The
# share of the points that were to be had becomes a number between −3 and 3; the format is worth 1 beside it.


# %%
def paid(wanted, said):
    """Reward of one call; both are a tool's name and its parameters."""
    (tool, true), (called, given) = wanted, said
    if tool != called:
        return -3.0
    common, both = set(true) & set(given), set(true) | set(given)
    points = 1 + len(common) / len(both) + sum(true[key] == given[key] for key in common)
    return 6 * points / (2 + len(true)) - 3


# %%
wanted = ("weather", {"city": "Rome", "day": 2})
for said in (
    wanted,
    ("weather", {"city": "Rome"}),
    ("weather", {"city": "Oslo", "day": 3}),
    ("news", {"city": "Rome"}),
):
    as_calls = [[{"name": name, "parameters": given}] for name, given in (wanted, said)]
    np.testing.assert_allclose(paid(wanted, said), correctness(*as_calls))
    shares = {g: round(matched(*as_calls, g), 2) for g in ("fine", "strict", "intermediate", "coarse")}
    print(f"{said!s:46}{correctness(*as_calls):6.2f}   {shares}")

# %% [markdown]
# Check the second line by hand: a point for the name, ½ for one of two parameters, a point for its value; 2½ of 4
# points. On the right is the share that the other ways of paying give: *strict* wants all parameters' names,
# *intermediate* gives half for the tool and the rest for the whole, *coarse* is all or nothing.
#
# ## Who has something to learn from
#
# A toy model writes five letters: the frame, the tool, three values. It begins with no idea at all.


# %%
def world(granularity):
    """Eight questions, each with a call that is to be made, paid by one of the four ways."""
    return ToyLM(tool_call(8, 7, 5, 0, granularity=granularity))


@lab.measurement(label="exact calls", unit="share of rollouts")
def exact_calls(moment):
    """Rollouts of a step whose call is right as a whole [S]; that is a share of 1 by every way of paying."""
    return (moment.rollouts.rewards[..., 0] > 0.999).mean(axis=(1, 2))


WAYS = ("fine", "strict", "intermediate", "coarse")
rows = []
for way in WAYS:
    trace = lab.train(
        world(way), "grpo", steps=1, seeds=32, group_size=8, reward_weights=(1, 0, 0), measure=["no_signal"]
    )
    rows.append({"paid": way, "groups in which all are paid alike": trace.frame["no_signal"].mean()})
pl.DataFrame(rows)

# %% [markdown]
# ## The promise, on a fair track
#
# The share of exact calls after 60 steps, whatever is paid for; each way at its own best learning rate, chosen on other
# runs.

# %%
runs = {"seeds": 8, "tuning": range(900, 904)} if QUICK else {"seeds": 32, "tuning": range(900, 916)}
track = {"fair": True, "lrs": (32.0, 64.0, 128.0), "steps": 60, "group_size": 8, "metric": "exact_calls", **runs}
fair = None
for way in ("coarse", "intermediate", "fine"):
    found = lab.compare(world(way), [lab.variant("toolrl", f"toolrl@{way}")], **track)
    fair = found if fair is None else fair.beside(found)
tuning(fair.curve, label="exact calls after 60 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# **Published beside it:** the whole recipe, against supervised training on right calls. What the parts alone bring is a
# picture in the paper, and its numbers were not available to the lab.

# %%
papers.paper("toolrl").published[0].frame

# %%
headline = papers.find_claim("toolrl.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("toolrl.headline"))

# %% [markdown]
# ## With and without
#
# Measured again with whole calls in the place of parts (1), with all or nothing on both sides (2), and with equal
# maxima for format and call (3). There each must fail.

# %%
papers.table("toolrl.1", "toolrl.2", "toolrl.3").drop("published")

# %% [markdown]
# The third by hand. What is worth more is learnt first: a call is worth 6 from end to end and the format 1. Inside the
# block the call is worth 2.

# %%
setting = {"steps": 80, "seeds": 8, "lr": 16.0, "group_size": 8, "measure": ["exact_calls"]}
seen = [lab.train(world("fine"), "toolrl", **setting).summary()]
with replaced({"reward:toolrl": {"schedule": "equal"}}):
    seen.append(lab.train(world("fine"), "toolrl", **setting).summary().with_columns(variant=pl.lit("toolrl@without")))
curves(pl.concat(seen), metric="exact_calls", label="exact calls", percent=True)

# %% [markdown]
# ## Where it does not hold
#
# **In the end it makes no difference.** Scales and schedules say what is learnt first, and the paper tries many of
# them; after 200 steps they have all learnt everything. (Beside it the same after 60 steps, where they differ.)

# %%
papers.table("toolrl.limit-final").drop("published")

# %% [markdown]
# **Where calls are easy, all or nothing will do.** It starves because nobody is ever right by chance. With three
# letters to choose from in place of seven, some are:

# %%
for vocabulary in (3, 4, 5, 7):
    easy = ToyLM(tool_call(8, vocabulary, 5, 0, granularity="coarse"))
    ends = lab.train(easy, "toolrl", steps=60, seeds=8, lr=64.0, group_size=8, measure=["exact_calls"]).frame
    print(f"{vocabulary} letters, all or nothing: {ends.filter(step=59)['exact_calls'].mean():.0%} exact calls")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Wanted is `weather(city="Rome", day=2)`, called is `weather(city="Rome", unit="C")`. What is paid, between −3
# and 3?

# %%
answer_1 = None

# %%
called = [{"name": "weather", "parameters": {"city": "Rome", "unit": "C"}}]
right = correctness([{"name": "weather", "parameters": {"city": "Rome", "day": 2}}], called)
check(answer_1, right, "how many parameters' names are there in both together?")

# %% [markdown]
# **2.** One tool of six is right, and each of three values is one of five. With all or nothing and guessing, which
# share of the groups of eight has anything to learn from?

# %%
answer_2 = None

# %%
guess = np.random.default_rng(0).integers(0, [6, 5, 5, 5], (200_000, 8, 4))
hit = (guess == 0).all(axis=-1)
check(answer_2, (hit.any(axis=1) & ~hit.all(axis=1)).mean(), "first the chance of one answer", within=0.002)

# %% [markdown]
# **3.** Is it every part that must be paid, or is it enough to begin halfway? Write a reward that pays nothing for the
# first half of the points and twice as much for the second. Guess first where it will end among the three.


# %%
def second_half(rewards, *, schedule="fixed", step=0):
    """Call and format [..., 2] from the share of points and the format bit [..., 0] and [..., 1]; −3 to 3, 0 to 1."""
    return None  # your line


# %%
shares = np.array([[[0.0, 1.0], [0.4, 0.0], [0.75, 1.0], [1.0, 0.0]]])
if second_half(shares) is not None:
    check(second_half(shares)[0, :, 0], [-3, -3, 0, 3], "what is 2s − 1 for the shares s below one half?")
    with replaced({"reward:toolrl": second_half}):
        mine = lab.compare(world("fine"), [lab.variant("toolrl", "toolrl@second half")], **track)
    print(fair.beside(mine).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [the reward as it is
# written](http://127.0.0.1:8501/papers?paper=toolrl&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=toolrl).
