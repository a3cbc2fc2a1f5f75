"""The runtimes, in NumPy and JavaScript, against Keras: every kind of layer, every pretrained network, and others."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

import modelzoo
from modelzoo import datasets, evaluation, numpy_runtime
from modelzoo.classes import num_classes
from modelzoo.network import read_network, with_paths
from modelzoo.numpy_runtime import _LAYERS, _OPERATIONS, Runtime, UnknownLayerError, load_runtime
from modelzoo.numpy_runtime import ACTIVATIONS as KNOWN_ACTIVATIONS
from modelzoo.saving import find, list_pretrained, read_golden

RUNTIME_JS = Path(modelzoo.__file__).parent / "web" / "runtime.js"
#: Reads a network, its weights and samples from each line, and answers with the outputs, or why there are none.
ANSWER = f"""
import {{ createInterface }} from "node:readline";
import {{ KNOWN, loadNetwork }} from "{RUNTIME_JS.as_uri()}";
for await (const line of createInterface({{ input: process.stdin }})) {{
  try {{
    const given = JSON.parse(line);
    const network = given.network && loadNetwork(given);
    const outputs = network && network.forward(Float32Array.from(given.x), given.n)[network.output];
    console.log(JSON.stringify(outputs ? [...outputs] : KNOWN));
  }} catch (error) {{
    console.log(JSON.stringify(String(error)));
  }}
}}
"""


@pytest.fixture(scope="session")
def in_javascript():
    """Return a function that asks the JavaScript runtime, or None without Node.js."""
    if (node := shutil.which("node")) is None:
        yield None
        return
    command = [node, "--input-type=module", "-e", ANSWER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def answer(question):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield answer
        process.stdin.close()


@pytest.fixture
def assert_outputs(in_javascript):
    """Return a function that compares the outputs of a runtime, and of its twin in JavaScript."""

    def check(runtime, x, expected):
        outputs, atol = runtime(x), 1e-5 * np.abs(expected).max()
        assert (outputs.dtype, outputs.shape) == (np.float32, expected.shape)
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=atol)
        if in_javascript:  # test_javascript_knows_what_numpy_knows says where it is missing
            weights = {  # as a page holds them, in base64
                path: {"dtype": "float32", "data": base64.b64encode(value.tobytes()).decode()}
                for path, value in runtime.weights.items()
                if value.dtype == np.float32
            }
            given = {"network": runtime.network.to_dict(), "weights": weights, "x": x.ravel().tolist(), "n": len(x)}
            answer = in_javascript(given)
            assert not isinstance(answer, str), answer
            np.testing.assert_allclose(np.reshape(answer, expected.shape), expected, rtol=0, atol=atol)

    return check


@pytest.fixture
def assert_as_keras(assert_outputs):
    """Return a function that compares both runtimes with Keras."""
    return lambda model, x: assert_outputs(runtime_of(model), x, model(x, training=False).numpy())


def runtime_of(model):
    return Runtime(read_network(model), {path: weight.numpy() for path, weight in with_paths(model)})


def randomised(model):
    """Give every weight a random value: zeros and ones would hide some mistakes."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "seed_generator" not in weight.path:
            value = rng.normal(0, 0.5, weight.shape)
            weight.assign(np.abs(value) + 0.1 if "variance" in weight.path else value)
    return model


SHAPE = (9, 10, 4)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(0, 1, (3, *SHAPE)).astype("float32")


# Keras' sparsemax is not the published one; threshold takes arguments that a configuration does not hold.
NOT_HERE = {"deserialize", "get", "serialize", "sparsemax", "threshold"}
ACTIVATIONS = sorted(name for name in dir(keras.activations) if not name.startswith("_") and name not in NOT_HERE)


def test_all_activations(assert_as_keras):
    inputs = keras.Input((6,))
    units = [layers.Dense(8, activation=name)(inputs) for name in ACTIVATIONS if name != "glu"]
    x = np.random.default_rng(0).normal(0, 2, (5, 6)).astype("float32")
    assert_as_keras(randomised(keras.Model(inputs, layers.Concatenate()(units))), x)


