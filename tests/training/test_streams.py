"""Training on data that stay on disk gives what training on arrays gives."""

import numpy as np
import pytest

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import DataError, InputError
from modelzoo.registry import card_for

RECIPE = Recipe(steps=30, batch_size=16, optimizer="adam", learning_rate=0.01, log_every=10, xla="off")


@pytest.fixture(scope="module")
def stream(points, tmp_path_factory):
    return datasets.stream(datasets.write_tfrecord(points, tmp_path_factory.mktemp("data") / "points", num_shards=3))


def digest_after(model, data, recipe=RECIPE, **options):
    history = modelzoo.train(model, data, recipe, seed=3, **options).history
    return modelzoo.weights_digest(model), history


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE.replace(steps=None, epochs=3, validation_size=43)])
def test_a_stream_trains_as_arrays_do(points, stream, tanh_mlp, recipe):
    models = tanh_mlp(), tanh_mlp()
    expected, from_arrays = digest_after(models[0], points, recipe)
    found, from_stream = digest_after(models[1], stream, recipe)
    assert found == expected
    assert card_for(models[0]).training["dataset"] == card_for(models[1]).training["dataset"]
    assert from_stream["step"] == from_arrays["step"]
    part = "val" if recipe.validation_size else "test"
    for name in (f"{part}_loss", f"{part}_accuracy"):
        np.testing.assert_allclose(from_stream[name], from_arrays[name], rtol=1e-6)


def test_a_folder_of_images_trains_as_when_loaded(digits, tmp_path, write_images):
    write_images(tmp_path / "digits", *digits[0])
    recipe = Recipe(steps=12, batch_size=20, log_every=6, xla="off")
    results = []
    for open_it in (datasets.load, datasets.stream):
        model = modelzoo.create_model("relu_mlp", seed=0)
        results.append(digest_after(model, open_it(tmp_path / "digits"), recipe)[0])
    assert results[0] == results[1]


def test_a_resumed_run_ends_with_the_same_weights_and_reads_nothing_twice(stream, tanh_mlp, tmp_path, interrupt):
    expected, history = digest_after(tanh_mlp(), stream)
    with pytest.raises(KeyboardInterrupt):
        digest_after(tanh_mlp(), stream, checkpoint_dir=tmp_path, callbacks=[interrupt(1)])
    train = stream.train
    wanted = []

    def read(indices):
        wanted.extend(indices)
        return train[indices][0]

    noted = datasets.StoredSamples(read, train.labels, train.shape, train.dtype)
    facts = {"class_names": stream.class_names, "checksum": stream.checksum}
    again = datasets.Stream(noted, stream.test, name=stream.name, **facts)
    found, rest = digest_after(tanh_mlp(seed=9), again, checkpoint_dir=tmp_path, resume=True)
    assert found == expected
    assert rest == history
    made = 30 - rest["step"][0]  # the interrupted run kept the checkpoint of its first entry
    assert len(wanted) <= (made + 10) * 16  # and some that were read ahead


def test_damage_stops_training_with_the_name_of_the_shard(points, tanh_mlp, tmp_path):
    directory = datasets.write_tfrecord(points, tmp_path / "points", num_shards=4)
    for part in ("train", "test"):
        shard = directory / f"{part}-00003-of-00004.tfrecord"
        content = shard.read_bytes()
        place = int(np.load(directory / f"{part}.npy")["offset"][3])
        shard.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match=f"{part}-00003-of-00004.tfrecord is damaged"):
            digest_after(tanh_mlp(), datasets.stream(directory))
        shard.write_bytes(content)


def test_what_does_not_fit_a_stream_is_refused(points, stream, tanh_mlp):
    with pytest.raises(InputError, match=r"batch_size=None takes all 203 samples.*--batch-size"):
        digest_after(tanh_mlp(), stream, RECIPE.replace(batch_size=None))
    with pytest.raises(DataError, match=r"samples have shape \(2,\)"):
        digest_after(modelzoo.create_model("relu_mlp", seed=0), stream)
    with pytest.raises(DataError, match="label 3"):
        digest_after(modelzoo.create_model("tanh_mlp", num_classes=2, seed=0), stream)
    with pytest.raises(InputError, match="Give the stream"):
        digest_after(tanh_mlp(), stream.train)
    one = datasets.Stream(stream.train.select(np.flatnonzero(stream.train.labels == 1)), stream.test, name="one",
                          class_names=stream.class_names, checksum="")  # fmt: skip
    with pytest.raises(DataError, match="every label is 1"):
        digest_after(tanh_mlp(), one)


def test_evaluate_and_finetune_take_a_stream(points, stream, tanh_mlp):
    model = tanh_mlp()
    history = digest_after(model, points, validation_data=stream.test)[1]
    for split in ("train", "test"):
        found, expected = (modelzoo.evaluate(model, data, split=split) for data in (stream, points))
        assert found == pytest.approx(expected, rel=1e-5)
    assert modelzoo.evaluate(model, points)["loss"] == pytest.approx(history["val_loss"][-1])
    tuned, _ = modelzoo.finetune(model, stream, recipe=RECIPE, seed=1)
    other, _ = modelzoo.finetune(model, points, recipe=RECIPE, seed=1)
    assert modelzoo.weights_digest(tuned) == modelzoo.weights_digest(other)


def test_predict_says_how_to_read_some(stream, tanh_mlp):
    for samples in (stream, stream.test):
        with pytest.raises(InputError, match="must be arrays or files"):
            modelzoo.predict(tanh_mlp(), samples)
    assert modelzoo.predict(tanh_mlp(), stream.test[:5][0]).shape == (5, 4)
