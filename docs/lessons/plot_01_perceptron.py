"""
The perceptron and its separating line
======================================

The oldest artificial neuron adds up what it receives, compares the sum with a threshold, and says yes or no. With two
inputs everything about it can be seen in the plane.

**What to notice**

- The two weights are an arrow, and the decision is a straight line at a right angle to it.
- Learning means to turn and shift the line until no point is on the wrong side.
- One line cannot do everything, but a few units together can.
"""

# %%
# The unit
# --------
#
# A perceptron with inputs :math:`\boldsymbol x`, weights :math:`\boldsymbol w` and threshold :math:`\theta` gives
#
# .. math::
#
#     y = H(\boldsymbol w \cdot \boldsymbol x - \theta), \qquad
#     H(z) = \begin{cases} 1 & z > 0 \\ 0 & z \le 0. \end{cases}
#
# :math:`H` is Heaviside's step. Here is the unit for one point, written as it is read.

import time

import matplotlib.pyplot as plt
import numpy as np

import modelzoo
from modelzoo import datasets, reference, viz
from modelzoo.errors import InputError

# sphinx_gallery_thumbnail_number = 4


def perceptron(x, weights, threshold):
    total = 0.0
    for x_i, w_i in zip(x, weights, strict=True):
        total += w_i * x_i
    return 1 if total > threshold else 0


# %%
# It computes logical functions. With weights and thresholds set by hand, one unit is an AND, an OR or a NAND gate.

gates = {"AND": ((1, 1), 1.5), "OR": ((1, 1), 0.5), "NAND": ((-1, -1), -1.5)}
corners = [(0, 0), (0, 1), (1, 0), (1, 1)]

print("x1 x2  " + "  ".join(gates))
for corner in corners:
    answers = [perceptron(corner, *gate) for gate in gates.values()]
    print(*corner, "", *(f"{answer:{len(name) + 1}}" for name, answer in zip(gates, answers, strict=True)))

# %%
# Twenty points and a line
# ------------------------
#
# The toy points lie on both sides of the line :math:`x_2 = 0.5\, x_1 - 0.2`. A point above it belongs to class 1.

toy = datasets.load("toy_points")
ax = viz.plot_points(toy)
_ = ax.set_title(f"{len(toy.x_train)} training points")

# %%
# "Above the line" is :math:`-0.5\, x_1 + 1\, x_2 > -0.2`. That is a perceptron: its weights and its threshold can be
# read off. Of the zoo's :func:`~modelzoo.models.threshold_perceptron` they can be set by hand.

w, threshold = np.array([-0.5, 1.0]), -0.2
by_hand = modelzoo.create_model("threshold_perceptron", weights=w, threshold=threshold)
_ = viz.plot_architecture(by_hand)

# %%
# The library, and every library like it, stores a *bias* :math:`b = -\theta` instead of the threshold. It is the
# weight of an input that is always 1, the dashed circle above. The unit says 1 where
# :math:`\boldsymbol w \cdot \boldsymbol x + b > 0`.

_ = viz.plot_decision_line(by_hand, toy.train).set_title("set by hand")

# %%
# The boundary :math:`\boldsymbol w \cdot \boldsymbol x + b = 0` is a line, and :math:`\boldsymbol w` stands at a right
# angle to it and points to the side of class 1. The distance of a point from the line is
# :math:`|\boldsymbol w \cdot \boldsymbol x + b| / \lVert\boldsymbol w\rVert`. So three times the weights and three
# times the threshold are the same line.

point = toy.x_train[0]
for factor in (1, 3):
    excess = factor * (w @ point - threshold)
    print(f"weights × {factor}: w·x + b = {excess:+.3f}, distance {excess / np.linalg.norm(factor * w):+.3f}")

# %%
# Many points at once
# -------------------
#
# Nobody calls a neuron point by point. The points are the rows of a matrix :math:`X`, and one product of a matrix with
# a vector answers for all of them: :math:`\boldsymbol y = H(X \boldsymbol w - \theta)`. The network, the loop and the
# product agree on every point.


def vectorised(points, weights, threshold):
    return reference.heaviside(points @ weights - threshold)


print("network  :", modelzoo.predict(by_hand, toy.x_train)[:, 0].astype(int))
print("loop     :", np.array([perceptron(x, w, threshold) for x in toy.x_train]))
print("product  :", vectorised(toy.x_train, w, threshold).astype(int))
print("labels   :", toy.y_train)

# %%
# The product is also much faster.

cloud = np.random.default_rng(0).uniform(-1, 1, (100_000, 2))
start = time.perf_counter()
one_by_one = [perceptron(x, w, threshold) for x in cloud]
loop_seconds = time.perf_counter() - start
start = time.perf_counter()
at_once = vectorised(cloud, w, threshold)
product_seconds = time.perf_counter() - start
print(f"{len(cloud):,} points: loop {1e3 * loop_seconds:.0f} ms, product {1e3 * product_seconds:.1f} ms")
print("same answers:", np.array_equal(one_by_one, at_once))

