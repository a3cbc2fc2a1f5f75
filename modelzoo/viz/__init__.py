"""Figures: one function a figure, arrays or a history in, Matplotlib Axes out. None of them calls ``show``."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
