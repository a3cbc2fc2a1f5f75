"""The builders: one function for each network, each returning a plain ``keras.Model``."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "perceptron": ["logistic_perceptron", "onehot_softmax", "threshold_perceptron"],
        "mlp": [
            "XOR_LESSON_WEIGHTS",
            "dense_500_300",
            "relu_mlp",
            "sigmoid_mlp",
            "tanh_mlp",
            "xor_mlp",
            "xor_weights",
        ],
        "cnn": ["two_conv_cnn"],
        "autoencoder": ["tanh_autoencoder"],
    },
)
