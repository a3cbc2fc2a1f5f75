"""Golden vectors: what they are, that they are the same each time, and that `check` compares with them."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import datasets
from modelzoo.errors import ArtifactError, DataError
from modelzoo.saving import GOLDEN_COUNT, read_golden
from modelzoo.saving.golden import GOLDEN_PATH, golden_inputs


@pytest.fixture
def small_mlp():
    return modelzoo.create_model("relu_mlp", hidden_units=4, seed=0)


def test_given_samples_are_kept_as_they_are_also_by_a_loaded_model(small_mlp, tmp_path):
    digits = datasets.load("mnist").x_test[:5]
    modelzoo.save(small_mlp, tmp_path / "1", golden=digits)
    loaded = modelzoo.load(tmp_path / "1")
    loaded.set_weights([w * 0.5 for w in loaded.get_weights()])
    modelzoo.save(loaded, tmp_path / "2")
    for path, model in ((tmp_path / "1", small_mlp), (tmp_path / "2", loaded)):
        inputs, outputs = read_golden(path)
        assert inputs.dtype == np.uint8
        np.testing.assert_array_equal(inputs, digits)
        np.testing.assert_allclose(outputs, model(digits).numpy(), atol=1e-6)
        plain = tf.saved_model.load(str(path))
        np.testing.assert_allclose(plain(tf.constant(inputs)).numpy(), outputs, atol=1e-6)


def test_same_model_same_bytes(net, written, tmp_path):
    modelzoo.save(net, tmp_path / "again")
    assert (tmp_path / "again" / GOLDEN_PATH).read_bytes() == (written / GOLDEN_PATH).read_bytes()
    with zipfile.ZipFile(tmp_path / "again" / GOLDEN_PATH) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_made_up_samples_fit_every_model(name):
    model = modelzoo.create_model(name, seed=0)
    first, second = golden_inputs(model), golden_inputs(model)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (GOLDEN_COUNT, *model.input_shape[1:])
    if first.ndim == 3:
        assert first.dtype == np.uint8
        assert (first == 0).mean() > 0.3
        assert first.max() > 200
    assert len(np.unique(model(first).numpy().reshape(GOLDEN_COUNT, -1), axis=0)) > 1


def test_an_artifact_without_golden_vectors_is_refused(artifact, resign):
    (artifact / GOLDEN_PATH).unlink()
    resign(artifact)
    with pytest.raises(ArtifactError, match="golden"):
        read_golden(artifact)


def test_a_diverged_model_can_be_saved_and_loaded(tmp_path):
    model = modelzoo.create_model("tanh_mlp", seed=0)
    model.set_weights([w * np.nan for w in model.get_weights()])
    modelzoo.save(model, tmp_path / "1")
    assert np.isnan(modelzoo.load(tmp_path / "1").get_weights()[0]).all()
    assert not points(tmp_path / "1")["golden vectors"].ok


@pytest.mark.parametrize(
    "golden", [np.zeros((3, 28, 27)), np.zeros((28, 28)), np.zeros((0, 28, 28)), np.full((1, 28, 28), np.nan), "x", 3]
)
def test_samples_that_do_not_fit_are_refused_and_leave_nothing(golden, small_mlp, tmp_path):
    with pytest.raises(DataError, match="golden"):
        modelzoo.save(small_mlp, tmp_path / "1", golden=golden)
    assert list(tmp_path.iterdir()) == []


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


NO_GOLDEN = {
    "empty": b"",
    "no zip": b"PK",
    "no outputs": npz(inputs=np.ones((2, 2), "float32")),
    "other lengths": npz(inputs=np.ones((2, 2), "float32"), outputs=np.ones((3, 4), "float32")),
    "pickled": npz(inputs=np.array([{}], object), outputs=np.ones((1, 4))),
    "no samples": npz(inputs=np.ones((0, 2)), outputs=np.ones((0, 4))),
}


def test_what_is_no_golden_file_is_refused_in_one_line(artifact, resign):
    for content in NO_GOLDEN.values():
        (artifact / GOLDEN_PATH).write_bytes(content)
        resign(artifact)
        with pytest.raises(ArtifactError, match="golden"):
            read_golden(artifact)
    assert not points(artifact)["golden vectors"].ok


def test_check_compares_with_them(artifact, resign):
    inputs, outputs = read_golden(artifact)
    for shift, ok in ((8e-6, True), (3e-5, False), (np.nan, False)):
        (artifact / GOLDEN_PATH).write_bytes(npz(inputs=inputs, outputs=outputs + np.float32(shift)))
        resign(artifact)
        found = points(artifact)
        assert found.pop("golden vectors").ok == ok, shift
        assert all(point.ok for point in found.values())
    (artifact / GOLDEN_PATH).write_bytes(npz(inputs=np.ones((len(outputs), 3), "float32"), outputs=outputs))
    point = points(artifact)["golden vectors"]  # the graph does not take them
    assert not point.ok
    assert "\n" not in point.detail


def points(path):
    return {point.name: point for point in modelzoo.check(path)}
