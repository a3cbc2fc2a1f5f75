"""Figures: one function a figure, arrays or a history in, Matplotlib Axes out. None of them calls ``show``."""

from modelzoo import _public

__getattr__, __dir__, __all__ = _public.attach_stub(__name__, __file__)
