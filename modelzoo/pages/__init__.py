"""Pages that describe a model, as Markdown with SVG pictures and as text for the terminal, or one to play with."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
