"""modelzoo: the classical neural networks on Keras 3 and TensorFlow, trained, exported and ready to fine-tune.

Names load on first use, so that ``import modelzoo`` imports neither TensorFlow nor Keras.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=["datasets", "evaluation", "models", "pages", "reference", "saving", "training", "viz"],
    submod_attrs={
        "creation": ["create_model"],
        "pages": ["describe"],
        "errors": ["ModelZooError"],
        "evaluation": ["evaluate", "measure", "predict"],
        "finetuning": ["finetune"],
        "registry": ["ModelSpec", "get_spec", "list_models", "register_model"],
        "saving": ["check", "list_pretrained", "load", "save"],
        "recipe": ["Augmentation", "Recipe"],
        "training": ["train"],
        "verification": ["reproduce", "verify"],
        "weights": ["weights_digest"],
    },
)
