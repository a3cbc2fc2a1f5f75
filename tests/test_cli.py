"""The ``modelzoo`` command as a person types it: output, exit status, and files left behind."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import modelzoo as library
from modelzoo import cli, datasets
from modelzoo.card import read_card
from modelzoo.saving import read_golden

QUICK = ("--steps", 20, "--log-every", 20, "--batch-size", 8, "--xla", "off", "--quiet")

ONNX = ("relu_mlp", "--format", "onnx", "-o", "net.onnx")
LITERT = ("relu_mlp", "--format", "litert", "-o", "net.tflite")


@pytest.fixture
def modelzoo(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command in an empty directory, to an exit status: (stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object, status: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["modelzoo", *map(str, args)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        out, err = capsys.readouterr()
        assert (leaving.value.code or 0) == status, err
        return out, err

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
    modelzoo("train", "tanh_mlp", *QUICK, *options, "-o", "net")
    assert read_card("net")["training"]["recipe"]["class_weight"] == {"3": 2, "0": 0.5}
    assert "Unknown class" in error_line(modelzoo("train", "tanh_mlp", *QUICK, "--class-weight", "9=2", status=2)[1])


# --- list, info, help


def test_list_filters_and_json(modelzoo):
    out, _ = modelzoo("list", "*_mlp", "--dataset", "mnist", "--json")
    assert [row["name"] for row in json.loads(out)] == ["relu_mlp"]
    assert "mnist" in modelzoo("list", "--datasets")[0]
    out, _ = modelzoo("list", "--pretrained", "--family", "autoencoder", "--json")
    assert [row["name"] for row in json.loads(out)] == ["tanh_autoencoder"]
    assert json.loads(modelzoo("list", "--task", "reconstruction", "--json")[0])[0]["name"] == "tanh_autoencoder"


def test_info_of_a_model(modelzoo):
    out, _ = modelzoo("info", "xor_mlp")
    assert "Recipe 'lesson'" in out
    assert json.loads(modelzoo("info", "xor_mlp", "--json")[0])["num_params"] == 9


@pytest.mark.parametrize("command", ["", *cli.app.list_commands(None)])
def test_help_teaches(modelzoo, command):
    out, _ = modelzoo(*([command] if command else []), "--help")
    assert "Usage: modelzoo" in out
    assert "\\b" not in out
    assert len(out.splitlines()) > 5


def test_networks_of_ones_own_are_known_to_the_command(tmp_path, python):
    (tmp_path / "mynets.py").write_text(
        "from modelzoo import Recipe, register_model\n"
        "@register_model(task='classification', dataset='linear', num_params=6, network='2 → 2', source='own',\n"
        "                recipes={'lesson': Recipe(steps=1, batch_size=4)})\n"
        "def my_net(*, seed=None, name='my_net'): ...\n"
    )
    assert "2 → 2" in python("-m", "modelzoo", "--import", "mynets", "info", "my_net", cwd=tmp_path).stdout
    done = python("-m", "modelzoo", "--import", "yournets", "list", cwd=tmp_path, status=2)
    assert "Cannot import yournets: No module named 'yournets'." in done.stderr


def test_the_package_is_the_command(python):
    done = python("-m", "modelzoo", "trian", status=2)
    assert "Usage: modelzoo " in done.stderr
    assert "No such command 'trian'" in done.stderr


# --- bad input


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["list", "nothing*"], ["nothing*"]),
        (["info", "two_conv_cn"], ["Did you mean 'two_conv_cnn'"]),
        (["train", "sigmoid_mlp", "--resume"], ["checkpoint_dir"]),
        (["train", "sigmoid_mlp", "-o", "/dev/null/x"], ["/dev/null/x"]),
        (["train", "sigmoid_mlp", "--stream"], ["--stream", "--data"]),
        (["train", "relu_mlp", "--stream", "--data", "mnist"], ["--stream", "'mnist'", "named data set"]),
        (["finetune", "tanh_mlp", "--data", "four_class", "--layer-learning-rate", "x"], ["KEY=VALUE, such as"]),
        (["evaluate", "tanh_mlp", "--data-option", "n=3"], ["'n=3'", "--data"]),
        (["evaluate", "tanh_mlp", "--all", "--data", "four_class"], ["--all"]),
        (["predict", "."], [". is a folder", "evaluate --data"]),
        (["predict", "a.png", "-m", "tanh_mlp"], ["(2,)", "not images"]),
        (["predict", "a.png", "-m", "tanh_autoencoder"], ["does not classify"]),
        (["evaluate", "tanh_autoencoder", "--per-class"], ["--per-class", "tanh_autoencoder"]),
        (["compare", "tanh_mlp", "tanh_autoencoder"], ["tanh_autoencoder is not a classifier"]),
        (["predict", "absent.png"], ["absent.png"]),
        (["predict", __file__], ["test_cli.py", "Images end in .bmp"]),
        (["train", "tanh_mlp", "-o", "net", *QUICK, "--learning-rate", 1e38], ["between steps", "Lower", "1e+38"]),
        (["export", *ONNX, "--quantize", "int8"], ["--quantize int8 goes with --format litert"]),
        (["export", *ONNX, "--batch-size", 1], ["--batch-size 1 goes with --format litert"]),
        (["export", "relu_mlp", "--quantize", "float16", "-o", "net"], ["goes with --format litert, not saved_model"]),
        (["export", *LITERT, "--opset", 13], ["--opset 13 goes with --format onnx"]),
        (["export", *LITERT, "--data", "linear"], ["--quantize int8 alone"]),
        (["export", *LITERT, "--quantize", "int8", "--data", "linear"], ["(2,)"]),
        (["export", "relu_mlp", "--format", "litert", "-o", "net.onnx"], ["must end in .tflite"]),
        *((["reproduce", "tanh_mlp", f"--seeds={seeds}"], ["seeds"]) for seeds in ("", "a", "3-1", "0-99999999999")),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(modelzoo, tmp_path, args, words):
    line = error_line(modelzoo(*args, status=2)[1])
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


# --- train, finetune


def test_train_evaluate_check_export(modelzoo, tmp_path):
    options = ("--seed", 3, "--class-weight", "balanced")
    out, err = modelzoo("train", "sigmoid_mlp", "-o", "net", *QUICK[:-1], *options)
    assert "Saved to net" in out
    assert "step    20  accuracy" in err  # progress, on standard error
    card = json.loads(modelzoo("info", "net", "--json")[0])
    assert (card["training"]["seed"], card["training"]["recipe"]["steps"]) == (3, 20)
    assert card["training"]["recipe"]["class_weight"] == "balanced"
    inputs, outputs = read_golden(tmp_path / "net")
    assert len(inputs) == len(outputs) == 16

    accuracy = json.loads(modelzoo("evaluate", "net", "--json")[0])["accuracy"]
    assert f"test accuracy {accuracy:.4f}" in out
    out, _ = modelzoo("check", "net")
    assert "FAIL" not in out
    modelzoo("export", "net", "-o", "copy")
    assert json.loads(modelzoo("info", "copy", "--json")[0])["weights_digest"] == card["weights_digest"]
    modelzoo("export", "net", "-o", "net.keras")
    assert (tmp_path / "net.keras").stat().st_size > 0

    _, err = modelzoo("train", "sigmoid_mlp", "-o", "net", *QUICK, status=2)
    assert "exists" in error_line(err)
    assert json.loads(modelzoo("info", "net", "--json")[0]) == card


def test_check_says_which_file_is_not_the_cards(modelzoo, artifacts, tmp_path):
    damaged = shutil.copytree(artifacts / "good", tmp_path / "damaged")
    modelzoo("check", "--files", damaged)
    with (damaged / "variables" / "variables.index").open("ab") as file:
        file.write(b"x")
    for options in (("--files",), ()):
        out, _ = modelzoo("check", damaged, *options, status=1)
        assert "variables.index" in "".join(line for line in out.splitlines() if "FAIL" in line)
    (point,) = json.loads(modelzoo("check", "--files", damaged, "--json", status=1)[0])
    assert not point["ok"]


def test_an_interrupted_training_goes_on(modelzoo, tmp_path, interrupt):
    options = ("--recipe", "fast", "--steps", 40, "--log-every", 20, "--xla", "off", "--quiet")
    modelzoo("train", "logistic_perceptron", *options, "-o", "whole")
    model = library.create_model("logistic_perceptron", recipe="fast", seed=0)
    recipe = library.get_spec("logistic_perceptron").recipe("fast").replace(steps=40, log_every=20, xla="off")
    data = datasets.load("linear", **recipe.data_options)
    with pytest.raises(KeyboardInterrupt):
        library.train(model, data, recipe, checkpoint_dir="ck", callbacks=[interrupt(1)])
    assert [path.name for path in (tmp_path / "ck").glob("step-*")] == ["step-000000020.npz"]
    modelzoo("train", "logistic_perceptron", *options, "--checkpoint-dir", "ck", "--resume", "-o", "m")
    assert read_card("m")["weights_digest"] == read_card("whole")["weights_digest"]
    assert read_card("whole")["training"]["seconds"] > 0
    assert read_card("m")["training"]["seconds"] is None  # those of a run that was resumed are not known


def test_length_and_precision_are_in_the_card_of_a_training_by_a_strategy(modelzoo):
    options = ("--epochs", 0.5, "--precision", "bfloat16", "--strategy", "mirrored", "--batch-size", 50, "--quiet")
    modelzoo("train", "sigmoid_mlp", "-o", "net", "--xla", "off", *options)
    recipe = read_card("net")["training"]["recipe"]
    assert (recipe["epochs"], recipe["precision"], recipe.get("steps")) == (0.5, "bfloat16", None)


def test_what_was_held_out_is_not_called_a_test(modelzoo, tmp_path):
    options = ("--recipe", "tuned", "--steps", 20, "--learning-rate", 0.05, "--xla", "off", "--quiet")
    out, _ = modelzoo("train", "logistic_perceptron", *options, "-o", "m")
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
    out, _ = modelzoo("evaluate", artifacts / "good")
    assert out.count("agrees") == 2
    told = json.loads(modelzoo("evaluate", artifacts / "good", "--json")[0])
    assert told["agrees"]
    assert [agreement["name"] for agreement in told["agreements"]] == ["test_loss", "test_accuracy"]
    assert told["accuracy"] == pytest.approx(told["agreements"][1]["recorded"])
    out, _ = modelzoo("evaluate", artifacts / "bad", status=1)
    assert "DIFFERS" in out
    told = json.loads(modelzoo("evaluate", artifacts / "bad", "--data", "four_class", "--json")[0])
    assert set(told) == {"loss", "accuracy", "samples"}


def test_evaluate_by_class_and_with_a_least_accuracy(modelzoo, artifacts):
    out, err = modelzoo("evaluate", artifacts / "good", "--per-class", "--min-accuracy", 0.99, status=1)
    assert "below 0.99" in err
    assert "1,000 samples" in out
    assert "precision" in out
    told = json.loads(modelzoo("evaluate", artifacts / "good", "--per-class", "--min-accuracy", 0.1, "--json")[0])
    assert sum(row["samples"] for row in told["classes"].values()) == told["samples"] == 1000
    modelzoo("evaluate", artifacts / "good", "--split", "validation", status=2)


@pytest.mark.slow
def test_evaluate_measures_all_that_the_card_holds(modelzoo):
    told = json.loads(modelzoo("evaluate", "relu_mlp", "--all", "--json")[0])
    assert told["agrees"]
    names = [agreement["name"] for agreement in told["agreements"]]
    assert {"test_accuracy", *(f"corruptions.{kind}" for kind in datasets.CORRUPTIONS)} <= set(names)


@pytest.fixture
def folder(tmp_path, write_images):
    """A folder ``own`` with ten digits of each of three classes, black on white."""
    x, y = datasets.load("mnist").test
    chosen = np.concatenate([np.flatnonzero(y == label)[:10] for label in (3, 5, 8)])
    return write_images(tmp_path / "own", 255 - x[chosen], y[chosen])


def test_a_folder_of_own_drawings(modelzoo, folder, artifacts):
    """Measured whole, prepared as the model's digits were; after fine-tuning its test part, found again by itself."""
    out, err = modelzoo("evaluate", artifacts / "digits", "--data", "own", "--per-class", "--json")
    assert "prepared as the model's were (digit)" in err
    told = json.loads(out)
    assert told["samples"] == 30
    assert told["accuracy"] > 0.6, "labels are matched by name"
    assert [row["samples"] for row in told["classes"].values()] == [0, 0, 0, 10, 0, 10, 0, 0, 10, 0]
    compared = modelzoo("compare", artifacts / "digits", "relu_mlp", "--data", "own", "--json")[0]
    assert json.loads(compared)["samples"] == 30
    _, err = modelzoo("finetune", artifacts / "digits", "--data", "own", "-o", "symbols", *QUICK)
    own = json.loads(modelzoo("evaluate", "symbols", "--json")[0])
    assert own["samples"] < 30
    assert json.loads(modelzoo("evaluate", "symbols", "--data", "own", "--json")[0])["accuracy"] == own["accuracy"]
    assert json.loads(modelzoo("evaluate", "symbols", "--data", "own", "--split", "all", "--json")[0])["samples"] == 30
    assert modelzoo("predict", next(folder.glob("3/*.png")), "-m", "symbols")[0].splitlines()[0][-1] in "358"
    shutil.copytree(folder, folder.with_name("grown"))
    (folder.with_name("grown") / "3" / "copy.png").write_bytes(next(folder.glob("5/*.png")).read_bytes())
    assert "share images, --split test measures" in modelzoo("evaluate", "symbols", "--data", "grown")[1]
    assert "--split test" not in modelzoo("evaluate", "symbols", "--data", "grown", "--split", "all")[1]
    folder.rename(folder.with_name("elsewhere"))
    for command in (["evaluate", "symbols"], ["export", "symbols", "--quantize", "int8", "-o", "symbols.tflite"]):
        told = error_line(modelzoo(*command, status=2)[1])
        assert "symbols was trained on 'own'" in told
        assert "add --data " in told


