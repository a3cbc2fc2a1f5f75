"""Pictures of what a classifier gets right and wrong, and of how far to trust it."""

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

import modelzoo
from modelzoo import datasets, viz
from modelzoo.errors import InputError
from modelzoo.evaluation import reliability

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])
LABELS = np.array([0, 1, 2, 0, 0])  # the last three are wrong


def test_class_scores_are_bars_with_names():
    scores = [0.1, 0.7, 0.2]
    ax = viz.plot_class_scores(scores, ["a", "b", "c"], truth=1)
    assert [bar.get_width() for bar in ax.patches] == scores
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.patches[1].get_facecolor() != ax.patches[0].get_facecolor() == ax.patches[2].get_facecolor()


def test_prediction_shows_the_image_beside_its_scores(image_mlp, digits):
    image, bars = viz.plot_prediction(image_mlp, digits.x_test[0], digits.class_names, truth=7).axes
    scores = image_mlp.predict(digits.x_test[:1], verbose=0)[0]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], scores, atol=1e-6)
    np.testing.assert_array_equal(image.images[0].get_array(), digits.x_test[0])
    assert bars.get_title() == f"I am: {scores.argmax()}"
    assert image.get_title() == "What am I? (truth: 7)"
    logits = modelzoo.create_model("relu_mlp", classifier_activation=None, seed=0)  # the same weights
    for image in (digits.x_test[0], digits.x_test[0][..., None], digits.x_test[:1]):
        bars = viz.plot_prediction(logits, image).axes[1]
        np.testing.assert_allclose([bar.get_width() for bar in bars.patches], scores, atol=1e-6)


def test_prediction_of_several_digits_draws_their_boxes(tmp_path):
    mnist = datasets.load("mnist")
    page = Image.fromarray(255 - np.pad(np.concatenate(mnist.x_test[[7, 61, 3]], axis=1), 8)).resize((300, 132))
    page.save(tmp_path / "page.png")
    (ax,) = viz.plot_prediction("dense_500_300", tmp_path / "page.png").axes
    found = datasets.load_digit_images(page)
    assert [[*box.get_xy(), box.get_width(), box.get_height()] for box in ax.patches] == [
        [left, top, right - left, bottom - top] for left, top, right, bottom in found.boxes
    ]
    classes = modelzoo.predict("dense_500_300", found.samples).argmax(axis=1)
    assert [text.get_text()[0] for text in ax.texts] == [str(label) for label in classes]
    assert ax.get_title() == f"I am: {''.join(map(str, classes))}"
    with pytest.raises(InputError, match="truth is for one digit"):
        viz.plot_prediction("dense_500_300", page, truth=3)


@pytest.mark.parametrize("normalize", [False, True])
def test_confusion_matrix_counts_as_scikit_learn_does(image_mlp, digits, normalize):
    ax = viz.plot_confusion_matrix(image_mlp, digits, normalize=normalize)
    predicted = image_mlp.predict(digits.x_test, verbose=0).argmax(axis=1)
    expected = confusion_matrix(digits.y_test, predicted, labels=range(10)).astype(float)
    if normalize:
        expected *= 100 / expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    text = expected.round(1).astype(str).ravel() if normalize else expected.astype(int).astype(str).ravel()
    assert [t.get_text() for t in ax.texts] == text.tolist()
    wrong = int((predicted != digits.y_test).sum())
    assert ax.get_title().startswith(f"{wrong} of 200 wrong, accuracy {1 - wrong / 200:.2%}")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_confusion_numbers_are_readable_in_their_cells(theme):
    with viz.theme(theme):
        ax = viz.plot_confusion_matrix(LABELS, PROBABILITIES)
        image = ax.images[0]
        for text, value in zip(ax.texts, np.asarray(image.get_array()).ravel(), strict=True):
            cell = np.array(image.cmap(image.norm(value))[:3])
            ink = np.array(mpl.colors.to_rgb(text.get_color()))
            assert np.abs(cell - ink).max() > 0.35, (value, text.get_color())