def test_gated_units():
    model = randomised(keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="glu")]))
    x = np.random.default_rng(0).normal(0, 2, (5, 6)).astype("float32")
    np.testing.assert_allclose(runtime_of(model)(x), model(x), rtol=0, atol=1e-5)


def test_products_leave_out_zeros(monkeypatch):
    monkeypatch.setattr(numpy_runtime, "SPARSE", 0)
    model = randomised(keras.Sequential([keras.Input((40,)), layers.Dense(6)]))
    sample = np.zeros((1, 40), "float32")
    sample[0, [3, 7, 30]] = 1.5, -2, 0.5
    runtime = runtime_of(model)
    broken = Runtime(runtime.network, {path: weight.copy() for path, weight in runtime.weights.items()})
    next(weight for weight in broken.weights.values() if weight.ndim == 2)[9, 2] = np.nan  # the row of a zero
    for _ in range(3):
        np.testing.assert_allclose(runtime(sample), model(sample), rtol=0, atol=1e-5)
        assert runtime(0 * sample).shape == (1, 6)
        np.testing.assert_array_equal(np.isnan(broken(sample))[0], np.arange(6) == 2)


CONVOLUTIONS = [{}, {"strides": (2, 2)}, {"dilation_rate": (2, 2)}, {"dilation_rate": (1, 3)}]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_windows(assert_as_keras, padding, images):
    inputs = keras.Input(SHAPE)
    ends = []
    for options in CONVOLUTIONS:
        ends.append(layers.Conv2D(5, (3, 2), padding=padding, activation="relu", **options)(inputs))
        ends.append(layers.DepthwiseConv2D((3, 2), depth_multiplier=2, padding=padding, **options)(inputs))
    ends.append(layers.Conv2D(5, (3, 2), padding=padding, strides=(2, 3), use_bias=False)(inputs))
    for pool in (layers.MaxPooling2D, layers.AveragePooling2D):
        ends += [pool(size, strides, padding=padding)(inputs) for size, strides in [(2, None), (3, 2), ((2, 3), 1)]]
    assert_as_keras(
        randomised(keras.Model(inputs, layers.Concatenate()([layers.Flatten()(end) for end in ends]))), images
    )


LAYERS = {
    "average": layers.GlobalAveragePooling2D(),
    "maximum": layers.GlobalMaxPooling2D(keepdims=True),
    "batch norm": layers.BatchNormalization(),
    "batch norm of rows": layers.BatchNormalization(axis=1, scale=False),
    "batch norm without shift": layers.BatchNormalization(center=False),
    "rescaling": layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.0, 1.0, 2.0, 3.0]),
    "normalization": layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 1.0, 0.0]),
    "reshape": layers.Reshape((-1, 4)),
    "padding": layers.ZeroPadding2D(((1, 2), (0, 3))),
    "relu": layers.ReLU(6.0, negative_slope=0.1, threshold=0.5),
    "elu": layers.ELU(0.7),
    "prelu": layers.PReLU(shared_axes=[1, 2]),
    "softmax": layers.Softmax(axis=1),
    "layer as activation": layers.Conv2D(4, 1, activation=layers.LeakyReLU(0.3)),
    "dropout": layers.Dropout(0.5),
    "noise": layers.GaussianNoise(0.1),
    "channels dropped": layers.SpatialDropout2D(0.3),
    "flip": layers.RandomFlip(),
    "dense": layers.Dense(3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(assert_as_keras, name, images):
    assert_as_keras(randomised(keras.Sequential([keras.Input(SHAPE), LAYERS[name]])), images)


def test_adapted_normalization(assert_as_keras, images):
    layer = layers.Normalization()
    layer.adapt(images)
    assert_as_keras(keras.Sequential([keras.Input(SHAPE), layer]), images)


def test_joins_and_operations(assert_as_keras, images):
    x = keras.Input(SHAPE)
    y = layers.Conv2D(4, 3, padding="same")(x)
    merges = [layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract]
    ends = [merge()([x, y]) for merge in merges]
    ends += [x + y, 1.0 - y, 2.0 * y, y / 3.0, -y, keras.ops.concatenate([x, y], axis=2)[:, :, 10:]]
    assert_as_keras(randomised(keras.Model(x, layers.Concatenate()(ends))), images)


@pytest.mark.parametrize("n", [3, 9])
def test_joins_of_images_and_vectors(assert_as_keras, n):
    x = keras.Input((9, 9, 4))
    gates = layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(x))
    ends = [merge()([x, gates]) for merge in (layers.Multiply, layers.Add, layers.Average, layers.Maximum)]
    samples = np.random.default_rng(0).normal(0, 1, (n, 9, 9, 4)).astype("float32")
    assert_as_keras(randomised(keras.Model(x, layers.Concatenate()(ends))), samples)


