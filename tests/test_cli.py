"""The ``modelzoo`` command as a person types it: output, exit status, and files left behind."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time

import keras
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import stats

import modelzoo as library
from modelzoo import cli, datasets
from modelzoo.card import read_card
from modelzoo.errors import ModelZooError
from modelzoo.saving import read_golden

#: Pillow 10.0 has no font of its own that scales.
FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
QUICK = ("--steps", 20, "--log-every", 20, "--batch-size", 8, "--xla", "off", "--quiet")


@pytest.fixture
def modelzoo(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command in an empty directory: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["modelzoo", *map(str, args)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        captured = capsys.readouterr()
        return leaving.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """A net of points and one of digits, and a copy of the first whose card holds an accuracy it does not reach."""
    root = tmp_path_factory.mktemp("cli")
    net = library.create_model("tanh_mlp", seed=1)
    library.train(net, datasets.load("four_class"), library.Recipe(steps=30, log_every=30, xla="off"), seed=1)
    library.save(net, root / "good")
    library.save(net, root / "bad", results={"metrics": {"test_accuracy": {"value": 0.99, "per_seed": [0.99, 0.991]}}})
    digits = library.create_model("relu_mlp", seed=0)
    recipe = library.get_spec("relu_mlp").recipe("lesson").replace(steps=250, learning_rate=1e-3, xla="off")
    library.train(digits, datasets.load("mnist").take(per_class=200), recipe)
    library.save(digits, root / "digits")
    return root


def error_line(err: str) -> str:
    (line,) = err.strip().splitlines()
    assert "Traceback" not in line
    return line


def test_class_weights_reach_the_card(modelzoo):
    options = ("--class-weight", "3=2", "--class-weight", "0=0.5")
    assert modelzoo("train", "tanh_mlp", *QUICK, *options, "-o", "net")[0] == 0
    assert read_card("net")["training"]["recipe"]["class_weight"] == {"3": 2, "0": 0.5}
    assert "Unknown class" in error_line(modelzoo("train", "tanh_mlp", *QUICK, "--class-weight", "9=2")[2])


# --- list, info, help


def test_list_pattern_and_json(modelzoo):
    status, out, _ = modelzoo("list", "*_mlp", "--json")
    assert status == 0
    assert "relu_mlp" in [row["name"] for row in json.loads(out)]
    assert "mnist" in modelzoo("list", "--datasets")[1]


def test_info_of_a_model(modelzoo):
    status, out, _ = modelzoo("info", "xor_mlp")
    assert status == 0
    assert "Recipe 'lesson'" in out
    assert json.loads(modelzoo("info", "xor_mlp", "--json")[1])["num_params"] == 9


@pytest.mark.parametrize("command", ["", *cli.app.list_commands(None)])
def test_help_teaches(modelzoo, command):
    status, out, _ = modelzoo(*([command] if command else []), "--help")
    assert status == 0
    assert "Usage: modelzoo" in out
    assert "\\b" not in out
    assert len(out.splitlines()) > 5


def test_networks_of_ones_own_are_known_to_the_command(tmp_path):
    (tmp_path / "mynets.py").write_text(
        "from modelzoo.models import tanh_mlp\n"
        "from modelzoo.registry import get_spec, register_model\n"
        "from modelzoo.recipe import Recipe\n"
        "@register_model(task='classification', dataset='linear', num_params=6, network='2 → 2', source='own',\n"
        "                recipes={'lesson': Recipe(steps=1, batch_size=4)})\n"
        "def my_net(num_classes: int = 2, *, seed: int | None = None, name: str = 'my_net'):\n"
        "    return tanh_mlp(num_classes, seed=seed, name=name)\n"
    )
    command = [sys.executable, "-m", "modelzoo", "--import"]
    done = subprocess.run(
        [*command, "mynets", "info", "my_net"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 → 2" in done.stdout
    done = subprocess.run([*command, "yournets", "list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Cannot import yournets: No module named 'yournets'." in done.stderr


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "modelzoo", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: modelzoo " in done.stderr
    assert "No such command 'trian'" in done.stderr


# --- bad input


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["list", "nothing*"], ["nothing*"]),
        (["info", "two_conv_cn"], ["Did you mean 'two_conv_cnn'"]),
        (["train", "lenet"], ["lenet", "Available"]),
        (["train", "sigmoid_mlp", "--recipe", "leson"], ["Did you mean 'lesson'"]),
        (["train", "sigmoid_mlp", "--resume"], ["checkpoint_dir"]),
        (["train", "sigmoid_mlp", "--data", "mnst"], ["mnst", "Did you mean 'mnist'"]),
        (["train", "sigmoid_mlp", "--data", "mnist"], ["(28, 28)", "(2,)"]),
        (["train", "sigmoid_mlp", "-o", "/dev/null/x"], ["/dev/null/x"]),
        (["train", "sigmoid_mlp", "--stream"], ["--stream", "--data"]),
        (["train", "relu_mlp", "--stream", "--data", "mnist"], ["--stream", "'mnist'", "named data set"]),
        (
            ["finetune", "tanh_mlp", "--data", "four_class", "--layer-learning-rate", "x"],
            ["KEY=VALUE, such as hidden=0.1"],
        ),
        (["evaluate", "nowhere/at/all"], ["nowhere/at/all"]),
        (["evaluate", "tanh_mlp", "--data-option", "n=3"], ["'n=3'", "--data"]),
        (["evaluate", "tanh_mlp", "--all", "--data", "four_class"], ["--all"]),
        (["predict", "."], [". is a folder", "evaluate --data"]),
        (["predict", "a.png", "-m", "tanh_mlp"], ["(2,)", "not images"]),
        (["predict", "a.png", "-m", "tanh_autoencoder"], ["does not classify"]),
        (["evaluate", "tanh_autoencoder", "--per-class"], ["--per-class", "tanh_autoencoder"]),
        (["compare", "tanh_mlp", "tanh_autoencoder"], ["tanh_autoencoder is not a classifier"]),
        (["predict", "absent.png"], ["absent.png"]),
        (["predict", __file__], ["test_cli.py", "Images end in .bmp"]),
        (["describe", "a" * 5000], ["aaa", "too long", "Give the path of"]),
        (["train", "tanh_mlp", "-o", "a" * 5000], ["aaa", "too long", "Give the path of"]),
        *((["reproduce", "tanh_mlp", f"--seeds={seeds}"], ["seeds"]) for seeds in ("", "a", "3-1", "0-99999999999")),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(modelzoo, tmp_path, args, words):
    status, _, err = modelzoo(*args)
    assert status == 2
    for word in words:
        assert word in error_line(err)
    assert not list(tmp_path.iterdir())


def test_a_path_of_two_lines_is_an_error_of_one(modelzoo, monkeypatch):
    monkeypatch.setattr(ModelZooError, "__init__", Exception.__init__)  # which conftest.py lets fail
    assert "a b has no saved_model.pb" in error_line(modelzoo("check", "a\nb")[2])


def test_divergence_names_step_checkpoint_and_advice(modelzoo, tmp_path):
    options = [
        "--steps",
        "200",
        "--log-every",
        "1",
        "--learning-rate",
        "1e38",
        "--quiet",
        "--xla",
        "off",
        "--checkpoint-dir",
        "ck",
    ]
    status, _, err = modelzoo("train", "tanh_mlp", "-o", "net", *options)
    assert status == 2
    for word in ("between steps", "Lower the learning rate", "1e+38"):
        assert word in error_line(err)
    assert not (tmp_path / "net").exists()
    assert ("last good checkpoint is in ck" in err) == any((tmp_path / "ck").glob("step-*"))


# --- train, finetune


def test_train_evaluate_check_export(modelzoo, tmp_path):
    options = ("--seed", 3, "--class-weight", "balanced")
    status, out, err = modelzoo("train", "sigmoid_mlp", "-o", "net", *QUICK[:-1], *options)
    assert status == 0, err
    assert "Saved to net" in out
    assert "step    20  accuracy" in err  # progress, on standard error
    card = json.loads(modelzoo("info", "net", "--json")[1])
    assert (card["training"]["seed"], card["training"]["recipe"]["steps"]) == (3, 20)
    assert card["training"]["recipe"]["class_weight"] == "balanced"
    inputs, outputs = read_golden(tmp_path / "net")
    assert len(inputs) == len(outputs) == 16

    accuracy = json.loads(modelzoo("evaluate", "net", "--json")[1])["accuracy"]
    assert f"test accuracy {accuracy:.4f}" in out
    status, out, _ = modelzoo("check", "net")
    assert status == 0
    assert "FAIL" not in out
    assert modelzoo("export", "net", "-o", "copy")[0] == 0
    assert json.loads(modelzoo("info", "copy", "--json")[1])["weights_digest"] == card["weights_digest"]
    assert modelzoo("export", "net", "-o", "net.keras")[0] == 0
    assert (tmp_path / "net.keras").stat().st_size > 0

    status, _, err = modelzoo("train", "sigmoid_mlp", "-o", "net", *QUICK)
    assert status == 2
    assert "exists" in error_line(err)
    assert json.loads(modelzoo("info", "net", "--json")[1]) == card


def test_check_says_which_file_is_not_the_cards(modelzoo, artifacts, tmp_path):
    damaged = shutil.copytree(artifacts / "good", tmp_path / "damaged")
    assert modelzoo("check", "--files", damaged)[0] == 0
    with (damaged / "variables" / "variables.index").open("ab") as file:
        file.write(b"x")
    for options in (("--files",), ()):
        status, out, _ = modelzoo("check", damaged, *options)
        assert status == 1
        assert "variables.index" in "".join(line for line in out.splitlines() if "FAIL" in line)
    (point,) = json.loads(modelzoo("check", "--files", damaged, "--json")[1])
    assert not point["ok"]


def test_an_interrupted_training_goes_on(modelzoo, tmp_path):
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    options = ("--recipe", "fast", "--steps", 40, "--log-every", 20, "--xla", "off", "--quiet")
    assert modelzoo("train", "logistic_perceptron", *options, "-o", "whole")[0] == 0
    model = library.create_model("logistic_perceptron", recipe="fast", seed=0)
    recipe = library.get_spec("logistic_perceptron").recipe("fast").replace(steps=40, log_every=20, xla="off")
    with pytest.raises(KeyboardInterrupt):
        library.train(
            model,
            datasets.load("linear", **recipe.data_options),
            recipe,
            checkpoint_dir="ck",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)],
        )
    assert [path.name for path in (tmp_path / "ck").glob("step-*")] == ["step-000000020.npz"]
    status, _, err = modelzoo("train", "logistic_perceptron", *options, "--checkpoint-dir", "ck", "--resume", "-o", "m")
    assert status == 0, err
    assert read_card("m")["weights_digest"] == read_card("whole")["weights_digest"]
    assert read_card("whole")["training"]["seconds"] > 0
    assert read_card("m")["training"]["seconds"] is None  # those of a run that was resumed are not known


def test_length_and_precision_are_in_the_card_of_a_training_by_a_strategy(modelzoo):
    options = ("--epochs", 0.5, "--precision", "bfloat16", "--strategy", "mirrored", "--batch-size", 50, "--quiet")
    status, _, err = modelzoo("train", "sigmoid_mlp", "-o", "net", "--xla", "off", *options)
    assert status == 0, err
    recipe = read_card("net")["training"]["recipe"]
    assert (recipe["epochs"], recipe["precision"], recipe.get("steps")) == (0.5, "bfloat16", None)


def test_what_was_held_out_is_not_called_a_test(modelzoo, tmp_path):
    options = ("--recipe", "tuned", "--steps", 20, "--learning-rate", 0.05, "--xla", "off", "--quiet")
    status, out, _ = modelzoo("train", "logistic_perceptron", *options, "-o", "m")
    assert status == 0
    assert "validation accuracy" in out
    assert f"test accuracy {library.evaluate(tmp_path / 'm')['accuracy']:.4f}" in out
    rate = read_card(tmp_path / "m")["training"]["recipe"]["learning_rate"]
    assert rate == {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.05}}


@pytest.mark.slow
def test_ctrl_c_keeps_the_last_checkpoint(tmp_path):
    command = [sys.executable, "-m", "modelzoo", "train", "sigmoid_mlp", "--steps", "9000000", "--log-every", "50"]
    command += ["--checkpoint-dir", "ck", "-o", "net"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell may ignore it
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    while not list(tmp_path.glob("ck/step-*.npz")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--resume" in err
    assert list(tmp_path.glob("ck/step-*.npz"))
    assert not (tmp_path / "net").exists()
    assert not list(tmp_path.glob(".net*"))


# --- evaluate, reproduce, predict


def test_evaluate_compares_with_the_card(modelzoo, artifacts):
    status, out, err = modelzoo("evaluate", artifacts / "good")
    assert status == 0, err
    assert out.count("agrees") == 2
    told = json.loads(modelzoo("evaluate", artifacts / "good", "--json")[1])
    assert told["agrees"]
    assert [agreement["name"] for agreement in told["agreements"]] == ["test_loss", "test_accuracy"]
    assert told["accuracy"] == pytest.approx(told["agreements"][1]["recorded"])
    status, out, _ = modelzoo("evaluate", artifacts / "bad")
    assert status == 1
    assert "DIFFERS" in out
    told = json.loads(modelzoo("evaluate", artifacts / "bad", "--data", "four_class", "--json")[1])
    assert set(told) == {"loss", "accuracy", "samples"}


def test_evaluate_by_class_and_with_a_least_accuracy(modelzoo, artifacts):
    status, out, err = modelzoo("evaluate", artifacts / "good", "--per-class", "--min-accuracy", 0.99)
    assert status == 1
    assert "below 0.99" in err
    assert "1,000 samples" in out
    assert "precision" in out
    told = json.loads(modelzoo("evaluate", artifacts / "good", "--per-class", "--min-accuracy", 0.1, "--json")[1])
    assert sum(row["samples"] for row in told["classes"].values()) == told["samples"] == 1000
    assert modelzoo("evaluate", artifacts / "good", "--split", "validation")[0] == 2


@pytest.mark.slow
def test_evaluate_measures_all_that_the_card_holds(modelzoo):
    told = json.loads(modelzoo("evaluate", "relu_mlp", "--all", "--json")[1])
    assert told["agrees"]
    names = [agreement["name"] for agreement in told["agreements"]]
    assert {"test_accuracy", *(f"corruptions.{kind}" for kind in datasets.CORRUPTIONS)} <= set(names)


@pytest.fixture
def folder(tmp_path):
    """A folder ``own`` with ten digits of each of three classes, black on white."""
    x, y = datasets.load("mnist").test
    for label in (3, 5, 8):
        (tmp_path / "own" / str(label)).mkdir(parents=True)
        for i in np.flatnonzero(y == label)[:10]:
            Image.fromarray(255 - x[i]).save(tmp_path / "own" / str(label) / f"{i}.png")
    return tmp_path / "own"


def test_a_folder_of_own_drawings(modelzoo, folder, artifacts):
    """Measured whole, prepared as the model's digits were; after fine-tuning its test part, found again by itself."""
    status, out, err = modelzoo("evaluate", artifacts / "digits", "--data", "own", "--per-class", "--json")
    assert status == 0, err
    assert "prepared as the model's were (digit)" in err
    told = json.loads(out)
    assert told["samples"] == 30
    assert told["accuracy"] > 0.6, "labels are matched by name"
    assert [row["samples"] for row in told["classes"].values()] == [0, 0, 0, 10, 0, 10, 0, 0, 10, 0]
    compared = modelzoo("compare", artifacts / "digits", "relu_mlp", "--data", "own", "--json")[1]
    assert json.loads(compared)["samples"] == 30
    status, _, err = modelzoo("finetune", artifacts / "digits", "--data", "own", "-o", "symbols", *QUICK)
    assert status == 0, err
    own = json.loads(modelzoo("evaluate", "symbols", "--json")[1])
    assert own["samples"] < 30
    assert json.loads(modelzoo("evaluate", "symbols", "--data", "own", "--json")[1])["accuracy"] == own["accuracy"]
    assert json.loads(modelzoo("evaluate", "symbols", "--data", "own", "--split", "all", "--json")[1])["samples"] == 30
    assert modelzoo("predict", next(folder.glob("3/*.png")), "-m", "symbols")[1].splitlines()[0][-1] in "358"
    shutil.copytree(folder, folder.with_name("grown"))
    (folder.with_name("grown") / "3" / "copy.png").write_bytes(next(folder.glob("5/*.png")).read_bytes())
    assert "share images, --split test measures" in modelzoo("evaluate", "symbols", "--data", "grown")[2]
    assert "--split test" not in modelzoo("evaluate", "symbols", "--data", "grown", "--split", "all")[2]
    folder.rename(folder.with_name("elsewhere"))
    for command in (["evaluate", "symbols"], ["export", "symbols", "--quantize", "int8", "-o", "symbols.tflite"]):
        told = error_line(modelzoo(*command)[2])
        assert "symbols was trained on 'own'" in told
        assert "add --data " in told