# %%
# Learning the line
# -----------------
#
# Rosenblatt's rule finds weights by itself. Take the points one after the other; where the unit is right, do nothing;
# where it is wrong, move the weights towards the point or away from it:
#
# .. math::
#
#     \boldsymbol w \leftarrow \boldsymbol w + \eta\,(t - y)\,\boldsymbol x, \qquad b \leftarrow b + \eta\,(t - y),
#
# with the label :math:`t`, the answer :math:`y` and the step size :math:`\eta > 0`. Stop when a whole pass over the
# points, an *epoch*, makes no mistake.

rule = reference.perceptron_rule(toy.x_train, toy.y_train)
print(f"weights {rule.weights.round(3)}, bias {rule.bias:+.3f}")
print(f"{rule.updates} corrections in {rule.epochs} epochs")
ax = viz.plot_decision_line((rule.weights, rule.bias), toy.train, class_names=toy.class_names)
_ = ax.set_title("found by the perceptron rule")

# %%
# **It always ends.** If some line separates the points, the rule makes at most :math:`(R / \gamma)^2` corrections:
# :math:`R` is the length of the longest input, with the constant 1 appended to it, and :math:`\gamma` the distance of
# the nearest point from a separating plane through the origin (Novikoff 1962). Our line by hand is such a plane. Any
# separating line gives a valid bound; the one that leaves most room gives the best.

with_one = np.column_stack([toy.x_train, np.ones(len(toy.x_train))])
plane = np.append(w, -threshold)
signs = 2 * toy.y_train - 1
margin = (signs * (with_one @ plane)).min() / np.linalg.norm(plane)
radius = np.linalg.norm(with_one, axis=1).max()
print(f"R = {radius:.3f}, γ = {margin:.3f}: at most {int((radius / margin) ** 2)} corrections; it made {rule.updates}")

# %%
# **The same in the zoo.** The recipe of :func:`~modelzoo.models.threshold_perceptron` is the same rule, one random
# point a step. The loss is half the number of mistakes, because each costs :math:`\frac12 (y - t)^2 = \frac12`.

model = modelzoo.create_model("threshold_perceptron", seed=0)
history = modelzoo.train(model, toy, "lesson", seed=0)
_ = viz.plot_history(history).set_ylabel("loss: half the number of mistakes")

# %%
# Three lines, one set of points: 1 was set by hand, 2 was found by the rule in NumPy, 3 by the zoo's recipe. All of
# them separate the training points. Which one is best on *new* points? The rule does not ask: it stops at the first
# line that makes no mistake.

lines = {
    "1 by hand": (w, -threshold),
    "2 rule in NumPy": (rule.weights, rule.bias),
    "3 zoo": (model.get_weights()[0][:, 0], model.get_weights()[1][0]),
}
for name, (weights, bias) in lines.items():
    wrong = [int((vectorised(x, weights, -bias) != y).sum()) for x, y in toy]
    print(f"{name:16} mistakes: {wrong[0]} of {len(toy.x_train)} in training, {wrong[1]} of {len(toy.x_test)} in test")

columns = np.column_stack([weights for weights, _ in lines.values()])
_ = viz.plot_hidden_units((columns, [bias for _, bias in lines.values()]), toy.train, class_names=toy.class_names)

# %%
# What one line cannot do
# -----------------------
#
# Exclusive or is 1 where exactly one input is 1. No line has the corners :math:`(0,1)` and :math:`(1,0)` on one side
# and :math:`(0,0)` and :math:`(1,1)` on the other, and the rule never comes to rest.

xor = datasets.load("xor")
try:
    reference.perceptron_rule(xor.x_train, xor.y_train)
except InputError as error:
    print(error)

# %%
# Three units can: a point is in XOR when it is in OR *and* in NAND. Two units look at the inputs, the third looks at
# those two. This is a network with a hidden layer, and lesson 5 lets it find such units by itself.

for corner in corners:
    hidden = [perceptron(corner, *gates[name]) for name in ("OR", "NAND")]
    print(corner, "→ OR, NAND =", hidden, "→ XOR =", perceptron(hidden, *gates["AND"]))

# %%
# The two hidden units draw two lines, and what lies between them is class 1.

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
box = ((-0.5, 1.5), (-0.5, 1.5))
hidden_weights = np.column_stack([gates["OR"][0], gates["NAND"][0]])
hidden_biases = -np.array([gates["OR"][1], gates["NAND"][1]])
viz.plot_hidden_units((hidden_weights, hidden_biases), xor, limits=box, ax=axes[0])


def by_three_units(x):
    return vectorised(reference.heaviside(x @ hidden_weights + hidden_biases), np.array([1, 1]), 1.5)


viz.plot_regions(by_three_units, xor, limits=box, ax=axes[1])
for ax, title in zip(axes, ("1: OR, 2: NAND", "AND of the two"), strict=True):
    ax.set_title(title)

plt.show()

# %%
# To play with
# ------------
#
# Move the line yourself: choose the unit, and change its weights until all points are on their sides.
# ``modelzoo play threshold_perceptron`` opens this page from a shell.
#
# .. play:: threshold_perceptron
#
# Try it
# ------
#
# * Load more points with ``datasets.load("toy_points", n=500)``. Do the corrections follow the bound?
# * Give ``perceptron_rule`` another ``learning_rate``. From zero weights it makes the same corrections: why?
# * Turn the label of one point around, ``toy.y_train[0] = 1 - toy.y_train[0]``, and run the rule again.
# * NAND alone is enough to build every logical function. Build XOR from four of them.
