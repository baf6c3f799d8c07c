"""Secrets of RLHF II: several models vote on how strong each preference is, and weak pairs are treated apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, LabWarning, UnknownNameError, check_number, check_whole
from lab.reward_models.door import reward_model
from simulators.learned_reward.annotators import Comparisons

if TYPE_CHECKING:
    from torch import Tensor

    from simulators.learned_reward.fitting import Batch, Loss
    from simulators.learned_reward.perceptron import Perceptron

__all__ = [
    "PAIR_LOSSES", "RECIPES", "contrastive", "lr_factor", "meta", "pair_loss", "released", "secrets_rm", "strength",
    "treated", "voters",
]  # fmt: skip

Array = NDArray[np.float64]

#: Added to a probability before its logarithm in the released code.
FLOOR = 1e-5
_STRONG = 0.8  # above this quantile a pair is one of the strongest
#: Recipe -> (pair loss, what happens to the pairs that are judged wrong).
RECIPES: Mapping[str, tuple[str, str]] = {
    "plain": ("smoothed", "keep"), "released": ("released", "keep"), "flip": ("smoothed", "flip"),
    "soft": ("smoothed", "soften"), "margin": ("margin", "keep"), "flip+margin": ("margin", "flip"),
    "soft+margin": ("margin", "soften"), "drop": ("smoothed", "drop"), "smooth": ("smoothed", "soften all"),
    "smooth-strong": ("smoothed", "soften strong"),
}  # fmt: skip


def smoothed(margin: Tensor, mu: Tensor, share: Tensor) -> Tensor:
    """−(1 − a) log σ(m) − a log σ(−m): a label is taken for wrong with probability a."""
    import torch.nn.functional as F

    return (1 - share) * F.softplus(-margin) + share * F.softplus(margin)


def with_margin(margin: Tensor, mu: Tensor, share: Tensor) -> Tensor:
    """The same of m − μ: a pair has to be as far apart as the models said."""
    return smoothed(margin - mu, mu, share)


def released(margin: Tensor, mu: Tensor | None = None, share: Tensor | None = None) -> Tensor:
    """−log(σ(m) + 1e-5), at most 11.51."""
    import torch

    return -torch.log(torch.sigmoid(margin) + FLOOR)


#: Pair losses by name: margins m, strengths μ and softness a, of any one shape -> losses of that shape.
PAIR_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "smoothed": smoothed, "margin": with_margin, "released": released,
}  # fmt: skip


def pair_loss(chosen: Any, rejected: Any) -> tuple[float, float]:
    """The released loss of pairs of scores [N], and the share that is ranked right.

    Source: MOSS-RLHF, rm/reward_trainer.py; golden file secrets-rm.json.
    """
    import torch

    margin = torch.as_tensor(chosen, dtype=torch.float64) - torch.as_tensor(rejected, dtype=torch.float64)
    return float(released(margin).mean()), float((torch.sigmoid(margin) > 0.5).double().mean())


def lr_factor(step: int, warmup: int) -> float:
    """Factor on the learning rate: up to the warm-up step/warmup, at least 0.1; then √(warmup/step), at least 1e-8.

    Source: MOSS-RLHF, rm/reward_trainer.py; golden file secrets-rm.json.
    """
    check_whole("warmup", warmup, 1)
    if check_whole("step", step, 0) < warmup:
        return max(step / warmup, 0.1)
    return max(float(np.sqrt(warmup / step)), 1e-8)


def voters(
    comparisons: Comparisons, seeds: Sequence[int], *, models: int = 6, epochs: int = 1, lr: float = 3e-3
) -> Perceptron:
    """M reward models of each set, which differ in first weights and in the order of the pairs: S · M side by side."""
    from simulators.learned_reward.annotators import stacked
    from simulators.learned_reward.fitting import fit

    votes = check_whole("models", models, 1)
    each = [i % comparisons.sets for i in range(len(seeds)) for _ in range(votes)]
    starts = [1_000_003 * int(s) + 1 + m for s in seeds for m in range(votes)]
    return fit(stacked([comparisons.one(i) for i in each]), starts, epochs=epochs, lr=lr)


def strength(
    comparisons: Comparisons, seeds: Sequence[int], *, models: int = 6, epochs: int = 1, lr: float = 3e-3
) -> tuple[Array, Array]:
    """How strong each preference is: mean and deviation over M models of r(chosen) − r(rejected).

    Args:
        comparisons: S sets of N pairs.
        seeds: [S]; each draws M first weights and orders of the same pairs.
        models: M; with one the deviation is 0.
        epochs: Passes of each model; many of them, and it learns the wrong labels by heart.
        lr: Its learning rate.

    Returns:
        μ and σ (ddof 0) [S, N]. μ < 0: probably a wrong label; about 0: ambiguous; large: clear.

    Source: arXiv 2401.06080, preference strength.
    """
    votes = voters(comparisons, seeds, models=models, epochs=epochs, lr=lr)
    each = [i % comparisons.sets for i in range(len(seeds)) for _ in range(models)]
    apart = votes(comparisons.chosen[each]) - votes(comparisons.rejected[each])
    apart = apart.reshape(len(seeds), models, -1)
    return apart.mean(1), apart.std(1)


@reward_model("secrets-rm", paper="secrets-rm", equation="loss = −log σ(d − |μ|) after pairs with μ < 0 are flipped")
def secrets_rm(
    comparisons: Comparisons, seeds: Sequence[int], *, recipe: str = "flip+margin", models: int = 6,
    bottom: float = 0.0, alpha: float | None = None, contrast: float = 0.0, epochs: int = 3, lr: float = 3e-3,
) -> Perceptron:  # fmt: skip
    """A reward model whose pairs were voted on first.

    Args:
        comparisons: S sets of pairs [S, N, D], or one for all.
        seeds: [S].
        recipe: One of `RECIPES`: "flip" swaps the pairs judged wrong, "soft" smooths their labels, "drop" leaves them
            out, "margin" asks every pair to be as far apart as its strength; "smooth" smooths all labels,
            "smooth-strong" those of the strongest fifth; "released" is the released loss.
        models: How many vote.
        bottom: Share of the weakest pairs that is judged wrong; 0: those with μ < 0.
        alpha: a, softness of the labels that are smoothed; None: 0.5 for pairs judged wrong, else 0.1.
        contrast: Weight of the contrastive term (SimCSE on differences of hidden layers).
        epochs: Passes of the model at the end; a voter makes one.
        lr: Learning rate of AdamW, of the voters as well.

    Returns:
        S models, responses [S, ..., D] -> scores [S, ...].

    Raises:
        UnknownNameError: No such recipe. InputError: A number out of range.

    Source: arXiv 2401.06080; alpha and the contrastive term's constants are not published.
    """
    name, treatment = _recipe(recipe)
    voted = name == "margin" or treatment in ("flip", "soften", "drop", "soften strong")
    mu = np.zeros((len(seeds), len(comparisons)))
    if voted:
        mu = strength(comparisons, seeds, models=models, lr=lr)[0]
    return treated(comparisons, seeds, mu, recipe=recipe, bottom=bottom, alpha=alpha, contrast=contrast, epochs=epochs,
                   lr=lr)  # fmt: skip


def treated(
    comparisons: Comparisons, seeds: Sequence[int], mu: Array, *, recipe: str = "flip+margin", bottom: float = 0.0,
    alpha: float | None = None, contrast: float = 0.0, epochs: int = 3, lr: float = 3e-3,
) -> Perceptron:  # fmt: skip
    """As `secrets_rm`, of pairs whose strength μ [S, N] is known already."""
    from simulators.learned_reward.fitting import fit

    name, treatment = _recipe(recipe)
    check_number("bottom", bottom, lambda x: 0 <= x < 1, "from 0 to below 1")
    check_number("contrast", contrast, lambda x: x >= 0, "a number of at least 0")
    wrong = _judged(mu, bottom, treatment)
    share = _softness(mu, wrong, treatment, alpha)
    if treatment == "flip":
        comparisons, mu = _spread(comparisons, len(seeds)).swapped(wrong), np.where(wrong, -mu, mu)
    given = {"mu": mu, "share": share, "weight": np.where(wrong & (treatment == "drop"), 0.0, 1.0)}
    return fit(comparisons, seeds, loss=partial(_loss, name, contrast), given=given, epochs=epochs, lr=lr)


def _recipe(name: str) -> tuple[str, str]:
    """Its pair loss and what happens to pairs that are judged wrong."""
    if name not in RECIPES:
        raise UnknownNameError("recipe of secrets-rm", name, RECIPES)
    return RECIPES[name]


def _judged(mu: Array, bottom: float, treatment: str) -> NDArray[np.bool_]:
    """Which pairs are judged wrong [S, N]; a set in which all are is left as it is."""
    edge = np.quantile(mu, bottom, axis=1, keepdims=True) if bottom else np.zeros((len(mu), 1))
    wrong: Any = mu < edge
    everything = wrong.all(axis=1)
    if everything.any() and treatment in ("flip", "soften", "drop"):
        warnings.warn("all pairs of a set are judged wrong; it is left as it is", LabWarning, stacklevel=4)
    return wrong & ~everything[:, None]


def _softness(mu: Array, wrong: NDArray[np.bool_], treatment: str, alpha: float | None) -> Array:
    """a of each pair [S, N], 0 where the label is kept as it is."""
    usual = 0.5 if treatment == "soften" else 0.1
    a = usual if alpha is None else check_number("alpha", alpha, lambda x: 0 <= x <= 1, "from 0 to 1")
    if treatment == "soften all" and a >= 0.5:
        raise InputError(f"alpha={a:g} leaves nothing of any label where all are smoothed; below 0.5, such as 0.1")
    strong = mu >= np.quantile(mu, _STRONG, axis=1, keepdims=True)
    which = {"soften": wrong, "soften all": np.ones_like(wrong), "soften strong": strong}
    return np.where(which.get(treatment, np.zeros_like(wrong)), a, 0.0)


def _spread(comparisons: Comparisons, count: int) -> Comparisons:
    """A set for each seed."""
    from simulators.learned_reward.annotators import stacked

    return comparisons if comparisons.sets == count else stacked([comparisons] * count)


def _loss(name: str, contrast: float, parts: Sequence[Tensor], batch: Batch) -> Tensor:
    """Mean pair loss of each run [S], with the contrastive term."""
    from simulators.learned_reward.fitting import margins

    real = batch.real * batch.given["weight"]
    each = PAIR_LOSSES[name](margins(parts, batch), batch.given["mu"], batch.given["share"])
    total = (each * real).sum(1) / real.sum(1).clamp(min=1)
    return total + contrast * contrastive(parts, batch) if contrast else total


def contrastive(parts: Sequence[Tensor], batch: Batch, *, tau: float = 0.05, dropout: float = 0.1) -> Tensor:
    """SimCSE's loss of the differences of hidden layers, each seen twice through dropout [S].

    −log(exp(cos(h_i, h'_i)/τ) / Σ_j exp(cos(h_i, h'_j)/τ)), h = f(chosen) − f(rejected).

    Source: arXiv 2401.06080, contrastive learning; SimCSE, arXiv 2104.08821.
    """
    import torch
    import torch.nn.functional as F

    from simulators.learned_reward.fitting import hidden_of

    hidden = hidden_of(parts, batch.pairs.flatten(1, 2)).unflatten(1, (-1, 2))
    shape, seen = hidden.shape[1:], []
    for _ in range(2):
        kept = torch.stack([torch.rand(shape, generator=draw) >= dropout for draw in batch.draws])
        through = hidden * kept / (1 - dropout)
        seen.append(F.normalize(through[:, :, 0] - through[:, :, 1], dim=-1))
    alike = torch.bmm(seen[0], seen[1].mT) / tau
    alike = alike.masked_fill(batch.real[:, None] == 0, -torch.inf)
    return batch.mean(alike.logsumexp(-1) - alike.diagonal(dim1=1, dim2=2).nan_to_num(neginf=0.0))


def meta(loss: Loss, responses: ArrayLike | Tensor, *, step: float = 1e-3) -> Loss:
    """MetaRM: the loss is taken where the model would tell a moved policy's responses better apart.

    J = (2/k²) Σ_{i<j} σ(|r(s_i) − r(s_j)|), mean over prompts; θ' = θ + step ∇J, and the gradient of the loss at θ' is
    that of θ (first order).

    Args:
        loss: Of pairs.
        responses: k responses of the moved policy to each of Q prompts [S, Q, k, D].
        step: η.

    Source: MetaRM, arXiv 2405.00438; the factor in front of the sum is inferred.
    """
    import torch

    from simulators.learned_reward.fitting import scores

    answers = torch.as_tensor(responses)
    count = answers.shape[2]
    if count < 2:
        raise InputError(f"responses {tuple(answers.shape)} must be [S, Q, k, D], with k of at least 2")

    def moved(parts: Sequence[Tensor], batch: Batch) -> Tensor:
        free = [part.detach().requires_grad_() for part in parts]
        seen = scores(free, answers.to(free[0].dtype).flatten(1, 2)).unflatten(1, (-1, count))
        i, j = torch.triu_indices(count, count, 1)
        apart = torch.sigmoid((seen[..., i] - seen[..., j]).abs()).sum(-1).mean(-1) * 2 / count**2
        slopes = torch.autograd.grad(apart.sum(), free)
        return loss([part + step * slope for part, slope in zip(parts, slopes, strict=True)], batch)

    return moved
