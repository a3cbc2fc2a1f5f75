"""SavedModels that explain themselves: writing, reading and checking them."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "golden": ["GOLDEN_COUNT", "read_golden"],
        "card": ["CARD_PATH", "read_card"],
        "conformance": ["Point", "check"],
        "litert_format": ["needs_calibration", "save_litert"],
        "onnx_format": ["save_onnx"],
        "reader": ["find", "list_pretrained", "load", "looks_like_path", "saved_models_dir"],
        "writer": ["check_save_target", "save", "save_keras", "write_saved_model"],
    },
)
