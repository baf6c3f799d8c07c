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
# # Z-Reward: how should a judge learn to give marks?
#
# **Question.** A judge thinks about an image, then gives a mark from 1 to 5. One may reward it for good marks and let
# it find out by trial. But a mark is a number with a scale, and the judge has a whole distribution over it, which can
# be trained directly. Which is better? And can a judge that does *not* think learn from one that does?
#
# **Kept** of the paper (arXiv 2606.09076): both rewards, the direct losses (GDSO), distillation without the trace
# (RISD). **Left out:** images and texts; a sample is eight numbers, a trace is one of four. **Time:** fifteen minutes
# to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves
from lab.methods import Variant
from lab.stand_ins import replaced

QUICK = True  # False: more runs, and the claims that train
MARKS = np.linspace(1, 5, 9)
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Annotators have given the two sides of a pair the marks s and s'. The judge has a distribution q of marks for each,
# with means μ and μ'. Two losses act on q itself: the surprise at the annotated mark, and how far the *lead* μ − μ' is
# from the annotated lead.


# %%
def direct_losses(q, annotated):
    """Mean cross-entropy and mean distance of leads, of distributions [2, G, 9] and marks [2]."""
    surprise = -np.log(q[np.arange(2), :, np.searchsorted(MARKS, annotated)]).mean()
    mean = q @ MARKS
    lead = mean[0][:, None] - mean[1]  # each output of one side against each of the other
    return surprise, np.abs(lead - (annotated[0] - annotated[1])).mean() / 4


# %%
rng = np.random.default_rng(0)
logits, annotated = rng.normal(size=(2, 3, 9)), np.array([4.0, 2.5])
log_q = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
nothing = np.zeros((2, 3, 1))
batch = {"logp": nothing, "scores": {"log_marks": log_q}, "annotated": annotated, "policy": 0.0}
theirs = lab.objectives.loss("gdso", nothing, nothing[..., 0], **batch).item()
np.testing.assert_allclose(sum(direct_losses(np.exp(log_q), annotated)), theirs)
print("six lines and the lab's rule agree:", round(theirs, 4))

# %% [markdown]
# Beside them stands GRPO as always: several outputs for each side, each rewarded for how near its mean is to the
# annotated mark and lead, and the trace and mark of the better ones made likelier. The whole loss is the sum.
#
# ## By trial or directly
#
# Four judges: GDSO; GRPO with the reward of the mark that was *given* (parsed); GRPO with the reward of the *expected*
# mark; and plain fine-tuning on the annotated marks, which is GDSO without its policy gradient.

# %%
sft = lab.variant("gdso", "sft", policy=0.0, pairwise=0.0)
on_mean = Variant("grpo on the mean", reward="gdso", advantage="grpo", objective="ppo_clip")
setting = {"steps": 100, "seeds": 2 if QUICK else 8, "measure": ["gold"], "every": 11}
seen = lab.train("rubric", ["gdso", "grpo", on_mean, sft], **setting)
curves(seen.summary(), metric="gold", label="pairs in the right order")

# %% [markdown]
# **Reading the picture.** Height is the share of pairs, never seen before, that the judge's mean mark puts in the right
# order; a coin has 0.5. Trial on the given mark works. Trial on the expected mark does not: the reward depends on the
# trace alone, so that the part which turns a trace into marks never gets any credit. Direct losses go to that part at
# once, and need no luck.
#
# **Published beside it** (annotated image pairs):

# %%
papers.paper("gdso").published[0].frame

# %% [markdown]
# ## On a fair track

# %%
headline = papers.find_claim("gdso.headline")
print(headline.sentence, headline.note, sep="\n\n")

# %% [markdown]
# In the paper the trace is a text of 750 tokens, in which something is found out. Here a trace is one of four, and the
# sample says all. So the distance to GRPO can be seen here, and that to fine-tuning cannot.
#
# ## With and without
#
# Each claim is measured again without what it is about; there it must fail.

# %%
papers.table("gdso.3", "gdso.check-silent", *([] if QUICK else ["gdso.1", "gdso.2"]))

# %% [markdown]
# The third claim says why not just any loss of a pair will do. Bradley and Terry's asks that the better side leads, by
# any margin, the more the better; so leads grow as long as one trains. The distance of leads comes to rest.

# %%
leads = []
for loss in ("gap", "bradley-terry"):
    with replaced({"objective:gdso": {"pairs": loss}}):
        leads.append(papers.measured("gdso.3")[1].frame.with_columns(loss=pl.lit(loss)))
pl.concat(leads).pivot(on="loss", index="annotated", values="lead")

# %% [markdown]
# The same for the whole method: inside the block there are no direct losses.

# %%
with replaced({"objective:gdso": {"pointwise": 0.0, "pairwise": 0.0}}):
    without = lab.train("rubric", "gdso", **setting).summary().with_columns(variant=pl.lit("gdso@without"))
both = pl.concat([seen.summary().filter(pl.col("variant") == "gdso"), without])
curves(both, metric="gold", label="pairs in the right order")

# %% [markdown]
# ## A judge that does not think
#
# A student sees 32 pairs and has no traces. It may learn the annotated marks, or the whole distribution that a teacher
# has for these samples. With `lab.world("rubric")` the teacher is a perfect one, who knows how often each mark would be
# given.

# %%
small = lab.world("rubric", pairs=32, traces=1, width=16)
few = lab.train(small, ["risd", sft, lab.variant("risd", "likeliest mark", hard=True)], **{**setting, "steps": 200})
curves(few.summary(), metric="gold", label="pairs in the right order")

# %% [markdown]
# A label says one thing, a distribution says nine: that 4 was likely, 3.5 nearly as likely, and 1 out of the question.
#
# ## Where it does not hold
#
# **Nothing is gained over fine-tuning** where the trace tells nothing new (`gdso.limit-sft`), and the reward of the
# expected mark is a *worse* one than that of the given mark, unless the head that gives marks is trained otherwise
# (`gdso.limit-expected`).
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A judge gives 3 with probability ½ and 5 with probability ½; the annotated mark is 4. What is its pointwise
# reward, 1 − |μ − s|/4?

# %%
answer_1 = None

# %%
check(answer_1, 1.0, "μ is a mean; it does not matter that the judge never gives it")

# %% [markdown]
# **2.** How large is the surprise (the cross-entropy, in nats) of a judge that gives all nine marks alike, whatever was
# annotated?

# %%
answer_2 = None

# %%
check(answer_2, np.log(9), "−log of one probability")

# %% [markdown]
# **3.** RISD draws the student's distribution q to the teacher's. Write the weights on log q(s), so that the gradient
# on the *logits* is teacher − q.


# %%
def weights_of(teacher):
    """Weights [9] on the student's log-probabilities, from the teacher's probabilities [9]."""
    return None  # your line


# %%
teacher, student = np.exp(log_q[0, 0]), np.exp(log_q[1, 0])
if weights_of(teacher) is not None:
    w = weights_of(teacher)
    check(w - w.sum() * student, teacher - student, "KL(teacher ‖ q) has one term with log q in it", within=1e-9)

# %% [markdown]
# In the dashboard (`make lab`): [judges side by side](http://127.0.0.1:8501/compare?world=rubric&variants=gdso~grpo)
# and [the paper's claims](http://127.0.0.1:8501/papers?paper=gdso).
