"""Predictions, metrics and calibration against scikit-learn and SciPy."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, log_loss, mean_squared_error

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import interpret, own_data, own_options, probabilities_of, reliability
from modelzoo.registry import card_for

SHORT = Recipe(steps=2, log_every=2, xla="off")


@pytest.fixture(scope="module")
def digits():
    """1037 test digits, a number that neither 500 nor any batch divides."""
    data = datasets.load("mnist")
    return (data.x_train[:501], data.y_train[:501]), (data.x_test[:1037], data.y_test[:1037])


@pytest.fixture(scope="module")
def net():
    return modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)


@pytest.fixture(scope="module")
def logit_net():
    return modelzoo.create_model("relu_mlp", hidden_units=12, classifier_activation=None, seed=0)


# --- predict


def test_predict_is_the_model_without_dropout_for_any_number_and_type_of_samples(digits):
    model = modelzoo.create_model("relu_mlp", hidden_units=30, dropout=0.9, seed=0)
    x = digits[1][0]
    expected = model(x).numpy()
    for given in (x, x[:1], x[:2].astype("float32"), x[:33].astype("float64"), x[:3].astype("int64"), x[:3].tolist()):
        np.testing.assert_allclose(modelzoo.predict(model, given), expected[: len(given)], atol=1e-6)
    modelzoo.train(model, digits, SHORT.replace(batch_size=20))
    after = modelzoo.predict(model, x[:2])
    assert not np.array_equal(after, expected[:2])
    np.testing.assert_allclose(after, model(x[:2]).numpy(), atol=1e-6)


def test_predict_takes_samples_as_they_come(net, digits, tmp_path):
    """One sample or several, with a channel or without, arrays, files, Pillow images and tables."""
    x = digits[1][0][:3]
    expected = net(x).numpy()
    scaled = keras.layers.Rescaling(1 / 255)  # else rounding would grow with the pixels
    cnn = keras.Sequential([keras.Input((28, 28, 1)), scaled, keras.layers.Flatten(), keras.layers.Dense(2)])
    for model, outputs in ((net, expected), (cnn, cnn(x[..., None]).numpy())):
        for given in (x, x[..., None]):
            np.testing.assert_allclose(modelzoo.predict(model, given), outputs, atol=1e-5)
            np.testing.assert_allclose(modelzoo.predict(model, given[0]), outputs[:1], atol=1e-5)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, pixels in zip(paths, x, strict=True):
        Image.fromarray(pixels).save(path)
    np.savetxt(tmp_path / "rows.csv", x.reshape(3, -1), fmt="%d", delimiter=",")
    for given in (paths, [str(path) for path in paths], [Image.open(path) for path in paths], tmp_path / "rows.csv"):
        np.testing.assert_allclose(modelzoo.predict(net, given, prepare="resize"), expected, atol=1e-6)
    prepared = net(datasets.load_digit_image(x[0])[None]).numpy()
    np.testing.assert_allclose(modelzoo.predict(net, str(paths[0]), prepare="digit"), prepared, atol=1e-6)
    np.testing.assert_allclose(modelzoo.predict(net, Image.open(paths[0]), prepare="digit"), prepared, atol=1e-6)


def test_predict_takes_the_name_or_the_directory_of_a_model(net, digits, tmp_path):
    modelzoo.save(net, tmp_path / "1")
    x = digits[1][0][:2]
    np.testing.assert_allclose(modelzoo.predict(tmp_path / "1", x), net(x).numpy(), atol=1e-6)
    assert modelzoo.predict("tanh_mlp", [0.5, 1]).shape == (1, 4)


def test_a_pretrained_network_reads_digits_loaded_or_by_name_and_in_a_file(tmp_path):
    x, y = datasets.load("mnist").test
    loaded = modelzoo.predict(modelzoo.load("dense_500_300"), x[:100])
    np.testing.assert_allclose(modelzoo.predict("dense_500_300", x[:100]), loaded, atol=1e-5)
    assert (loaded.argmax(1) == y[:100]).all()
    Image.fromarray(255 - x[0]).resize((280, 280)).save(tmp_path / "seven.png")
    assert modelzoo.predict("dense_500_300", tmp_path / "seven.png").argmax() == y[0] == 7


def test_outputs_of_bfloat16_are_float32():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax", dtype="bfloat16")])
    assert modelzoo.predict(model, [[1, 2]]).dtype == np.float32


# --- what outputs mean


def test_probabilities_of_int8_are_rounded_and_taken():
    thin = np.full((1, 10), 0.0059)  # each of which LiteRT's int8 rounds to 2/256
    thin[0, 3] = 1 - thin[0, 1:].sum()
    rounded = np.round(thin * 256) / 256
    assert abs(rounded.sum() - 1) > 0.01
    assert probabilities_of(rounded).argmax() == 3
    with pytest.raises(DataError, match="sum to 1"):
        probabilities_of(rounded + 0.003)


def test_outputs_mean_the_same_in_all_forms(net, logit_net, digits):
    x = digits[1][0][:50]
    probabilities, logits = modelzoo.predict(net, x), modelzoo.predict(logit_net, x)
    for model, outputs in ((net, probabilities), (logit_net, logits)):
        found = interpret(model, outputs)
        np.testing.assert_allclose(found.probabilities, special.softmax(logits, axis=1), rtol=1e-4)
        np.testing.assert_array_equal(found.classes, logits.argmax(axis=1))
    squares = interpret(logit_net, logits, recipe=Recipe(steps=1, loss="sum_of_squares"))
    assert squares.probabilities is None, "the loss says that these are not logits"
    np.testing.assert_array_equal(squares.classes, logits.argmax(axis=1))


def test_one_output_is_that_of_class_1():
    z = np.array([[-3.0], [-0.1], [0.1], [2.0]])
    expected = np.hstack([special.expit(-z), special.expit(z)])
    for activation, outputs in (("sigmoid", special.expit(z)), (None, z)):
        unit = modelzoo.create_model("logistic_perceptron", classifier_activation=activation, seed=0)
        found = interpret(unit, outputs)
        np.testing.assert_allclose(found.probabilities, expected)
        assert found.classes.tolist() == [0, 0, 1, 1]
    assert interpret(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), z).classes.tolist() == [0, 0, 1, 1]
    decisions = interpret(modelzoo.create_model("threshold_perceptron"), [[0.0], [1.0]])
    assert decisions.probabilities is None
    assert decisions.classes.tolist() == [0, 1]
    assert probabilities_of([0.5]).argmax() == 0, "one half is class 0, as in the accuracy of training"


# --- evaluate


@pytest.mark.parametrize("split", ["test", "train"])
def test_classifier_metrics_are_scikit_learns(split, net, logit_net, digits):
    x, y = digits[split == "test"]
    probabilities = net(x).numpy().astype(float)
    found = modelzoo.evaluate(net, digits, split=split)
    assert set(found) == {"loss", "accuracy"}
    assert found["accuracy"] == pytest.approx(accuracy_score(y, probabilities.argmax(axis=1)), abs=1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert found["loss"] == pytest.approx(log_loss(y, probabilities, labels=range(10)), rel=1e-4)
    assert modelzoo.evaluate(logit_net, digits, split=split) == pytest.approx(found, rel=1e-6)
    sure = modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)
    sure.set_weights([300 * w for w in net.get_weights()])
    assert 100 < modelzoo.evaluate(sure, digits, split=split)["loss"] < np.inf, "where probabilities underflow"
    assert modelzoo.evaluate(net, (x, y)) == found, "a single pair is evaluated as it is"


def test_every_sample_counts_once(net, digits):
    answers = net(digits[1][0]).numpy().argmax(axis=1)
    for n in (1, 500, 1001):
        x, y = digits[1][0][:n], digits[1][1][:n].copy()
        for last in (answers[n - 1], (answers[n - 1] + 1) % 10):
            y[-1] = last
            found = modelzoo.evaluate(net, (digits[0], (x, y)))
            assert found["accuracy"] == pytest.approx((answers[:n] == y).mean(), abs=1e-6), n


def test_the_validation_part_is_a_split_of_its_own():
    data = datasets.load("four_class").hold_out(100)
    model = modelzoo.create_model("tanh_mlp", seed=0)
    assert modelzoo.evaluate(model, data, split="validation") == modelzoo.evaluate(model, data.validation)
    sizes = {part: len(x) for part, (x, _) in data.parts.items()}
    scores = {part: modelzoo.evaluate(model, data, split=part)["accuracy"] for part in (*sizes, "all")}
    assert scores["all"] == pytest.approx(sum(sizes[part] * scores[part] for part in sizes) / sum(sizes.values()))
    modelzoo.train(model, datasets.load("four_class"), SHORT.replace(validation_size=300))
    held = datasets.load("four_class").hold_out(300).validation
    assert modelzoo.evaluate(model, split="validation") == modelzoo.evaluate(model, held)
    no_test = datasets.Dataset(*data.train, x_val=data.x_val, y_val=data.y_val, name="mine")
    with pytest.raises(InputError, match=r"mine has no test part.*: train, validation"):
        modelzoo.evaluate(model, no_test)


def test_own_data_are_those_of_the_card(tmp_path):
    """Points drawn with a seed of their own, and a data set the builder does not declare, are loaded again."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    assert modelzoo.evaluate(model) == modelzoo.evaluate(model, datasets.load("four_class"))
    recipe = Recipe(steps=1, loss="categorical_crossentropy")
    assert modelzoo.evaluate(model, recipe=recipe) == pytest.approx(modelzoo.evaluate(model), rel=1e-5)

    points = datasets.load("linear", n=80, n_test=90, seed=7)
    model = modelzoo.create_model("logistic_perceptron", seed=0)
    modelzoo.train(model, points, SHORT.replace(loss="binary_crossentropy"))
    modelzoo.save(model, tmp_path / "1")
    assert own_data(modelzoo.load(tmp_path / "1")).checksum == points.checksum
    assert modelzoo.evaluate(tmp_path / "1") == pytest.approx(modelzoo.evaluate(model, points), rel=1e-6)

    model = modelzoo.create_model("tanh_mlp", num_classes=2, seed=0)
    curve = datasets.load("quadratic", n=70)
    modelzoo.train(model, curve, SHORT)
    assert own_data(model).checksum == curve.checksum
    modelzoo.train(model, curve.take(per_class=5), SHORT)
    with pytest.raises(InputError, match="was trained on 'quadratic', which is not"):
        modelzoo.evaluate(model)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: modelzoo.predict(net, np.zeros((2, 27, 28))), DataError, "samples"),
        (lambda net: modelzoo.predict(net, np.full((1, 28, 28), np.nan)), DataError, "samples"),
        (lambda net: modelzoo.predict(net, np.zeros(0)), DataError, "samples"),
        (lambda net: modelzoo.predict(net, ".", prepare="resize"), InputError, "is a folder"),
        (lambda net: modelzoo.predict("tanh_mlp", "photo.png"), InputError, "not images"),
        (lambda net: modelzoo.predict("tanh_mlp", datasets.load("four_class")), InputError, r"data\.x_test"),
        (lambda net: modelzoo.predict("logistic_perceptron", "points.csv"), InputError, "write a header with the name"),
        (lambda net: modelzoo.evaluate(net, split="tset"), InputError, "Did you mean 'test'"),
        (lambda net: modelzoo.evaluate(net, split="validation"), InputError, "validation part"),
        (lambda net: modelzoo.evaluate(net, (np.zeros((4, 28, 29)), np.arange(4))), DataError, "shape"),
        (lambda net: modelzoo.measure(net, tf.data.Dataset.from_tensors((0.0, 0))), InputError, r"tf\.data\.Dataset"),
        (lambda net: modelzoo.measure(net, (np.full((9, 28, 28), 300.0), np.arange(9))), DataError, "0 to 255"),
        (lambda net: modelzoo.measure(keras.Sequential([keras.Input((2,))])), InputError, "known as a graph"),
        (lambda net: modelzoo.train(net, "drawings", SHORT), InputError, r"must be loaded: .*load\('drawings'\)"),
        (lambda net: probabilities_of([[0.5, 0.6]]), DataError, "sums to 1.1"),
        (lambda net: probabilities_of([[2.0, -1.0]]), DataError, "-1 to 2"),
        (lambda net: probabilities_of([0.1, np.nan]), DataError, "finite"),
        (lambda net: probabilities_of([]), DataError, "shape"),
        (lambda net: probabilities_of(["a"]), DataError, "<U1"),
        (lambda net: probabilities_of(np.zeros((1, 2, 2))), DataError, "shape"),
        (lambda net: reliability([1, 0], [0.5]), DataError, "one shape"),
        (lambda net: reliability([], []), DataError, "one shape"),
        (lambda net: reliability([1], [1.5]), DataError, "between 0 and 1"),
        (lambda net: reliability([1], [np.nan]), DataError, "between 0 and 1"),
        (lambda net: reliability([1], [0.5], bins=0), InputError, "bins must be"),
        (lambda net: reliability([1], [0.5], bins=1.5), InputError, "bins must be"),
    ],
)
def test_refused_arguments(call, error, message, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text("1,2,0\n3,4,1\n")
    with pytest.raises(error, match=message):
        call(net)


# --- calibration


def calibration_error(probabilities, labels, bins=15):
    """Guo et al.'s equation 3 by SciPy; bins hold their upper limit, as when they are counted downwards."""
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = stats.binned_statistic(-confidence, correct - confidence, "sum", bins, range=(-1, 0)).statistic
    return np.abs(gaps).sum() / len(labels)


@pytest.mark.parametrize("bins", [1, 2, 7, 15, 100])
def test_reliability_is_scipys_and_scikit_learns(bins, rng):
    """Of a classifier that is too sure."""
    logits = rng.normal(size=(3000, 4))
    labels = (rng.random((3000, 1)) > special.softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)
    claimed = special.softmax(3 * logits, axis=1)
    confidence, correct = claimed.max(axis=1), claimed.argmax(axis=1) == labels
    curve = reliability(correct, confidence, bins=bins)
    assert curve.calibration_error == pytest.approx(calibration_error(claimed, labels, bins), abs=1e-12)
    assert curve.calibration_error > 0.03
    some = curve.count > 0
    expected = calibration_curve(correct, confidence, n_bins=bins, strategy="uniform")
    np.testing.assert_allclose([curve.accuracy[some], curve.confidence[some]], expected)
    np.testing.assert_allclose(curve.edges, np.arange(bins + 1) / bins)
    assert curve.count.sum() == len(labels)
    assert np.isnan(curve.accuracy[~some]).all()


def test_calibration_error_by_hand():
    # |0.5 − 0.9| · 2/3 + |1 − 0.6| · 1/3; in one bin the gaps cancel in part: |2/3 − 0.8|.
    assert reliability([1, 0, 1], [0.9, 0.9, 0.6]).calibration_error == pytest.approx(0.4)
    assert reliability([1, 0, 1], [0.9, 0.9, 0.6], bins=1).calibration_error == pytest.approx(2 / 15)
    assert reliability([1, 0, 0], [1.0, 1.0, 0.5], bins=4).count.tolist() == [0, 1, 0, 2]


# --- measure


def test_scaled_images_are_not_corrupted_in_grey_levels(digits):
    x, y = digits[1]
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    assert "corruptions" not in modelzoo.measure(model, (x[:50] / 255, y[:50]))
    assert "corruptions" not in modelzoo.measure("relu_mlp", (x[:50] / 255, y[:50]))
    assert modelzoo.measure(model, (x[:50], y[:50]))["corruptions"]


def test_measures_of_an_image_classifier(net, logit_net, digits):
    found = modelzoo.measure(net, digits)
    x, y = digits[1]
    assert list(found["corruptions"]) == list(datasets.CORRUPTIONS)
    scores = modelzoo.evaluate(net, digits)
    assert (found["test_loss"], found["test_accuracy"]) == (scores["loss"], scores["accuracy"])
    assert found["calibration_error"] == pytest.approx(calibration_error(net(x).numpy().astype(float), y), abs=1e-6)
    for name, corrupt in datasets.CORRUPTIONS.items():
        expected = np.mean(net(corrupt(x)).numpy().argmax(axis=1) != y)
        assert found["corruptions"][name] == pytest.approx(expected, abs=1.5 / len(x))
    assert found["num_params"] == 784 * 12 + 12 + 120 + 10
    assert found["multiply_adds"] == 784 * 12 + 120
    assert json.loads(json.dumps(found)) == found
    expected = classification_report(y, net(x).numpy().argmax(axis=1), output_dict=True, zero_division=np.nan)
    for name, row in found["classes"].items():
        for ours, theirs in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score"), ("samples", "support")):
            value = expected[name][theirs]
            assert row[ours] == (None if np.isnan(value) else pytest.approx(value))
    matrix = found.pop("confusion_matrix")
    assert matrix == confusion_matrix(y, net(x).numpy().argmax(axis=1), labels=range(10)).tolist()
    assert found.pop("corruptions")
    assert found.pop("classes")
    logits = modelzoo.measure(logit_net, digits, corruptions=False)
    assert logits.pop("classes")
    assert logits.pop("confusion_matrix") == matrix
    assert logits == pytest.approx(found, rel=1e-4)


def test_one_output_measures_as_two_do():
    data = datasets.load("linear", n=400)
    model = modelzoo.create_model("logistic_perceptron", seed=3)
    found = modelzoo.measure(model, data)
    classes = found.pop("classes")
    assert list(classes) == list(data.class_names)
    p = model(data.x_test).numpy().astype(float)
    assert found["calibration_error"] == pytest.approx(calibration_error(np.hstack([1 - p, p]), data.y_test), abs=1e-6)
    assert "corruptions" not in found  # points are no images
    logits = modelzoo.create_model("logistic_perceptron", classifier_activation=None, seed=3)
    measured = modelzoo.measure(logits, data)
    assert measured.pop("classes") == classes
    assert measured.pop("confusion_matrix") == found.pop("confusion_matrix")
    assert measured == pytest.approx(found, rel=1e-5)


def test_a_class_that_the_data_lack_is_in_the_report(net, digits):
    x, y = digits[1]
    few = datasets.Dataset(*digits[0], x[(y == 3) | (y == 5)], y[(y == 3) | (y == 5)], name="few")
    rows = modelzoo.measure(net, few, corruptions=False)["classes"]
    assert list(rows) == list("0123456789")
    assert (rows["3"]["samples"], rows["4"]["samples"], rows["4"]["recall"]) == ((y == 3).sum(), 0, None)


def test_outputs_that_are_decisions_have_no_calibration_error():
    found = modelzoo.measure(modelzoo.create_model("threshold_perceptron", weights=(-0.5, 1), threshold=-0.2))
    assert found["calibration_error"] is None
    assert (found["test_accuracy"], found["test_loss"]) == (1, 0)
    model = modelzoo.create_model("tanh_mlp", classifier_activation=None, seed=0)
    assert modelzoo.measure(model)["calibration_error"] > 0
    modelzoo.train(model, datasets.load("four_class"), SHORT.replace(loss="sum_of_squares"))
    assert modelzoo.measure(model)["calibration_error"] is None


def test_reconstructions_are_compared_with_the_clean_image(digits):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    x, y = (array[:101] for array in digits[1])
    few = digits[0], (x, y)
    found = modelzoo.measure(model, few)
    clean = x.reshape(len(x), -1) / 255
    assert set(found) == {"test_loss", "corruptions", "num_params", "multiply_adds"}
    assert modelzoo.evaluate(model, few) == {"loss": found["test_loss"]}
    for name, value in (("", found["test_loss"]), *found["corruptions"].items()):
        outputs = model(datasets.CORRUPTIONS[name](x) if name else x).numpy().reshape(len(x), -1)
        assert value == pytest.approx(mean_squared_error(clean, outputs), rel=1e-5)


def test_a_pretrained_model_is_measured_by_its_name():
    assert modelzoo.measure("tanh_mlp")["test_loss"] == modelzoo.evaluate("tanh_mlp")["loss"]


@pytest.fixture
def folders(tmp_path, rng, write_images):
    """Two folders of drawings, of classes of their own."""
    for folder in ("first", "second"):
        write_images(tmp_path / folder, rng.integers(0, 256, (12, 28, 28), np.uint8), ["a", "b"] * 6)
    return tmp_path


def test_what_a_parent_was_trained_on_is_not_measured_whole(folders):
    first, second = (datasets.load(folders / name, prepare="resize") for name in ("first", "second"))
    model, _ = modelzoo.finetune("relu_mlp", first, steps=1, xla="off")
    modelzoo.save(model, folders / "mine")
    model, _ = modelzoo.finetune(folders / "mine", second, steps=1, xla="off")
    parent = card_for(model).parent
    assert (parent["name"], parent["parent"]["name"]) == ("mine", "relu_mlp")
    assert parent["dataset"]["name"] == "first"
    for name in ("first", "second"):
        assert own_options(model, str(folders / name)) == {"prepare": "resize"}
    assert own_options(model, "mnist") == {"drawn": 600}
    assert own_options(model, str(folders)) is None


def test_digits_that_were_added_to_mnist_are_no_test():
    model = modelzoo.create_model("relu_mlp", seed=0)
    modelzoo.train(model, datasets.load("mnist", extra="digits"), steps=1, xla="off")
    assert own_options(model, "mnist") == {"extra": "digits"}
    assert own_options(model, "digits") == {"test_fraction": 0}
    child, _ = modelzoo.finetune(model, datasets.load("digits"), steps=1, xla="off")
    assert own_options(child, "digits") == {"test_fraction": 0}


def test_a_folder_of_one_class_can_be_measured_but_not_learnt(folders, net):
    (folders / "first" / "a").rename(folders / "sevens-7")
    (folders / "one").mkdir()
    (folders / "sevens-7").rename(folders / "one" / "7")
    data = datasets.load(folders / "one", test_fraction=0)
    assert modelzoo.evaluate(net, data, split="all")["accuracy"] <= 1
    assert modelzoo.measure(net, data, corruptions=False)["classes"]["7"]["samples"] == 6
    with pytest.raises(DataError, match="at least two classes"):
        modelzoo.train(net, data, SHORT)
