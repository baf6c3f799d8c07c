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
# # DRPO: pay for short answers, and long right ones are punished. Can one have the one without the other?
#
# **Question.** Reasoning models think for too long, so a little is taken off the reward for every token. But GRPO
# compares: in a group of right answers the longest is below the mean, its advantage is negative, and the model is
# taught that this right answer was wrong. DRPO keeps the two apart: length only says how the right answers share their
# praise. Does it get shorter *and* better answers by that?
#
# **Kept** of the paper (arXiv 2510.04474): the objective, its weights, its trust region. **Left out:** reasoning. An
# answer is a length from 1 to 16; longer ones are right more often, hard questions need more, and one policy serves
# easy and hard ones. **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, curves, tuning
from lab.papers import recorded
from lab.stand_ins import replaced
from simulators import Lengths

QUICK = True  # False: with as many runs as the recorded verdicts, a minute or two
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Two sets, right and wrong. The right ones share a weight of 1 among them by a softmax of their brevity, with a
# temperature λ; the wrong ones share a weight of −1, the likelier the more. (τ is large, so nearly alike. A group that
# has not both teaches nothing.)


# %%
def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def push(right, length, log_prob, lam=0.2, longest=16, tau=10.0):
    """Weights [G] of ∇log π of one group: which answers are right, their lengths and log-probabilities [G]."""
    w = np.zeros(right.size)
    w[right] = softmax((1 - length[right] / longest) / lam)
    w[~right] = -softmax(log_prob[~right] / tau)
    return w


def by_lab(right, length, log_prob, lam=0.2):
    """The same by the lab's rules."""
    new, a = log_prob[None, :, None], lab.advantages.compute("drpo", right[None] * 1.0)
    given = {"lengths": length[None] * 1.0, "longest": 16, "temperature": lam}
    return lab.objectives.weights("drpo", new, a, logp=new, **given)[0, :, 0]


# %%
rng = np.random.default_rng(0)
right, length, log_prob = np.arange(8) < 5, rng.integers(1, 17, 8), rng.normal(-2, 1, 8)
np.testing.assert_allclose(push(right, length, log_prob), by_lab(right, length, log_prob))
print("ten lines and the lab's rules agree:", by_lab(right, length, log_prob).round(3))

# %% [markdown]
# Check the last line by hand in one point: the right ones add up to 1, and none is below 0, whatever the lengths are.
# Beside it GRPO, with the usual reward right · (1 − c · length/16) and c = 0.5:

# %%
right, length = np.array([1, 1, 1, 0]) > 0, np.array([4, 8, 16, 5])
reward = right * (1 - 0.5 * length / 16)
pushes = {"grpo": lab.advantages.compute("grpo", [reward])[0] / 4, "drpo": by_lab(right, length, np.zeros(4))}
pl.DataFrame({"right": right, "length": length, "reward": reward, **pushes})

# %% [markdown]
# The third answer is right, and GRPO pushes it down. (In the paper's example of six answers the third falls from +1
# to −0.17.)
#
# ## A dial for the length
#
# Answers start near 12 tokens, more than any question needs. DRPO under four values of λ, and GRPO with two weights of
# the penalty. `rewards` has two components, right and right · length/16.


# %%
@lab.measurement(label="mean length", unit="tokens")
def mean_length(policy, world):
    """Expected length, mean over the questions [S]."""
    return world.outcome(policy)[1].mean(axis=-1)


@lab.measurement(label="right answers pushed down", unit="share of the right answers")
def harmed(moment):
    """Share of the right rollouts of a step whose weight is below 0 [S]."""
    right = moment.rollouts.rewards[..., 0] == 1
    return (right & (moment.weights["logp"][..., 0] < -1e-12)).sum(axis=(1, 2)) / right.sum(axis=(1, 2))


world = lab.world("lengths")
dial = [lab.variant("drpo", f"drpo@λ = {lam:g}", temperature=lam, longest=16) for lam in (1e6, 0.2, 0.05)]
setting = {"steps": 100, "seeds": 8, "group_size": 8, "lr": 0.8, "measure": ["mean_length", "harmed"], "every": 4}
seen = [lab.train(world, dial, reward_weights=(1, 0), **setting).summary()]
for c in (0.2, 0.9):
    priced = lab.variant("grpo", f"grpo@c = {c:g}")
    seen.append(lab.train(world, priced, reward_weights=(1, -c), **setting).summary())
curves(pl.concat(seen), metric="mean_length", label="mean length, tokens")

# %%
curves(pl.concat(seen), metric="harmed", label="right answers pushed down", percent=True)

# %% [markdown]
# λ is a dial, over more than four tokens, from no shortening at 10⁶ to a lot at 0.05. GRPO's penalty moves the length
# by less than one token between 0.2 and 0.9 (exercise 2 says why), and it pushes right answers down: one in ten, and at
# first one in three where the penalty is large. DRPO never does.
#
# ## The promise, on a fair track
#
# Shorter by itself is nothing; the question is what accuracy it costs. So all are judged by one number, right · (1 − ½
# length/16), exactly. GRPO and RLOO are given that very reward, DRPO only knows what is right. Each has its own best
# learning rate, chosen on other runs. Half of the answers fail here however long they are, so that groups have both
# sets.


# %%
class Judged(Lengths):
    """Judged by right · (1 − price · length/16), whatever it is trained on."""

    price = 0.5

    def truth(self, policy, rollouts, *, gradient=True, weights=None):
        return super().truth(policy, rollouts, gradient=gradient, weights=(1.0, -self.price))


judged = Judged(prompts=8, slip=0.5)
GIVEN = {"drpo": ((1, 0), (0.8, 1.6, 3.2)), "grpo": ((1, -0.5), (3.2, 6.4)), "rloo": ((1, -0.5), (12.8, 25.6))}
OURS = {"drpo": lab.variant("drpo", "drpo", temperature=0.2, longest=16)}


