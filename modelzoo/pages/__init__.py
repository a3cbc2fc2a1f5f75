"""Pages that describe a model: the same facts as a text for the terminal, and as Markdown with SVG pictures."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "equations": ["Equation", "equation_of"],
        "layers": ["Step", "read_steps"],
        "pictures": ["Confusion", "measure_confusion"],
        "rendering": ["describe", "render"],
        "subject": ["Subject", "read_subject"],
    },
)
