"""Worlds that produce rollouts and know the truth about them, with counter-based randomness.

Names are loaded on first use, so that `import simulators` stays cheap (Numba takes half a second).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
