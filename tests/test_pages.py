"""Pages of models: what they say is so, and no page goes stale."""

import dataclasses
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import keras
import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import precision_score, recall_score

import modelzoo
from modelzoo import cli, datasets, finetuning
from modelzoo.errors import ArtifactError, InputError, TargetExistsError
from modelzoo.pages import Subject, describe, read_subject, render
from modelzoo.pages.markdown import prose
from modelzoo.pages.page import page_text
from modelzoo.pages.pictures import confusion_of


def blocks(text, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(code):
    """Run blocks of code one after the other; return the names they leave."""
    names = {}
    for block in code:
        exec(compile(block, "page", "exec"), names)
    return names


def sections(text):
    return re.findall(r"^## (.*)", text, re.MULTILINE)


# Keras models of other people.


def foreign():
    return keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            keras.layers.Conv2D(4, 3, strides=2, name="see"),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, "softmax"),
        ],
        name="foreign",
    )


def test_a_keras_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = foreign()
    model.save("my net.keras")
    page = describe("my net.keras", "about")
    text = page.read_text(encoding="utf-8")
    assert page == Path("about/my_net.md")
    assert sorted(path.name for path in page.parent.iterdir()) == ["my_net.md", "my_net.svg"]
    assert text.startswith("# my net\n")
    assert sections(text) == ["Equation", "Layers", "Use"]
    assert "| `see` | Conv2D 3 × 3, stride 2 × 2 | $h_{1}$ | 4 × 4 × 4 |" in text
    assert "3 × 3 × 2 × 4 + 4 = 76" in text
    assert "4 × 4 = 16" in text  # gamma, beta, mean and variance
    assert f"**{model.count_params()}**" in text
    assert "of which 8 are not trained" in text
    assert r"\gamma_{2} \odot \frac{h_{1} - \mu_{2}}{\sqrt{\sigma_{2}^2 + \epsilon}} + \beta_{2}" in text
    assert run(blocks(text))["outputs"].shape == (1, 3)
    assert (tmp_path / "my_net_served" / "1" / "saved_model.pb").is_file()


def test_a_keras_file_of_several_inputs_and_open_lengths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ends = [keras.Input((None, 4)), keras.Input((3,), dtype="int32")]
    merged = keras.layers.Concatenate()([keras.layers.GlobalMaxPooling1D()(ends[0]), keras.layers.Flatten()(ends[1])])
    keras.Model(ends, keras.layers.Dense(2, name="both")(merged)).save("two.keras")
    text = describe("two.keras", "about").read_text(encoding="utf-8")
    assert r"h_{3} &= [h_{1}, h_{2}]" in text
    assert "| `both` | Dense | $\\hat{y}$ | 2 | 7 × 2 + 2 = 16 |" in text
    assert run(blocks(text)[:1])["outputs"].shape == (1, 2)


def test_names_of_other_people_stay_names():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="see|`this`")])
    files = render(Subject("<b>../$me$", "net.keras", model))
    assert sorted(files) == ["_b_.._me_.md", "_b_.._me_.svg"]
    page = files["_b_.._me_.md"]
    assert page.startswith("# &lt;b&gt;../\\$me\\$\n")
    assert "| `see\\|'this'` | Dense | $\\hat{y}$ | 1 | 2 × 1 + 1 = 3 |" in page


# What cannot be described.


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("xor_mpl", InputError, "Did you mean 'xor_mlp'"),
        ("absent.keras", InputError, r"no file absent\.keras"),
        ("./absent", InputError, "no directory"),
        ("net.h5", InputError, r"must end in \.keras"),
        ("net.keras", ArtifactError, r"net\.keras cannot be loaded"),
        ("./other", ArtifactError, "not written by modelzoo"),
    ],
)
def test_wrong_sources_are_named(source, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net.h5", "net.keras"):
        Path(name).write_bytes(b"not a zip file")
    Path("other").mkdir()
    with pytest.raises(error, match=message):
        describe(source, "out")
    assert not Path("out").exists()


def test_a_keras_file_runs_no_code(tmp_path):
    path = tmp_path / "evil.keras"
    witness = tmp_path / "ran"
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x, p=str(witness): [x, Path(p).touch()][0])]
    )
    model.save(path)
    witness.unlink(missing_ok=True)
    with pytest.raises(ArtifactError, match="safe mode"):
        describe(path, tmp_path / "out")
    assert not witness.exists()
    assert not (tmp_path / "out").exists()


