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
# # Mixed-R1: how do you pay for a long answer that nobody can check?
#
# **Question.** A sum is right or wrong. "Describe this picture" is neither. A judge is dear, and counting common words
# punishes whoever says *sofa* for *couch*. Is it enough to ask how near each word lies to some word of a reference, and
# each word of the reference to some word of the answer? And how would one cheat?
#
# **Kept** of the paper (arXiv 2505.24164): the score for open answers (BMAS) and the total with the format.
# **Left out:** pictures and the tokenizer; words are made-up vectors whose meaning is known, so the truth is known too.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.rewards.mixed import bmas
from simulators import Bandit

QUICK = True  # False: with as many runs as the recorded verdicts, a minute or two
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism


# %%
def score(said, wanted):
    """BMAS of an answer, from the vectors of its words [n, d] and of the reference's [m, d]."""
    said, wanted = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (said, wanted))
    near = said @ wanted.T
    return (near.max(axis=1).mean() + near.max(axis=0).mean()) / 2


# %% [markdown]
# The first half asks of every word that was said whether it is wanted, the second of every wanted word whether it was
# said: what precision and recall are for exact words.
#
# A language to try it in: sixty concepts with four synonyms each, near to one another but not the same.

# %%
rng = np.random.default_rng(0)
centres = rng.normal(size=(60, 1, 32))
words = centres / np.linalg.norm(centres, axis=-1, keepdims=True) + 0.35 * rng.normal(size=(60, 4, 32)) / 32**0.5


def answer(concepts):
    """Vectors of these concepts, each in a synonym drawn at random, and their exact words."""
    which = rng.integers(0, 4, len(concepts))
    return words[concepts, which], set(zip(concepts.tolist(), which.tolist(), strict=True))


said, wanted = answer(np.arange(8)), answer(np.arange(4, 12))
np.testing.assert_allclose(score(said[0], wanted[0]), bmas(said[0], wanted[0])[0])
print("the lab's rule (both, forward, backward):", np.round(bmas(said[0], wanted[0]), 3))

# %% [markdown]
# ## What it sees
#
# Answers that keep a share of ten wanted concepts and put foreign ones in the place of the others. The truth is the
# share of *concepts* in common (F1); beside BMAS stands the share of exact *words* in common.


# %%
def compared(share):
    """Truth, BMAS and common words of 60 random answers that keep this share of the wanted concepts."""
    found = []
    for _ in range(60):
        concepts, kept = rng.permutation(60), round(10 * share)
        wanted, said = answer(concepts[:10]), answer(np.r_[concepts[:kept], concepts[10 : 20 - kept]])
        found.append((kept / 10, bmas(said[0], wanted[0])[0], len(said[1] & wanted[1]) / 10))
    return np.array(found)


rows = []
for share in np.linspace(0, 1, 11):
    for name, values in zip(("truth", "BMAS", "common words"), compared(share).T, strict=True):
        mean, low, high = mean_interval(values)
        rows.append({"variant": name, "step": share, "metric": "score", "mean": mean, "low": low, "high": high})
curves(pl.DataFrame(rows), metric="score", label="score", unit="share of the wanted concepts that was said")

# %% [markdown]
# **Reading the picture.** BMAS rises with the truth all the way, on a floor: any word is a little like some other.
# Common words rise at a quarter of the slope, because three of four synonyms are missed. A floor does no harm to GRPO,
# which only sees differences within a group; a small slope does, if there is noise.
#
# ## The promise, on a fair track
#
# Does it *train*? Sixteen answers to each of sixteen questions; a policy is paid by one of the scores, with noise, and
# half a point for the right format, which a second head chooses. What we look at is not what it is paid for but the
# truth. Each has its own best learning rate, chosen on other runs.

# %%
table = np.zeros((3, 16, 16))  # truth, BMAS, common words of each answer to each question
for question in range(16):
    for n in range(16):
        concepts, kept = rng.permutation(60), rng.integers(0, 11)
        wanted, said = answer(concepts[:10]), answer(np.r_[concepts[:kept], concepts[10 : 11 + rng.integers(1, 11)]])
        truth = 2 * kept / (10 + len(said[0]))
        table[:, question, n] = truth, bmas(said[0], wanted[0])[0], len(said[1] & wanted[1]) * 2 / (10 + len(said[0]))