def test_finetune_records_its_parent_and_data_that_are_named_are_those_of_the_card(modelzoo, artifacts):
    options = ("--data", "digits", "--data-option", "classes=[1,7]", "--data-option", "seed=3", "--freeze", "backbone")
    status, _, err = modelzoo("finetune", artifacts / "digits", *QUICK, *options, "-o", "seed")
    assert status == 0, err
    parent, child = read_card(artifacts / "digits"), json.loads(modelzoo("info", "seed", "--json")[1])
    assert child["parent"]["weights_digest"] == parent["weights_digest"]
    assert child["training"]["dataset"]["name"] == "digits"
    assert child["class_names"] == ["1", "7"]

    own = json.loads(modelzoo("evaluate", "seed", "--json")[1])
    assert own["agrees"]
    named = json.loads(modelzoo("evaluate", "seed", "--data", "digits", "--json")[1])
    assert named == {key: own[key] for key in named}
    options = ("--data", "digits", "--data-option", "classes=[1,7]", "--data-option", "seed=0")
    assert json.loads(modelzoo("evaluate", "seed", *options, "--json")[1])["loss"] != own["loss"]


@pytest.mark.slow
def test_a_folder_also_renamed_is_split_as_in_training(modelzoo, artifacts, folder):
    """With the options of the training; what trained is never called a test."""
    tune = ("finetune", artifacts / "digits", *QUICK, "--data")
    assert modelzoo(*tune, "own", "--data-option", "test_fraction=0", "-o", "all")[0] == 0
    assert "no test part" in error_line(modelzoo("evaluate", "all", "--data", "own")[2])
    options = ("--data", "own", "--data-option", "test_fraction=0.3")
    assert "no test part" in error_line(modelzoo("evaluate", "all", *options)[2])
    assert "no test part" in error_line(modelzoo("evaluate", "all")[2])
    assert modelzoo("evaluate", "all", "--data", "own", "--split", "train")[0] == 0

    status, _, err = modelzoo(*tune, "own", "--stream", "--data-option", "seed=1", "-o", "streamed")
    assert status == 0
    assert "The head starts anew, for the classes 3, 5, 8. To keep the old one: modelzoo.train" in err
    own = json.loads(modelzoo("evaluate", "streamed", "--json")[1])
    assert own["agrees"]
    compared = modelzoo("compare", artifacts / "digits", "streamed", "--data", "own", "--json")[1]
    assert json.loads(compared)["samples"] == own["samples"] < 30
    status, _, err = modelzoo("compare", "streamed", "all", "--data", "own")
    assert "with different options" in err
    assert status == 2  # one of them was trained on all of it
    assert "no test part" in err
    folder.rename(folder.with_name("renamed"))
    assert json.loads(modelzoo("evaluate", "streamed", "--data", "renamed", "--json")[1])["samples"] == own["samples"]


