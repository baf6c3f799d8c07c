"""Advantage Lab: an instrument for looking at what group-relative reinforcement learning does with rewards.

Public doors, the same in a notebook, in the dashboard and in tests:

    >>> import lab
    >>> lab.advantages.compute("dr_grpo", [0, 0, 0, 1])
    array([-0.25, -0.25, -0.25,  0.75])

Everything is loaded on first use, so `import lab` is quick and loads neither torch nor Streamlit.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
