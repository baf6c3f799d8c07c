"""The blocks of parameters of a policy (policy, critic, reward model), each moved by an optimizer of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.errors import InputError, UnknownNameError
from lab.measures import gradient as gradients
from lab.training.moment import by_block
from lab.training.optimizers import Optimizer, alike, on_host
from lab.training.settings import Settings
from simulators.records import Policy

__all__ = ["Learner"]

Array = NDArray[Any]


class Learner:
    """Moves the blocks of a policy along their gradients.

    Args:
        policy: Its blocks are moved in place.
        settings: Optimizer and learning rate, the same for each block or one for each, and momentum.
        limit: Norm of a block's gradient above which it is scaled down; None: there is none.

    Raises:
        InputError: An optimizer or a learning rate for a block that there is not, or none for one that there is.
    """

    def __init__(self, policy: Policy, settings: Settings, limit: float | None = None) -> None:
        self.policy, self.limit = policy, limit
        kinds, rates = (_of_each(name, getattr(settings, name), policy.blocks) for name in ("optimizer", "lr"))
        self.optimizers = {
            name: Optimizer(kinds[name], rates[name], momentum=settings.momentum) for name in policy.blocks
        }

    def ascend(self, gradient: Any) -> bool:
        """Move the policy's block, or each that a mapping names; False, and nothing moves, if one is not finite.

        Raises:
            InputError: The policy has no such block.
        """
        found = by_block(gradient)
        for name in found.keys() - self.optimizers.keys():
            raise InputError(f"a gradient for block {name!r}; the policy has {', '.join(self.optimizers)}")
        norms = {name: gradients.norm(g) for name, g in found.items()}
        if not all(np.isfinite(norm).all() for norm in norms.values()):
            return False
        for name, g in found.items():
            clipped = g if self.limit is None else gradients.clip_norm(g, self.limit, norms[name])
            self.optimizers[name].step(self.policy.blocks[name], clipped)
        return True

    def state(self) -> dict[str, Array]:
        """Parameters, number of updates and moments of each block: "policy/parameters", "policy/updates", ..."""
        found: dict[str, Array] = {}
        for name, block in self.policy.blocks.items():
            own = self.optimizers[name]
            found |= {f"{name}/parameters": on_host(block), f"{name}/updates": np.array(own.steps)}
            found |= {f"{name}/moment.{m}": on_host(value) for m, value in own.state.items()}
        return found

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where `state` was taken.

        Raises:
            InputError: A block is missing, or has another shape.
        """
        for name, block in self.policy.blocks.items():
            if not {f"{name}/parameters", f"{name}/updates"} <= state.keys():
                raise InputError(f"the state has no block {name!r} with its updates; it has {', '.join(sorted(state))}")
            shape, found = tuple(block.shape), np.shape(state[f"{name}/parameters"])
            if found != shape:
                raise InputError(f"the state has parameters {found} in block {name!r}; this walk has {shape}")
        for name, block in self.policy.blocks.items():
            block[...] = alike(state[f"{name}/parameters"], block)
            own, first = self.optimizers[name], f"{name}/moment."
            own.steps = int(state[f"{name}/updates"])
            own.state = {n.removeprefix(first): alike(v, block) for n, v in state.items() if n.startswith(first)}


def _of_each(setting: str, value: Any, blocks: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value of a setting for each block of parameters."""
    found = value if isinstance(value, Mapping) else dict.fromkeys(blocks, value)
    for name in found.keys() - blocks.keys():
        raise UnknownNameError(f"block of parameters in {setting}={value!r},", name, blocks)
    for name in blocks.keys() - found.keys():
        raise InputError(f"{setting}={value!r}: it has none for block {name!r}; the policy has {', '.join(blocks)}")
    return found
