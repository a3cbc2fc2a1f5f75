"""``check`` says of any SavedModel, point by point, whether it is reusable, and how to mend it."""

import pytest
import tensorflow as tf

import modelzoo
from modelzoo.errors import ArtifactError

POINTS = [
    "loads",
    "named signature",
    "callable",
    "training argument",
    "variables",
    "trainable_variables",
    "regularization_losses",
    "fine-tunes",
    "weights stored once",
    "modelzoo card",
    "golden vectors",
]


def answers(path):
    points = modelzoo.check(path)
    assert [point.name for point in points] == POINTS
    for point in points:
        assert point.detail
        assert bool(point.remedy) != point.ok
        assert "\n" not in point.detail + point.remedy
    return {point.name: point for point in points}


def test_keras_export_meets_little_of_it(keras_export):
    """Keras 3's export has no __call__, no lists of weights under these names that work, and no card."""
    points = answers(keras_export)
    assert points["loads"].ok
    assert not points["callable"].ok
    assert "__call__" in points["callable"].remedy
    assert not points["fine-tunes"].ok
    assert not points["modelzoo card"].ok
    assert not points["named signature"].ok


def test_tf_module_lacks_the_training_argument_and_the_lists(tmp_path):
    class Line(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[2.0], [3.0]])

        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def __call__(self, x):
            return x @ self.w

    tf.saved_model.save(Line(), str(tmp_path))
    points = answers(tmp_path)
    assert points["callable"].ok
    for name in ("training argument", "variables", "trainable_variables", "regularization_losses"):
        assert not points[name].ok, name
    assert "training=False" in points["training argument"].remedy


def test_an_altered_artifact_fails_on_its_card_alone(artifact):
    (artifact / "extra").write_text("x")
    wrong = [name for name, point in answers(artifact).items() if not point.ok]
    assert wrong == ["modelzoo card"]


def test_a_variable_without_gradient_is_named(tmp_path):
    root = tf.train.Checkpoint()
    used, idle = tf.Variable([[1.0], [1.0]], name="used"), tf.Variable(1.0, name="idle")
    root.variables = [used, idle]
    root.trainable_variables = [used, idle]
    root.regularization_losses = []

    @tf.function
    def call(x, training=False):
        return x @ used

    for training in (False, True):
        call.get_concrete_function(tf.TensorSpec([None, 2]), training=training)
    root.__call__ = call
    tf.saved_model.save(root, str(tmp_path / "m"))
    points = {point.name: point for point in modelzoo.check(tmp_path / "m")}
    assert not points["fine-tunes"].ok
    assert "idle" in points["fine-tunes"].detail
    assert points["training argument"].ok
    assert not points["named signature"].ok


def test_a_broken_graph_is_an_answer_and_not_a_traceback(artifact):
    (artifact / "saved_model.pb").write_bytes(b"\xff" * 100)
    points = modelzoo.check(artifact)
    assert [(point.name, point.ok) for point in points] == [("loads", False), ("modelzoo card", False)]
    assert "saved_model.pb" in points[1].detail
    assert points[0].remedy


@pytest.mark.parametrize("kind", ["empty", "missing"])
def test_what_is_no_saved_model_is_refused(kind, tmp_path):
    with pytest.raises(ArtifactError, match=r"saved_model\.pb"):
        modelzoo.check(tmp_path if kind == "empty" else tmp_path / "missing")
