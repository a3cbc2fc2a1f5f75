"""What every registered network must do. Nothing here names one."""

# ruff: noqa: D102 (a test's name says what it tests)

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, saving, viz
from modelzoo._keras import keras, tf
from modelzoo.errors import InputError
from modelzoo.network import read_network, with_paths
from modelzoo.numpy_runtime import Runtime, UnknownLayerError
from modelzoo.pages.markdown import read_docstring
from modelzoo.recipe import Recipe
from modelzoo.registry import card_for
from modelzoo.training import compute_metrics
from modelzoo.training.objective import Objective
from modelzoo.training.optimizers import create_optimizer

#: Values that an option of that name must refuse.
NONSENSE: dict[str, tuple[Any, ...]] = {
    "num_classes": (0, 1, -3, 2.5, "ten", True, None),
    "dropout": (1.5, 1, -0.1, "half", True, None, float("nan")),
    "classifier_activation": ("relu", "sofmax", 3, ""),
    "hidden_units": (0, -1, 2.5, "many", None, (0, 3), (1, 2, 3)),
    "filters": (0, (1,), (0, 4), (1, 2, 3), "ab", None),
    "kernel_size": (0, -5, 2.5, "five", None),
    "input_dim": (0, -2, 1.5, "two", None),
    "latent_dim": (0, -2, 1.5, "two", None),
    "image_shape": ((28,), (0, 28), (28, 28, 1), "28", 28, None),
    "use_bias": ("no", 1, None),
    "lesson_weights": ("no", 1, None),
    "kernel_initializer": ("gloriot", 3, {"class_name": "Nothing", "config": {}}),
    "bias_initializer": ("ones?", 3, {"class_name": "Nothing", "config": {}}),
    "weights": ((1.0,), (1.0, float("nan")), ("a", "b"), 3, [[1.0, 2.0]]),
    "threshold": ("high", float("inf"), [1.0, 2.0]),
    "seed": (-1, 1.5, "a", True),
    "name": ("", None, 3, "a/b", "naïve", "a b", "_a", "a:b", "a\\b", "a\n"),
}

# Runs in a process of its own that cannot import modelzoo or Keras: the artifact must be enough. `import tensorflow`
# imports an installed Keras by itself; with None in its place it goes without, as where Keras is not installed.
PLAIN_TENSORFLOW = """
import json, sys
sys.modules["keras"] = sys.modules["modelzoo"] = None
import numpy as np
import tensorflow as tf

with np.load("samples.npz") as archive:
    x, labels, y = archive["x"], archive["labels"], archive["y"]
obj = tf.saved_model.load("1")

def loss(training):
    out = obj(x, training=training)
    if out.shape == x.shape and len(x.shape) > 2:
        return tf.reduce_mean((out - x / 255) ** 2)
    target = labels.reshape(-1, 1).astype("float32") if out.shape[1] == 1 else tf.one_hot(labels, out.shape[1])
    return tf.reduce_mean((out - target) ** 2)

report = {
    "difference": float(np.abs(obj(x).numpy() - y).max()),
    "scale": float(max(1, np.abs(y).max())),
    "explicit": bool((obj(x, training=False).numpy() == obj(x).numpy()).all()),
    "variables": len(obj.variables),
    "trainable": [list(v.shape) for v in obj.trainable_variables],
    "losses": [float(f()) for f in obj.regularization_losses],
}
if x.ndim > 2:
    report["uint8"] = float(np.abs(obj(x.astype("uint8")).numpy() - y).max())
before = float(loss(False))
start = [v.numpy() for v in obj.variables]
best = before
for rate in (1.0, 0.1, 0.01, 1e-3, 1e-4):
    for v, value in zip(obj.variables, start):
        v.assign(value)
    with tf.GradientTape() as tape:
        value = loss(True) + sum(f() for f in obj.regularization_losses)
    gradients = tape.gradient(value, obj.trainable_variables)
    for v, g in zip(obj.trainable_variables, gradients):
        v.assign_sub(rate * g)
    best = min(best, float(loss(False)))
report["loss"] = [before, best]
tf.saved_model.save(obj, "again", signatures=obj.signatures)  # as fine-tuned
again = tf.saved_model.load("again")
assert (again(x).numpy() == obj(x).numpy()).all()
assert len(again.trainable_variables) == len(obj.trainable_variables)
assert set(again.signatures) == set(obj.signatures)

def names(signature):
    out = signature(**{k: tf.zeros([2 if n is None else n for n in s.shape], s.dtype)
                       for k, s in signature.structured_input_signature[1].items()})
    return [sorted(signature.structured_input_signature[1]), {k: list(v.shape) for k, v in out.items()}]

report["signatures"] = {key: names(signature) for key, signature in obj.signatures.items()}
for v, value in zip(obj.variables, start):
    v.assign(value)
key, = obj.signatures["serving_default"].structured_input_signature[1]
served, = obj.signatures["serving_default"](**{key: tf.constant(x)}).values()
report["served"] = float(np.abs(served.numpy() - y).max())
if "encode" in obj.signatures:
    encode, decode = obj.signatures["encode"], obj.signatures["decode"]
    code, = encode(**{k: tf.constant(x) for k in encode.structured_input_signature[1]}).values()
    decoded, = decode(**{k: code for k in decode.structured_input_signature[1]}).values()
    report["roundtrip"] = float(np.abs(decoded.numpy() - y).max())
imported = [name for name in sys.modules if name.split(".")[0] in ("keras", "tf_keras", "modelzoo")]
assert sorted(imported) == ["keras", "modelzoo"], imported
assert sys.modules["keras"] is sys.modules["modelzoo"] is None
print(json.dumps(report))
"""


