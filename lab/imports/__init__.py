"""Logs of other trainers, as tables of rollouts.

>>> import lab
>>> table = lab.load(lab.imports.bundled()["equal_rewards"])
>>> table.group_size, table.reward_columns
(8, ('constant_0p3',))
"""

from __future__ import annotations

from lab.imports.bundles import bundled, bundled_run
from lab.imports.table import Batch, RolloutTable
from lab.imports.trl import load

__all__ = ["Batch", "RolloutTable", "bundled", "bundled_run", "load"]
