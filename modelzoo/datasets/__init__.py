"""Data sets: ``load(name)`` or ``load(path)`` returns a :class:`Dataset`.

Importing this package imports neither TensorFlow nor scikit-learn, Pillow or Pooch; loaders import what they need.
"""

from modelzoo import _public

__getattr__, __dir__, __all__ = _public.attach_stub(__name__, __file__)
