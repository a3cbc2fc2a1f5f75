"""
A hidden layer, and what its units see
======================================

One neuron draws one straight line. Put a few neurons side by side and let further neurons look at *them*, and the
boundary may bend.

**What to notice**

- Each hidden unit is a logistic perceptron with a line of its own.
- The output never sees the points, only how far each of them is on this or that side of those lines.
- What was not separable in the plane becomes separable among the hidden units.
- The loss rests on a plateau for a while before the units begin to differ.
"""

# %%
# A curved boundary
# -----------------
#
# The points of class 1 are those above a parabola, :math:`-\frac12 (x_1 - 1)^2 + 2 x_2 + 5 \ge 0`.

import matplotlib.pyplot as plt
import numpy as np

import modelzoo
from modelzoo import datasets, reference, viz

# sphinx_gallery_thumbnail_number = 5

data = datasets.load("quadratic", n=1000)
_ = viz.plot_points(data)

# %%
# The network of lesson 4, without hidden layer, does what it can: a straight cut. To save time it trains with Adam, an
# optimiser with a step size of its own for each weight, instead of plain descent.

quick = modelzoo.Recipe(optimizer="adam", learning_rate=0.05, steps=2000, log_every=2000, xla="off")
straight = modelzoo.create_model("onehot_softmax", seed=0)
modelzoo.train(straight, data, quick, seed=0)
ax = viz.plot_regions(straight, data)
_ = ax.set_title(f"no hidden layer: {modelzoo.evaluate(straight, data)['accuracy']:.1%} of the test points right")

# %%
# The network
# -----------
#
# Four logistic units, and a softmax that looks at them:
#
# .. math::
#
#     \boldsymbol h = \sigma(\boldsymbol x W_1 + \boldsymbol b_1), \qquad
#     \boldsymbol y = \operatorname{softmax}(\boldsymbol h W_2 + \boldsymbol b_2).
#
# Without the :math:`\sigma` in between, the two matrices would multiply to one, and nothing would be gained: a chain of
# linear maps is a linear map.

model = modelzoo.create_model("sigmoid_mlp", seed=0)
history = modelzoo.train(model, data, "lesson", seed=0)
_ = viz.plot_architecture(model)

# %%
# The recipe is 40,000 steps of plain gradient descent. At the start all four units are nearly alike, for their weights
# are all nearly zero, and alike units do the work of one. The curve falls to what a straight cut can reach and rests
# there; it falls again when the units have parted.

_ = viz.plot_training(history)

# %%
# The boundary is no longer straight.

ax = viz.plot_regions(model, data)
_ = ax.set_title(f"four hidden units: {modelzoo.evaluate(model, data)['accuracy']:.1%} of the test points right")

# %%

_ = viz.plot_probability_maps(model, data)

# %%
# What the units see
# ------------------
#
# The lines :math:`\boldsymbol w \cdot \boldsymbol x + b = 0` of the four hidden units; each arrow points to the side
# where its unit is active.

_ = viz.plot_hidden_units(model, data)

# %%
# The same four, one map a unit: its activation everywhere in the plane. A long weight vector makes a sharp step, a
# short one a gentle slope. The output adds these four pictures, each times a weight, and takes what is positive.

_ = viz.plot_unit_maps(model, data)

# %%
# How the output weighs them is in :math:`W_2`. Only the difference of its two columns matters, as lesson 4 found.

kernel_1, bias_1, kernel_2, bias_2 = model.get_weights()
print("unit   length of w   vote for 'above'")
for k in range(kernel_1.shape[1]):
    vote = kernel_2[k, 1] - kernel_2[k, 0]
    print(f"{k + 1:4}   {np.linalg.norm(kernel_1[:, k]):11.2f}   {vote:+16.2f}")
print(f"bias                 {bias_2[1] - bias_2[0]:+16.2f}")

# %%
# The whole forward pass is two lines of NumPy, and :func:`modelzoo.reference.forward` is those two lines for any depth.

hidden = reference.logistic(data.x_test @ kernel_1 + bias_1)
outputs = reference.softmax(hidden @ kernel_2 + bias_2)
passed = reference.forward(data.x_test, model.get_weights(), ["logistic", "softmax"])
print("NumPy and the network differ by at most", np.abs(outputs - modelzoo.predict(model, data.x_test)).max())
print("reference.forward gives the same:", np.allclose(outputs, passed.output))

# %%
# The hidden layer makes the problem linear
# -----------------------------------------
#
# In the coordinates :math:`h_1 \dots h_4` the output layer is a softmax without hidden layer: it cuts *straight*
# through the hidden space. To look at a space of four dimensions, project it on a plane: one axis along the direction
# in which the output layer looks, on which the boundary is a vertical line, and the other along the widest direction at
# a right angle to it.

direction = kernel_2[:, 1] - kernel_2[:, 0]
along = hidden @ direction / np.linalg.norm(direction)
rest = hidden - np.outer(along, direction) / np.linalg.norm(direction)
widest = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2][0]
threshold = -(bias_2[1] - bias_2[0]) / np.linalg.norm(direction)
projected = np.column_stack([along, rest @ widest])
ax = viz.plot_decision_line(([1.0, 0.0], -threshold), (projected, data.y_test), class_names=data.class_names)
_ = ax.set(xlabel="along the output's direction", ylabel="widest direction across", title="the hidden space")

# %%
# How many units?
# ---------------
#
# One hidden unit is one line, again. Two can bend the boundary, and with more of them it follows the parabola more
# closely. These train with Adam too.

figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.7), layout="constrained", sharey=True)
for ax, units in zip(axes, (1, 2, 3, 8), strict=True):
    small = modelzoo.create_model("sigmoid_mlp", hidden_units=units, seed=1)
    modelzoo.train(small, data, quick, seed=0)
    viz.plot_regions(small, data, resolution=200, ax=ax)
    ax.get_legend().remove()
    ax.label_outer()
    ax.set_title(f"{units} unit{'s' * (units > 1)}: {modelzoo.evaluate(small, data)['accuracy']:.1%}")

plt.show()

# %%
# To play with
# ------------
#
# Train the network here, step by step. Choose a hidden unit in the diagram to see its view. ``modelzoo play`` opens
# this page from a shell.
#
# .. play:: playground#tab=train&net=sigmoid_mlp
#
# Try it
# ------
#
# * Start with larger weights, ``kernel_initializer={"class_name": "RandomNormal", "config": {"stddev": 1.0}}``. What
#   becomes of the plateau?
# * Start with all weights zero, ``kernel_initializer="zeros"``, and look at the hidden units after training. Why are
#   they all the same?
# * Watch the lines move: train 2000 steps at a time and draw ``viz.plot_hidden_units`` each time.