def on_a_fair_track(*names):
    """Variants with their own reward weights, each at its own best learning rate, as one comparison."""
    runs = {"seeds": 16, "tuning": range(900, 908)} if QUICK else {"seeds": 48, "tuning": range(900, 916)}
    found = None
    for name in names:
        weights, lrs = GIVEN[name]
        asked = {"fair": True, "lrs": lrs, "reward_weights": weights, "steps": 60, "group_size": 4, **runs}
        one = lab.compare(judged, [OURS.get(name, name)], **asked)
        found = one if found is None else found.beside(one)
    return found


fair = on_a_fair_track(*GIVEN)
tuning(fair.curve, label="right · (1 − length/32) after 60 steps")

# %% [markdown]
# **Reading the picture.** Height is the expected reward at the end, a point the mean over runs with its 95% interval, a
# large point the learning rate that is then judged, on other runs. Lines that lie side by side take steps of different
# lengths; what counts is how high each gets.

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Not shown here: all three end in the same place. The published figures have both shorter and better answers:

# %%
papers.paper("drpo").published[0].frame

# %%
headline = papers.find_claim("drpo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("drpo.headline"))

# %% [markdown]
# The recorded verdict's map, with more runs than there is time for here. In each of three settings the three are level:

# %%
claim_detail(recorded.read()["drpo.headline"].frame.drop("lr"))

# %% [markdown]
# ## With and without
#
# Claims are measured again with GRPO's advantages in the place of DRPO's sets (4), with PPO's objective on them (1),
# and with the length switched off (2 and 3). There each must fail.

# %%
papers.table("drpo.4", *([] if QUICK else ["drpo.1", "drpo.2", "drpo.3"])).drop("published")

# %% [markdown]
# By hand: inside the block, DRPO's length is switched off.

# %%
quick = {**setting, "reward_weights": (1, 0), "measure": ["mean_length"]}
seen = [lab.train(world, OURS["drpo"], **quick).summary()]
with replaced({"objective:drpo": {"temperature": 1e6}}):
    seen.append(lab.train(world, OURS["drpo"], **quick).summary().with_columns(variant=pl.lit("drpo@without it")))
curves(pl.concat(seen), metric="mean_length", label="mean length, tokens")

# %% [markdown]
# ## Where it does not hold
#
# **Questions that are always solved.** A group without a wrong answer teaches DRPO nothing, and where answers need not
# be wrong, that is the fate of easy questions: just those which could do with less. They are shortened all the same,
# but only because hard questions share their policy. With a policy for each question:


# %%
@lab.measurement(label="mean length on the four easiest questions", unit="tokens")
def easy_length(policy, world):
    """Expected length, mean over the four easiest questions [S]."""
    return world.outcome(policy)[1][:, :4].mean(axis=-1)


seen = []
for name, shared in {"one policy": True, "one per question": False}.items():
    own = lab.world("lengths", slip=0.0, shared=shared)
    asked = {**quick, "measure": ["easy_length"], "lr": 0.8 * (1 if shared else 16)}  # a question is one of sixteen
    seen.append(lab.train(own, OURS["drpo"], **asked).summary().with_columns(variant=pl.lit(name)))
curves(pl.concat(seen), metric="easy_length", label="length on easy questions, tokens")

# %% [markdown]
# And turned too far the dial costs accuracy: at λ = 0.05 hard questions no longer get the length that they need.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two right answers of 4 and of 12 tokens, 16 are possible, λ = 0.5. How many times the longer one's weight does
# the shorter one get?

# %%
answer_1 = None

# %%
three = by_lab(np.array([True, True, False]), np.array([4, 12, 8]), np.zeros(3), lam=0.5)
check(
    answer_1, three[0] / three[1], "a ratio of two terms of a softmax is the exponential of a difference", within=0.02
)

# %% [markdown]
# **2.** A group of right answers only, with 2, 6, 10 and 14 tokens. By which factor do GRPO's advantages grow if the
# weight c of the penalty goes from 0.1 to 0.9? (What does GRPO do with a group's rewards before it uses them?)

# %%
answer_2 = None

# %%
two = [lab.advantages.compute("grpo", [1 - c * np.array([2, 6, 10, 14]) / 16], eps=0.0)[0, 0] for c in (0.1, 0.9)]
check(answer_2, two[1] / two[0], "try it with `lab.advantages.compute`", within=0.02)

# %% [markdown]
# **3.** Mend GRPO in one line: its advantages of the priced reward, but no right answer below 0. Is that enough to do
# without DRPO?


# %%
def mended(a, right):
    """Advantages [..., P, G] from GRPO's and from which answers are right [..., P, G]."""
    return None  # your line


# %%
@lab.advantage(name="mended-grpo", components=True)
def mended_grpo(rewards):
    """GRPO's advantages of right · (1 − length/32), mended."""
    total = rewards[..., 0] - 0.5 * rewards[..., 1]
    return mended(lab.advantages.compute("grpo", total[..., None]), rewards[..., 0] == 1)


a = pushes["grpo"]
if mended(a, right) is not None:
    check(np.allclose(mended(a, right), [a[0], a[1], 0.0, a[3]]), True, "only one of these four needs mending")
    GIVEN["mended-grpo"] = ((1, 0), (3.2, 6.4))
    print(on_a_fair_track("drpo", "grpo", "mended-grpo").sentence)

# %% [markdown]
# In the dashboard (`make lab`): [how long to answer, with and without
# DRPO](http://127.0.0.1:8501/train?world=lengths&variants=grpo~drpo), [the rules as they are
# written](http://127.0.0.1:8501/papers?paper=drpo&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=drpo).
