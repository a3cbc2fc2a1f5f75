"""modelzoo: the classical neural networks on Keras 3 and TensorFlow, trained, exported and ready to fine-tune.

Names load on first use, so that ``import modelzoo`` imports neither TensorFlow nor Keras.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=["datasets", "describing", "measuring", "models", "reference", "saving", "training", "viz"],
    submod_attrs={
        "agreement": ["verify"],
        "creation": ["create_model"],
        "describing": ["describe"],
        "errors": ["ModelZooError"],
        "evaluation": ["evaluate", "predict"],
        "finetuning": ["finetune"],
        "measuring": ["measure"],
        "reproduction": ["reproduce"],
        "registry": ["get_spec", "list_models", "register_model"],
        "saving": ["check", "list_pretrained", "load", "save"],
        "spec": ["Augmentation", "ModelSpec", "Recipe"],
        "training": ["train"],
        "weights": ["weights_digest"],
    },
)
