"""ONNX and LiteRT files answer what Keras answers, in their own runtimes, and say what they are."""

import dataclasses
import functools
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper
from PIL import Image

import modelzoo
from modelzoo import datasets
from modelzoo.card import set_card
from modelzoo.errors import DataError, InputError, TargetError, TargetExistsError
from modelzoo.network import read_network
from modelzoo.registry import card_for
from modelzoo.saving import needs_calibration, save_litert, save_onnx

NAMES = modelzoo.list_models()
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "exporting.md"
#: Narrow layers convert as wide ones do, and sooner.
NARROW = {"hidden_units": 12, "filters": 4}
#: Float32 in another order of summation.
CLOSE = 1e-5

LARGE = {name for name in NAMES if modelzoo.get_spec(name).num_params > 100_000}


def all_models(slow):
    """Parametrise with all models, some of them where slow tests run, as in CI."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in NAMES]
    )


every_model = all_models(LARGE)


@functools.cache
def net(name: str) -> keras.Model:
    """Return a narrow model whose weights and biases are all different from each other."""
    spec = modelzoo.get_spec(name)
    options = {
        option: (NARROW[option],) * len(default) if isinstance(default, tuple) else NARROW[option]
        for option, default in spec.options.items()
        if option in NARROW
    }
    model = modelzoo.create_model(name, seed=3, **options)
    rng = np.random.default_rng(4)
    for weight in model.trainable_weights:
        weight.assign(weight.numpy() + 0.05 * rng.standard_normal(weight.shape))
    set_card(model, dataclasses.replace(card_for(model), class_names=("kurz", "länger")))
    return model


@functools.cache
def training_samples(name: str) -> np.ndarray:
    spec = modelzoo.get_spec(name)
    x = datasets.load(spec.dataset, **spec.recipe("lesson").data_options).x_train
    return x[:: -(-len(x) // 100)]


@functools.cache
def answers(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return samples and what the live model gives for them."""
    x = training_samples(name)[:20].astype("float32")
    return x, net(name)(x, training=False).numpy()


def names_of(name: str) -> tuple[str, str]:
    """Return the names of the input and of the output, such as ``points`` and ``probabilities``."""
    network = read_network(net(name))
    return network.input.name, network.output.name


def is_image_classifier(name: str) -> bool:
    """Return whether int8 is 8-bit arithmetic too."""
    return len(net(name).input_shape) == 3 and modelzoo.get_spec(name).task == "classification"


@pytest.fixture(scope="session")
def onnx_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("onnx")

    @functools.cache
    def file(name: str) -> Path:
        save_onnx(net(name), root / f"{name}.onnx")
        return root / f"{name}.onnx"

    return file


@pytest.fixture(scope="session")
def litert_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("litert")

    @functools.cache
    def written(name: str, quantize: str | None) -> Path:
        path = root / f"{name}-{quantize}.tflite"
        calibration = training_samples(name) if quantize == "int8" and is_image_classifier(name) else None
        save_litert(net(name), path, quantize=quantize, calibration=calibration)
        return path

    return lambda name, quantize=None: written(name, quantize)


def run_litert(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    given, returned = names_of(name)
    return Interpreter(model_path=str(path)).get_signature_runner("serving_default")(**{given: x})[returned]


def onnx_facts(path: Path) -> dict[str, str]:
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def litert_facts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("modelzoo.json"))


def first_graph(name: str) -> keras.Model:
    """Return what the tensors are of that an interpreter lists: of several signatures, the alphabetically first."""
    return getattr(net(name), "decoder", net(name))


# --- ONNX


@every_model
def test_onnx_runtime_gives_what_keras_gives_for_any_batch(name, onnx_files):
    x, expected = answers(name)
    given, returned = names_of(name)
    session = onnxruntime.InferenceSession(onnx_files(name), providers=["CPUExecutionProvider"])
    assert [(i.name, i.type, i.shape[0]) for i in session.get_inputs()] == [(given, "tensor(float)", "batch")]
    assert [(o.name, o.shape[0]) for o in session.get_outputs()] == [(returned, "batch")]
    for count in (1, 7, len(x)):
        (outputs,) = session.run(None, {given: x[:count]})
        np.testing.assert_allclose(outputs, expected[:count], rtol=0, atol=CLOSE)


