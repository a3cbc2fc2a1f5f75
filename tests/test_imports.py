"""What lists, reads cards and draws without a model imports neither TensorFlow nor Keras."""

#: One process tries it all, the lightest first.
PROGRAM = """
import sys
import modelzoo
from modelzoo import datasets

def absent(*names):
    found = set(names) & set(sys.modules)
    assert not found, found

for name in modelzoo.list_models():
    spec = modelzoo.get_spec(name)
    repr(spec), spec.summary, spec.options, {k: r.to_dict() for k, r in spec.recipes.items()}
modelzoo.list_models("*_mlp", task="classification", dataset="mnist", family="mlp")
modelzoo.list_pretrained()
datasets.list_datasets()
datasets.load("four_class"), datasets.load("mnist"), datasets.CORRUPTIONS
try:
    modelzoo.get_spec("lenet")
except modelzoo.ModelZooError:
    pass
absent("tensorflow", "keras", "matplotlib", "sklearn", "scipy", "PIL", "pooch", "torch")

from modelzoo.card import read_card, read_weights
from modelzoo.saving import find

card = read_card(find("relu_mlp"))
assert read_weights(find("relu_mlp"), card)[0].shape == (784, 100)

from modelzoo.cli.app import app

app(["list"], standalone_mode=False)
absent("tensorflow", "keras", "matplotlib", "sklearn")

import numpy as np
from PIL import Image
from modelzoo import reference, viz
from modelzoo.numpy_runtime import load_runtime

for name in modelzoo.list_pretrained():
    runtime = load_runtime(name)
    runtime(np.zeros((1, *runtime.network.input.output_shape)))
modelzoo.predict("two_conv_cnn", np.zeros((28, 28), np.uint8))
modelzoo.evaluate("sigmoid_mlp"), modelzoo.measure("xor_mlp"), modelzoo.verify("onehot_softmax")
Image.fromarray(np.kron(255 - datasets.load("mnist").x_test[0], np.ones((4, 4), np.uint8))).save("photo.png")
np.savetxt("table.csv", np.zeros((1, 784)), fmt="%d", delimiter=",", header=",".join(["p"] * 784))
for command in (
    "predict table.csv", "predict photo.png", "info two_conv_cnn", "evaluate tanh_mlp --per-class",
    "compare tanh_mlp tanh_mlp", f"check --files {find('xor_mlp')}", "export xor_mlp -o copy/1",
):
    app(command.split(), standalone_mode=False)
absent("matplotlib", "sklearn", "scipy", "rich", "pooch")
modelzoo.describe("tanh_mlp", "page")
for command in "describe two_conv_cnn", "play relu_mlp -o page.html":
    app(command.split(), standalone_mode=False)
absent("sklearn")

viz.plot_points(np.eye(2), [0, 1])
viz.plot_regions(lambda x: (x[:, 0] > 0.5).astype(float), (np.eye(2), [0, 1]), resolution=20)
viz.plot_activations()
viz.plot_confusion_matrix([0, 1], [0.1, 0.9])
absent("tensorflow", "keras", "torch", "jax")
"""

#: In a process of its own: a test before it may have imported Keras.
TRAINING = """
import gc
import sys
import modelzoo
from modelzoo import datasets

model = modelzoo.create_model("xor_mlp", recipe="fast", seed=0)
modelzoo.train(model, datasets.load("xor"), "fast")
found = {"jax", "matplotlib", "scipy", "sklearn"} & set(sys.modules)
assert not found, found
assert gc.isenabled()

import keras
from tensorflow.lite.python.util import _jit

assert _jit(3) == 4

assert keras.wrappers.SKLearnClassifier.__mro__[1].__module__.startswith("sklearn")
assert keras.visualization.plot_image_gallery
"""

#: A program that has told the garbage collector to leave it alone, and in which TensorFlow does not import Keras.
COLLECTOR = """
import gc
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
import modelzoo
from modelzoo._keras import tf

gc.disable()
gc.freeze()
frozen = gc.get_freeze_count()
tf.constant
assert not gc.isenabled() and 0.9 * frozen < gc.get_freeze_count() <= frozen

gc.unfreeze()
calls = []
gc.freeze = lambda: calls.append("freeze")
tf.constant
assert not calls
"""


def test_what_needs_no_tensorflow_does_not_import_it(tmp_path, python):
    told = python("-c", PROGRAM, cwd=tmp_path).stdout
    assert "two_conv_cnn" in told
    assert "3,274,634" in told


def test_training_imports_neither_matplotlib_nor_scikit_learn_and_leaves_keras_whole(python, tmp_path):
    (tmp_path / "jax.py").write_text("def jit(number): return number + 1")
    python("-c", TRAINING, cwd=tmp_path)


def test_the_garbage_collector_stays_as_the_program_has_set_it(python, tmp_path):
    python("-c", COLLECTOR, cwd=tmp_path)
