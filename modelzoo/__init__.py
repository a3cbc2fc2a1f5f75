"""modelzoo: the classical neural networks on Keras 3 and TensorFlow, trained, exported and ready to fine-tune.

Names load on first use, so that ``import modelzoo`` imports neither TensorFlow nor Keras.
"""

from modelzoo import _public

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _public.attach_stub(__name__, __file__)
