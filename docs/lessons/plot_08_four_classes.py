"""
Four classes and probability maps
=================================

Four clouds of points overlap, and a tenth of the labels are drawn anew, at random. No classifier can be right
everywhere here, and a good one knows it: it answers with a probability for each class, and its probabilities can be
taken at their word.

**What to notice**

- There is one map a class, and at every place the four maps add up to 1.
- The maps are undecided where clouds overlap, and confident where no data are: the second is a warning.
- How good a classifier can be at best is known here, because the data come from a formula.
- Only a hundred steps are needed, and different seeds reach nearly the same end.
"""

# %%
# The data
# --------
#
# They are scikit-learn's: each class is a Gaussian cloud, stretched by a random matrix. The zoo's data set is that of
# scikit-learn number by number, and adds test points from the same clouds.

import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification

import modelzoo
from modelzoo import datasets, reference, viz

# sphinx_gallery_thumbnail_number = 6

data = datasets.load("four_class")
x, y = make_classification(
    n_samples=1000,
    n_features=2,
    n_redundant=0,
    n_classes=4,
    n_clusters_per_class=1,
    class_sep=1.2,
    flip_y=0.1,
    random_state=1010,
)
print("the same points:", np.array_equal(x.astype("float32"), data.x_train))
print("the same labels:", np.array_equal(y, data.y_train))
_ = viz.plot_dataset(data)

# %%
# The network
# -----------
#
# Ten tanh units under a softmax,
#
# .. math::
#
#     \boldsymbol h = \tanh(\boldsymbol x W_1 + \boldsymbol b_1), \qquad
#     \boldsymbol y = \operatorname{softmax}(\boldsymbol h W_2 + \boldsymbol b_2), \qquad
#     E = -\frac1N \sum_n \ln y_{n, t_n},
#
# where :math:`t_n` is the class of sample :math:`n`. Each layer has inputs times units weights, and one bias a unit.

model = modelzoo.create_model("tanh_mlp", seed=0)
sizes = (2, 10, 4)
counts = [f"{n} × {m} + {m}" for n, m in itertools.pairwise(sizes)]
print("parameters:", " + ".join(counts), "=", model.count_params())
_ = viz.plot_architecture(model)

# %%
# Training
# --------
#
# A hundred steps of gradient descent over all points at once, with learning rate 0.1 and momentum 0.9. Here for four
# seeds, that is four initial draws of the weights; the band is the standard deviation over them. (``xla="off"``: a
# hundred steps are over before they would be compiled.)

recipe = modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(xla="off")
histories = [modelzoo.train(model, data, recipe, seed=0)]
for seed in (1, 2, 3):
    another = modelzoo.create_model("tanh_mlp", seed=seed)
    histories.append(modelzoo.train(another, data, recipe, seed=seed))
_ = viz.plot_training(histories)

accuracies = np.array([history.history["test_accuracy"][-1] for history in histories])
print(f"test accuracy: {accuracies.mean():.2%} ± {accuracies.std(ddof=1):.2%}")

# %%
# Probability maps
# ----------------
#
# One map a class, each with the test points of that class on top.

_ = viz.plot_probability_maps(model, data)

# %%
# The four maps are not independent. The softmax shares one unit of probability among the classes at every place.

grid = viz.probability_grid(model, ((-4, 4), (-4, 4)), resolution=100)
total = grid.probabilities.sum(axis=2)
print(f"sum of the maps: from {total.min():.6f} to {total.max():.6f} on {total.size:,} points of the plane")

# %%
# Ask for one point near a border and for one far away from all data. There the network is sure as well, though it has
# never seen anything like it: a softmax says which class fits *better*, not whether any fits.