def test_residual_network(assert_as_keras, images):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for strides in (1, 2):
        y = layers.BatchNormalization()(x)
        y = layers.Conv2D(8, 3, strides, padding="same", activation="relu")(y)
        y = layers.Conv2D(8, 3, padding="same")(y)
        x = layers.ReLU()(layers.Conv2D(8, 1, strides)(x) + y)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    assert_as_keras(randomised(keras.Model(inputs, outputs)), images)


def test_nested_and_shared_layers(assert_as_keras, images):
    inner = keras.Sequential([keras.Input((40,)), layers.Dense(6, activation="tanh")])
    inputs = keras.Input(SHAPE)
    rows = layers.Reshape((9, 40))(inputs)
    halves = [inner(rows[:, i]) for i in range(2)]
    assert_as_keras(randomised(keras.Model(inputs, layers.Concatenate()(halves))), images)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    filters=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel_size=st.integers(1, 7),
    hidden_units=st.integers(1, 9),
    image_shape=st.tuples(st.integers(4, 13), st.integers(4, 13)),
    num_classes=st.integers(2, 11),
    activation=st.sampled_from(["softmax", None]),
)
def test_random_options_of_a_builder(assert_as_keras, activation, **options):
    model = modelzoo.create_model("two_conv_cnn", seed=0, classifier_activation=activation, **options)
    images = np.random.default_rng(0).integers(0, 256, (5, *options["image_shape"])).astype("uint8")
    assert_as_keras(randomised(model), images)


@pytest.mark.parametrize("name", list_pretrained())
def test_pretrained_networks_give_their_golden_outputs(name, assert_outputs):
    assert_outputs(load_runtime(name), *read_golden(find(name)))


def test_javascript_knows_what_numpy_knows(in_javascript):
    if in_javascript is None:
        pytest.skip("Node.js is not installed, so that no test of this file runs JavaScript: apt install nodejs")
    pointwise = KNOWN_ACTIVATIONS.keys() - {"glu"}  # the shape that Keras says for it is not that of its output
    tables = {"activations": pointwise, "layers": _LAYERS, "operations": _OPERATIONS}
    assert in_javascript({}) == {name: sorted(table) for name, table in tables.items()}


def with_adapter():
    layer = layers.Dense(3)
    layer.build((None, 8))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(4, 3, groups=2),
        layers.LayerNormalization,
        lambda: layers.Conv2D(4, 3, data_format="channels_first"),
        with_adapter,
        lambda: lambda x: x - np.arange(8, dtype="float32"),
        lambda: lambda x: x[..., 0],
    ],
)
def test_what_is_unknown_is_named(layer):
    x = keras.Input((8, 8, 8))
    with pytest.raises(UnknownLayerError, match="is computed by Keras only"):
        runtime_of(keras.Model(x, layer()(x)))


@pytest.mark.parametrize("name", ["logistic_perceptron", "tanh_mlp", "tanh_autoencoder"])
def test_diagram_by_name_is_the_diagram_of_the_model(name, tmp_path):
    for source, file in ((name, "artifact.svg"), (modelzoo.load(name), "model.svg")):
        modelzoo.viz.save_figure(modelzoo.viz.plot_architecture(source), tmp_path / file)
    assert (tmp_path / "artifact.svg").read_bytes() == (tmp_path / "model.svg").read_bytes()