def test_finetune_records_its_parent_and_data_that_are_named_are_those_of_the_card(modelzoo, artifacts):
    options = ("--data", "digits", "--data-option", "classes=[1,7]", "--data-option", "seed=3", "--freeze", "backbone")
    modelzoo("finetune", artifacts / "digits", *QUICK, *options, "-o", "seed")
    parent, child = read_card(artifacts / "digits"), json.loads(modelzoo("info", "seed", "--json")[0])
    assert child["parent"]["weights_digest"] == parent["weights_digest"]
    assert child["training"]["dataset"]["name"] == "digits"
    assert child["class_names"] == ["1", "7"]

    own = json.loads(modelzoo("evaluate", "seed", "--json")[0])
    assert own["agrees"]
    named = json.loads(modelzoo("evaluate", "seed", "--data", "digits", "--json")[0])
    assert named == {key: own[key] for key in named}
    options = ("--data", "digits", "--data-option", "classes=[1,7]", "--data-option", "seed=0")
    assert json.loads(modelzoo("evaluate", "seed", *options, "--json")[0])["loss"] != own["loss"]


@pytest.mark.slow
def test_a_folder_also_renamed_is_split_as_in_training(modelzoo, artifacts, folder):
    """With the options of the training; what trained is never called a test."""
    tune = ("finetune", artifacts / "digits", *QUICK, "--data")
    modelzoo(*tune, "own", "--data-option", "test_fraction=0", "-o", "all")
    assert "no test part" in error_line(modelzoo("evaluate", "all", "--data", "own", status=2)[1])
    options = ("--data", "own", "--data-option", "test_fraction=0.3")
    assert "no test part" in error_line(modelzoo("evaluate", "all", *options, status=2)[1])
    assert "no test part" in error_line(modelzoo("evaluate", "all", status=2)[1])
    modelzoo("evaluate", "all", "--data", "own", "--split", "train")

    _, err = modelzoo(*tune, "own", "--stream", "--data-option", "seed=1", "-o", "streamed")
    assert "The head starts anew, for the classes 3, 5, 8. To keep the old one: modelzoo.train" in err
    own = json.loads(modelzoo("evaluate", "streamed", "--json")[0])
    assert own["agrees"]
    compared = modelzoo("compare", artifacts / "digits", "streamed", "--data", "own", "--json")[0]
    assert json.loads(compared)["samples"] == own["samples"] < 30
    _, err = modelzoo("compare", "streamed", "all", "--data", "own", status=2)  # one was trained on all of it
    assert "with different options" in err
    assert "no test part" in err
    folder.rename(folder.with_name("renamed"))
    assert json.loads(modelzoo("evaluate", "streamed", "--data", "renamed", "--json")[0])["samples"] == own["samples"]