@functools.cache
def own_data(name: str) -> datasets.Dataset:
    """Return the model's own data set with the options of its lesson recipe, thinned out to some hundred samples."""
    spec = modelzoo.get_spec(name)
    data = datasets.load(spec.dataset, **spec.recipe("lesson").data_options)
    train, test = (slice(None, None, max(1, len(x) // 600)) for x, _ in data)
    return dataclasses.replace(
        data,
        x_train=data.x_train[train],
        y_train=data.y_train[train],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
    )


def samples(name: str, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return some real training samples of a model as float32, and their labels."""
    data = own_data(name)
    return data.x_train[:count].astype("float32"), data.y_train[:count]


def chunk_recipe(name: str) -> Recipe:
    """Return the lesson recipe, cut to one chunk."""
    recipe = modelzoo.get_spec(name).recipe("lesson")
    return recipe.replace(steps=15, log_every=15, log_train="batches", target_loss=None, xla="off")


@functools.cache
def one_chunk(name: str, repeat: int = 0) -> keras.Model:
    """Return a model after one chunk of its lesson recipe; ``repeat`` asks for another run of the same."""
    model = modelzoo.create_model(name, recipe="lesson", seed=0)
    modelzoo.train(model, own_data(name), chunk_recipe(name), seed=0)
    return model


@functools.cache
def export(name: str, folder: Path) -> Path:
    """Save a model, fresh from its builder, with some samples and what Keras answers to them; return where."""
    root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    model, (x, labels) = modelzoo.create_model(name, seed=1), samples(name, 32)
    modelzoo.save(model, root / "1")
    np.savez(root / "samples.npz", x=x, labels=labels, y=model(x).numpy())
    return root


@functools.cache
def ask_plain_tensorflow(exported: Path) -> dict[str, Any]:
    """Return what plain TensorFlow, in a process of its own, finds in an export."""
    command, environment = [sys.executable, "-c", PLAIN_TENSORFLOW], {**os.environ, "PYTHONPATH": ""}
    run = subprocess.run(command, capture_output=True, text=True, cwd=exported, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


class Contract:
    """The tests; a subclass says of which networks, and may leave a test out by setting it to ``None``."""

    names: tuple[str, ...] = ()
    #: Values that an option must refuse, for options that :data:`NONSENSE` does not have.
    nonsense: Mapping[str, tuple[Any, ...]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each name."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", self.names)

    # --- the builder

    def test_builds_a_plain_keras_model_as_declared(self, name: str) -> None:
        spec, model = modelzoo.get_spec(name), modelzoo.create_model(name)
        assert isinstance(model, keras.Model)
        assert model.name == name
        assert model.count_params() == spec.num_params
        assert spec.summary.endswith(".")
        assert spec.source
        assert spec.dataset in datasets.list_datasets()
        assert list(inspect.signature(spec.builder).parameters)[-2:] == ["seed", "name"]
        assert read_docstring(spec.builder).parameters.keys() <= spec.options.keys()

    def test_outputs_are_of_the_declared_kind_whatever_the_batch_and_the_dtype_of_the_samples(self, name: str) -> None:
        x, _ = samples(name, 50)
        model = modelzoo.create_model(name, recipe="lesson", seed=0)
        y = model(x).numpy()
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        # A product of one row is summed in another order than one of many.
        np.testing.assert_allclose(model(x[:1]).numpy(), y[:1], rtol=1e-5, atol=1e-6 * max(1, np.abs(y).max()))
        if x.ndim > 2:
            np.testing.assert_array_equal(model(x.astype("uint8")).numpy(), y)
        if modelzoo.get_spec(name).task == "reconstruction":
            assert y.shape == x.shape
            return
        classes = own_data(name).num_classes
        assert y.shape == (len(x), 1 if classes == 2 and y.shape[1] == 1 else classes)
        assert y.min() >= 0
        assert y.max() <= 1
        if y.shape[1] > 1:
            np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)

    def test_every_trainable_weight_gets_a_gradient(self, name: str) -> None:
        x, _ = samples(name, 50)
        model = modelzoo.create_model(name, seed=0)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) ** 2)
        gradients = tape.gradient(loss, model.trainable_weights)
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
            assert gradient is not None, weight.path
            assert np.isfinite(gradient.numpy()).all(), weight.path
            assert np.abs(gradient.numpy()).max() > 0, weight.path

    def test_initial_weights_depend_on_the_seed_alone(self, name: str) -> None:
        digests = [modelzoo.weights_digest(modelzoo.create_model(name, seed=seed)) for seed in (5, 5, 6, None, None)]
        assert digests[0] == digests[1]
        assert len(set(digests)) == 4

    def test_builder_refuses_nonsense(self, name: str) -> None:
        wrong = NONSENSE | dict(self.nonsense)
        for option in modelzoo.get_spec(name).options:
            for value in wrong.get(option, (object(),)):
                with pytest.raises(InputError) as caught:
                    modelzoo.get_spec(name).builder(**{option: value})
                assert "\n" not in str(caught.value), (option, value)
                assert option in str(caught.value), (option, value)

    def test_builder_refuses_unknown_options_and_says_which_one_was_meant(self, name: str) -> None:
        builder, options = modelzoo.get_spec(name).builder, modelzoo.get_spec(name).options
        for option in options:
            with pytest.raises(InputError, match=rf"{name}.*'{option}_'.*Did you mean '{option}'"):
                builder(**{f"{option}_": 1})
        with pytest.raises(InputError, match=name):
            builder(*range(2, len(options) + 3))

    def test_options_may_be_numpy_numbers(self, name: str) -> None:
        for option, value in modelzoo.get_spec(name).options.items():
            if isinstance(value, int) and not isinstance(value, bool):
                model = modelzoo.get_spec(name).builder(**{option: np.int64(value + 1)})
                assert card_for(model).options == {option: value + 1}

    def test_neither_a_scope_around_a_builder_nor_another_name_changes_weights(self, name: str, tmp_path: Path) -> None:
        with keras.name_scope("teacher"):
            model = modelzoo.create_model(name, name="mine", seed=0)
            card = modelzoo.save(model, tmp_path / "1")
            loaded = modelzoo.load(tmp_path / "1")
        assert not any("teacher" in weight["path"] for weight in card["weights"])
        assert model.name == loaded.name == "mine"
        expected = modelzoo.weights_digest(modelzoo.create_model(name, seed=0))
        assert card["weights_digest"] == modelzoo.weights_digest(loaded) == expected

    # --- the recipes

    def test_recipes_are_constructible(self, name: str) -> None:
        spec = modelzoo.get_spec(name)
        for key, recipe in spec.recipes.items():
            assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))).to_dict() == recipe.to_dict()
            assert set(recipe.model_options) <= set(spec.options)
            assert set(recipe.data_options) <= set(datasets.dataset_options(spec.dataset))
            assert isinstance(create_optimizer(recipe, 100), keras.optimizers.Optimizer)
            Objective(modelzoo.create_model(name, recipe=key, seed=0), recipe)
            assert recipe.total_steps(1000) > 0

    def test_one_chunk_of_the_lesson_recipe_lowers_the_training_loss(self, name: str) -> None:
        train = tuple(map(np.asarray, own_data(name).train))
        fresh = modelzoo.create_model(name, recipe="lesson", seed=0)
        before, after = (compute_metrics(m, train, chunk_recipe(name))["loss"] for m in (fresh, one_chunk(name)))
        assert np.isfinite(after)
        assert after < before

    def test_training_again_gives_the_same_weights(self, name: str) -> None:
        first, second = (modelzoo.weights_digest(one_chunk(name, repeat)) for repeat in (0, 1))
        assert first == second

    # --- the artifact

    @pytest.fixture
    def exported(self, name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return the folder with the artifact of a model."""
        return export(name, tmp_path_factory.getbasetemp())

    def test_save_and_load_give_the_same_output_bit_for_bit(self, name: str, tmp_path: Path) -> None:
        trained = one_chunk(name)
        card = modelzoo.save(trained, tmp_path / "1")
        loaded = modelzoo.load(tmp_path / "1")
        x, _ = samples(name, 50)
        np.testing.assert_array_equal(loaded(x).numpy(), trained(x).numpy())
        assert modelzoo.weights_digest(loaded) == modelzoo.weights_digest(trained) == card["weights_digest"]
        assert card_for(loaded) == card_for(trained)
        assert card_for(loaded).builder == name
        assert card["training"]["metrics"]["loss"] > 0
        assert card["training"]["dataset"]["checksum"] == own_data(name).checksum

    def test_check_is_clean(self, name: str, exported: Path) -> None:
        points = modelzoo.check(exported / "1")
        assert [point for point in points if not point.ok] == []
        assert len(points) >= 10

    def test_plain_tensorflow_runs_and_fine_tunes_it(self, name: str, exported: Path) -> None:
        """One step of plain SGD in training mode, at some small rate, lowers the loss in inference mode."""
        found, model = ask_plain_tensorflow(exported), modelzoo.create_model(name)
        for way in ("difference", "served", "uint8", "roundtrip"):
            assert found.get(way, 0) <= 1e-6 * found["scale"], way
        assert found["explicit"]
        assert found["trainable"] == [list(w.shape) for w in model.trainable_weights]
        assert found["variables"] == len(model.variables)
        assert len(found["losses"]) == len(model.losses)
        before, after = found["loss"]
        assert after < before

    def test_signatures_have_named_inputs_and_outputs(self, name: str, exported: Path) -> None:
        signatures, model = dict(ask_plain_tensorflow(exported)["signatures"]), modelzoo.create_model(name)
        inputs, outputs = signatures.pop("serving_default")
        assert inputs == [model.inputs[0].name]
        assert list(outputs.values()) == [[2, *model.output_shape[1:]]]
        assert not any(key.startswith(("output_", "inputs_", "keras_tensor")) for key in (*inputs, *outputs))
        found = {key: list(outputs.values()) for key, (_, outputs) in signatures.items()}
        halves = (
            {"encode": [[2, model.encoder.output_shape[-1]]], "decode": [[2, *model.output_shape[1:]]]} if found else {}
        )
        assert found == halves
        assert bool(found) == (modelzoo.get_spec(name).task == "reconstruction")

    # --- other runtimes, and figures

    def test_numpy_and_onnx_runtime_give_what_keras_gives(self, name: str, tmp_path: Path) -> None:
        """ONNX where the extra is installed, and NumPy where it knows the kinds of the layers."""
        model, (x, _) = one_chunk(name), samples(name, 5)
        expected, answers = model(x, training=False).numpy(), []
        with contextlib.suppress(UnknownLayerError):
            answers.append(Runtime(read_network(model), {path: w.numpy() for path, w in with_paths(model)})(x))
        if all(map(importlib.util.find_spec, ("onnx", "tf2onnx", "onnxruntime"))):
            saving.save_onnx(model, tmp_path / "net.onnx")
            session = importlib.import_module("onnxruntime").InferenceSession(tmp_path / "net.onnx")
            answers += session.run(None, {model.inputs[0].name: x})
        for outputs in answers:
            np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))

    def test_diagram_names_the_network(self, name: str) -> None:
        model = modelzoo.create_model(name)
        words = [text.get_text() for text in viz.plot_architecture(model).texts]
        assert words[:2] == [name, f"{model.count_params():,} parameters"]


def contract_tests(*names: str, nonsense: Mapping[str, tuple[Any, ...]] | None = None) -> type[Contract]:
    """Return the tests of registered networks, as a class for pytest; its name in your file begins with ``Test``.

    Parameters
    ----------
    *names
        The networks.
    nonsense
        Values that options of yours must refuse: ``{"depth": (0, "deep")}``. Options called as the zoo's are
        (``num_classes``, ``dropout``, ``filters``, …) are tried with :data:`NONSENSE`.

    Returns
    -------
    type
        A subclass of :class:`Contract`.
    """
    return type("Contract", (Contract,), {"names": names, "nonsense": nonsense or {}})