def test_existing_output_is_kept(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    with pytest.raises(TargetExistsError, match="overwrite"):
        describe("xor_mlp", out)
    with pytest.raises(InputError, match=r"thesis\.docx"):
        describe("xor_mlp", out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["thesis.docx"]
    (out / "thesis.docx").rename(out / "notes.md")
    with pytest.raises(InputError, match=r"notes\.md"):
        describe("xor_mlp", out, overwrite=True)
    (out / "notes.md").rename(out / "xor_mlp-training.svg")
    assert describe("xor_mlp", out, overwrite=True).is_file()
    assert "years of work" not in (out / "xor_mlp-training.svg").read_text()


def test_results_of_one_run_have_no_spread(tmp_path):
    results = {"metrics": {"test_accuracy": {"value": 0.75}, "seconds": 2.0}, "recipe": "tuned", "seeds": [0]}
    modelzoo.save(modelzoo.create_model("xor_mlp", seed=0), tmp_path / "1", results=results)
    page = describe(tmp_path / "1", tmp_path / "out").read_text(encoding="utf-8")
    assert "| test accuracy | 75.00% |" in page
    assert "| training time, s | 2.0 |" in page
    assert "over seeds" not in page


# Artifacts: what the card says.


def spread(value, std=0.0125):
    return {"value": value, "mean": value + 0.01, "std": std, "per_seed": [value, value + 0.02]}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("described") / "mine"
    model = modelzoo.create_model("tanh_mlp", seed=0)
    data = datasets.load("four_class", n=400, n_test=200)
    recipe = modelzoo.Recipe(steps=40, batch_size=50, log_every=10, validation_size=100, xla="off", source="a | test")
    modelzoo.train(model, data, recipe, seed=5)
    results = {
        "recipe": "tuned",
        "seeds": [0, 1, 2],
        "selected_seed": 1,
        "selected_by": "val_accuracy",
        "metrics": {"seconds": spread(12.0), "test_accuracy": spread(0.75), "test_loss": spread(0.0005, 0.0001)},
        "corruptions": {"blur_1.0": spread(0.25)},
    }
    modelzoo.save(model, path, results=results)
    return path


@pytest.fixture(scope="module")
def described(artifact):
    subject = read_subject(artifact)
    return subject, render(subject)


def test_the_page_of_an_artifact(described):
    subject, files = described
    assert sorted(files) == ["mine-confusion.svg", "mine-training.svg", "mine.md", "mine.svg"]
    page = files["mine.md"]
    assert subject.card["card_digest"] in page
    assert "| test accuracy | 75.00% | 76.00% ± 1.25% |\n| test loss | 5.0e-04 | 0.0105 ± 0.0001 |" in page
    assert "| training time, s | 12.0 | 12.0 ± 0.0 |" in page
    assert "| `blur_1.0` | 25.00% | 26.00% ± 1.25% |" in page
    assert "- **Seeds:** 0–2, this artifact 1: the best validation accuracy" in page
    recipes = modelzoo.get_spec("tanh_mlp").recipes
    assert f"| field | {' | '.join(recipes)} | of this artifact |" in page
    assert "- of this artifact: a \\| test" in page
    assert "n=400, n_test=200" in page
    assert "train_zoo.py" not in page  # that command made the zoo's own, not this one
    history = subject.card["training"]["history"]
    assert f"validation loss from {history['val_loss'][0]:.3g} to {history['val_loss'][-1]:.3g}" in page
    assert "validation" in files["mine-training.svg"]
    for row in re.findall(r"^\|.*\|$", page, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", row)) in (4, 5, 6)


def test_the_confusion_counts_are_those_of_the_network(described):
    subject, files = described
    x, y = datasets.load("four_class", n=400, n_test=200).test
    predicted = modelzoo.load(subject.source)(x).numpy().argmax(axis=1)
    confusion = confusion_of(subject)
    for truth in range(4):
        assert confusion.counts[truth].tolist() == [((y == truth) & (predicted == k)).sum() for k in range(4)]
    assert f"{(y != predicted).sum()} of 200 test samples" in files["mine.md"]
    precision, recall = precision_score(y, predicted, average=None), recall_score(y, predicted, average=None)
    assert f"| {confusion.classes[1]} | {precision[1]:.2%} | {recall[1]:.2%} |" in files["mine.md"]


def test_the_counts_of_a_card_are_taken(described, monkeypatch):
    subject, files = described
    counts = confusion_of(subject).counts.tolist()
    wrong = [[[200]], [*counts[:3], [-1, 0, 0, 0]], counts[:3], [*counts[:3], [10**20, 0, 0, 0]], [[0] * 4] * 4]
    for unfit in wrong:
        assert confusion_of(with_counts(subject, unfit)).counts.tolist() == counts
    monkeypatch.setattr("modelzoo.pages.pictures.predict", lambda *_: pytest.fail("the network was run"))
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "lines.linewidth": 7}):  # which change no byte
        assert render(with_counts(subject, counts)) == files
        assert mpl.rcParams["font.size"] == 20
    for name, text in files.items():
        if name.endswith(".svg"):
            assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


def with_counts(subject, counts):
    results = {**subject.card["results"], "confusion_matrix": counts}
    return dataclasses.replace(subject, card={**subject.card, "results": results})


def test_an_untrained_model_has_neither_results_nor_a_card(monkeypatch):
    monkeypatch.setattr("modelzoo.pages.subject.list_pretrained", dict)
    files = render(read_subject("xor_mlp"))
    assert sorted(files) == ["xor_mlp.md", "xor_mlp.svg"]
    assert sections(files["xor_mlp.md"]) == ["Equation", "Layers", "Recipes", "Use", "Licence and citation"]
    assert "There are no pretrained weights." in files["xor_mlp.md"]


def short(model, original=finetuning.finetuning_recipe, **facts):
    return original(model, **facts).replace(steps=4, log_every=4, xla="off")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "xor_mlp" else pytest.mark.slow) for name in modelzoo.list_pretrained()],
)
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finetuning, "finetuning_recipe", short)  # the code is the page's, the training is short
    x, y = datasets.load("mnist").take(per_class=10).train
    np.savez("others.npz", x=x, y=y)  # what the page of a network that has seen digits leaves to its reader
    section = page_text(read_subject(name), None)
    names = run(blocks(section))
    assert len(blocks(section)) == 4
    assert (tmp_path / f"my_{name}" / "saved_model.pb").is_file()
    assert modelzoo.load(tmp_path / f"my_{name}").name == name
    outputs = next(names[key] for key in ("probabilities", "decision", "reconstruction") if key in names)
    model = modelzoo.load(name)
    np.testing.assert_allclose(outputs, model(names["data"].x_test[:5].astype("float32")), atol=1e-5)
    if name in ("xor_mlp", "relu_mlp"):  # the commands differ in the name alone
        commands = [line for line in blocks(section, "console")[0].splitlines() if line.startswith("$ modelzoo ")]
        for line in commands:
            assert CliRunner().invoke(cli.app, line.split()[2:], catch_exceptions=False).exit_code == 0
        assert (tmp_path / "models" / name / "1" / "saved_model.pb").is_file()