def test_confusion_matrix_of_one_output_and_of_labels_alone():
    ax = viz.plot_confusion_matrix([0, 1, 1, 1], [0.2, 0.9, 0.4, 0.6], class_names=["no", "yes"])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[1, 0], [1, 2]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["no", "yes"]


@pytest.mark.parametrize(
    ("y_true", "y_pred", "names"),
    [
        ([3, 8, 8, 5], [3, 5, 8, 5], ["3", "5", "8"]),
        ([-1, 1, 1], [1, 1, -1], ["-1", "1"]),
        (["cat", "dog", "dog"], ["dog", "dog", "cat"], ["cat", "dog"]),
    ],
)
def test_confusion_matrix_has_scikit_learns_order(y_true, y_pred, names):
    ax = viz.plot_confusion_matrix(y_true, y_pred)
    np.testing.assert_array_equal(ax.images[0].get_array(), confusion_matrix(y_true, y_pred))
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    np.testing.assert_array_equal(
        viz.plot_confusion_matrix(y_true=y_true, y_pred=y_pred).images[0].get_array(), confusion_matrix(y_true, y_pred)
    )


def test_confusion_matrix_of_labels_with_names_keeps_classes_that_the_data_lack(digits):
    for labels in ([2, 0], ["c", "a"]):
        ax = viz.plot_confusion_matrix(labels, labels, class_names=["a", "b", "c"])
        np.testing.assert_array_equal(ax.images[0].get_array(), [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    predicted = np.where(digits.y_test == 7, 1, digits.y_test)
    counts = viz.plot_confusion_matrix(digits, predicted).images[0].get_array()
    assert counts[7, 1] == (digits.y_test == 7).sum()


def test_a_model_is_given_by_its_name():
    data = datasets.load("four_class", n_test=50)
    expected = viz.plot_confusion_matrix(modelzoo.load("tanh_mlp"), data).images[0].get_array()
    np.testing.assert_array_equal(viz.plot_confusion_matrix("tanh_mlp", data).images[0].get_array(), expected)


def test_mistakes_come_surest_first_with_their_best_guesses():
    found = viz.mistakes(LABELS, PROBABILITIES, top=2)
    np.testing.assert_array_equal(found.index, [2, 4, 3])
    np.testing.assert_array_equal(found.truth, [2, 0, 0])
    np.testing.assert_array_equal(found.top, [[1, 0], [1, 2], [2, 0]])
    np.testing.assert_allclose(found.probabilities, [[0.9, 0.05], [0.5, 0.3], [0.4, 0.3]])
    assert viz.mistakes(LABELS, PROBABILITIES, top=9).top.shape == (3, 3)


def test_gallery_has_the_images_and_three_guesses_and_the_truth(rng):
    images = rng.integers(0, 255, size=(5, 6, 6)).astype("uint8")
    figure = viz.plot_misclassified((images, LABELS), PROBABILITIES, class_names=["cat", "dog", "owl"])
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 3
    np.testing.assert_array_equal(shown[0].images[0].get_array(), images[2])
    assert shown[1].get_title() == "dog: 50.0%\nowl: 30.0%\ncat: 20.0%\ntruth: cat"
    assert "3 of 5 wrong" in figure.get_suptitle()


def test_reliability_diagram_is_the_curve_of_evaluation():
    ax = viz.plot_reliability(LABELS, PROBABILITIES, bins=5)
    curve = reliability(PROBABILITIES.argmax(axis=1) == LABELS, PROBABILITIES.max(axis=1), bins=5)
    used = curve.count > 0
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], curve.accuracy[used])
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), np.c_[curve.confidence, curve.accuracy][used])
    assert ax.get_title() == f"calibration error {curve.calibration_error:.2%}, 5 samples"
