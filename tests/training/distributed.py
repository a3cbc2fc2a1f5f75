"""What the tests of several replicas run in processes of their own: ``python distributed.py PART DIRECTORY``."""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import modelzoo
from modelzoo import Augmentation, Recipe, datasets
from modelzoo.errors import InputError
from modelzoo.training import WorkerLostError

DISTORTED = Augmentation(rotation=0.2, shift=1.5, elastic_strength=20.0, probability=0.7)
COMMON = Recipe(steps=6, batch_size=20, log_every=2)
CASES = {
    "dense_500_300": COMMON.replace(augmentation=DISTORTED, precision="float32"),
    "two_conv_cnn": COMMON.replace(
        optimizer="adamw", optimizer_options={"weight_decay": 0.01, "use_ema": True, "ema_momentum": 0.9},
        learning_rate=1e-3, label_smoothing=0.1, augmentation=DISTORTED,
    ),
    "tanh_autoencoder": COMMON.replace(
        loss="mean_squared_error", reconstruct=True, augmentation=Augmentation(noise=50.0, shift=2.0)
    ),
    "sigmoid_mlp": Recipe(steps=50, optimizer="sgd", learning_rate=0.01, loss="sum_of_squares", log_every=25),
}  # fmt: skip
NARROW = {"two_conv_cnn": {"filters": (4, 8), "hidden_units": 32}}


def digits() -> tuple[np.ndarray, np.ndarray]:
    return datasets.load("mnist").take(per_class=15).train


def run(name: str, strategy: tf.distribute.Strategy | None, **options: object) -> dict[str, object]:
    """Train one case and return its losses, weights and digest."""
    model = modelzoo.create_model(name, seed=0, **NARROW.get(name, {}))
    data = datasets.load("quadratic", n=100).train if name == "sigmoid_mlp" else digits()
    history = modelzoo.train(model, data, CASES[name], seed=3, strategy=strategy, **options).history
    return {"loss": history["loss"], "weights": _flat(model), "digest": modelzoo.weights_digest(model)}


def run_stream(strategy: tf.distribute.Strategy | None) -> dict[str, object]:
    """Train a net with moving statistics and a penalty on batches of unequal size, taken from a stream."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((2,)), keras.layers.Dense(8, "tanh", kernel_regularizer="l2"), keras.layers.Dropout(0.3),
        keras.layers.Dense(4), keras.layers.Softmax(),
    ])  # fmt: skip
    stream = tf.data.Dataset.from_tensor_slices(datasets.load("four_class", n=203).train).batch(16)
    history = modelzoo.train(model, stream, Recipe(steps=30, log_every=15), seed=3, strategy=strategy).history
    return {"loss": history["loss"], "weights": _flat(model)}


def run_stored(directory: Path, strategy: tf.distribute.Strategy | None) -> dict[str, object]:
    """Train on shards on disk, with distortions and a batch that cannot be halved; note how many samples were read."""
    stream = datasets.stream(directory)
    read = []

    def counting(indices: np.ndarray) -> np.ndarray:
        read.append(len(indices))
        return stream.train[indices][0]

    train = datasets.StoredSamples(counting, stream.train.labels, stream.train.shape, stream.train.dtype)
    noted = datasets.Stream(train, stream.test, name="s", class_names=stream.class_names, checksum=stream.checksum)
    model = modelzoo.create_model("relu_mlp", seed=0)
    recipe = COMMON.replace(batch_size=15, augmentation=DISTORTED)
    history = modelzoo.train(model, noted, recipe, seed=3, strategy=strategy).history
    return {"loss": history["loss"], "weights": _flat(model), "largest": max(read)}


def write_stored(directory: Path) -> None:
    """Write the shards that ``run_stored`` reads."""
    datasets.write_tfrecord(digits(), directory, num_shards=3)


def run_dropout(strategy: tf.distribute.Strategy | None, **weights: object) -> dict[str, object]:
    """Train a net with dropout that XLA compiles as a whole on one device, and whose batches cannot be halved."""
    model = keras.Sequential([
        keras.Input((2,)), keras.layers.Dense(8, "tanh", kernel_initializer=keras.initializers.GlorotUniform(1)),
        keras.layers.Dropout(0.3, seed=1),
        keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(2)), keras.layers.Softmax(),
    ])  # fmt: skip
    data = datasets.load("four_class", n=203).train
    recipe = Recipe(steps=30, batch_size=15, log_every=15)
    history = modelzoo.train(model, data, recipe, seed=3, strategy=strategy, **weights)
    return {"loss": history.history["loss"], "weights": _flat(model)}


def refusals(strategy: tf.distribute.Strategy) -> list[str]:
    """Return what is said of layers that must see the whole batch."""
    found = []
    for layer in (keras.layers.BatchNormalization(name="norm"), keras.layers.GaussianNoise(0.1, name="noise")):
        model = keras.Sequential([keras.Input((2,)), layer, keras.layers.Dense(4), keras.layers.Softmax()])
        try:
            modelzoo.train(model, datasets.load("four_class", n=200).train, Recipe(steps=5), strategy=strategy)
        except InputError as error:
            found.append(str(error))
    return found


def _flat(model: keras.Model) -> list[float]:
    return np.concatenate([np.ravel(weight.numpy()) for weight in model.trainable_weights]).tolist()


def mirrored(directory: Path) -> None:
    """Run every case on one device and on two."""
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {name: [run(name, None), run(name, strategy)] for name in CASES}
    found["stream"] = [run_stream(None), run_stream(strategy)]
    write_stored(directory / "shards")
    found["stored"] = [run_stored(directory / "shards", None), run_stored(directory / "shards", strategy)]
    found["dropout"] = [run_dropout(None), run_dropout(strategy)]
    weights = {"class_weight": {"0": 3.0, "2": 0.5}, "sample_weight": np.linspace(0.1, 2, 203)}
    found["weighted"] = [run_dropout(None, **weights), run_dropout(strategy, **weights)]
    found["refused"] = refusals(strategy)
    (directory / "mirrored.json").write_text(json.dumps(found))


def worker(directory: Path, resume: bool) -> None:
    """Train on all workers; let worker 1 be killed in the middle, or resume what it left."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    index = strategy.cluster_resolver.task_id
    found: dict[str, object] = {}
    if not resume:
        try:
            model = modelzoo.create_model("relu_mlp", seed=index)
            modelzoo.train(model, digits(), COMMON, seed=index, strategy=strategy)
        except InputError as error:
            found["disagreement"] = str(error)
        for name in ("dense_500_300", "two_conv_cnn"):
            found[name] = run(name, strategy, checkpoint_dir=directory / f"{name}-{index}")
        found["stored"] = run_stored(directory / "shards", strategy)

    def stop(epoch: int, logs: object) -> None:
        if not resume and index == 1 and epoch == 1:
            (directory / "worker-1.json").write_text(json.dumps(found))
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=stop)]
    try:
        found["resumed"] = run(
            "two_conv_cnn", strategy, checkpoint_dir=directory / "shared", resume=resume, callbacks=callbacks
        )
    except WorkerLostError as error:
        found["lost"] = str(error)
    (directory / f"{'resumed' if resume else 'worker'}-{index}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    part, where = sys.argv[1], Path(sys.argv[2])
    if part == "mirrored":
        mirrored(where)
    else:
        worker(where, resume=part == "resume")
