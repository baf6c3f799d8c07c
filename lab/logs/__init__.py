"""Logs of other trainers: read as tables of rollouts, and what went wrong in them.

>>> import lab
>>> table = lab.load(lab.logs.bundled()["equal_rewards"])
>>> table.group_size, table.reward_columns
(8, ('constant_0p3',))
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
