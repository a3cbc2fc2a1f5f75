"""
XOR and its error surface
=========================

Training a network is a walk down a landscape with one dimension for each weight. The smallest network that learns
exclusive or has nine. Nobody can draw nine dimensions, but slices through them can be drawn, and four data points are
few enough to compute everything exactly.

**What to notice**

- With all weights but one held fixed, each sample wants something else, and the sum is the compromise.
- The surface has plateaus, on which a descent hardly moves, and more than one valley.
- After training, the hidden layer has moved the four corners to where a line can separate them.
- From some starts the same training gets stuck in a valley that does not end.
"""

# %%
# Why one unit is not enough
# --------------------------
#
# A unit that says 1 where :math:`w_1 x_1 + w_2 x_2 + b > 0` would need, for the four corners,
#
# .. math::
#
#     b \le 0, \qquad w_2 + b > 0, \qquad w_1 + b > 0, \qquad w_1 + w_2 + b \le 0.
#
# The second and the third add up to :math:`w_1 + w_2 + 2b > 0`, the first and the last to
# :math:`w_1 + w_2 + 2b \le 0`. No weights do both.

import keras
import matplotlib.pyplot as plt
import numpy as np

import modelzoo
from modelzoo import datasets, reference, viz
from modelzoo.models.mlp import XOR_LESSON_WEIGHTS, xor_weights

# sphinx_gallery_thumbnail_number = 13

xor = datasets.load("xor")
_ = viz.plot_points(xor)

# %%
# A logistic unit trained on these points therefore gives up. Its cross-entropy has a single minimum, and that is to
# answer ½ to everything.

ones = np.column_stack([xor.x_train, np.ones(4)])
gave_up = reference.gradient_descent(
    lambda w: ones.T @ (reference.logistic(ones @ w) - xor.y_train), np.array([1.0, -0.5, 0.2]), 0.5, 500
)
print("weights:", gave_up.round(6) + 0.0, " answers:", reference.logistic(ones @ gave_up).round(6))

# %%
# The network and its nine weights
# --------------------------------
#
# Two logistic hidden units and a logistic output,
#
# .. math::
#
#     h_1 &= \sigma(w_3 x_1 + w_4 x_2 + b_2), \\
#     h_2 &= \sigma(w_5 x_1 + w_6 x_2 + b_3), \\
#     y &= \sigma(w_1 h_1 + w_2 h_2 + b_1),
#
# with the sum-of-squares error :math:`E = \sum_n \frac12 (y_n - t_n)^2` over the four samples. The weights begin where
# the lesson that this one follows evaluates the network.

model = modelzoo.create_model("xor_mlp", lesson_weights=True)
print(XOR_LESSON_WEIGHTS)
_ = viz.plot_architecture(model, show_weights=True)

# %%
# Its outputs there, sample by sample. It knows nothing yet: all answers are about the same.

outputs = modelzoo.predict(model, xor.x_train)
targets = xor.y_train[:, None]
for x, t, y in zip(xor.x_train, targets[:, 0], outputs[:, 0], strict=True):
    print(f"x = ({x[0]:.0f}, {x[1]:.0f}), target {t}: output {y:.4f}, error {0.5 * (y - t) ** 2:.4f}")
print(f"sum of squares: {reference.sum_of_squares(outputs, targets):.4f}")

# %%
# The error over one weight
# -------------------------
#
# Move :math:`w_1` and leave the other eight where they are. Each sample has a curve of its own. Those with target 0
# want the weight small, those with target 1 want it large, and the sum has its minimum in between.

address = {
    "w1": "logits/kernel[0, 0]",
    "w2": "logits/kernel[1, 0]",
    "w3": "hidden/kernel[0, 0]",
    "w4": "hidden/kernel[1, 0]",
    "w5": "hidden/kernel[0, 1]",
    "w6": "hidden/kernel[1, 1]",
    "b1": "logits/bias[0]",
    "b2": "hidden/bias[0]",
    "b3": "hidden/bias[1]",
}


def named(*names):
    return {name: address[name] for name in names}


_ = viz.plot_error_curves(model, xor, named("w1"))

# %%
# Over a weight of the hidden layer the curves are nearly flat: what the hidden unit says passes through
# :math:`w_1 = 0.1`, and hardly reaches the output.

_ = viz.plot_error_curves(model, xor, named("w3"))

# %%
# The error over two weights
# --------------------------
#
# Over a pair of weights the error is a surface. First the two that lead from the hidden units to the output: a straight
# valley between two plateaus, along which one weight makes up for the other.

_ = viz.plot_error_surface(model, xor, named("w1", "w2"))

# %%
# The weights of the first hidden unit, and those of the second. Look at the colour bars: at these small output weights
# the hidden layer can change next to nothing.

_ = viz.plot_error_surface(model, xor, named("w3", "w4"))

# %%

_ = viz.plot_error_surface(model, xor, named("w5", "w6"))

# %%
# The biases: of the output and of a hidden unit, then of the two hidden units.

_ = viz.plot_error_surface(model, xor, named("b1", "b2"))

# %%

_ = viz.plot_error_surface(model, xor, named("b2", "b3"))

# %%
# A descent on the surface
# ------------------------
#
# Let gradient descent move :math:`w_1` and :math:`w_2` only. From the slope it falls quickly into the valley, at a
# right angle to the contour lines, and then creeps along the floor. From the plateau it hardly moves at first, for a
# saturated unit has almost no slope; once it is over the edge, it falls like the other.