top = grid.probabilities.max(axis=2)
place = np.unravel_index(top.argmin(), top.shape)
undecided = np.array([[grid.x1[place], grid.x2[place]]])
far = np.array([[40.0, 40.0]])
for name, point in {"most undecided point": undecided, "far away": far}.items():
    p = modelzoo.predict(model, point)[0]
    print(f"{name:20} ({point[0, 0]:5.2f}, {point[0, 1]:5.2f}): {p.round(3)}")
ax = viz.plot_class_scores(modelzoo.predict(model, undecided)[0], data.class_names)
_ = ax.set_title(f"at ({undecided[0, 0]:.2f}, {undecided[0, 1]:.2f})")

# %%
# Take the most probable class everywhere, and the maps become regions.

_ = viz.plot_regions(model, data)

# %%
# What the ten units see
# ----------------------
#
# Every unit looks in one direction and changes its sign on a line. Those lines are where the borders of the regions are
# made of.

_ = viz.plot_hidden_units(model, data)

# %%

_ = viz.plot_unit_maps(model, data, columns=5)

# %%
# Which classes are mistaken for which
# ------------------------------------

_ = viz.plot_confusion_matrix(model, data)

# %%
# Can the probabilities be taken at their word? Of all points to which the network gave about 70 %, about 70 % should
# be right. The curve compares the two.

_ = viz.plot_reliability(model, data)

# %%
# How good can it be?
# -------------------
#
# The clouds are known, so Bayes' rule gives the probability of each class at each point,
#
# .. math::
#
#     P(k \mid \boldsymbol x) = 0.9\, \frac{p_k(\boldsymbol x)}{\sum_j p_j(\boldsymbol x)} + \frac{0.1}{4},
#
# with the density :math:`p_k` of cloud :math:`k`; the last term is the tenth of the labels that were redrawn. Nobody
# can do better, on average, than to choose the most probable class. The zoo's pretrained weights come from a longer
# training on more points.

pretrained = modelzoo.load("tanh_mlp")
fresh = datasets.load("four_class", n_test=20_000)
scores = {
    "lesson's recipe": modelzoo.evaluate(model, fresh)["accuracy"],
    "pretrained": modelzoo.evaluate(pretrained, fresh)["accuracy"],
    "Bayes, on the same points": np.mean(datasets.bayes_predict("four_class", fresh.x_test) == fresh.y_test),
    "Bayes, expected": datasets.bayes_accuracy("four_class"),
}
for name, accuracy in scores.items():
    print(f"{name:26} {accuracy:.2%}")

# %%
# The best possible regions. One cloud is as thin as a line, and so is the sliver of the plane that its class owns: it
# can be seen only in the enlarged part on the right. A short training does not find it, and gives this class too
# much room.


def bayes(points):
    return datasets.one_hot(datasets.bayes_predict("four_class", points), 4)


figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
for ax, limits in zip(axes, (None, ((1.0, 1.1), (-1.08, -0.96))), strict=True):
    viz.plot_regions(bayes, data, limits=limits, ax=ax)
for ax, title in zip(axes, ("Bayes' regions", "a part of them, enlarged"), strict=True):
    ax.set_title(title)

# %%
# What the pretrained network makes of it.

_ = viz.plot_probability_maps(pretrained, data)

# %%
# The forward pass in NumPy, as ever: what the maps are made of is two products of matrices and two functions.

passed = reference.forward(data.x_test, model.get_weights(), ["tanh", "softmax"])
print("largest deviation:", np.abs(passed.output - modelzoo.predict(model, data.x_test)).max())
plt.show()

# %%
# To play with
# ------------
#
# Train the network here, with other rates, batches and points. ``modelzoo play`` opens this page from a shell.
#
# .. play:: playground#tab=train&net=tanh_mlp
#
# Try it
# ------
#
# * Train with ``hidden_units=2`` and with 50, and compare the maps.
# * Move to another set of clouds with ``datasets.load("four_class", seed=7)``.
# * Train on all labels turned to chance, ``np.random.default_rng(0).permutation(data.y_train)``. What do the maps and
#   the reliability curve show now?