def test_an_artifact_of_another_persons_network(tmp_path, monkeypatch):
    """No builder is known: the page says what the network and the card tell, and its code runs."""
    monkeypatch.chdir(tmp_path)
    layers = [keras.Input((2,)), keras.layers.Dense(3, "tanh", name="own"), keras.layers.Dense(2, "softmax", name="p")]
    model = keras.Sequential(layers, name="mine")
    recipe = modelzoo.Recipe(steps=6, log_every=3, xla="off", loss="sparse_categorical_crossentropy")
    modelzoo.train(model, datasets.load("linear", n=60, n_test=50), recipe)
    modelzoo.save(model, "net")
    page = describe("net", "about")
    text = page.read_text(encoding="utf-8")
    files = ["net-confusion.svg", "net-training.svg", "net.md", "net.svg"]
    assert sorted(path.name for path in page.parent.iterdir()) == files
    assert sections(text) == ["Equation", "Layers", "Recipes", "Results", "Use", "Licence and citation"]
    assert "- **Classes:** below, above" in text
    monkeypatch.setattr(finetuning, "finetuning_recipe", lambda model, **facts: recipe)
    assert run(blocks(text))["p"].shape == (5, 2)


# Text.


def test_foreign_text_stays_text():
    assert prose("a <script>|x| [y](z) $1$ `b`\n*c*") == (r"a &lt;script&gt;\|x\| \[y\](z) \$1\$ \`b\` \*c\*")


# The command and the script.


def test_command(tmp_path, monkeypatch, artifact):
    monkeypatch.chdir(tmp_path)

    def describe(*arguments):
        return CliRunner().invoke(cli.app, ["describe", *map(str, arguments)])

    lines = describe("two_conv_cnn").output.splitlines()
    assert lines[0].startswith("two_conv_cnn: Two convolutions")
    assert any(
        re.search(r"conv_2 +Conv2D 5 × 5, padding same, relu +14 × 14 × 64 +5 × 5 × 32 × 64 \+ 64 = 51,264", line)
        for line in lines
    )
    assert "3,274,634 parameters, 13,883,904 multiply-adds a sample" in lines
    assert describe(artifact).output.splitlines()[-1] == "test accuracy 76.00% ± 1.25% over seeds 0–2"
    assert json.loads(describe("xor_mlp", "--json").output)["num_params"] == 9
    foreign().save("net.keras")
    assert json.loads(describe("net.keras", "--json").output)["layers"][1]["parameters"] == "3 × 3 × 2 × 4 + 4 = 76"
    assert describe("net.keras", "-o", "about").output == f"Wrote {Path('about/net.md')}\n"
    assert isinstance(describe("net.keras", "-o", "about").exception, TargetExistsError)
    assert describe("net.keras", "-o", "about", "--overwrite").exit_code == 0
    assert isinstance(describe("net.keras", "--overwrite").exception, InputError)
    assert isinstance(describe("net.keras", "-o", "other", "--json").exception, InputError)
    assert not Path("other").exists()
