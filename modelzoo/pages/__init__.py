"""Pages that describe a model: the same facts as a text for the terminal, and as Markdown with SVG pictures."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
