"""Training as one compiled loop."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "trainer": ["DivergedError", "train"],
        "evaluating": ["compile_model", "compute_metrics"],
        "progress": ["ProgressBar"],
        "replicas": ["Replicas", "WorkerLostError", "create_strategy"],
        "inputs": ["check_fits", "check_model", "training_data", "warn_of_scaled_pixels"],
    },
)
