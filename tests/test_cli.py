"""The ``modelzoo`` command as a person types it: output, exit status, and files left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from modelzoo import cli


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
def trained(tmp_path_factory):
    """Return a directory with a shortly trained relu_mlp."""
    import modelzoo
    from modelzoo import datasets

    path = tmp_path_factory.mktemp("cli") / "mlp"
    model = modelzoo.create_model("relu_mlp", seed=0)
    recipe = modelzoo.get_spec("relu_mlp").recipe("lesson")
    modelzoo.train(model, datasets.load("mnist").take(per_class=200), recipe.replace(steps=250, learning_rate=1e-3))
    modelzoo.save(model, path)
    return path


def error_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_list_shows_every_model_without_importing_tensorflow():
    code = (
        "import sys; from modelzoo import cli; sys.argv = ['modelzoo', 'list']\n"
        "try: cli.main()\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'sklearn'} & set(sys.modules), 'imported too much'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "two_conv_cnn" in done.stdout
    assert "3,274,634" in done.stdout


def test_list_filters_and_json(modelzoo):
    status, out, _ = modelzoo("list", "*_mlp", "--dataset", "mnist", "--json")
    assert status == 0
    assert [row["name"] for row in json.loads(out)] == ["relu_mlp"]
    assert "mnist" in modelzoo("list", "--datasets")[1]
    assert json.loads(modelzoo("list", "--task", "reconstruction", "--json")[1])[0]["name"] == "tanh_autoencoder"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["list", "--task", "clasification"], ["clasification", "Did you mean 'classification'"]),
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
        (["evaluate", "nowhere/at/all"], ["nowhere/at/all"]),
        (["check", "."], ["saved_model.pb"]),
        (["evaluate", "tanh_mlp", "--data-option", "n=3"], ["'n=3'", "--data"]),
        (["predict", "."], ["image .", "directory"]),
        (["check", "a\nb"], ["a b has no saved_model.pb"]),
        *(
            ([*command, "a" * 5000], ["aaa", "too long", "Give the path of"])
            for command in (
                ["describe"],
                ["evaluate"],
                ["reproduce"],
                ["check"],
                ["predict"],
                ["train", "tanh_mlp", "-o"],
                ["export", "tanh_mlp", "--format", "keras", "-o"],
                ["finetune", "tanh_mlp", "--data", "four_class", "-o"],
            )
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(modelzoo, tmp_path, args, words):
    status, _, err = modelzoo(*args)
    assert status == 2
    for word in words:
        assert word in error_line(err)
    assert not list(tmp_path.iterdir())


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "modelzoo", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: modelzoo " in done.stderr
    assert "Did you mean 'train'?" in done.stderr


def test_usage_errors_exit_with_2(modelzoo):
    assert modelzoo("train", "sigmoid_mlp", "--learning-rate", "-1")[0] == 2
    assert modelzoo("trian")[0] == 2


def test_divergence_names_step_checkpoint_and_advice(modelzoo, tmp_path):
    options = ["--steps", 200, "--log-every", 1, "--learning-rate", "1e38", "--quiet", "--checkpoint-dir", "ck"]
    status, _, err = modelzoo("train", "tanh_mlp", "-o", "net", *options)
    assert status == 2
    for word in ("between steps", "Lower the learning rate", "1e+38"):
        assert word in error_line(err)
    assert not (tmp_path / "net").exists()
    assert ("last good checkpoint is in ck" in err) == any((tmp_path / "ck").glob("step-*"))


@pytest.mark.parametrize("command", ["", *cli.app.commands])
def test_help_teaches(modelzoo, command):
    status, out, _ = modelzoo(*([command] if command else []), "--help")
    assert status == 0
    assert "Usage: modelzoo" in out
    assert "\\b" not in out
    assert len(out.splitlines()) > 5


def test_train_evaluate_and_finetune_from_disk(modelzoo, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "photos" / ("dark", "light")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 100, (20, 20), np.uint8) + 150 * (number % 2)).save(path)
    common = ["--steps", 20, "--batch-size", 8, "--json"]
    digests = []
    for name, options in (("loaded", ["--xla", "update"]), ("streamed", ["--stream", "--xla", "update"])):
        status, out, err = modelzoo("train", "relu_mlp", "--data", "photos", *options, *common, "-o", name)
        assert status == 0, err
        digests.append(json.loads(out)["weights_digest"])
    assert digests[0] == digests[1]
    scores = [modelzoo("evaluate", "streamed", "--data", "photos", *more, "--json")[1] for more in ([], ["--stream"])]
    assert json.loads(scores[0])["accuracy"] == json.loads(scores[1])["accuracy"]

    from modelzoo import datasets

    datasets.write_tfrecord(datasets.stream("photos"), "shards")
    status, out, err = modelzoo("finetune", "streamed", "--data", "shards", "--stream", *common, "-o", "tuned")
    assert status == 0, err
    assert json.loads((tmp_path / "tuned/assets.extra/modelzoo.json").read_text())["class_names"] == ["dark", "light"]
    shard = next((tmp_path / "shards").glob("train-00000*"))
    shard.write_bytes(shard.read_bytes()[:-9])
    status, _, err = modelzoo("train", "relu_mlp", "--data", "shards", "--stream", *common, "-o", "never")
    assert status == 2
    assert shard.name in error_line(err)
    assert not (tmp_path / "never").exists()


def test_train_evaluate_check_info_export(modelzoo, tmp_path):
    status, out, err = modelzoo("train", "sigmoid_mlp", "-o", "net", "--steps", 500, "--seed", 3)
    assert status == 0, err
    assert "Saved to net" in out
    assert "500/500" in err  # the progress bar, on standard error

    status, out, _ = modelzoo("evaluate", "net", "--json")
    assert 0.4 < json.loads(out)["accuracy"] <= 1
    status, out, _ = modelzoo("check", "net")
    assert status == 0
    assert "FAIL" not in out
    card = json.loads(modelzoo("info", "net")[1])
    assert card["training"]["seed"] == 3
    assert card["training"]["recipe"]["steps"] == 500

    assert modelzoo("export", "net", "-o", "copy")[0] == 0
    assert json.loads(modelzoo("info", "copy")[1])["weights_digest"] == card["weights_digest"]
    assert modelzoo("export", "net", "-o", "net.keras", "--format", "keras")[0] == 0
    assert (tmp_path / "net.keras").stat().st_size > 0

    status, _, err = modelzoo("train", "sigmoid_mlp", "-o", "net", "--steps", 10)
    assert status == 2
    assert "exists" in error_line(err)
    assert json.loads(modelzoo("info", "net")[1]) == card


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory):
    """Return a short artifact, and a copy whose card holds an accuracy that it does not reach."""
    import modelzoo as zoo

    root = tmp_path_factory.mktemp("doubtful")
    model = zoo.create_model("tanh_mlp", seed=1)
    zoo.train(model, zoo.datasets.load("four_class"), zoo.Recipe(steps=30, log_every=30, xla="off"), seed=1)
    zoo.save(model, root / "good")
    zoo.save(model, root / "bad", results={"metrics": {"test_accuracy": {"value": 0.99, "per_seed": [0.99, 0.991]}}})
    return root


def test_evaluate_compares_with_the_card(modelzoo, doubtful):
    status, out, err = modelzoo("evaluate", doubtful / "good")
    assert status == 0, err
    assert out.count("agrees") == 2
    told = json.loads(modelzoo("evaluate", doubtful / "good", "--json")[1])
    assert told["agrees"]
    assert [agreement["name"] for agreement in told["agreements"]] == ["test_loss", "test_accuracy"]
    assert told["accuracy"] == pytest.approx(told["agreements"][1]["recorded"])
    status, out, _ = modelzoo("evaluate", doubtful / "bad")
    assert status == 1
    assert "DIFFERS" in out
    told = json.loads(modelzoo("evaluate", doubtful / "bad", "--data", "four_class", "--json")[1])
    assert set(told) == {"loss", "accuracy"}
    status, _, err = modelzoo("evaluate", doubtful / "good", "--all", "--data", "four_class")
    assert status == 2
    assert "--all" in error_line(err)


def test_reproduce_says_whether_it_is_the_same(modelzoo, doubtful):
    status, out, err = modelzoo("reproduce", doubtful / "good")
    assert status == 0, err
    assert "bit for bit" in out
    assert "seed 1" in err
    status, out, err = modelzoo("reproduce", doubtful / "bad", "--quiet")
    assert status == 1
    assert not err
    assert "DIFFERS" in out
    told = json.loads(modelzoo("reproduce", doubtful / "good", "--seeds", "0,2-3", "--json")[1])
    assert [run["seed"] for run in told["runs"]] == [0, 2, 3]
    assert told["same_weights"] is None


@pytest.mark.parametrize("seeds", ["", "a", "3-1", "-1", "1-2-3", "0-99999999999", "1,,2"])
def test_seeds_that_are_none_are_one_line(modelzoo, doubtful, seeds):
    status, _, err = modelzoo("reproduce", doubtful / "good", f"--seeds={seeds}")
    assert status == 2
    assert "seeds" in error_line(err)


def test_train_stores_test_samples_as_golden_inputs(trained):
    from modelzoo.saving import read_golden

    inputs, outputs = read_golden(trained)
    assert len(inputs) == len(outputs) == 16


def test_info_of_a_model(modelzoo):
    status, out, _ = modelzoo("info", "xor_mlp")
    assert status == 0
    assert "Recipe 'lesson'" in out
    assert json.loads(modelzoo("info", "xor_mlp", "--json")[1])["num_params"] == 9


def draw_digit(path, text: str) -> None:
    image = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(image).text((60, 60), text, fill=0, font=ImageFont.load_default(160))
    image.save(path)


def test_predict_draws_bars(modelzoo, tmp_path, trained):
    draw_digit(tmp_path / "zero.png", "0")
    status, out, err = modelzoo("predict", "zero.png", "--model", trained)
    assert status == 0, err
    assert out.splitlines()[0] == "zero.png: 0"
    assert "█" in out
    scores = json.loads(modelzoo("predict", "zero.png", "--model", trained, "--json")[1])[0]["scores"]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_predict_as_is_takes_the_pixels_as_they_are(modelzoo, tmp_path, trained):
    import modelzoo as zoo
    from modelzoo import datasets

    image = datasets.load("mnist").x_test[0]
    Image.fromarray(image).save(tmp_path / "seven.png")
    _, out, _ = modelzoo("predict", "seven.png", "--as-is", "--model", trained, "--json")
    expected = zoo.predict(zoo.load(trained), image[np.newaxis])[0]
    np.testing.assert_allclose(list(json.loads(out)[0]["scores"].values()), expected, atol=1e-6)


def test_predict_refuses_what_is_not_an_image(modelzoo, tmp_path, trained):
    (tmp_path / "text.png").write_text("not an image")
    status, _, err = modelzoo("predict", "text.png", "--model", trained)
    assert status == 2
    assert "text.png" in error_line(err)
    assert modelzoo("predict", "absent.png", "--model", trained)[0] == 2


def test_finetune_records_its_parent(modelzoo, trained):
    status, _, err = modelzoo(
        "finetune", trained, "--data", "digits", "--freeze", "backbone", "--steps", 50, "-o", "new"
    )
    assert status == 0, err
    parent = json.loads(modelzoo("info", trained)[1])
    child = json.loads(modelzoo("info", "new")[1])
    assert child["parent"]["weights_digest"] == parent["weights_digest"]
    assert child["training"]["dataset"]["name"] == "digits"


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


def test_what_was_held_out_is_not_called_a_test(modelzoo, tmp_path):
    options = ("--recipe", "tuned", "--steps", 20, "--learning-rate", 0.05, "--quiet")
    status, out, _ = modelzoo("train", "logistic_perceptron", *options, "-o", "m")
    assert status == 0
    assert "validation accuracy" in out
    import modelzoo as library

    assert f"test accuracy {library.evaluate(tmp_path / 'm')['accuracy']:.4f}" in out
    rate = library.card.read_card(tmp_path / "m")["training"]["recipe"]["learning_rate"]
    assert rate == {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.05}}
