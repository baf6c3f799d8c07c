"""ONI: a language model's labels of event messages, distilled online into an intrinsic reward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lab.papers.measure import Array, Rows, above, below, fair, interval, promised, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    import polars as pl

    from lab.rewards.oni import Moments
    from lab.studies.fair import Comparison
    from simulators.mdp.q_learning import Learned

add_paper(
    Paper(
        slug="oni",
        title="ONI: Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback",
        short="ONI",
        date="October 2024",
        arxiv={"ONI": "2410.23022"},
        code="https://github.com/facebookresearch/oni",
        problem=(
            "Rewards are sparse. A language model can tell which event messages look helpful, but not billions of "
            "times: some messages are labelled while the agent learns, and the labels are distilled as they come."
        ),
        equations=(
            ("reward", "r = a_ext r_ext + a_llm r_int(m) / N(m)^β"),
            ("retrieval", "r_int = label[m], 0 without one"),
            ("classification", "r_int = 1[P(helpful | m) > η]"),
            ("ranking", "z = (r(m) − μ)/√v,  r_int = z·1[z > −½]"),
            ("moments", "μ ← μ + δ n_b/(n + n_b),  v ← (v n + v_b n_b + δ² n n_b/(n + n_b))/(n + n_b)"),
        ),
        kept="The three reward models and their decay with repeats, fitted while the learner learns; messages as "
        "features with a hidden helpfulness; control in a chain with messages, some of them labelled wrongly.",
        left_out="Language; NetHack; the asynchronous learner and its recurrent network.",
        unknown="The figures of its plots.",
    )
)

_RUNS, _EPISODES, _LAST = 48, 4000, 500
_POOLS = 96


@cached
def _study(seed: int) -> pl.DataFrame:
    from lab.studies.messages import message_study

    return message_study(seeds=runs(seed, _POOLS))


def _column(seed: int, model: str, noise: float, collected: int, column: str = "accuracy") -> Array:
    """One measure in 96 worlds [96]."""
    found = _study(seed).filter(model=model, noise=noise, collected=collected).sort("seed")
    return np.asarray(found[column].to_numpy(), dtype=np.float64)


def _means(seed: int) -> Rows:
    import polars as pl

    means = _study(seed).group_by("noise", "collected", "model", maintain_order=True)
    return means.agg(pl.col("accuracy", "unseen").mean()).to_dicts()


@claim(
    "oni.headline",
    sentence="Where the goal is too far to be found by chance, a reward for messages that is learnt while the policy "
    "learns leads there: of walks along 21 positions 0.7 arrive after 15 steps, with the sparse reward and plain GRPO "
    "hardly one. Classification and ranking do alike, retrieval and pay that does not fade hardly help, and at 10 "
    "positions there is no gain.",
    criterion="lead of classification over the better of the sparse reward and GRPO in the probability to reach the "
    "goal after 15 steps of four groups, G = 4, 21 positions, each at its own best learning rate, 95% interval above 0 "
    "(16 runs)",
    note="Messages on every third position, one of them at position 2 unhelpful; 30 messages a step are labelled, one "
    "label in five is wrong, and every step the models are fitted to all labels so far. Dense rewards by `mapo@turn`, "
    "the return from each move on against the group's. Learning rates are chosen on 8 other runs. Reward-free play and "
    "NetHack's scores need a world of their own. Seeds 0 to 2: 0.66 to 0.73.",
    published="state of the art on NetHack's sparse tasks; the figures were not available",
)
def headline(seed: int) -> Measurement:
    """Lead of an intrinsic reward that is learnt online in the probability to reach the goal."""
    places = {"21 positions, G = 4": (20, 4), "21 positions, G = 8": (20, 8), "10 positions, G = 4": (9, 4)}
    found = {where: _online(seed, *at) for where, at in places.items()}
    return promised(found, "classification", "sparse", "grpo")


def _online(seed: int, length: int, size: int) -> Comparison:
    """Reward models that are fitted while the policy learns, beside the sparse reward and GRPO."""
    import lab
    from lab.studies.messages import online
    from lab.studies.walks import Walks
    from simulators.mdp.chains import Chain

    chain = Chain(length, 0.97, 3 * length, 0.05, every=3)
    settings: dict[str, Any] = {"number": 16, "tuned": 8, "lrs": (32.0, 128.0), "steps": 15, "group_size": size}
    found = fair(Walks("sparse", chain), ["grpo", lab.variant("mapo@turn", "sparse", gamma=0.97)], seed, **settings)
    pays = {"classification": online(chain, "classification")}
    if (length, size) == (20, 4):
        pays |= {m: online(chain, m) for m in ("ranking", "retrieval")}
        pays["no fading"] = online(chain, "classification", beta=0.0)
    for name, pay in pays.items():
        found = found.beside(fair(Walks(pay, chain), [lab.variant("mapo@turn", name, gamma=0.97)], seed, **settings))
    return found


@claim(
    "oni.1",
    sentence="Retrieval never rewards a message that was not labelled, a classifier does: with 100 messages collected "
    "and faultless labels it tells helpful from unhelpful 0.09 more often.",
    criterion="no helpful message without a label is rewarded by retrieval, and the classifier's accuracy is at least "
    "0.05 higher, 95% interval over 96 worlds included",
    note="The value is the difference in accuracy. Seeds 0 to 4: 0.083 to 0.087; .089 was reported. Control: "
    "retrieval in place of the classifier.",
    without=lambda seed: _unseen(seed, "retrieval"),
)
def unseen(seed: int) -> Measurement:
    """Accuracy of the classifier less that of retrieval."""
    return _unseen(seed, "classification")


def _unseen(seed: int, ours: str) -> Measurement:
    gap = _column(seed, ours, 0.0, 100) - _column(seed, "retrieval", 0.0, 100)
    none = _column(seed, "retrieval", 0.0, 100, "unseen").max()
    return above(gap, 0.05, rows=_means(seed), also=none == 0)


@claim(
    "oni.2",
    sentence="With one label in five wrong, ranking beats classification, by 0.10 where 100 messages were collected "
    "and by 0.03 at 1000; without mistakes and with many messages it falls behind.",
    criterion="accuracy of ranking less that of classification, with a fifth of the labels wrong: at least 0.05 at 100 "
    "messages and above 0 at 1000; below 0 at 1000 without mistakes; 95% intervals over 96 worlds included",
    note="The value is the lead at 100 messages. Seeds 0 to 4: 0.083 to 0.106. With 16 worlds .086 and .024 were "
    "reported; worlds differ so much (one message in seven is the commonest) that 16 don't settle the second. Control: "
    "the classifier in place of the ranker.",
    without=lambda seed: _noisy(seed, "classification"),
)
def noisy(seed: int) -> Measurement:
    """Lead of ranking over classification with 100 messages and a fifth of the labels wrong."""
    return _noisy(seed, "ranking")


def _noisy(seed: int, ours: str) -> Measurement:
    def lead(noise: float, collected: int) -> tuple[float, tuple[float, float]]:
        return interval(_column(seed, ours, noise, collected) - _column(seed, "classification", noise, collected))

    few, many, clean = lead(0.2, 100), lead(0.2, 1000), lead(0.0, 1000)
    signs = many[1][0] > 0 and clean[1][1] < 0
    return Measurement(few[0], signs and few[1][0] >= 0.05, few[1], _means(seed))


@claim(
    "oni.3",
    sentence="What one message pays in an episode is bounded for β = 3, by 1.2021 times its label; for β = 1 it grows "
    "with the logarithm of its repeats, for β = 0 with their number.",
    criterion="sum of N^−β over 10^5 repeats: 1.20206, 12.09 and 100000, to 1e-4 of each",
    note="Exact: the value is the largest relative error. Control: pay that does not fade.",
    without=lambda seed: _bounded(fades=False),
)
def bounded(seed: int) -> Measurement:
    """Largest relative error of the three sums."""
    return _bounded(fades=True)


def _bounded(fades: bool) -> Measurement:
    expected = {3.0: 1.20206, 1.0: 12.0901, 0.0: 100_000.0}
    sums = {beta: float(_fading(beta if fades else 0.0, 100_000).sum()) for beta in expected}
    rows: Rows = [{"β": beta, "sum": found} for beta, found in sums.items()]
    worst = max(abs(sums[beta] / wanted - 1) for beta, wanted in expected.items())
    return Measurement(worst, worst <= 1e-4, None, rows)


def _fading(beta: float, repeats: int) -> Array:
    """What each repeat of one message pays, its label being 1 [repeats]."""
    from lab.rewards.oni import total

    return total(0.0, 1.0, np.arange(1, repeats + 1), a_llm=1.0, beta=beta)


@cached
def controlled(seed: int, beta: float | None, length: int = 15, episodes: int = _EPISODES) -> Learned:
    """48 runs of Q-learning on (position, messages seen), all messages labelled helpful; β None: no messages."""
    from simulators.mdp.chains import Chain
    from simulators.mdp.q_learning import learn

    chain = Chain(length, 0.97, 80, 0.05, every=3)
    given: dict[str, Any] = {"episodes": episodes, "seeds": runs(seed, _RUNS), "alpha": 0.2, "explore": 0.1}
    pay = 0.0 if beta is None else 0.1
    return learn(chain, chain.reward, pay=pay, fading=_fading(beta or 0.0, 80), remember=True, **given)


def _late(run: Learned) -> Array:
    """Success over the last 500 episodes [S]."""
    return np.asarray(run.reached[:, -_LAST:].mean(axis=1))


def _farmed(run: Learned) -> float:
    """Searches at the lure per episode, over the last 500."""
    return float(run.events[:, -_LAST:, 0].mean())


@claim(
    "oni.4",
    sentence="One wrong label is enough to be farmed unless repeats fade: with β = 3 two episodes in three succeed, "
    "with β = 1 one in nine, with β = 0 none.",
    criterion="success over the last 500 of 4000 episodes at least 0.4 for β = 3 and at most 0.02 for β = 0, 95% "
    "intervals over 48 runs included; searches per episode rise from β = 3 to 1 to 0",
    note="The value is the success with β = 3. Chain of 16 positions with a slip of .05, messages on every third, a "
    "search at position 2 labelled helpful by mistake. Seeds 0 to 2: 0.68 to 0.70; .60, .12 and .00 were reported "
    "from 24 runs, with 9, 27 and 67 searches: runs differ so much that 24 leave ±.12 (96 runs give .68 and .12). "
    "Control: pay that does not fade.",
    without=lambda seed: _farming(seed, 0.0),
)
def farming(seed: int) -> Measurement:
    """Success of Q-learning with pay that fades with the cube of the repeats."""
    return _farming(seed, 3.0)


def _farming(seed: int, strongest: float) -> Measurement:
    found = [controlled(seed, beta) for beta in (strongest, 1.0, 0.0)]
    rows: Rows = [{"β": beta, "success": float(_late(run).mean()), "searches per episode": _farmed(run)}
                  for beta, run in zip((strongest, 1.0, 0.0), found, strict=True)]  # fmt: skip
    searches = [row["searches per episode"] for row in rows]
    lost = _late(found[2])
    highest = float(lost.max()) if lost.std() == 0 else interval(lost)[1][1]
    return above(_late(found[0]), 0.4, rows=rows, also=highest <= 0.02 and searches == sorted(searches))


@claim(
    "oni.check-late",
    sentence="Labels that come late pay late: retrieval starts paying for a message when its label is in, and the "
    "messages of the first episodes are worth nothing to it.",
    criterion="with labels arriving after half of 2000 episodes, every episode before is the one without messages, "
    "step by step, and the episodes behind differ in every run (8 runs)",
    note="Exact: the value is the number of steps that differ before the labels arrive. Control: labels from the "
    "first episode on.",
    without=lambda seed: _lagging(seed, 0),
)
def late(seed: int) -> Measurement:
    """Steps that differ before the labels are in."""
    return _lagging(seed, 1000)


def _lagging(seed: int, episodes: int) -> Measurement:
    """With labels after so many episodes."""
    from lab.rewards.oni import retrieval
    from simulators.mdp.chains import Chain
    from simulators.mdp.q_learning import learn

    chain = Chain(15, 0.97, 80, 0.05, every=3)
    labels = np.full((2000, chain.events), np.nan)
    labels[episodes:] = 1.0
    given: dict[str, Any] = {"episodes": 2000, "seeds": runs(seed, 8), "remember": True, "record": True}
    without, lagged = (learn(chain, chain.reward, pay=p, **given) for p in (0.0, 0.1 * retrieval(labels)))
    differ = (without.trail != lagged.trail).sum(axis=-1)
    before, behind = int(differ[:, :1000].sum()), differ[:, 1000:].sum(axis=1)
    rows: Rows = [{"run": k, "steps that differ afterwards": int(n)} for k, n in enumerate(behind)]
    return Measurement(float(before), before == 0 and bool((behind > 0).all()), None, rows)


@claim(
    "oni.check-released",
    sentence="As released, ranking pays the raw score and not the normalised one: in other units of the ranker the "
    "agent's intrinsic reward is another, where the intended one does not change.",
    criterion="scores times 10 plus 3: rewards of the intended form equal to 1e-3, of the released form off by more "
    "than 1 (1000 scores in batches of 50, 96 sets)",
    note="The value is the mean largest change of the released form. The running moments start from 1e-4 scores of "
    "mean 0 and variance 1, which is what is left of the intended form's change. Control: the intended form twice.",
    without=lambda seed: _released(seed, (False, False)),
)
def released(seed: int) -> Measurement:
    """Largest change of the released reward when the ranker's units change."""
    return _released(seed, (False, True))


