"""Training as one compiled loop."""

from modelzoo import _public

__getattr__, __dir__, __all__ = _public.attach_stub(__name__, __file__)
