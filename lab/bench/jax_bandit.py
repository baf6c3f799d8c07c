"""Reference loop: the same problem compiled by JAX, jit(vmap(scan)), actions by inverse CDF from `unsafe_rbg` keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compiled", "train"]


def compiled(success: NDArray[Any], *, steps: int, group_size: int, lr: float) -> Callable[[Any], Any]:
    """The whole run as one compiled function of the keys [S] (float32), so that compilation can be timed apart.

    Args:
        success: Success probability of each arm [P, K].
        steps: Number of updates.
        group_size: Rollouts per prompt G.
        lr: Learning rate.
    """
    import jax
    import jax.numpy as jnp

    table = jnp.asarray(success, jnp.float32)
    prompts, arms = success.shape
    scale = lr / (prompts * group_size)

    def step(carry: Any, _: Any) -> Any:
        logits, key = carry
        key, one, two = jax.random.split(key, 3)
        probability = jax.nn.softmax(logits)
        cumulative = jnp.cumsum(probability, axis=-1)
        u = jax.random.uniform(one, (prompts, group_size)) * cumulative[:, -1:]
        action = (cumulative[:, None, :-1] < u[..., None]).sum(-1)
        hot = jax.nn.one_hot(action, arms)
        reward = (jax.random.uniform(two, u.shape) < jnp.einsum("pgk,pk->pg", hot, table)).astype(jnp.float32)
        advantage = (reward - reward.mean(-1, keepdims=True)) / (reward.std(-1, ddof=1, keepdims=True) + 1e-4)
        gradient = jnp.einsum("pgk,pg->pk", hot, advantage) - probability * advantage.sum(-1, keepdims=True)
        return (logits + scale * gradient, key), None

    def run(key: Any) -> Any:
        return jax.lax.scan(step, (jnp.zeros((prompts, arms)), key), None, length=steps)[0][0]

    return jax.jit(jax.vmap(run))


def train(success: NDArray[Any], *, seeds: int, steps: int, group_size: int, lr: float, seed: int = 0) -> NDArray[Any]:
    """As `lab.bench.numpy_bandit.train`: final logits [S, P, K]."""
    import jax

    keys = jax.random.split(jax.random.key(seed, impl="unsafe_rbg"), seeds)
    return np.asarray(compiled(success, steps=steps, group_size=group_size, lr=lr)(keys), dtype=np.float64)