def _released(seed: int, forms: tuple[bool, bool]) -> Measurement:
    changes = np.array([_change(k, forms) for k in runs(seed, _POOLS)])
    rows: Rows = [
        {"form": n, "largest change": float(c.max())} for n, c in zip(("intended", "released"), changes.T, strict=True)
    ]
    return above(changes[:, 1], 1, rows=rows, also=changes[:, 0].max() <= 1e-3)


def _change(seed: int, forms: tuple[bool, bool]) -> tuple[float, float]:
    """Largest change of the intended and of the released reward in other units."""
    from lab.rewards.oni import ranking

    batches = np.random.default_rng(seed).normal(size=(20, 50))
    worst = []
    for as_released in forms:
        apart = 0.0
        states: list[Moments | None] = [None, None]
        for batch in batches:
            paid = []
            for k, scores in enumerate((batch, 10 * batch + 3)):
                reward, states[k] = ranking(scores, states[k], threshold=-np.inf, as_released=as_released)
                paid.append(reward)
            apart = max(apart, float(np.abs(paid[1] - paid[0]).max()))
        worst.append(apart)
    return worst[0], worst[1]


@claim(
    "oni.limit-sparse",
    sentence="Once the goal is found often enough, the intrinsic reward is in the way: in the chain of 16 positions "
    "the sparse reward alone succeeds in 95 of 100 episodes in the end, with fading messages in two of three.",
    criterion="success over the last 500 episodes with β = 3 less that of the sparse reward below −0.1, 95% interval "
    "over 48 runs included",
    note="The value is the difference; both learners see the messages. Seeds 0 to 2: −0.27 to −0.26. Control: 26 "
    "positions, where the sparse reward finds nothing in 3000 episodes and messages do.",
    without=lambda seed: _beaten(seed, 25, 3000),
)
def beaten(seed: int) -> Measurement:
    """Success with fading messages less that without."""
    return _beaten(seed, 15, _EPISODES)


def _beaten(seed: int, length: int, episodes: int) -> Measurement:
    paid, sparse = (controlled(seed, beta, length, episodes) for beta in (3.0, None))
    rows: Rows = [
        {"reward": n, "success": float(_late(run).mean())} for n, run in (("β = 3", paid), ("sparse", sparse))
    ]
    return below(_late(paid) - _late(sparse), -0.1, rows=rows)


@claim(
    "oni.limit-longer",
    sentence="Where the goal is farther the intrinsic reward leads at first, and falls behind too: with 21 positions "
    "fewer episodes succeed in the end, 43 of 100 against 68.",
    criterion="success over the last 500 of 4000 episodes with β = 3 less that of the sparse reward below −0.1, 95% "
    "interval over 48 runs included",
    note="The value is the difference in final success. Seeds 0 to 2: −0.26 to −0.22; .39 against .69 was reported, "
    "and 1268 episodes against 1831 to 50% success. Control: the same after 1200 episodes, where messages are not "
    "behind.",
    without=lambda seed: _beaten(seed, 20, 1200),
)
def longer(seed: int) -> Measurement:
    """Final success with fading messages less that without, with 21 positions."""
    return _beaten(seed, 20, _EPISODES)
