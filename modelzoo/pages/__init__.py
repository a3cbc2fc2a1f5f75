"""Pages that describe a model, as Markdown with SVG pictures and as text for the terminal, or one to play with."""

from modelzoo import _public

__getattr__, __dir__, __all__ = _public.attach_stub(__name__, __file__)
