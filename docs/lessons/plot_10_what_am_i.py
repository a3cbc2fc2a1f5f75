"""
What am I? The 500/300 network and your own digit
=================================================

Two hidden layers, the network of many a first course in deep learning. It answers the question of every toddler with
a picture book: *what am I?* The zoo's trained weights answer for MNIST's images, and then for a digit of our own: a
picture of pen on paper, which is nothing like MNIST until it has been prepared.

**What to notice**

- The answer is a probability for each class, not only a class: it tells how sure the network is.
- A network knows nothing but its data. A digit has to come as MNIST's digits come, centred and of their size.
- Training error and test error part while the network learns by heart.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import modelzoo
from modelzoo import datasets, reference, viz
from modelzoo.datasets.corruptions import shift
from modelzoo.registry import card_for

# sphinx_gallery_thumbnail_number = 4

# %%
# The network
# -----------
#
# One more layer means one more line of the same kind. With :math:`h(z) = \max(0, z)`,
#
# .. math::
#
#    a_1 = h(x W_1 + b_1), \qquad a_2 = h(a_1 W_2 + b_2), \qquad y = \operatorname{softmax}(a_2 W_3 + b_3).

mnist = datasets.load("mnist")
model = modelzoo.load("dense_500_300")
_ = viz.plot_architecture(model)

# %%

print(" + ".join(f"{i} × {o} + {o}" for i, o in (w.shape for w in model.get_weights()[::2])))
print(f"= {model.count_params():,} parameters")

# %%
# How it learns
# -------------
#
# The original lesson trains for ten passes over the data with RMSprop. Like Adam it divides each gradient by a running
# root mean square of its predecessors, :math:`v \leftarrow \rho v + (1 - \rho)\, g^2` and
# :math:`w \leftarrow w - \eta\, g / (\sqrt{v} + \epsilon)`, but it has no momentum. Half of these passes show enough.

recipe = modelzoo.get_spec("dense_500_300").recipe("lesson")
print(recipe.source)
beginner = modelzoo.create_model("dense_500_300", seed=0)
history = modelzoo.train(beginner, mnist, recipe.replace(epochs=recipe.epochs // 2), seed=0)
_ = viz.plot_training(history)

# %%
# The training error keeps falling. The test error soon does not, for the network has begun to learn the training
# images by heart, and has parameters enough to do so. (The training error of an epoch is the mean over its batches,
# taken while the weights improve. That is why it starts above the test error.)

print("epoch   training error   test error   test accuracy")
columns = (history.history[name] for name in ("loss", "test_loss", "test_accuracy"))
for epoch, row in enumerate(zip(*columns, strict=True), start=1):
    print("{:5d}   {:14.4f}   {:10.4f}   {:13.2%}".format(epoch, *row))

# %%
# What am I?
# ----------
#
# The weights that come with the package were trained for longer. Here is an image of the test set, which
# they were never shown. The bar of the true class is orange.

image, truth = mnist.x_test[0], int(mnist.y_test[0])
_ = viz.plot_prediction(model, image, mnist.class_names, truth=truth)

# %%
# Of all test images, which one leaves the network least sure of its answer? The one whose largest probability is the
# smallest. Whether the answer is right or wrong: would you have been sure?

probabilities = modelzoo.predict(model, mnist.x_test)
confidence = probabilities.max(axis=1)
doubtful = int(confidence.argmin())
_ = viz.plot_prediction(model, mnist.x_test[doubtful], mnist.class_names, truth=int(mnist.y_test[doubtful]))

# %%
# The bars are the last layer's softmax. The forward pass in NumPy gives the same ones.

pixels, activations = mnist.x_test[doubtful].reshape(1, -1) / 255, ["relu", "relu", "softmax"]
by_hand = reference.forward(pixels, model.get_weights(), activations).output[0]
print("class:       " + "  ".join(f"{name:>6}" for name in mnist.class_names))
print("NumPy:       " + "  ".join(f"{p:6.4f}" for p in by_hand))
print("TensorFlow:  " + "  ".join(f"{p:6.4f}" for p in probabilities[doubtful]))
print(f"largest difference {np.abs(by_hand - probabilities[doubtful]).max():.1e}")

# %%
# Over the whole test set:

right = probabilities.argmax(axis=1) == mnist.y_test
print(f"{right.mean():.2%} of {len(right):,} test images right, {np.sum(~right)} wrong")
print(f"median confidence where it is right: {np.median(confidence[right]):.4f}")
print(f"median confidence where it is wrong: {np.median(confidence[~right]):.4f}")

# %%
# A digit of your own
# -------------------
#
# Take a pen and a phone, or do it as here: strokes on a sheet of paper, off its middle, in blue ink, with the
# light from one side, blur, and the noise of a camera. The file at the end is a picture like any other.


def photograph(path, seed=0):
    """Write a picture of a handwritten 2."""
    side = 360
    paper = Image.new("RGB", (side, side), (246, 242, 230))
    bow = np.radians(np.linspace(195, 405, 60))
    head = np.column_stack([215 + 52 * np.cos(bow), 110 + 50 * np.sin(bow)])
    tail = np.array([[228, 180], [196, 212], [160, 238], [208, 226], [282, 240]])
    stroke = [tuple(point) for point in np.vstack([head, tail])]
    pen = ImageDraw.Draw(paper)
    pen.line(stroke, fill=(38, 52, 120), width=15, joint="curve")
    for x, y in (stroke[0], stroke[-1]):
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(38, 52, 120))
    pixels = np.asarray(paper.filter(ImageFilter.GaussianBlur(1.5)), float)
    light = np.linspace(1, 0.62, side)[:, None] * np.linspace(0.8, 1, side)
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape)
    Image.fromarray((pixels * light[..., None] + noise).clip(0, 255).astype("uint8")).save(path)


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "my_digit.png"
    photograph(path)
    photo = np.asarray(Image.open(path))
    digit = datasets.load_digit_image(path)

# %%
# ``load_digit_image`` prepares it as MNIST's authors prepared theirs. It fits a smooth surface to the paper and takes
# away the light, so that only ink is left. It crops the digit, scales it into a box of 20 × 20 pixels with its
# proportions kept, and lays the box into 28 × 28 pixels with the centre of mass of the ink :math:`p_{ij}`,
#
# .. math::
#
#    \bar{r} = \frac{\sum_{ij} i\, p_{ij}}{\sum_{ij} p_{ij}}, \qquad
#    \bar{c} = \frac{\sum_{ij} j\, p_{ij}}{\sum_{ij} p_{ij}},
#
# in the middle. Ink is white on black there; figures show ink on black as ink on paper, and other images as they are.

shrunk = 255 - np.asarray(Image.fromarray(photo).convert("L").resize((28, 28)))
figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.9), layout="constrained")
viz.plot_image(photo, "the photo", ax=axes[0])
viz.plot_image(shrunk, "only shrunk and inverted", ax=axes[1])
_ = viz.plot_image(digit, "prepared like MNIST", ax=axes[2])

# %%


def centre_of_mass(ink):
    """Return the mean row and column of the ink."""
    rows, columns = np.indices(ink.shape)
    return np.array([np.average(rows, weights=ink), np.average(columns, weights=ink)])


centres = np.array([centre_of_mass(ink) for ink in mnist.x_test[:1000]])
print("centre of mass (row, column), in pixels from 0")
print(f"  MNIST, mean ± standard deviation: {centres.mean(axis=0).round(2)} ± {centres.std(axis=0).round(2)}")
print(f"  only shrunk: {centre_of_mass(shrunk).round(2)}")
print(f"  prepared:    {centre_of_mass(digit).round(2)}")

# %%
# So, what am I?

_ = viz.plot_prediction(model, digit, mnist.class_names, truth=2)

# %%
# And this is the answer to the same photo, only shrunk and inverted. The paper is grey there, and the digit
# lies where MNIST has none. Hardly a training image was like it. A softmax has to spread one whole probability over the
# classes; it cannot say *I have never seen such a thing*.

_ = viz.plot_prediction(model, shrunk, mnist.class_names, truth=2)

# %%
# How much does the place matter?
# -------------------------------
#
# Move every test image by some pixels, up, down, to the sides or along a diagonal. To us the digit stays what it is.
# To a dense network each pixel is an input of its own, and a moved digit lies on other inputs. The network that was
# trained above has seen centred digits only.

recipe_name = card_for(model).training["recipe_name"]
print(f"accuracy   trained above   from the package (recipe {recipe_name})")
for pixels in range(5):
    moved = shift(mnist.x_test, pixels)
    accuracy = [np.mean(modelzoo.predict(net, moved).argmax(axis=1) == mnist.y_test) for net in (beginner, model)]
    print("{:5d} px   {:13.2%}   {:16.2%}".format(pixels, *accuracy))

plt.show()

# %%
# A recipe that moves its images in training, as ``robust`` does, teaches the network what it cannot know by itself, but
# only as far as the images were moved. The next lesson's network is built to look for the same small patterns
# everywhere. Is that a remedy? There we measure it.
#
# To play with
# ------------
#
# Draw a digit small, or off the centre, or drop a photograph, and see how it is prepared and read.
# ``modelzoo play dense_500_300`` opens this page from a shell.
#
# .. play:: dense_500_300
#
# Try it
# ------
#
# - Photograph a digit of your own and run ``modelzoo.datasets.load_digit_image("photo.jpg")``, or from the shell
#   ``modelzoo predict photo.jpg --model dense_500_300``.
# - Change ``photograph``: a thinner pen, more noise, a darker corner. When does the preparation fail, and when the
#   network?
# - Draw something that is not a digit, an A or a smile. How sure is the answer?