@every_model
def test_onnx_file_is_clean(name, onnx_files):
    proto = onnx.load(onnx_files(name))
    onnx.checker.check_model(proto, full_check=True)
    assert [opset.domain for opset in proto.opset_import] == [""]
    assert {"Shape", "Gather", "Slice", "Concat"}.isdisjoint(node.op_type for node in proto.graph.node)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for weight in net(name).trainable_weights:
        if weight.path in stored or "seed" not in weight.path:
            value = weight.numpy()
            np.testing.assert_array_equal(
                stored[weight.path], value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            )
    used = {name for node in proto.graph.node for name in node.input}
    assert set(stored) <= used


@every_model
def test_onnx_file_says_what_it_is(name, onnx_files):
    proto, facts = onnx.load(onnx_files(name)), onnx_facts(onnx_files(name))
    assert facts["name"] == name == proto.graph.name
    assert json.loads(facts["class_names"]) == ["kurz", "länger"]
    assert facts["weights_digest"] == modelzoo.weights_digest(net(name))
    assert facts["source"] == modelzoo.get_spec(name).source
    declared = net(name).count_params() == modelzoo.get_spec(name).num_params
    assert ("network" in facts) == declared
    assert not {"recipe", "dataset", "seed"} & set(facts)  # it was not trained
    assert proto.producer_name == "modelzoo"
    assert name in proto.doc_string
    assert ("0–255" in proto.graph.input[0].doc_string) == (names_of(name)[0] == "images")


@pytest.mark.parametrize("preparation", ["digit", pytest.param("resize", marks=pytest.mark.slow)])
def test_files_say_how_a_picture_becomes_a_sample(preparation, tmp_path):
    model = modelzoo.create_model("relu_mlp", hidden_units=4, seed=0)
    set_card(model, dataclasses.replace(card_for(model), preparation=preparation))
    save_onnx(model, tmp_path / "net.onnx")
    save_litert(model, tmp_path / "net.tflite")
    facts = onnx_facts(tmp_path / "net.onnx")
    assert facts["preparation"] == preparation
    steps = json.loads(facts["preparation_steps"])
    text = " ".join(steps)
    own = {"digit": "centre of mass", "resize": "as dark or light as in the file"}[preparation]
    assert all(word in text for word in ("0.299 R", "BICUBIC", "0-255", own))
    assert json.loads(litert_facts(tmp_path / "net.tflite")["preparation_steps"]) == steps


@pytest.mark.slow
def test_facts_of_training_go_with_the_weights_that_were_trained(tmp_path):
    model = modelzoo.create_model("tanh_mlp", seed=0)
    recipe = modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=5, log_every=5)
    modelzoo.train(model, datasets.load("four_class"), recipe, seed=2)
    save_onnx(model, tmp_path / "trained.onnx")
    save_litert(model, tmp_path / "trained.tflite")
    facts = onnx_facts(tmp_path / "trained.onnx")
    assert facts["dataset"] == "four_class"
    assert facts["dataset_license"] == datasets.load("four_class").license
    assert facts["seed"] == "2"
    assert json.loads(facts["recipe"])["steps"] == 5
    assert litert_facts(tmp_path / "trained.tflite") == {**facts, "quantize": "none"}

    model.trainable_weights[0].assign_add(model.trainable_weights[0])
    save_onnx(model, tmp_path / "changed.onnx")
    changed = onnx_facts(tmp_path / "changed.onnx")
    assert set(facts) - set(changed) >= {"recipe", "dataset", "dataset_license", "seed"}
    assert changed["weights_digest"] != facts["weights_digest"]