def test_keras_computes_what_the_runtime_does_not_know(tmp_path, caplog):
    model = keras.Sequential([keras.Input((4,)), layers.LayerNormalization(), layers.Dense(2, activation="softmax")])
    modelzoo.save(model, tmp_path / "model")
    with caplog.at_level("INFO", "modelzoo"):
        outputs = modelzoo.predict(tmp_path / "model", [1.0, 2.0, 3.0, 5.0])
    assert "LayerNormalization" in caplog.text
    np.testing.assert_allclose(outputs, modelzoo.predict(model, [1.0, 2.0, 3.0, 5.0]))


SMALL = {"image_shape": (12, 12)}
MEASURED = {
    "softmax": ("relu_mlp", {"hidden_units": 9, **SMALL}),
    "logits": ("relu_mlp", {"hidden_units": 9, "classifier_activation": None, **SMALL}),
    "convolutions": ("two_conv_cnn", {"filters": (2, 3), "hidden_units": 5, **SMALL}),
    "one output": ("logistic_perceptron", {}),
    "decisions": ("threshold_perceptron", {}),
    "sum of squares": ("xor_mlp", {}),
    "one-hot labels": ("onehot_softmax", {}),
    "reconstruction": ("tanh_autoencoder", {"hidden_units": (9, 7), **SMALL}),
}


@pytest.mark.parametrize("kind", MEASURED)
def test_measures_are_those_of_keras(kind, tmp_path, monkeypatch):
    name, options = MEASURED[kind]
    rng, model = np.random.default_rng(0), randomised(modelzoo.create_model(name, seed=0, **options))
    modelzoo.save(model, tmp_path / "model")
    images = "image_shape" in options
    x = rng.integers(0, 256, (230, 12, 12)).astype("uint8") if images else rng.normal(0, 2, (230, 2)).astype("float32")
    y = rng.integers(0, num_classes(model) or 10, 230)
    expected = modelzoo.measure(model, (x, y))
    stored = datasets.StoredSamples(lambda indices: x[indices], y, x.shape[1:], x.dtype)
    monkeypatch.setattr(evaluation, "compute_metrics", None)  # nor does Keras do the rest
    found = modelzoo.measure(tmp_path / "model", (x, y))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        exact = key in ("classes", "confusion_matrix") or value is None
        close = value if exact else pytest.approx(value, rel=1e-5, abs=1e-7)
        assert found[key] == close, key
    runtime = load_runtime(tmp_path / "model")
    recipe = evaluation.recipe_of(runtime)
    metrics, _ = evaluation.score(runtime, stored, recipe)
    assert evaluation.score(runtime, (x, y), recipe, classes=True)[1] is not None
    assert metrics == pytest.approx({name.removeprefix("test_"): expected[name] for name in found if "test_" in name})


@pytest.mark.parametrize("loss", ["mean_absolute_error", "kl_divergence"])
def test_keras_measures_by_losses_that_are_unknown_here(loss):
    recipe = evaluation.recipe_of(load_runtime("onehot_softmax")).replace(loss=loss)
    live = modelzoo.evaluate(modelzoo.load("onehot_softmax"), recipe=recipe)
    assert modelzoo.evaluate("onehot_softmax", recipe=recipe) == pytest.approx(live)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_pretrained())
def test_classes_of_all_test_samples_are_those_of_keras(name):
    live, runtime = modelzoo.load(name), load_runtime(name)
    x = evaluation.own_data(live).x_test
    expected, outputs = modelzoo.predict(live, x), runtime(x)
    # The logits of this one are differences of numbers near 734: one step of float32 there, times a sigmoid's slope.
    tolerance = np.spacing(np.float32(734)) / 4 if name == "logistic_perceptron" else 1e-5
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    if num_classes(live):
        classes = (evaluation.interpret(live, found).classes for found in (expected, outputs))
        np.testing.assert_array_equal(*classes)