@lab.measurement(label="truth", unit="F1 over concepts")
def concepts_in_common(moment):
    """Mean F1 over concepts of the answers of a step [S]."""
    return table[0][np.arange(16)[:, None], moment.rollouts.actions[..., 0]].mean(axis=(1, 2))


def paid_by(name, scores):
    """A policy that is paid by these scores and for the format, at its own best learning rate."""
    means = np.stack([scores, np.broadcast_to(np.arange(16) < 8, (16, 16))], axis=1)
    runs = {"seeds": 16, "tuning": range(900, 908)} if QUICK else {"seeds": 64, "tuning": range(900, 932)}
    return lab.compare(Bandit(means=means, law="normal"), [lab.variant("mixed-r1", name)], fair=True, steps=60,
                       lrs=(16.0, 32.0, 64.0), metric="concepts_in_common", group_size=8, **runs)  # fmt: skip


fair = paid_by("common words", table[2]).beside(paid_by("BMAS", table[1]))
tuning(fair.curve, label="truth (F1 over concepts) after 60 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# **Published beside it:** nothing that could be compared. The paper trains one model on 45 000 samples of five kinds;
# its result tables were not available to the lab. The recorded verdict, with more runs, sizes and ROUGE-L:

# %%
headline = papers.find_claim("mixed-r1.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("mixed-r1.headline"))

# %% [markdown]
# ## With and without
#
# Measured again with another score in the place of BMAS (1: common words, 2: one direction alone, 3: the other), and
# with no weight on the format (4). There each must fail.

# %%
papers.table("mixed-r1.1", "mixed-r1.2", "mixed-r1.3", "mixed-r1.4").drop("published")

# %% [markdown]
# By hand, why *two* directions: two right words have a perfect forward half, and the whole dictionary has a perfect
# backward half.

# %%
wanted = words[:10, 0]
tries = {"all ten, in synonyms": words[:10, 1], "two right words": wanted[:2], "the dictionary": words.reshape(-1, 32)}
halves = {name: bmas(x, wanted) for name, x in tries.items()}
pl.DataFrame(
    [(name, *found) for name, found in halves.items()], ["answer", "BMAS", "forward", "backward"], orient="row"
)

# %% [markdown]
# ## Where it does not hold
#
# BMAS sees a bag. The answer five times over and in any order, or with *not* before every verb, is as good:

# %%
print("said five times and shuffled:", round(bmas(rng.permutation(np.tile(wanted, (5, 1))), wanted)[0], 6))
papers.table("mixed-r1.limit-repetition").drop("published")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Let all concepts be at right angles, one word each. Four are wanted. What is the BMAS of an answer with two of
# them and two foreign words, and of an answer with two of them and nothing else? A list of two numbers.

# %%
answer_1 = None

# %%
axes = np.eye(40)
check(answer_1, [bmas(axes[[0, 1, 8, 9]], axes[:4])[0], bmas(axes[:2], axes[:4])[0]], "take the two halves one by one")

# %% [markdown]
# **2.** So it may pay to leave out what one is not sure of. With the same four wanted words: an answer that says all
# four, and k foreign words. From which k on would two right words and silence have been better paid?

# %%
answer_2 = None

# %%
short = bmas(axes[:2], axes[:4])[0]
longer = [bmas(axes[: 4 + k], axes[:4])[0] for k in range(30)]
check(answer_2, np.argmax(np.array(longer) < short - 1e-9), "what happens to the forward half, and to the other?")

# %% [markdown]
# **3.** Mend the repetition: write a score that is BMAS for an answer as long as the reference, and below 0.5 for the
# reference said five times over, without looking for repeated words.


# %%
def mended(said, wanted):
    """Score of an answer, from the vectors of its words [n, d] and of the reference's [m, d]."""
    return None  # your line


# %%
if mended(wanted, wanted) is not None:
    same = np.isclose(mended(words[:10, 1], wanted), bmas(words[:10, 1], wanted)[0])
    brief = mended(wanted[:2], wanted) <= bmas(wanted[:2], wanted)[0]
    good = same and brief and mended(np.tile(wanted, (5, 1)), wanted) < 0.5
    check(good, True, "what else do you know of an answer than its words? short answers must gain nothing by it")

# %% [markdown]
# In the dashboard (`make lab`): [the total of task and
# format](http://127.0.0.1:8501/papers?paper=mixed-r1&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=mixed-r1).