@pytest.mark.slow
def test_logits_are_named_so(tmp_path):
    model = modelzoo.create_model("sigmoid_mlp", classifier_activation=None, seed=0)
    save_onnx(model, tmp_path / "net.onnx")
    save_litert(model, tmp_path / "net.tflite")
    x = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    (logits,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(["logits"], {"points": x})
    np.testing.assert_allclose(logits, model(x).numpy(), atol=CLOSE)
    runner = Interpreter(model_path=str(tmp_path / "net.tflite")).get_signature_runner("serving_default")
    np.testing.assert_allclose(runner(points=x)["logits"], model(x).numpy(), atol=CLOSE)


def drawings(folder):
    """Write digits as people draw them, larger, dark on light or in colour, and return how the zoo reads them."""
    for i, digit in enumerate(datasets.load("mnist").x_test[:3]):
        page = Image.fromarray(255 - digit).resize((150, 170), Image.Resampling.BILINEAR)
        (page.convert("RGB") if i else page).save(folder / f"{i}.{'jpg' if i == 2 else 'png'}")
    return datasets.load_digit_image


def photos(folder):
    """Write colour, transparency, a palette, another size and a camera held upright."""
    pixels = np.random.default_rng(0).integers(0, 256, (61, 40, 4), np.uint8)
    upright = Image.Exif()
    upright[0x0112] = 6
    Image.fromarray(pixels[..., :3]).save(folder / "photo.jpg", exif=upright)
    Image.fromarray(pixels).save(folder / "transparent.png")
    Image.fromarray(pixels[..., :3]).quantize(16).save(folder / "palette.gif")
    Image.fromarray(pixels[:28, :28, 0]).save(folder / "small.png")
    return functools.partial(datasets.read_image, size=(28, 28))


@pytest.mark.parametrize(
    ("preparation", "write", "missing"), [("resize", photos, ["modelzoo"]), ("digit", drawings, ["msgspec", "click"])]
)
def test_script_of_the_guide_serves_image_files_as_modelzoo_reads_them(preparation, write, missing, tmp_path, python):
    """With onnxruntime and Pillow alone, and for digits with the part of modelzoo that reads them."""
    model = modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)
    set_card(model, dataclasses.replace(card_for(model), class_names=tuple("abcdefghij"), preparation=preparation))
    save_onnx(model, tmp_path / "net.onnx")
    read = write(tmp_path)
    files = sorted(path for path in tmp_path.iterdir() if path.suffix != ".onnx")
    (script,) = re.findall(r"```python serve.py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    alone = f"import sys\nsys.modules |= dict.fromkeys({['keras', 'tensorflow', 'scipy', 'matplotlib', *missing]})\n"
    (tmp_path / "serve.py").write_text(alone + script, encoding="utf-8")
    done = python("serve.py", "net.onnx", *(path.name for path in files), cwd=tmp_path)
    lines = [line.split() for line in done.stdout.splitlines()]
    expected = modelzoo.predict(model, np.stack([read(path) for path in files]))
    assert [line[:2] for line in lines] == [
        [path.name, "abcdefghij"[row.argmax()]] for path, row in zip(files, expected, strict=True)
    ]
    np.testing.assert_allclose([list(map(float, line[2:])) for line in lines], expected, rtol=0, atol=CLOSE)


def test_older_operators_compute_the_same(tmp_path):
    name = "two_conv_cnn"
    x, expected = answers(name)
    for opset in (9, 13):
        save_onnx(net(name), tmp_path / f"{opset}.onnx", opset=opset)
        assert [entry.version for entry in onnx.load(tmp_path / f"{opset}.onnx").opset_import] == [opset]
        (outputs,) = onnxruntime.InferenceSession(tmp_path / f"{opset}.onnx").run(None, {names_of(name)[0]: x})
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=CLOSE)


# --- LiteRT


def test_bytes_in_and_out_of_a_fixed_batch(tmp_path):
    """What a microcontroller wants: one image of bytes, one row of bytes."""
    name, path = "relu_mlp", tmp_path / "net.tflite"
    calibration = training_samples(name) // 2  # none reaches 255
    options = {"calibration": calibration, "batch_size": 1, "input_type": "uint8", "output_type": "uint8"}
    save_litert(net(name), path, quantize="int8", **options)
    interpreter = Interpreter(model_path=str(path))
    assert interpreter.get_signature_list()["serving_default"] == {"inputs": ["images"], "outputs": ["probabilities"]}
    (given,), (returned,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], list(given["shape_signature"]), given["quantization"]) == (np.uint8, [1, 28, 28], (1.0, 0))
    assert (returned["dtype"], list(returned["shape_signature"])) == (np.uint8, [1, 10])
    x, expected = answers(name)
    runner = interpreter.get_signature_runner("serving_default")
    outputs = np.concatenate([runner(images=image[np.newaxis].astype(np.uint8))["probabilities"] for image in x])
    scale, zero = returned["quantization"]
    assert np.abs((outputs.astype(float) - zero) * scale - expected).mean() < 0.03


