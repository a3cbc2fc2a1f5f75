"""``load``: nothing altered gets in, and nothing in an artifact is run."""

import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import _io
from modelzoo.card import CARD_PATH, read_card
from modelzoo.errors import ArtifactError, InputError
from modelzoo.numpy_runtime import load_runtime
from modelzoo.registry import card_for
from modelzoo.saving import copy_artifact, find

FILES = [
    "assets.extra/golden.npz",
    "assets.extra/modelzoo.json",
    "fingerprint.pb",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
]


def test_these_are_all_the_files(artifact):
    assert sorted(str(p.relative_to(artifact)) for p in artifact.rglob("*") if p.is_file()) == FILES


def refused(artifact, name):
    """Assert that load, predict and read_card refuse the artifact in one line that names the file."""
    for function in (modelzoo.load, lambda directory: modelzoo.predict(directory, np.zeros((1, 2))), read_card):
        with pytest.raises(ArtifactError) as caught:
            function(artifact)
        assert name in str(caught.value)


def flip(path, twin):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


#: What happens to a file that has an equal twin elsewhere.
DAMAGE = {
    "one bit": flip,
    "truncated": lambda path, twin: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path, twin: path.write_bytes(b""),
    "longer": lambda path, twin: path.write_bytes(path.read_bytes() + b"\n"),
    "missing": lambda path, twin: path.unlink(),
    "a link": lambda path, twin: (path.unlink(), path.symlink_to(twin)),
    "a pipe": lambda path, twin: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused(damage, artifact, written):
    for name in FILES:
        DAMAGE[damage](artifact / name, written / name)
        refused(artifact, Path(name).name)
        (artifact / name).unlink(missing_ok=True)
        shutil.copy(written / name, artifact / name)


def test_foreign_files_are_refused(artifact, tmp_path):
    for name in ("extra.txt", "assets/vocabulary", "variables/variables.data-00001-of-00002"):
        (artifact / name).parent.mkdir(exist_ok=True)
        (artifact / name).write_text("x")
        refused(artifact, name)
        (artifact / name).unlink()
    (artifact / "assets").rmdir()
    shutil.move(artifact / "variables", tmp_path / "elsewhere")
    (artifact / "variables").symlink_to(tmp_path / "elsewhere")
    refused(artifact, "variables")


def test_a_card_that_was_edited_or_is_no_card_is_refused(artifact):
    text = (artifact / CARD_PATH).read_text()
    card = json.loads(text)
    edited = [
        {**card, "training": {**card["training"], "metrics": {"val_accuracy": 1.0}}},
        {**card, "builder": {**card["builder"], "name": "sigmoid_mlp"}},
        {**card, "weights_digest": "0" * 64},
        {**card, "extra": 1},
        {**card, "files": {name: card["files"][name] for name in FILES[:1]}},
        {key: value for key, value in card.items() if key != "parent"},
    ]
    edited = [json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n" for facts in edited]
    for wrong in (*edited, "", "[]", "null", "{}", "{", "[" * 100_000, '"x"', "\x00"):
        (artifact / CARD_PATH).write_text(wrong)
        refused(artifact, CARD_PATH)
    with open(artifact / CARD_PATH, "r+b") as file:
        file.truncate(1 << 40)  # a sparse file: it takes no space, and would fill the memory
    refused(artifact, CARD_PATH)


@pytest.mark.parametrize(
    "changes",
    [
        {"builder": {"name": "tanh_mlp", "options": [], "seed": None}},
        {"builder": {"name": ["tanh_mlp"], "options": {}, "seed": None}},
        {"builder": ...},
        {"weights_digest": "0" * 64},
        {"weights_digest": ...},
        {"weights": []},
        {"network": ...},
        {"weights": ...},
        {"class_names": ...},
        {"class_names": 3},
        {"training": ...},
        {"training": {}},
        {"training": {"a": 3}},
        {"training": [3]},
        {"parent": ...},
        {"parent": {"name": "tanh_mlp"}},
        {"results": {"metrics": 3}},
        {"results": {"metrics": {"test_accuracy": "high"}}},
        {"results": {"metrics": {"test_accuracy": {"value": {"a": 1}}}}},
        {"results": {"seeds": ["a"]}},
        {"created": ...},
        {"versions": 3},
    ],
    ids=str,
)
def test_a_valid_card_with_wrong_facts_is_one_clear_error(changes, artifact, resign):
    resign(artifact, **changes)
    with pytest.raises(ArtifactError):
        modelzoo.load(artifact)


@pytest.mark.parametrize(
    ("builder", "options"),
    [
        ("lenet", {}),
        ("tanh_mlp", {"num_classes": -1}),
        ("tanh_mlp", {"hiden_units": 3}),
        ("tanh_mlp", {"hidden_units": 11}),
        ("tanh_mlp", {"hidden_units": 10**10}),
        ("dense_500_300", {"hidden_units": [10**5, 10**6]}),
        ("two_conv_cnn", {"image_shape": [10**5, 10**5]}),
        ("tanh_mlp", {"kernel_initializer": {"class_name": "Lambda", "config": {}}}),
    ],
    ids=str,
)
def test_a_builder_that_does_not_make_the_network_is_not_believed(builder, options, artifact, net, caplog, resign):
    resign(artifact, name=builder, builder={"name": builder, "options": options, "seed": None})
    loaded = modelzoo.load(artifact)
    assert modelzoo.weights_digest(loaded) == modelzoo.weights_digest(net)
    assert (card_for(loaded).name, card_for(loaded).builder) == ("tanh_mlp", None)
    assert "makes another network" in caplog.text


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("dataset", [3, None, {"name": 3}, {"options": []}]),
        ("recipe", [None, "lesson"]),
        ("metrics", [3, {"loss": "low"}]),
        ("history", [None, {"loss": 3}, {"loss": ["a"]}]),
        ("machine", ["x", {"cpu": []}]),
        ("seed", ["0", None]),
    ],
)
def test_facts_that_only_other_commands_read_are_checked_when_a_card_is_read(key, wrong, artifact, resign):
    training = read_card(artifact)["training"]
    for value in wrong:
        resign(artifact, training={**training, key: value})
        with pytest.raises(ArtifactError, match=rf"\$\.training\.{key}.*Export the artifact again"):
            read_card(artifact)


