"""One device or several: the same weights, but for the order of summation."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Recipe
from modelzoo.errors import InputError
from modelzoo.training import create_strategy
from modelzoo.training.distribution import Share, dropout_seeds, same_dropout

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("distributed.py")
#: Sums in another order, and their traces through a few updates.
CLOSE = {"rtol": 1e-4, "atol": 5e-6}


@pytest.mark.parametrize("count", range(1, 10))
def test_shares_are_all_of_the_batch(count):
    for size in range(51):
        shares = [Share(number, count).rows(tf.range(size)).numpy() for number in range(count)]
        assert np.concatenate(shares).tolist() == list(range(size))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_dropout_masks_do_not_depend_on_the_number_of_shares():
    """They are swapped in for a layer's ``call``: a Keras that does not look there any more would draw others."""
    model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    seeds, x = dropout_seeds(model), tf.ones((6, 50))
    shares = [Share(), Share(0, 2), Share(1, 2)]
    outputs = []
    for share in shares:
        with same_dropout(seeds, share, 6, jit=False):
            outputs.append(model(share.rows(x), training=True).numpy())
    whole, *halves = outputs
    assert 0.3 < (whole == 0).mean() < 0.7
    np.testing.assert_array_equal(np.concatenate(halves), whole)


def test_a_strategy_of_this_machine_trains_as_none_does(points, tanh_mlp, same_weights):
    alone, mirrored = tanh_mlp(), tanh_mlp()
    recipe = Recipe(steps=6, batch_size=20, log_every=3, xla="off")
    expected = modelzoo.train(alone, points, recipe).history
    found = modelzoo.train(mirrored, points, recipe, strategy=create_strategy("mirrored")).history
    same_weights(mirrored, alone, **CLOSE)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


def test_what_is_no_strategy_is_refused(tanh_mlp, points):
    with pytest.raises(InputError, match=r"MirroredStrategy or MultiWorkerMirroredStrategy.*got str"):
        modelzoo.train(tanh_mlp(), points, strategy="mirrored")
    with pytest.raises(InputError, match=r"'mirored'.*Did you mean 'mirrored'"):
        create_strategy("mirored")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"cluster": {}, "task": {"type": "worker", "index": 0}}'])
def test_a_cluster_must_be_named(text, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=r"TF_CONFIG is .*index of each worker"):
        create_strategy("multi-worker")


@pytest.mark.slow
def test_two_devices_give_what_one_gives(tmp_path, python):
    python(SCRIPT, "mirrored", tmp_path)
    found = json.loads((tmp_path / "mirrored.json").read_text())
    norm, noise = found.pop("refused")
    assert norm.startswith("The layer 'norm' (BatchNormalization) would do something else on each replica's share")
    assert noise.startswith("The layer 'noise' (GaussianNoise) would do")
    for name, (one, two) in found.items():
        np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(two["weights"], one["weights"], **CLOSE, err_msg=name)


@pytest.mark.slow
def test_two_workers_give_what_one_gives_and_go_on_after_a_kill(tmp_path, python):
    sys.path.insert(0, str(SCRIPT.parent))
    from distributed import run, run_stored, write_stored

    write_stored(tmp_path / "shards")
    launcher = (ROOT / "scripts" / "launch_workers.py", "--workers", 2, "--", sys.executable, SCRIPT)
    python(*launcher, "work", tmp_path, status=128 + 9)  # it tells of the killed worker
    zero, one = (json.loads((tmp_path / f"worker-{index}.json").read_text()) for index in (0, 1))
    for index, result in enumerate((zero, one)):
        assert f"do not have the same seed and initial weights (here: seed {index}," in result["disagreement"]

    for name in ("dense_500_300", "two_conv_cnn"):
        alone = run(name, None)
        assert zero[name] == one[name]
        np.testing.assert_allclose(zero[name]["loss"], alone["loss"], rtol=1e-5)
        np.testing.assert_allclose(zero[name]["weights"], alone["weights"], **CLOSE)
        assert (tmp_path / f"{name}-0").is_dir()  # the chief's
        assert not (tmp_path / f"{name}-1").exists()

    alone = run_stored(tmp_path / "shards", None)
    np.testing.assert_allclose(zero["stored"]["loss"], alone["loss"], rtol=1e-5)
    np.testing.assert_allclose(zero["stored"]["weights"], alone["weights"], **CLOSE)
    assert zero["stored"]["weights"] == one["stored"]["weights"]
    # Each reads its share of a batch only.
    assert [run["largest"] for run in (alone, zero["stored"], one["stored"])] == [15, 7, 8]

    assert zero["lost"].startswith("Another worker stopped or cannot be reached")
    assert zero["lost"].endswith(f"with resume=True (--resume), from {tmp_path / 'shared'}.")
    assert len(list((tmp_path / "shared").glob("*.npz"))) == 1
    python(*launcher, "resume", tmp_path)
    for index in (0, 1):
        resumed = json.loads((tmp_path / f"resumed-{index}.json").read_text())["resumed"]
        assert resumed["digest"] == zero["two_conv_cnn"]["digest"]
