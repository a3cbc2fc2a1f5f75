"""Figures: one function a figure, arrays or a history in, Matplotlib Axes out. None of them calls ``show``."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "activations": ["plot_activations"],
        "boundaries": [
            "plot_probability_maps",
            "plot_regions",
            "probability_grid",
        ],
        "calibration": ["plot_reliability", "reliability"],
        "classification": [
            "mistakes",
            "plot_class_scores",
            "plot_confusion_matrix",
            "plot_misclassified",
            "plot_prediction",
        ],
        "data": ["class_overview", "plot_dataset", "plot_points"],
        "descent": ["plot_descent"],
        "architecture": ["plot_architecture"],
        "error_surface": ["plot_error_curves", "plot_error_surface"],
        "export": ["save_figure"],
        "filters": ["first_layer_weights", "kernels", "plot_kernels", "plot_weights"],
        "history": ["learning_curve", "plot_history", "plot_training"],
        "images": ["plot_image", "plot_images"],
        "latent": ["decode", "encode", "manifold", "plot_decodings", "plot_latent", "plot_manifold"],
        "lines": ["decision_lines", "plot_decision_line", "plot_hidden_units", "unit_lines"],
        "reconstruction": ["interpolate", "plot_interpolation", "plot_reconstructions"],
        "responses": ["feature_maps", "plot_feature_maps", "plot_saliency", "saliency"],
        "style": ["theme", "theme_rc"],
        "units": ["plot_unit_maps", "unit_grid"],
        "weight_errors": ["descend_weights", "error_over_weights", "record_weights"],
    },
)