def test_loading_never_runs_a_graph(net, artifact, tmp_path, resign):
    """The artifact's graph writes a file when called, and its card is valid: load must not call it."""
    trap = tmp_path / "trap"
    root = tf.train.Checkpoint()
    root.variables = [variable.value for variable in net.variables]
    root.trainable_variables = root.variables

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def call(x):
        tf.io.write_file(str(trap), "run")
        return tf.identity(x)

    root.__call__ = call
    tf.saved_model.save(root, str(tmp_path / "evil"), signatures=call)
    for name in FILES:
        if name.startswith("assets.extra"):
            continue
        shutil.copy(tmp_path / "evil" / name, artifact / name)
    resign(artifact)
    loaded = modelzoo.load(artifact)
    x = np.ones((2, 2), "float32")
    np.testing.assert_array_equal(loaded(x).numpy(), net(x).numpy())
    assert not trap.exists()
    tf.saved_model.load(str(artifact))(x)
    assert trap.read_text() == "run", "the trap works"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dtype": "object"}, "unknown type"),
        ({"dtype": "complex64"}, "unknown type"),
        ({"shape": [-1, 10]}, "unknown type, shape"),
        ({"offset": -8}, "unknown type, shape or place"),
        ({"offset": 10**9}, "not inside"),
        ({"shape": [10**30]}, "not inside"),
        ({"offset": 0}, "overlap|not those"),
        ({"shape": [10, 2]}, "shapes"),
        ({"dtype": "int32"}, "not those|shapes"),
        ({"shape": [0, 10**30]}, "impossible shape"),
        ({"shape": [1] * 70}, "impossible shape"),
        ({"shape": [True, 20]}, r"shape\[0\]"),
        ({"trainable": 1}, r"trainable"),
    ],
    ids=str,
)
def test_weights_that_are_elsewhere_are_refused(change, problem, artifact, resign):
    weights = json.loads((artifact / CARD_PATH).read_text())["weights"]
    weights[0] |= change
    resign(artifact, weights=weights)
    with pytest.raises(ArtifactError, match=problem):
        modelzoo.load(artifact)
    if "not those" not in problem:  # which only their digest tells
        with pytest.raises(ArtifactError, match=problem.replace("shapes", "shape")):
            load_runtime(artifact)


def test_weights_have_one_path_in_the_card_also_beside_dropout(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(2, name="logits")]
    card = modelzoo.save(keras.Sequential(layers), tmp_path / "own")
    in_network = [weight["path"] for layer in card["network"]["layers"] for weight in layer["weights"]]
    assert [weight["path"] for weight in card["weights"]][1:] == in_network == ["logits/kernel", "logits/bias"]
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "own")) == card["weights_digest"]


# --- finding


def test_a_copy_is_the_artifact_and_is_made_of_a_sound_one_only(artifact, tmp_path):
    assert copy_artifact(artifact, tmp_path / "copy") == read_card(artifact) == read_card(tmp_path / "copy")
    (artifact / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"saved_model\.pb"):
        copy_artifact(artifact, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_versions(artifact, net):
    modelzoo.save(net, artifact.parent / "10")
    assert find(artifact.parent) == artifact.parent / "10"
    assert find(artifact.parent, version=1) == artifact
    assert modelzoo.load(artifact.parent, version=1).name == "tanh_mlp"
    with pytest.raises(InputError, match="1, 10"):
        find(artifact.parent, version=2)
    with pytest.raises(InputError, match="leave version out"):
        find(artifact, version=1)


def test_what_is_no_artifact_is_named(tmp_path, keras_export):
    (tmp_path / "file").write_text("x")
    for source, error, message in (
        ("tanh_mpl", InputError, "tanh_mpl.*Did you mean 'tanh_mlp'"),
        ("./nothing/here", InputError, "no directory"),
        ("/nothing/here", InputError, "no directory"),
        (tmp_path, ArtifactError, "not written by modelzoo"),
        (keras_export, ArtifactError, "not written by modelzoo"),
        (tmp_path / "file", (ArtifactError, InputError), "file"),
    ):
        with pytest.raises(error, match=message):
            modelzoo.load(source)


@pytest.mark.parametrize(
    "use",
    [
        modelzoo.load,
        modelzoo.evaluate,
        lambda path: modelzoo.predict(path, np.zeros((1, 2))),
        lambda path: modelzoo.finetune(path, modelzoo.datasets.load("four_class")),
        modelzoo.verify,
    ],
    ids=["load", "evaluate", "predict", "finetune", "verify"],
)
def test_a_keras_file_in_the_place_of_a_model(use, tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"net\.keras is a file.*keras\.models\.load_model"):
        use(str(path))


def test_an_artifact_that_a_killed_process_had_moved_aside_comes_back(net, artifact):
    workplace = artifact.parent / f".{artifact.name}.abcdefgh.tmp"
    workplace.mkdir()
    artifact.rename(workplace / _io._OLD)
    assert modelzoo.weights_digest(modelzoo.load(artifact)) == modelzoo.weights_digest(net)
    assert [p.name for p in artifact.parent.iterdir()] == [artifact.name]
