"""
The autoencoder: a plane of digits
==================================

Squeeze an image through a bottleneck of two numbers, and ask for the image back. Nobody tells the network what the
numbers should mean, nor which digit it sees. It has to find by itself a plane in which similar images lie side by
side, because that is the only way to get them back. Then the plane can be read in the other direction: choose
a point, and the network draws the digit that belongs there.

**What to notice**

- The labels are used for colours only, never for training.
- Two numbers found by a nonlinear network keep more of an image than the best two linear ones.
- Between the classes lie images that nobody ever wrote.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import modelzoo
from modelzoo import datasets, viz

# sphinx_gallery_thumbnail_number = 4

# %%
# The network
# -----------
#
# An encoder :math:`f` maps an image to a code, a decoder :math:`g` maps a code to an image. Both have two layers of
# tanh units; the code itself and the pixels are linear. With the batch as rows of :math:`X`,
#
# .. math::
#
#    f(X) &= \tanh(\tanh(X W_1 + B_1) W_2 + B_2) W_3 + B_3, \\
#    g(Z) &= \tanh(\tanh(Z W_4 + B_4) W_5 + B_5) W_6 + B_6,
#
# and the error is the mean squared difference of the :math:`D` pixels, on the scale from 0 to 1:
#
# .. math::
#
#    E = \frac{1}{N D} \sum_{n=1}^{N} \bigl| g(f(x_n)) - x_n \bigr|^2.

digits = datasets.load("mnist", classes=(1, 5, 6))
print(digits)
model = modelzoo.load("tanh_autoencoder")
_ = viz.plot_architecture(model)

# %%
# The lesson keeps three digits, so that a plane is room enough. The first steps of its training:

recipe = modelzoo.get_spec("tanh_autoencoder").recipe("lesson")
print(recipe.source)
beginner = modelzoo.create_model("tanh_autoencoder", seed=0)
short = recipe.replace(steps=recipe.steps // 5, log_every=recipe.steps // 50)
history = modelzoo.train(beginner, digits, short, seed=0)
_ = viz.plot_history(history).set_ylabel("mean squared error")

# %%
# Reconstruction
# --------------
#
# From here on the weights are those of the package, trained to the end. What comes back is a clean, average version of
# what went in. The slant and the kind of digit fit into two numbers. The writer's flourishes do not.

_ = viz.plot_reconstructions(model, digits, count=10, seed=0)

# %%
# Is that good? Two simpler ways to describe an image set the scale. The mean image says the same of all of them. And
# principal components are the best that linear maps can do: an autoencoder with linear units only, however deep,
# finds their plane at best (Baldi and Hornik, 1989).

train, test = (x.reshape(len(x), -1) / 255 for x in (digits.x_train, digits.x_test))
components = PCA(2, svd_solver="covariance_eigh").fit(train)
linear = components.inverse_transform(components.transform(test))

errors = {
    "mean image": np.mean((test - train.mean(axis=0)) ** 2),
    "two principal components": np.mean((test - linear) ** 2),
    "autoencoder": modelzoo.evaluate(model, digits)["loss"],
}
for name, value in errors.items():
    print(f"{name:>24}: mean squared error {value:.4f}, {value / errors['mean image']:.0%} of that of the mean image")

# %%
# The latent plane
# ----------------
#
# Each test image is a point :math:`f(x)`. The classes lie apart although the network never saw a label.

_ = viz.plot_latent(model, digits)

# %%
# How far apart? Let the nearest neighbours in the plane vote for the class of each test image, once in the plane of
# the codes and once in that of the principal components.

codes, test_codes = viz.encode(model, digits.x_train), viz.encode(model, digits.x_test)
for name, known, asked in (
    ("principal components", components.transform(train), components.transform(test)),
    ("latent plane", codes, test_codes),
):
    neighbours = KNeighborsClassifier(15).fit(known, digits.y_train)
    print(f"{name:>20}: 15 nearest neighbours are right for {neighbours.score(asked, digits.y_test):.1%}")

# %%
# Generation
# ----------
#
# Forget the encoder, choose points and decode them. Here are the middle of each class (1 to 3), the points
# half-way between two of these (4 to 6), and one far outside (7), where no training image ever led.

middles = np.array([codes[digits.y_train == k].mean(axis=0) for k in range(digits.num_classes)])
between = (middles + np.roll(middles, -1, axis=0)) / 2
outside = middles.mean(axis=0) + 3 * (middles[:1] - middles.mean(axis=0))
_ = viz.plot_decodings(model, digits, np.vstack([middles, between, outside]))

# %%
# The points half-way are a mixture of two digits, or some third thing. Nothing in the error asks that they be digits.
#
# To draw new digits, take points from where the classes are: here from the normal distribution with the mean and the
# covariance of each class in the plane. No image of these is in the training set. (The linear pixels may fall outside
# 0 to 1, so they are clipped.)

rng = np.random.default_rng(0)
drawn, labels = [], np.repeat(range(digits.num_classes), 10)
for k in range(digits.num_classes):
    members = codes[digits.y_train == k]
    drawn.append(rng.multivariate_normal(members.mean(axis=0), np.cov(members.T), size=10))
images = viz.decode(model, np.concatenate(drawn)).clip(0, 1)
_ = viz.plot_images(images, labels, class_names=digits.class_names, count=len(images))

# %%
# The manifold
# ------------
#
# Decode a whole grid of points, and the plane becomes a map. All images that the network can draw form a
# curved surface with two coordinates in the space of all images, which has one coordinate a pixel. Such a surface is
# called a manifold. First the rectangle of the original lesson:

_ = viz.plot_manifold(model)

# %%
# Every training finds a plane of its own: another seed turns it, mirrors it, stretches it. So here is the rectangle
# that the test images of *these* weights fill. Follow a path from one class to another with your finger.

_ = viz.plot_manifold(model, digits)

# %%
# Interpolation
# -------------
#
# The straight way in the plane between two images :math:`x` and :math:`x'`,
#
# .. math::
#
#    g\bigl( (1 - \alpha)\, f(x) + \alpha\, f(x') \bigr), \qquad 0 \le \alpha \le 1,
#
# turns one into the other by way of shapes. Compare it with the map: which classes does the straight line cross?

first, second = (digits.x_test[digits.y_test == digits.class_names.index(name)][0] for name in ("1", "6"))
_ = viz.plot_interpolation(model, first, second)

# %%
# The straight way between the pixels themselves, :math:`(1 - \alpha)\, x + \alpha\, x'`, only fades one image out and
# the other in.

alphas = np.linspace(0, 1, 9)
faded = np.stack([(1 - alpha) * first + alpha * second for alpha in alphas])
_ = viz.plot_images(faded, count=len(faded), columns=len(faded))
plt.show()

# %%
# To play with
# ------------
#
# Point at any code and see it decoded; walk between two digits; encode a drawing of your own.
# ``modelzoo play tanh_autoencoder`` opens this page from a shell.
#
# .. play:: tanh_autoencoder
#
# Try it
# ------
#
# - Give the code a third number: ``modelzoo.create_model("tanh_autoencoder", latent_dim=3, seed=0)``, and train it by
#   the lesson's recipe. How much does the error fall, and how much from there to eight?
# - Train on three other digits, ``datasets.load("mnist", classes=(3, 5, 8))``. Do the classes still lie apart?
# - Reconstruct what the network never saw: ``viz.plot_reconstructions(model, datasets.load("mnist").x_test)``.