@every_model
def test_litert_gives_what_keras_gives_for_any_batch(name, litert_files):
    x, expected = answers(name)
    given, returned = names_of(name)
    signature = Interpreter(model_path=str(litert_files(name))).get_signature_list()["serving_default"]
    assert signature == {"inputs": [given], "outputs": [returned]}
    for count in (1, 7, len(x)):
        outputs = run_litert(litert_files(name), name, x[:count])
        np.testing.assert_allclose(outputs, expected[:count], rtol=0, atol=CLOSE)


@all_models({*NAMES} - {"relu_mlp", "tanh_mlp"})
def test_float16_weights_are_stored_so_and_give_nearly_the_same(name, litert_files):
    x, expected = answers(name)
    path = litert_files(name, "float16")
    outputs = run_litert(path, name, x)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=5e-3)
    dtypes = [tensor["dtype"] for tensor in Interpreter(model_path=str(path)).get_tensor_details()]
    assert dtypes.count(np.float16) >= len(first_graph(name).trainable_weights)


@all_models({*NAMES} - {"relu_mlp", "tanh_mlp"})
def test_int8_agrees_and_stores_large_weights_in_integers(name, litert_files):
    x, expected = answers(name)
    path = litert_files(name, "int8")
    outputs = run_litert(path, name, x)
    assert outputs.dtype == np.float32
    assert needs_calibration(net(name), "int8") == is_image_classifier(name)
    interpreter, weights = Interpreter(model_path=str(path)), first_graph(name).trainable_weights
    tensors = interpreter.get_tensor_details()
    large = [weight for weight in weights if np.prod(weight.shape) >= 1024]
    assert [tensor["dtype"] for tensor in tensors].count(np.int8) >= len(large)
    if not is_image_classifier(name):
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=0.15 if hasattr(net(name), "encoder") else CLOSE)
        return
    assert np.abs(outputs - expected).mean() < 0.02
    assert np.abs(outputs - expected).max() < 0.15
    # It computes in integers, with one scale for each output channel.
    ends = {detail["index"] for detail in interpreter.get_input_details() + interpreter.get_output_details()}
    assert {tensor["index"] for tensor in tensors if tensor["dtype"] == np.float32 and tensor["name"]} <= ends
    scales = [len(t["quantization_parameters"]["scales"]) for t in tensors if t["dtype"] == np.int8]
    kernels = [weight for weight in weights if len(weight.shape) > 1 and weight.shape[-1] > 1]
    assert sum(count > 1 for count in scales) >= len(kernels)


@pytest.mark.slow
@pytest.mark.parametrize(("quantize", "tolerance"), [(None, CLOSE), ("int8", 0.15)])
def test_autoencoder_has_its_two_halves(quantize, tolerance, litert_files):
    model, (x, _) = net("tanh_autoencoder"), answers("tanh_autoencoder")
    latent = model.encoder(x).numpy()
    interpreter = Interpreter(model_path=str(litert_files("tanh_autoencoder", quantize)))
    assert set(interpreter.get_signature_list()) == {"serving_default", "encode", "decode"}
    encode, decode = map(interpreter.get_signature_runner, ("encode", "decode"))
    np.testing.assert_allclose(encode(images=x)["latent"], latent, rtol=0, atol=tolerance)
    decoded = decode(latent=latent)["reconstruction"]
    np.testing.assert_allclose(decoded, model.decoder(latent).numpy(), rtol=0, atol=tolerance)


