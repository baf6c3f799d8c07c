"""Many runs, or everything that can happen enumerated, as a tidy frame that answers one question."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
