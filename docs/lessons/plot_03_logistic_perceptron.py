"""
The logistic perceptron, with and without absorbed bias
=======================================================

Heaviside's step has no slope, so gradient descent can do nothing with it. Replace it by a smooth step, the logistic
function, and the neuron learns by descent. It also says something better than yes or no: a probability.

**What to notice**

- A bias is nothing but the weight of an input that is always 1, so both forms of the network are the same network.
- The gradient is error times input: the perceptron rule, made soft.
- On points that a line separates, the weights grow without end, slower and slower.
"""

# %%
# The data
# --------
#
# A thousand points, of class 1 where :math:`0.8\, x_1 + x_2 - 3 \ge 0`. The network does not know this line. It has to
# find it from the points.

import matplotlib.pyplot as plt
import numpy as np

import modelzoo
from modelzoo import datasets, reference, viz

# sphinx_gallery_thumbnail_number = 5

data = datasets.load("linear", n=1000)
_ = viz.plot_points(data)

# %%
# The model
# ---------
#
# .. math::
#
#     p = \sigma(\boldsymbol w \cdot \boldsymbol x + b), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}
#
# is the probability of class 1. Its loss is the *cross-entropy*, the mean of :math:`-\ln` of the probability that the
# network gave to the true class. With the labels :math:`t_n` of :math:`N` points,
#
# .. math::
#
#     E = -\frac1N \sum_{n} \bigl[\, t_n \ln p_n + (1 - t_n) \ln (1 - p_n) \,\bigr].
#
# The derivative of the logistic function, :math:`\sigma' = \sigma (1 - \sigma)`, cancels against that of the logarithm,
# and what remains is as simple as it can be: error times input,
#
# .. math::
#
#     \frac{\partial E}{\partial \boldsymbol w} = \frac1N \sum_n (p_n - t_n)\, \boldsymbol x_n, \qquad
#     \frac{\partial E}{\partial b} = \frac1N \sum_n (p_n - t_n).
#
# It is the perceptron rule of lesson 1 with the step made soft.
#
# The bias, explicit and absorbed
# -------------------------------
#
# Append a 1 to every point, :math:`\tilde{\boldsymbol x} = (x_1, x_2, 1)`, and the bias to the weights,
# :math:`\tilde{\boldsymbol w} = (w_1, w_2, b)`. Then
# :math:`\boldsymbol w \cdot \boldsymbol x + b = \tilde{\boldsymbol w} \cdot \tilde{\boldsymbol x}`: the bias is
# absorbed, and every formula has one term less. Both forms are in the zoo.

explicit = modelzoo.create_model("logistic_perceptron", recipe="lesson", seed=0)
absorbed = modelzoo.create_model("logistic_perceptron", recipe="lesson_absorbed_bias", seed=0, name="absorbed_bias")
for model in (explicit, absorbed):
    print(f"{model.name}: weights of shape", [weights.shape for weights in model.get_weights()])

_ = viz.plot_architecture(explicit)

# %%
# Their recipes are gradient descent over all thousand points at once, with learning rate 0.05.

histories = {
    "explicit bias": modelzoo.train(explicit, data, "lesson", seed=0),
    "absorbed bias": modelzoo.train(absorbed, data, "lesson_absorbed_bias", seed=0),
}
_ = viz.plot_training(histories)

# %%
# The two start from different weights, which the loss soon forgets, and the explicit form runs longer. Here are the
# lines that they found, scaled so that the weight of :math:`x_2` is 1, beside the line that made the labels.

lines = {name: viz.decision_lines(model) for name, model in zip(histories, (explicit, absorbed), strict=True)}
print(f"{'line of the labels':18}: 0.800 x1 + x2 - 3.000 = 0")
for (name, line), model in zip(lines.items(), (explicit, absorbed), strict=True):
    (w1, w2), b = line.weights[0], line.bias[0]
    accuracy = modelzoo.evaluate(model, data)["accuracy"]
    print(f"{name:18}: {w1 / w2:.3f} x1 + x2 - {-b / w2:.3f} = 0, {accuracy:.1%} of the test points right")

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
for ax, (name, line) in zip(axes, lines.items(), strict=True):
    viz.plot_decision_line((line.weights[0], line.bias[0]), data, ax=ax).set_title(name)