def test_options_are_those_of_the_loader_of_a_folder(modelzoo, tmp_path, artifacts):
    """A hidden folder makes no class folders of IDX files."""
    arrays = [array[:20] for array in (*datasets.load("mnist").train, *datasets.load("mnist").test)]
    (tmp_path / "idx" / ".ipynb_checkpoints").mkdir(parents=True)
    for name, array in zip(("train-images", "train-labels", "t10k-images", "t10k-labels"), arrays, strict=True):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        (tmp_path / "idx" / f"{name}-idx{array.ndim}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
    assert datasets.dataset_options(tmp_path / "idx") == {"prefix": None}
    status, out, err = modelzoo("evaluate", artifacts / "digits", "--data", "idx", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["samples"] == 20


def test_compare_counts_what_one_alone_gets_right(modelzoo, artifacts):
    status, out, err = modelzoo("compare", artifacts / "good", "tanh_mlp", "--json")
    assert status == 0, err
    told = json.loads(out)
    right = [row["accuracy"] * told["samples"] for row in told["models"]]
    only = [row["only"] for row in told["models"]]
    assert right[0] - only[0] == pytest.approx(right[1] - only[1], abs=0.1)
    assert told["p_value"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    assert "McNemar" in modelzoo("compare", artifacts / "good", "tanh_mlp")[1]


def test_the_home_directory_is_expanded(modelzoo, tmp_path, artifacts, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert modelzoo("export", artifacts / "good", "--output=~/copy")[0] == 0
    assert modelzoo("info", "~/copy")[0] == 0
    np.testing.assert_array_equal(library.predict("~/copy", [0, 1]), library.predict(artifacts / "good", [0, 1]))


def test_info_of_an_artifact_is_a_summary(modelzoo, artifacts):
    status, out, _ = modelzoo("info", artifacts / "good")
    assert status == 0
    assert "four_class (" in out
    assert len(out.splitlines()) < 20


def test_a_terminal_without_unicode_gets_what_it_has(monkeypatch, tmp_path, artifacts):
    """Every command, in a terminal that knows some characters of Western Europe alone."""
    np.savetxt(tmp_path / "points.csv", [[0.1, 0.2]], delimiter=",")
    Image.fromarray(datasets.load("mnist").x_test[0]).save(tmp_path / "siebzehn_ü.png")
    monkeypatch.chdir(tmp_path)
    for args in (
        ["--help"],
        ["list"],
        ["list", "--datasets"],
        ["info", "two_conv_cnn"],
        ["info", artifacts / "good"],
        ["describe", "xor_mlp"],
        ["train", "xor_mlp", "-o", "xor", "--steps", 9, "--xla", "off"],
        ["evaluate", artifacts / "good", "--per-class"],
        ["reproduce", artifacts / "good", "--quiet"],
        ["check", artifacts / "good"],
        ["predict", "siebzehn_ü.png", "-m", artifacts / "digits", "--prepare", "resize"],
        ["predict", "points.csv", "-m", artifacts / "good"],
        ["predict", "ü.png"],
    ):
        streams = [io.TextIOWrapper(io.BytesIO(), "cp1252") for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["modelzoo", *map(str, args)])
        with pytest.raises(SystemExit):
            cli.main()
        sys.stdout.flush()
        written = b"".join(stream.buffer.getvalue() for stream in streams).decode("cp1252")
        assert written
        assert "Traceback" not in written


def test_reproduce_says_whether_it_is_the_same(modelzoo, artifacts):
    status, out, err = modelzoo("reproduce", artifacts / "good")
    assert status == 0, err
    assert "bit for bit" in out
    assert "seed 1" in err
    status, out, err = modelzoo("reproduce", artifacts / "bad", "--quiet", "--seeds", "2-3", "--json")
    assert (status, err) == (1, "")
    told = json.loads(out)
    assert [run["seed"] for run in told["runs"]] == [2, 3]
    assert told["same_weights"] is None


def test_predict_draws_bars(modelzoo, tmp_path, artifacts):
    image = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(image).text((60, 60), "0", fill=0, font=ImageFont.truetype(FONT, 160))
    image.save(tmp_path / "zero.png")
    status, out, err = modelzoo("predict", "zero.png", "--model", artifacts / "digits")
    assert status == 0, err
    assert out.splitlines()[0] == "zero.png: 0"
    assert "█" in out
    scores = json.loads(modelzoo("predict", "zero.png", "--model", artifacts / "digits", "--json")[1])[0]["scores"]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_predict_reads_several_digits_of_a_picture(modelzoo, tmp_path):
    mnist = datasets.load("mnist")
    chosen = [7, 61, 3, 2, 5]  # 9, 8, 0, 1, 1
    page = np.concatenate([mnist.x_test[i] for i in chosen], axis=1)
    Image.fromarray(255 - np.pad(page, 8)).resize((468, 132)).save(tmp_path / "number.png")
    text = "".join(mnist.class_names[label] for label in mnist.y_test[chosen])
    status, out, err = modelzoo("predict", "number.png")
    assert status == 0, err
    header, *digits = out.splitlines()
    assert header == f"number.png: {text}"
    assert [line.split()[0] for line in digits] == list(text)
    assert all(line.endswith("%") for line in digits)
    found = json.loads(modelzoo("predict", "number.png", "--json")[1])
    assert [digit["sample"] for digit in found] == [f"number.png:{n}" for n in range(1, 6)]
    assert "".join(digit["class"] for digit in found) == text
    assert [digit["doubt"] for digit in found] == [""] * 5
    assert (np.diff([digit["box"][0] for digit in found]) > 0).all()
    page[14:16, 100:] = 255  # the last ones joined
    Image.fromarray(255 - np.pad(page, 8)).resize((468, 132)).save(tmp_path / "number.png")
    assert "? wide: several that touch?" in modelzoo("predict", "number.png")[1].splitlines()[-1]


def test_predict_resize_takes_the_pixels_as_they_are(modelzoo, tmp_path, artifacts):
    image = datasets.load("mnist").x_test[0]
    Image.fromarray(image).save(tmp_path / "seven.png")
    _, out, _ = modelzoo("predict", "seven.png", "--prepare", "resize", "--model", artifacts / "digits", "--json")
    expected = library.predict(library.load(artifacts / "digits"), image[np.newaxis])[0]
    np.testing.assert_allclose(list(json.loads(out)[0]["scores"].values()), expected, atol=1e-6)
    np.savetxt(tmp_path / "pixels.csv", image.reshape(1, -1), fmt="%d", delimiter=",")
    assert modelzoo("predict", "pixels.csv", "-m", artifacts / "digits", "-o", "classes.csv")[0] == 0
    header, row = (tmp_path / "classes.csv").read_text().splitlines()
    assert header == "sample,class,0,1,2,3,4,5,6,7,8,9"
    np.testing.assert_allclose(list(map(float, row.split(",")[2:])), expected, atol=1e-6)
    assert modelzoo("predict", "pixels.csv", "-m", artifacts / "digits")[1].splitlines() == [header, row]
    (tmp_path / "text.png").write_text("not an image")
    status, _, err = modelzoo("predict", "text.png", "--model", artifacts / "digits")
    assert status == 2
    assert "text.png" in error_line(err)


def test_version_is_the_packages_own(modelzoo):
    assert modelzoo("--version") == (0, f"modelzoo, version {library.__version__}\n", "")
