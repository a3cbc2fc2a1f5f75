"""Pictures of what a classifier gets right and wrong."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import modelzoo
from modelzoo import viz
from modelzoo.errors import DataError, InputError

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])
LABELS = np.array([0, 1, 2, 0, 0])  # the last three are wrong


def test_mistakes_come_surest_first_with_their_best_guesses():
    found = viz.mistakes(PROBABILITIES, LABELS, top=2)
    np.testing.assert_array_equal(found.index, [2, 4, 3])
    np.testing.assert_array_equal(found.truth, [2, 0, 0])
    np.testing.assert_array_equal(found.top, [[1, 0], [1, 2], [2, 0]])
    np.testing.assert_allclose(found.probabilities, [[0.9, 0.05], [0.5, 0.3], [0.4, 0.3]])
    assert viz.mistakes(PROBABILITIES, LABELS, top=9).top.shape == (3, 3)


def test_gallery_has_the_images_and_three_guesses_and_the_truth(rng):
    images = rng.integers(0, 255, size=(5, 6, 6)).astype("uint8")
    figure = viz.plot_misclassified(PROBABILITIES, (images, LABELS), class_names=["cat", "dog", "owl"], columns=2)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 3
    np.testing.assert_array_equal(shown[0].images[0].get_array(), images[2])
    assert shown[1].get_title() == "dog: 50.0%\nowl: 30.0%\ncat: 20.0%\ntruth: cat"
    assert "3 of 5 wrong" in figure.get_suptitle()
    with pytest.raises(DataError, match="no mistake"):
        viz.plot_misclassified(PROBABILITIES[:2], (images[:2], LABELS[:2]), class_names=["cat", "dog", "owl"])
    with pytest.raises(DataError, match="images"):
        viz.plot_misclassified(PROBABILITIES, (np.zeros((5, 2)), LABELS), class_names=["cat", "dog", "owl"])


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
        ax = viz.plot_confusion_matrix(PROBABILITIES, LABELS)
        image = ax.images[0]
        for text, value in zip(ax.texts, np.asarray(image.get_array()).ravel(), strict=True):
            cell = np.array(image.cmap(image.norm(value))[:3])
            ink = np.array(mpl.colors.to_rgb(text.get_color()))
            assert np.abs(cell - ink).max() > 0.35, (value, text.get_color())


def test_confusion_matrix_of_one_output_and_of_labels_alone():
    ax = viz.plot_confusion_matrix([0.2, 0.9, 0.4, 0.6], [0, 1, 1, 1], class_names=["no", "yes"])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[1, 0], [1, 2]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["no", "yes"]


def test_prediction_shows_the_image_beside_its_scores(image_mlp, digits):
    figure = viz.plot_prediction(image_mlp, digits.x_test[0], digits.class_names, truth=7)
    image, bars = figure.axes
    scores = image_mlp.predict(digits.x_test[:1], verbose=0)[0]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], scores, atol=1e-6)
    np.testing.assert_array_equal(image.images[0].get_array(), digits.x_test[0])
    assert bars.get_title() == f"I am: {scores.argmax()}"
    assert image.get_title() == "What am I? (truth: 7)"
    logits = modelzoo.create_model("relu_mlp", classifier_activation=None, seed=0)
    with pytest.raises(DataError, match="from_logits"):
        viz.plot_prediction(logits, digits.x_test[0])
    figure = viz.plot_prediction(logits, digits.x_test[0], from_logits=True)
    np.testing.assert_allclose([bar.get_width() for bar in figure.axes[1].patches], scores, atol=1e-6)


def slow_curve(confidence, correct, bins):
    rows = []
    for i in range(bins):
        low, high = i / bins, (i + 1) / bins
        members = [(p, c) for p, c in zip(confidence, correct, strict=True) if low < p <= high or (i == 0 and p == 0)]
        rows.append((*np.mean(members, axis=0), len(members)) if members else (np.nan, np.nan, 0))
    return np.array(rows).T


def test_reliability_agrees_with_a_slow_loop(rng):
    confidence = rng.uniform(0.3, 1, size=500)
    correct = rng.uniform(size=500) < confidence**2
    curve = viz.reliability(confidence, correct, bins=12)
    means, accuracy, count = slow_curve(confidence, correct, 12)
    np.testing.assert_allclose(curve.confidence, means)
    np.testing.assert_allclose(curve.accuracy, accuracy)
    np.testing.assert_array_equal(curve.count, count)
    gaps = sum(n / 500 * abs(m - a) for m, a, n in zip(means, accuracy, count, strict=True) if n)
    assert curve.calibration_error == pytest.approx(gaps)
    np.testing.assert_array_equal(viz.reliability([0.5, 0.0, 1.0], [1, 0, 1], bins=2).count, [2, 1])  # a limit is below


def test_reliability_diagram_of_outputs_and_of_a_finished_curve():
    ax = viz.plot_reliability(PROBABILITIES, LABELS, bins=5)
    curve = viz.reliability(PROBABILITIES.max(axis=1), PROBABILITIES.argmax(axis=1) == LABELS, bins=5)
    used = curve.count > 0
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], curve.accuracy[used])
    line = ax.get_lines()[1]
    np.testing.assert_allclose(line.get_xydata(), np.c_[curve.confidence, curve.accuracy][used])
    assert ax.get_title() == f"calibration error {curve.calibration_error:.2%}, 5 samples"
    again = viz.plot_reliability(curve)
    np.testing.assert_allclose(again.get_lines()[1].get_xydata(), line.get_xydata())


def test_reliability_refuses_what_does_not_fit():
    with pytest.raises(DataError, match="labels"):
        viz.plot_reliability(PROBABILITIES)
    with pytest.raises(DataError, match=r"\(2,\) and \(3,\)"):
        viz.reliability([0.1, 0.2], [1, 0, 1])
    with pytest.raises(DataError, match="between 0 and 1"):
        viz.reliability([1.2], [1])
    with pytest.raises(InputError, match="bins"):
        viz.reliability([0.5], [1], bins=0)
