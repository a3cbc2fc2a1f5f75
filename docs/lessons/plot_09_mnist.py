"""
MNIST with one hidden layer
===========================

Until here a network saw two numbers and answered with a colour of the plane. Now it sees a picture: a handwritten
digit, as a scanner saw it. Nothing in the mathematics changes. There are only more numbers, so many that nobody can
look at the weights one by one any more. This lesson trains the smallest network that reads digits, by the recipe of
the original lesson, and then looks at what its hidden units have learned to look for.

**What to notice**

- The two equations below are those of the toy networks, with larger matrices.
- A class is predicted by a probability, and the error is the surprise at the truth.
- A weight whose pixel never carries ink never changes.
- What a hidden unit has learned can be looked at, for its weights are a picture.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import modelzoo
from modelzoo import datasets, reference, viz
from modelzoo.registry import card_for

# sphinx_gallery_thumbnail_number = 6

# %%
# The data
# --------
#
# MNIST comes with the package. An image is a square of grey levels from 0, no ink, to 255, full ink.

mnist = datasets.load("mnist")
print(mnist)
print(f"grey levels from {mnist.x_train.min()} to {mnist.x_train.max()}, {np.prod(mnist.input_shape)} pixels an image")

# %%
# The classes are nearly equally frequent, and the mean image of each is still legible: MNIST's authors centred
# every digit by its centre of mass. How blurred a mean is shows how differently people write that digit.

_ = viz.plot_dataset(mnist)

# %%

_ = viz.plot_images(mnist, count=30, columns=10, seed=0)

# %%
# The network
# -----------
#
# An image is read row by row into a row vector :math:`x` with one number a pixel, divided by 255. It forgets which
# pixels are neighbours: shuffle the pixels of all images in the same way, and this network learns just as well. With
# :math:`m` hidden units and :math:`K` classes,
#
# .. math::
#
#    a = \max(0,\; x W_1 + b_1), \qquad y = \operatorname{softmax}(a W_2 + b_2),
#    \qquad \operatorname{softmax}(z)_k = \frac{e^{z_k}}{\sum_j e^{z_j}}.
#
# The hidden units are rectified linear units, ReLU for short. Such a unit answers 0 on one side of a hyperplane
# and rises linearly on the other.

model = modelzoo.create_model("relu_mlp", seed=0)
_ = viz.plot_architecture(model, output_names=mnist.class_names)

# %%
# Nearly all parameters belong to the first layer.

for layer in (model.get_layer("hidden_1"), model.get_layer("logits")):
    inputs, units = layer.kernel.shape
    print(f"{layer.name:>8}: {inputs} × {units} weights + {units} biases = {layer.count_params():,}")
print(f"{'together':>8}: {model.count_params():,}")

# %%
# The error
# ---------
#
# With the targets :math:`t_{nk}` one-hot, 1 for the true class and 0 for the others, the error is the cross-entropy
#
# .. math::
#
#    E = -\frac{1}{N} \sum_{n=1}^{N} \sum_{k=1}^{K} t_{nk} \ln y_{nk},
#
# the mean of minus the logarithm of the probability that the true class got. Whoever gives each of :math:`K` classes
# the probability :math:`1/K` has the error :math:`\ln K`. The untrained network should not be better than that.

untrained = modelzoo.evaluate(model, mnist)
print(f"untrained network: error {untrained['loss']:.3f}, accuracy {untrained['accuracy']:.1%}")
print(f"always 1/K:        error {np.log(mnist.num_classes):.3f}, accuracy about {1 / mnist.num_classes:.1%}")

# %%
# The same in NumPy
# -----------------
#
# The lesson on back-propagation derived the gradients of such a network in matrix form:
#
# .. math::
#
#    \Delta_2 = \frac{1}{N} (Y - T), \qquad \Delta_1 = (\Delta_2 W_2^T) \odot h'(Z_1), \qquad
#    \frac{\partial E}{\partial W_2} = A^T \Delta_2, \qquad \frac{\partial E}{\partial W_1} = X^T \Delta_1,
#
# and the gradient of a bias is the sum of the rows of its :math:`\Delta`. ``reference`` holds these lines in NumPy.
# They give what TensorFlow gives, at every one of the weights, up to the rounding of 32-bit numbers.

images, labels = mnist.x_train[:50], mnist.y_train[:50]
weights, activations = model.get_weights(), ["relu", "softmax"]
passed = reference.forward(images.reshape(len(images), -1) / 255, weights, activations)
error_gradient = reference.softmax_cross_entropy_gradient(passed.pre[-1], labels)
by_hand = reference.backward(passed, weights, activations, error_gradient, from_logits=True)

with tf.GradientTape() as tape:
    probabilities = model(images, training=True)
    error = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
by_tensorflow = tape.gradient(error, model.trainable_variables)

print(f"error: {reference.softmax_cross_entropy(passed.pre[-1], labels):.6f} by hand, {error:.6f} by TensorFlow")
for variable, one, other in zip(model.trainable_variables, by_hand, by_tensorflow, strict=True):
    difference = np.abs(one - other).max() / np.abs(one).max()
    print(f"{variable.path:>15}: largest difference {difference:.1e} of the largest gradient")

# %%
# Training
# --------
#
# The gradient over all images would cost as much as an evaluation of the whole training set, for a single step.
# Instead each step takes a small random batch, whose gradient :math:`g` is right on average. Adam (Kingma and Ba, 2015)
# averages the gradients and their squares, and so gives every weight a step length of its own:
#
# .. math::
#
#    m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \qquad
#    w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}.

recipe = modelzoo.get_spec("relu_mlp").recipe("lesson")
print(recipe.source)

history = modelzoo.train(model, mnist, recipe, seed=0)
print("  step   training error   test error   test accuracy")
for row in zip(*(history.history[name] for name in ("step", "loss", "test_loss", "test_accuracy")), strict=True):
    print("{:6.0f}   {:14.3f}   {:10.3f}   {:13.1%}".format(*row))

# %%
# Both errors fall together. Images that the network has never seen are no harder for it than those it learned from:
# it does not learn by heart yet. The curves still point downwards at the end, so this recipe stops early.

_ = viz.plot_training(history)

# %%
# What the hidden units look for
# ------------------------------
#
# A hidden unit computes the inner product of the image with its weights. These have one number a pixel, so they are an
# image too. Ink where the unit is blue raises its answer, ink where it is orange lowers it.

_ = viz.plot_weights(model, count=40).set_title("hidden_1 after training: the first 40 of its units")

# %%
# This is noise: the initial weights, drawn from :math:`\mathcal{N}(0, 0.1^2)`, outweigh what so short a training
# adds to them. The network reads digits all the same. To see what it has learned, subtract where it started.

learned, initial = (modelzoo.create_model("relu_mlp", seed=0) for _ in range(2))
learned.set_weights([end - start for end, start in zip(model.get_weights(), initial.get_weights(), strict=True)])
_ = viz.plot_weights(learned, count=40).set_title("hidden_1 after training minus hidden_1 before")

# %%
# Strokes and blobs appear, and a border where nothing has changed. Where a pixel is 0 in every training image, its
# column of :math:`X` is 0, so the row of :math:`\partial E / \partial W_1 = X^T \Delta_1` that belongs to it is 0, in
# each step. Those weights are still the initial ones, to the last bit.

never_inked = mnist.x_train.max(axis=0) == 0
change = np.abs(viz.first_layer_weights(learned))
print(f"{never_inked.sum()} of {never_inked.size} pixels are 0 in all {len(mnist.x_train):,} training images")
print(f"largest change of one of their weights: {change[:, never_inked].max()}")
print(f"mean change of the other weights:       {change[:, ~never_inked].mean():.3f}")

# %%
# The same network, trained for longer
# ------------------------------------
#
# ``modelzoo.load`` gives the weights that come with the package. The recipe ``tuned`` trains the same network for many
# more steps on distorted copies of the images, which are turned, sheared, shifted and bent a little each time. Its
# weight decay, :math:`w \leftarrow w - \eta \lambda w` in each step, pulls towards 0 whatever the data do not need.

trained = modelzoo.load("relu_mlp")
print(f"the recipe on its card: {card_for(trained).training['recipe_name']}")
for name, network in (("lesson, trained above", model), ("from the package", trained)):
    found = modelzoo.evaluate(network, mnist)
    error_rate, n = 1 - found["accuracy"], len(mnist.x_test)
    uncertainty = np.sqrt(error_rate * (1 - error_rate) / n)
    print(f"{name:>22}: error {found['loss']:.3f}, {error_rate:.2%} ± {uncertainty:.2%} of {n:,} test images wrong")

# %%
# The uncertainty is the standard deviation :math:`\sqrt{p (1 - p) / n}` of a share :math:`p` that is counted over
# :math:`n` images. It tells how much of a difference could be luck with this test set.
#
# Long training leaves nothing of the noise. Now the weights themselves are strokes with their opposites beside
# them: such a unit asks whether there is ink *here and not there*. A blank square, if there is one, is a unit whose
# weights have decayed to nothing; the network does without it.

_ = viz.plot_weights(trained, count=40).set_title("hidden_1 from the package: the first 40 of its units")

# %%

largest = np.abs(viz.first_layer_weights(trained)).max(axis=(1, 2))
print(f"{(largest < 0.05 * largest.max()).sum()} of {len(largest)} units have no weight above 5% of the largest one")
plt.show()

# %%
# To play with
# ------------
#
# Draw a digit, and see what the network makes of it, every hidden unit included. ``modelzoo play relu_mlp`` opens this
# page from a shell.
#
# .. play:: relu_mlp
#
# Try it
# ------
#
# - Give the network fewer or more hidden units: ``modelzoo.create_model("relu_mlp", hidden_units=10, seed=0)``. How
#   many does it need for 90% of the test images?
# - Take larger steps: ``recipe.replace(learning_rate=1e-3)``. When do the two curves part?
# - Shuffle the pixels, ``order = np.random.default_rng(0).permutation(784)``, in the same way in all images, and train
#   again. Then look at the weights.