def test_options_are_those_of_the_loader_of_a_folder(modelzoo, idx_folder, artifacts):
    """A hidden folder makes no class folders of IDX files."""
    (idx_folder / ".ipynb_checkpoints").mkdir()
    assert datasets.dataset_options(idx_folder) == {"prefix": None}
    out, err = modelzoo("evaluate", artifacts / "digits", "--data", "idx", "--json")
    assert err == ""
    assert json.loads(out)["samples"] == 20


def test_compare_counts_what_one_alone_gets_right(modelzoo, artifacts):
    out, _ = modelzoo("compare", artifacts / "good", "tanh_mlp", "--json")
    told = json.loads(out)
    right = [row["accuracy"] * told["samples"] for row in told["models"]]
    only = [row["only"] for row in told["models"]]
    assert right[0] - only[0] == pytest.approx(right[1] - only[1], abs=0.1)
    assert told["p_value"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    assert "McNemar" in modelzoo("compare", artifacts / "good", "tanh_mlp")[0]


def test_the_home_directory_is_expanded(modelzoo, tmp_path, artifacts, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    modelzoo("export", artifacts / "good", "--output=~/copy")
    modelzoo("info", "~/copy")
    np.testing.assert_array_equal(library.predict("~/copy", [0, 1]), library.predict(artifacts / "good", [0, 1]))


def test_info_of_an_artifact_is_a_summary(modelzoo, artifacts):
    out, _ = modelzoo("info", artifacts / "good")
    assert "four_class (" in out
    assert len(out.splitlines()) < 20


def test_a_terminal_without_unicode_gets_what_it_has(monkeypatch, tmp_path, artifacts):
    """Every command, in a terminal that knows ASCII alone."""
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
        streams = [io.TextIOWrapper(io.BytesIO(), "ascii") for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["modelzoo", *map(str, args)])
        with pytest.raises(SystemExit):
            cli.main()
        sys.stdout.flush()
        written = b"".join(stream.buffer.getvalue() for stream in streams).decode("ascii")
        assert written
        assert "Traceback" not in written


def test_reproduce_says_whether_it_is_the_same(modelzoo, artifacts):
    out, err = modelzoo("reproduce", artifacts / "good")
    assert "bit for bit" in out
    assert "seed 1" in err
    out, err = modelzoo("reproduce", artifacts / "bad", "--quiet", "--seeds", "2-3", "--json", status=1)
    assert err == ""
    told = json.loads(out)
    assert [run["seed"] for run in told["runs"]] == [2, 3]
    assert told["same_weights"] is None


def test_predict_draws_bars(modelzoo, tmp_path, artifacts):
    Image.fromarray(255 - datasets.load("mnist").x_test[3]).resize((280, 280)).save(tmp_path / "zero.png")
    out, _ = modelzoo("predict", "zero.png", "--model", artifacts / "digits")
    assert out.splitlines()[0] == "zero.png: 0"
    assert "█" in out
    scores = json.loads(modelzoo("predict", "zero.png", "--model", artifacts / "digits", "--json")[0])[0]["scores"]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_predict_reads_several_digits_of_a_picture(modelzoo, tmp_path):
    mnist = datasets.load("mnist")
    chosen = [7, 61, 3, 2, 5]  # 9, 8, 0, 1, 1
    page = np.concatenate([mnist.x_test[i] for i in chosen], axis=1)
    Image.fromarray(255 - np.pad(page, 8)).resize((468, 132)).save(tmp_path / "number.png")
    text = "".join(mnist.class_names[label] for label in mnist.y_test[chosen])
    out, _ = modelzoo("predict", "number.png")
    header, *digits = out.splitlines()
    assert header == f"number.png: {text}"
    assert [line.split()[0] for line in digits] == list(text)
    assert all(line.endswith("%") for line in digits)
    found = json.loads(modelzoo("predict", "number.png", "--json")[0])
    assert [digit["sample"] for digit in found] == [f"number.png:{n}" for n in range(1, 6)]
    assert "".join(digit["class"] for digit in found) == text
    assert [digit["doubt"] for digit in found] == [""] * 5
    assert (np.diff([digit["box"][0] for digit in found]) > 0).all()
    page[14:16, 100:] = 255  # the last ones joined
    Image.fromarray(255 - np.pad(page, 8)).resize((468, 132)).save(tmp_path / "number.png")
    assert "? wide: several that touch?" in modelzoo("predict", "number.png")[0].splitlines()[-1]


def test_predict_resize_takes_the_pixels_as_they_are(modelzoo, tmp_path, artifacts):
    image = datasets.load("mnist").x_test[0]
    Image.fromarray(image).save(tmp_path / "seven.png")
    out, _ = modelzoo("predict", "seven.png", "--prepare", "resize", "--model", artifacts / "digits", "--json")
    expected = library.predict(library.load(artifacts / "digits"), image[np.newaxis])[0]
    np.testing.assert_allclose(list(json.loads(out)[0]["scores"].values()), expected, atol=1e-6)
    np.savetxt(tmp_path / "pixels.csv", image.reshape(1, -1), fmt="%d", delimiter=",")
    modelzoo("predict", "pixels.csv", "-m", artifacts / "digits", "-o", "classes.csv")
    header, row = (tmp_path / "classes.csv").read_text().splitlines()
    assert header == "sample,class,0,1,2,3,4,5,6,7,8,9"
    np.testing.assert_allclose(list(map(float, row.split(",")[2:])), expected, atol=1e-6)
    assert modelzoo("predict", "pixels.csv", "-m", artifacts / "digits")[0].splitlines() == [header, row]
    (tmp_path / "text.png").write_text("not an image")
    _, err = modelzoo("predict", "text.png", "--model", artifacts / "digits", status=2)
    assert "text.png" in error_line(err)


def test_version_is_the_packages_own(modelzoo):
    assert modelzoo("--version") == (f"modelzoo, version {library.__version__}\n", "")