# %%
# The same network
# ----------------
#
# Give both forms the same start and the same number of steps. If the bias is only a weight, they must stay together.
# They do, to within the rounding of float32. (With ``xla="off"`` nothing is compiled, which for so few steps would take
# longer than the steps.)

recipe = modelzoo.get_spec("logistic_perceptron").recipe("lesson").replace(steps=2000, log_every=2000, xla="off")
start = np.array([[0.1], [-0.1], [0.05]], "float32")
explicit_twin = modelzoo.create_model("logistic_perceptron")
explicit_twin.set_weights([start[:2], start[2]])
absorbed_twin = modelzoo.create_model("logistic_perceptron", use_bias=False)
absorbed_twin.set_weights([start])
for model in (explicit_twin, absorbed_twin):
    modelzoo.train(model, data, recipe, seed=0)
difference = np.concatenate([w.ravel() for w in explicit_twin.get_weights()]) - absorbed_twin.get_weights()[0][:, 0]
print("largest difference after 2000 steps:", np.abs(difference).max())

# %%
# All of it in NumPy
# ------------------
#
# The absorbed form makes the whole training a few lines. With the matrix :math:`\tilde X` of the points and their
# column of ones,
#
# .. math::
#
#     \frac{\partial E}{\partial \tilde{\boldsymbol w}}
#     = \frac1N\, \tilde X^{\mathsf T} (\boldsymbol p - \boldsymbol t).

x_tilde = np.column_stack([data.x_train, np.ones(len(data.x_train))]).astype(float)
labels = data.y_train.astype(float)


def gradient(weights):
    return x_tilde.T @ (reference.logistic(x_tilde @ weights) - labels) / len(labels)


trace = reference.gradient_descent(gradient, start[:, 0], learning_rate=0.05, steps=10_000, trace=True)
print("NumPy after 2000 steps     :", trace[2000])
print("zoo's model after as many  :", absorbed_twin.get_weights()[0][:, 0])

# %%
# The gradient is the right one: finite differences of the loss agree with it.

slope = reference.finite_differences(lambda w: reference.sigmoid_cross_entropy(x_tilde @ w, labels), trace[100])
print("gradient            ", gradient(trace[100]))
print("finite differences  ", slope)

# %%
# A probability everywhere
# ------------------------
#
# The line is where :math:`p = \frac12`. Away from it the network becomes sure, over a width of about
# :math:`1 / \lVert\boldsymbol w\rVert`.

_ = viz.plot_probability_maps(explicit, data)

# %%
# And here is why the loss keeps falling. These points can be separated without a mistake, so every line that does so
# becomes better when its weights are multiplied by a number above 1: the line stays, the step becomes steeper, each
# probability moves towards 0 or 1. The loss has no minimum. The weights grow without end, roughly with the logarithm
# of the number of steps.

print("  step   length of w      loss")
for step in (10, 100, 1000, 10_000):
    loss = reference.sigmoid_cross_entropy(x_tilde @ trace[step], labels)
    print(f"{step:6}   {np.linalg.norm(trace[step][:2]):11.3f}   {loss:7.4f}")

plt.show()

# %%
# To play with
# ------------
#
# Train the logistic perceptron here, and watch the probability grow steep. ``modelzoo play`` opens this page from a
# shell.
#
# .. play:: playground#tab=train&net=logistic_perceptron
#
# Try it
# ------
#
# * Turn the labels of fifty points around before training. Do the weights still grow without end?
# * Train with learning rate 1 and with 10. Lesson 2 said that there is a limit; where is it here?
# * Add a column :math:`x_1 x_2` to ``x_tilde``. Which boundaries can the perceptron draw now?