pair = named("w1", "w2")
for start in ((8, 4), (7, -2)):
    path = viz.descend_weights(model, xor, pair, start=start, steps=2500, optimizer=keras.optimizers.SGD(0.5))
    errors = viz.error_over_weights(model, xor, pair, path[[0, 10, 100, 1000, 2500]]).total
    print(f"from {start}: error after 0, 10, 100, 1000 and 2500 steps", errors.round(4))
_ = viz.plot_error_surface(model, xor, pair, trace=path)

# %%
# It cannot get far. With the other seven weights as they are, no setting of two solves the problem.
#
# All nine at once
# ----------------
#
# The recipe is gradient descent with momentum on all nine weights, from the same start. A callback records
# :math:`w_1` and :math:`w_2` on the way.

recorder = viz.record_weights(model, pair)
recipe = modelzoo.get_spec("xor_mlp").recipe("lesson").replace(log_every=10)
history = modelzoo.train(model, xor.train, recipe, seed=0, callbacks=[recorder])
ax = viz.plot_history(history)
_ = ax.set_ylabel("sum-of-squares error")

# %%
# For a long time nothing seems to happen: that is the plateau. Then the hidden units part, and the error falls at once.

_ = viz.plot_architecture(model, title="after training", show_weights=True)
for x, t, y in zip(xor.x_train, xor.y_train, modelzoo.predict(model, xor.x_train)[:, 0], strict=True):
    print(f"x = ({x[0]:.0f}, {x[1]:.0f}), target {t}: output {y:.4f}")

# %%
# The surface over the same two weights, now that the other seven have their final values. The path on it is a shadow:
# while the point moved, the surface under it moved too.

span = np.abs(recorder.recorded).max() * 1.3
_ = viz.plot_error_surface(model, xor, pair, trace=recorder, limits=((-span, span), (-span, span)))

# %%
# The error over a single weight looks different too. Over the output's bias it now has steep walls and a flat floor:
# there all four samples are content.

_ = viz.plot_error_curves(model, xor, named("b1"), limits=(-10, 20))

# %%
# What the network did
# --------------------
#
# In the plane of the inputs, two lines enclose a strip. In the plane of the hidden units, the corners have been moved,
# two of them to nearly the same place, and one line separates them. That line is the output unit.

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
viz.plot_regions(model, xor, limits=((-0.5, 1.5), (-0.5, 1.5)), ax=axes[0])
axes[0].set_title("what the network answers")
kernel_1, bias_1, kernel_2, bias_2 = model.get_weights()
hidden = reference.logistic(xor.x_train @ kernel_1 + bias_1)
viz.plot_decision_line(
    (kernel_2[:, 0], bias_2[0]),
    (hidden, xor.y_train),
    limits=((-0.1, 1.1), (-0.1, 1.1)),
    class_names=xor.class_names,
    ax=axes[1],
)
_ = axes[1].set(xlabel="$h_1$", ylabel="$h_2$", title="the corners as the output sees them")
for x, h in zip(xor.x_train, hidden, strict=True):
    print(f"({x[0]:.0f}, {x[1]:.0f}) → h = ({h[0]:.3f}, {h[1]:.3f})")

# %%
# The view of each unit, with the line on which it says ½.

_ = viz.plot_unit_maps(model, xor, limits=((-0.5, 1.5), (-0.5, 1.5)))

# %%
# Luck at the start
# -----------------
#
# The same descent from other starts, drawn from a normal distribution. This time it runs in NumPy, where a whole
# training is a handful of lines; lesson 7 explains :func:`modelzoo.reference.backward`.

x, t = xor.x_train.astype(float), targets.astype(float)
logistic_units = ["logistic", "logistic"]


def train_from(seed, steps=1000, learning_rate=0.5, momentum=0.9):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=array.shape) for array in xor_weights()]
    velocity = [np.zeros_like(array) for array in weights]
    record = {"step": [], "error": []}
    for step in range(steps + 1):
        passed = reference.forward(x, weights, logistic_units)
        if step % 50 == 0:
            record["step"].append(step)
            record["error"].append(reference.sum_of_squares(passed.output, t))
        slope = reference.sum_of_squares_gradient(passed.output, t)
        gradients = reference.backward(passed, weights, logistic_units, slope)
        velocity = [momentum * v - learning_rate * g for v, g in zip(velocity, gradients, strict=True)]
        weights = [w + v for w, v in zip(weights, velocity, strict=True)]
    return record, passed.output[:, 0]


runs = {}
for seed in range(8):
    record, answers = train_from(seed)
    runs[f"start {seed}"] = record
    verdict = "learned" if (np.abs(answers - xor.y_train) < 0.5).all() else "stuck"
    print(f"start {seed}: error {record['error'][-1]:.4f}, answers {answers.round(2)}, {verdict}")

ax = viz.plot_history(runs, "error")
_ = ax.set_yscale("log")
plt.show()

# %%
# A network that is stuck answers ½ to two of the corners: there the pull of one sample nearly cancels the pull of the
# other. It is in a valley whose floor falls ever more slowly while the weights grow without end. With more hidden units
# this happens less often, and that is one reason why large networks are easier to train than small ones.
#
# To play with
# ------------
#
# The surface over any two of the nine weights, to be turned by hand, with the descent on it. ``modelzoo play`` opens
# this page from a shell.
#
# .. play:: playground#tab=surface
#
# Try it
# ------
#
# * Start ``descend_weights`` on the other plateau, ``start=(-9, -9)``. How many steps does it take to leave?
# * ``train_from`` with ``momentum=0``: how many steps does the plateau cost now?
# * The ``"tuned"`` recipe minimises the cross-entropy instead. Draw its surfaces with ``error="cross_entropy"`` and
#   compare the plateaus.
# * Give the network three hidden units in ``train_from`` and count the starts that get stuck.
