"""What TensorFlow computes slowly on a CPU, computed faster with the same values, by swapping ``call`` while tracing.

They are the gradient of the input of a large float32 dense layer, which weighs in the CNN's step, and networks of a few
units, where a processor's vectors fill up along the samples and not along the units. CPU time of a step without each,
in interleaved pairs, medians: narrow layers 1.24 times and narrow cross-entropy 1.31 times (`tanh_mlp`, lesson),
cross-entropy 1.24 times (`sigmoid_mlp`, lesson), large dense layer 1.08 times (`two_conv_cnn`, lesson).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from modelzoo._keras import all_layers, keras, swapped, tf

#: From this size on, TensorFlow's float32 product with a transposed kernel is slower than the one used here.
LARGE_KERNEL = 1 << 20
#: Up to so many inputs and units a dense layer computes with the samples along the last axis.
NARROW = 16
#: Activations that do not mix units, among those of small networks.
ELEMENTWISE = ("sigmoid", "tanh", "relu")


def faster_layers(model: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Let the model's layers compute in these ways while the block traces a training step."""
    return swapped("call", {layer: call for layer in all_layers(model) if (call := _faster_call(layer)) is not None})


def _faster_call(layer: keras.layers.Layer) -> Callable[..., Any] | None:
    """Return what replaces the layer's ``call``, or ``None`` where it stays."""
    if type(layer) is keras.layers.Dense and layer.built and layer.compute_dtype == "float32":
        plain = layer.quantization_mode is None and not layer.lora_enabled
        if plain and layer.kernel.shape[0] * layer.kernel.shape[1] >= LARGE_KERNEL:
            return functools.partial(_dense_call, layer, layer.call, _large)
        if plain and max(layer.kernel.shape) <= NARROW:
            return functools.partial(_dense_call, layer, layer.call, _narrow)
    return None


def is_narrow(model: keras.Model) -> bool:
    """Return whether the model is made of dense layers of a few units."""
    layers = [layer for layer in all_layers(model) if layer.weights and not hasattr(layer, "layers")]
    return all(type(layer) is keras.layers.Dense and max(layer.kernel.shape) <= NARROW for layer in layers)


def narrow_crossentropy(target: Any, logits: Any) -> Any:
    """Return the cross-entropy of each sample; for a few classes.

    Parameters
    ----------
    target
        Labels, shape (batch,), or one-hot rows.
    logits
        Shape (batch, classes).
    """

    @tf.custom_gradient
    def crossentropy(by_class: Any) -> tuple[Any, Callable[[Any], Any]]:
        is_label = tf.transpose(target) if target.shape.rank > 1 else tf.one_hot(target, by_class.shape[0], axis=0)
        largest = tf.reduce_max(by_class, axis=0)
        exponentials = tf.exp(by_class - largest)
        total = tf.reduce_sum(exponentials, axis=0)
        loss = tf.math.log(total) + largest - tf.reduce_sum(is_label * by_class, axis=0)
        return loss, lambda upstream: (exponentials / total - is_label) * upstream

    return crossentropy(tf.transpose(logits))


def _dense_call(
    layer: keras.layers.Dense,
    original: Callable[..., Any],
    compute: Callable[..., Any],
    inputs: Any,
    training: bool | None = None,
) -> Any:
    if inputs.shape.rank != 2:
        return original(inputs, training=training)
    bias = tf.convert_to_tensor(layer.bias) if layer.use_bias else None
    return compute(inputs, tf.convert_to_tensor(layer.kernel), bias, layer.activation)


def _large(x: Any, kernel: Any, bias: Any, activation: Callable[[Any], Any] | None) -> Any:
    @tf.custom_gradient
    def product(x: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            # (k gᵀ)ᵀ is g kᵀ without reading the large kernel against its order.
            return tf.transpose(tf.matmul(kernel, upstream, transpose_b=True)), tf.matmul(x, upstream, transpose_a=True)

        return tf.matmul(x, kernel), gradients

    outputs = product(x, kernel)
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, bias)
    return outputs if activation is None else activation(outputs)


def _narrow(x: Any, kernel: Any, bias: Any, activation: Callable[[Any], Any] | None) -> Any:
    outputs = tf.matmul(kernel, tf.transpose(x), transpose_a=True)
    if bias is not None:
        outputs += bias[:, tf.newaxis]
    if activation is not None and getattr(activation, "__name__", "") in ELEMENTWISE:
        return tf.transpose(activation(outputs))  # the next layer transposes it again, and XLA drops both
    outputs = tf.transpose(outputs)
    return outputs if activation is None else activation(outputs)