def test_same_weights_same_bytes(onnx_files, litert_files, tmp_path):
    name = "xor_mlp"
    save_onnx(net(name), tmp_path / "a.onnx")
    save_litert(net(name), tmp_path / "a.tflite", quantize="int8")
    assert (tmp_path / "a.onnx").read_bytes() == onnx_files(name).read_bytes()
    assert (tmp_path / "a.tflite").read_bytes() == litert_files(name, "int8").read_bytes()


# --- errors leave nothing behind

IMAGES = np.zeros((4, 28, 28), np.float32)
INT8 = {"quantize": "int8"}


@pytest.mark.parametrize(
    ("function", "path", "options", "error", "match"),
    [
        (save_onnx, "net.txt", {}, InputError, r"net\.txt must end in \.onnx"),
        (save_litert, "net.lite", {}, InputError, r"net\.lite must end in \.tflite"),
        (save_litert, "net.tflite", {"quantize": "int4"}, InputError, "'int4'.*Did you mean 'int8'"),
        (save_litert, "net.tflite", INT8, InputError, "needs calibration samples"),
        (save_litert, "net.tflite", {"calibration": IMAGES}, InputError, "int8.*not quantize=None"),
        (save_litert, "net.tflite", INT8 | {"calibration": IMAGES[:, :9]}, DataError, r"\(9, 28\).*\(28, 28\)"),
        (save_litert, "net.tflite", INT8 | {"calibration": IMAGES * np.nan}, DataError, "calibration.*nan"),
        (save_litert, "net.tflite", INT8 | {"calibration": IMAGES[:0]}, DataError, "calibration.*empty"),
        (save_onnx, "net.onnx", {"opset": 19}, InputError, "opset must be an integer from 9 to 18"),
        (save_litert, "net.tflite", {"batch_size": 0}, InputError, "batch_size must be an integer"),
        (save_litert, "net.tflite", {"input_type": "uint8"}, InputError, "input_type='uint8' needs .*int8"),
        (save_litert, "net.tflite", {"output_type": "int16"}, InputError, "output_type 'int16'.*'int8'"),
        (save_onnx, "file/net.onnx", {}, TargetError, "Cannot write"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(function, path, options, error, match, tmp_path):
    (tmp_path / "file").write_text("a file, not a directory")
    with pytest.raises(error, match=match):
        function(net("relu_mlp"), tmp_path / path, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("function", "path"), [(save_onnx, "net.onnx"), (save_litert, "net.tflite")])
def test_existing_files_and_foreign_models(function, path, tmp_path):
    path = tmp_path / path
    path.write_text("mine")
    with pytest.raises(TargetExistsError):
        function(net("xor_mlp"), path)
    assert path.read_text() == "mine"
    for model in (keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), net("xor_mlp")):
        function(model, path, overwrite=True)
        assert path.stat().st_size > 400
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("missing", ["onnx", "tf2onnx"])
def test_missing_extra_is_named(missing, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=rf"{missing}.*pip install 'keras-modelzoo\[onnx\]'"):
        save_onnx(net("xor_mlp"), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("function", "path"), [(save_onnx, "net.onnx"), (save_litert, "net.tflite")])
def test_a_network_the_converter_does_not_know(function, path, tmp_path):
    model = modelzoo.create_model("xor_mlp", seed=0)
    strange = keras.layers.Lambda(tf.math.bessel_i0e, name="strange")
    wrapped = keras.Model(model.inputs, strange(model.outputs[0]))
    set_card(wrapped, card_for(model))
    with pytest.raises(InputError, match=r"cannot be converted to .*SavedModel"):
        function(wrapped, tmp_path / path)
    assert not list(tmp_path.iterdir())


# --- the command


@pytest.mark.slow
def test_command_writes_quietly(tmp_path, python):
    command = ("-m", "modelzoo", "export", "relu_mlp", "--format", "litert")
    users = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}  # the tests set it
    done = python(*command, "--quantize", "int8", "-o", tmp_path / "net.tflite", env=users)
    assert (done.stdout, done.stderr) == (f"Wrote {tmp_path / 'net.tflite'}\n", "")
    assert litert_facts(tmp_path / "net.tflite")["quantize"] == "int8"
