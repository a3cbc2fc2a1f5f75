"""
The convolutional network: kernels, feature maps and mistakes
=============================================================

A dense network does not know which pixels are neighbours. A convolutional network is built on nothing else: each of
its units sees a small window, and the same few weights slide over the whole image. This lesson opens the trained
network and looks at every stage, then at what it gets wrong, and asks whether its confidence can be trusted.

**What to notice**

- A kernel is a small image of the pattern it responds to; its feature map says where that pattern is.
- Move the digit, and the maps move with it. The answer is another matter.
- Most weights sit not in the convolutions but in the dense layer after them.
- A probability of 90% should be right nine times out of ten. That can be measured.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix

import modelzoo
from modelzoo import datasets, viz
from modelzoo.datasets.corruptions import shift
from modelzoo.evaluation import reliability

# sphinx_gallery_thumbnail_number = 8

# %%
# The network
# -----------
#
# Two convolutions, each followed by pooling, then a dense layer with dropout, and a softmax.

mnist = datasets.load("mnist")
model = modelzoo.load("two_conv_cnn")
_ = viz.plot_architecture(model)

# %%
# A convolution with :math:`C` input channels has a kernel of :math:`5 \times 5 \times C` weights for each of its
# output maps. With ReLU :math:`h`, map :math:`k` at row :math:`i` and column :math:`j` is
#
# .. math::
#
#    a_{ijk} = h\Bigl( b_k + \sum_{u=-2}^{2} \sum_{v=-2}^{2} \sum_{c=1}^{C} x_{i+u,\,j+v,\,c}\; w_{uvck} \Bigr),
#
# where pixels beyond the border count as 0. (Strictly this is a cross-correlation. A convolution would turn the
# kernel by 180°, which makes no difference to weights that are learned.) Pooling keeps the largest value of each
# square of 2 × 2. A dense layer from the image to as many values as the first convolution has would need a weight for
# each pair.

for name in ("conv_1", "conv_2", "hidden", "logits"):
    kernel = model.get_layer(name).kernel
    sizes = " × ".join(map(str, kernel.shape))
    print(f"{name:>7}: {sizes} weights + {kernel.shape[-1]} biases = {model.get_layer(name).count_params():,}")
pixels, values = np.prod(mnist.input_shape), np.prod(mnist.input_shape) * model.get_layer("conv_1").filters
print(f"a dense layer in place of conv_1: {pixels} × {values} + {values} = {pixels * values + values:,}")

# %%
# Training, a little
# ------------------
#
# The original lesson takes a thousand steps with Adam and looks at the accuracy every hundred. A fraction of that
# shows how fast this network starts. In training, dropout multiplies each unit of the dense layer by 0 with
# probability :math:`p`, and by :math:`1/(1-p)` otherwise, so that its expected value stays what it is. No unit
# can rely on another one being there. In use nothing is dropped.

recipe = modelzoo.get_spec("two_conv_cnn").recipe("lesson")
print(recipe.source)
beginner = modelzoo.create_model("two_conv_cnn", seed=0)
short = recipe.replace(steps=recipe.steps // 10, log_every=recipe.steps // 100, validation_freq=10)
history = modelzoo.train(beginner, mnist, short, seed=0)
test_accuracy = history.history["test_accuracy"][-1]
print(f"after {short.steps} steps of {short.batch_size} images: {test_accuracy:.1%} of the test images are right")
_ = viz.plot_history(history, "accuracy")

# %%
# The training accuracy is that of a network with half its dense units missing, averaged over the steps since the last
# point. The test accuracy, taken once at the end, is that of the whole network.
#
# Kernels
# -------
#
# From here on we use the trained weights of the package. The kernels of the first layer see the image itself. One that
# is blue on one side and orange on the other answers where ink ends, in one direction: it finds edges. One with a blue
# bar between orange ones finds lines.

_ = viz.plot_kernels(model)

# %%
# A kernel of the second layer has one slice for each map below it. These are the slices for the first map. They do not
# see ink any more, but the places of a pattern, and combine the places of several patterns into larger ones: corners,
# bows, ends of strokes. Seen one slice at a time they tell little.

_ = viz.plot_kernels(model, layer="conv_2", channel=0, count=32)

# %%
# Feature maps
# ------------
#
# Here is what each layer makes of one image. Towards the output the maps become coarser and more numerous: where
# something is matters less and less, what it is more and more. The dense layer keeps no place at all.

image, truth = mnist.x_test[0], int(mnist.y_test[0])
_ = viz.plot_feature_maps(model, image)

# %%
# The sum above takes a few lines of NumPy: all windows of the padded image, times the kernels, then the largest of each
# square. They give the network's own maps.

kernel, bias = model.get_layer("conv_1").get_weights()
windows = np.lib.stride_tricks.sliding_window_view(np.pad(image / 255, 2), (5, 5))
convolved = np.maximum(0, np.einsum("ijuv,uvk->kij", windows, kernel[:, :, 0]) + bias[:, None, None])
pooled = convolved.reshape(-1, 14, 2, 14, 2).max(axis=(2, 4))

maps = viz.feature_maps(model, image, ["conv_1", "pool_1"])
print(f"conv_1: largest difference {np.abs(convolved - maps['conv_1']).max():.1e} of {convolved.max():.2f}")
print(f"pool_1: largest difference {np.abs(pooled - maps['pool_1']).max():.1e} of {pooled.max():.2f}")

# %%
# The same weights everywhere: so if the image moves, the maps move with it. This is called *equivariance*. Two pixels
# to the right in the image are two in the first maps, and one after pooling.

moved = viz.feature_maps(model, np.roll(image, 2, axis=1), ["conv_1", "pool_1"])
for name, columns in (("conv_1", 2), ("pool_1", 1)):
    difference = np.abs(np.roll(maps[name], columns, axis=2) - moved[name]).max()
    print(f"{name}: moved image against maps moved by {columns}: largest difference {difference:.1e}")

# %%
# Does the answer stay the same, then? That would be *invariance*, and equivariance is not enough for it. The dense
# layer has a weight of its own for each place of the last maps, and pooling forgives one pixel, not four. The last
# lesson moved the test images to see how a dense network takes it. Here are both networks on the same images.

some, labels = mnist.x_test[:2000], mnist.y_test[:2000]
networks = {"dense_500_300": modelzoo.load("dense_500_300"), "two_conv_cnn": model}
print(f"accuracy on {len(some):,} test images\nmoved by  " + "  ".join(networks))
for pixels in range(5):
    images = shift(some, pixels)
    accuracy = {n: np.mean(modelzoo.predict(m, images).argmax(axis=1) == labels) for n, m in networks.items()}
    print(f"{pixels:5d} px  " + "  ".join(f"{share:{len(name)}.1%}" for name, share in accuracy.items()))

# %%
# Compare the rows, but with the recipes in mind: images that are moved in training teach either network a part of it.
#
# What it looks at
# ----------------
#
# Which pixels does the answer depend on? Let :math:`z_k` be the score of class :math:`k` before the softmax. Its
# gradient with respect to the image :math:`x`,
#
# .. math::
#
#    s = \frac{\partial z_k}{\partial x}, \qquad z_k(x + \delta) \approx z_k(x) + \sum_{ij} s_{ij} \delta_{ij},
#
# comes from the same back-propagation that trains the network, only one step further, to the input. Simonyan,
# Vedaldi and Zisserman (2014) called its size the saliency.

_ = viz.plot_saliency(model, image, class_names=mnist.class_names)

# %%
# Two places are worth looking at: on the ink, where no stroke may be missing, and beside it, where one more stroke
# would make another digit.
#
# To check the gradient, walk a small way :math:`\delta = \pm\tfrac{1}{2} h s / |s|` along it: the score should change
# by :math:`h\,|s|`. A little noise comes first. On blank paper the four values that a pool compares are equal, and
# there the score has a kink, where no gradient describes it.

noisy = image + np.random.default_rng(0).normal(0, 4, image.shape)
slope, predicted = viz.saliency(model, noisy)
scores = keras.Model(model.inputs, model.get_layer("logits").output)
length, step = np.linalg.norm(slope), 2.0
ends = modelzoo.predict(scores, np.stack([noisy + sign * step / 2 * slope / length for sign in (-1, 1)]))[:, predicted]
print(f"change of the score over {step:g} grey levels: {ends[1] - ends[0]:.4f}, by the gradient {step * length:.4f}")

# %%
# What it gets wrong
# ------------------
#
# The confusion matrix counts how often each true class was taken for each class. Right answers lie on the diagonal.

probabilities = modelzoo.predict(model, mnist.x_test)
_ = viz.plot_confusion_matrix(mnist, probabilities)

# %%

counts = confusion_matrix(mnist.y_test, probabilities.argmax(axis=1))
np.fill_diagonal(counts, 0)
print("most frequent confusions")
for place in counts.argsort(axis=None)[::-1][:3]:
    truth, answer = np.unravel_index(place, counts.shape)
    print(f"  {truth} taken for {answer}: {counts[truth, answer]} times")

# %%
# The surest mistakes come first, each with its three best guesses and the truth. Cover the titles and try yourself.
# Some of these digits nobody reads with certainty, and some labels are open to doubt.

_ = viz.plot_misclassified(mnist, probabilities, count=18)

# %%
# Is it as sure as it should be?
# ------------------------------
#
# Sort the answers into bins :math:`B_b` by the confidence, the probability of the predicted class. A classifier is
# *calibrated* if in every bin the share of right answers is the mean confidence. The expected calibration error
# (Guo et al., 2017) is the mean distance between the two,
#
# .. math::
#
#    \mathrm{ECE} = \sum_b \frac{|B_b|}{N}\, \bigl| \operatorname{acc}(B_b) - \operatorname{conf}(B_b) \bigr|.

_ = viz.plot_reliability(mnist, probabilities)

# %%
# Bars above the diagonal mean that the network is under-confident, bars below that it is over-confident. Faint bars
# rest on few images. Training with label smoothing, whose targets are a little less than 1, lowers the confidence;
# training for long with hard targets raises it above the accuracy.

confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == mnist.y_test
error = reliability(right, confidence).calibration_error
manner = "too little" if confidence.mean() < right.mean() else "too much"
print(f"accuracy {right.mean():.2%}, mean confidence {confidence.mean():.2%}: it claims {manner}")
print(f"expected calibration error {error:.2%}")
plt.show()

# %%
# To play with
# ------------
#
# Draw a digit, and see every feature map and which pixels mattered. ``modelzoo play two_conv_cnn`` opens this page from
# a shell.
#
# .. play:: two_conv_cnn
#
# Try it
# ------
#
# - Look at the saliency of another class: ``viz.plot_saliency(model, image, class_index=9)``. Which strokes would make
#   the image that digit?
# - Divide the logits by a temperature :math:`T` before the softmax, ``reference.softmax(logits / T)``. Find the
#   :math:`T` with the smallest calibration error on one half of the test set, and measure on the other half.
# - Draw the feature maps of a digit of your own, prepared as in the last lesson.
