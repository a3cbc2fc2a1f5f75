"""
One-hot labels and the softmax
==============================

Two classes fit into one number, the probability of the second. Ten classes do not, and "class 3" is not three times
"class 1". So each class gets an output of its own, and a label becomes a row with a single 1.

**What to notice**

- A one-hot row is a probability distribution: all of it on the true class.
- The softmax turns any numbers into such a distribution, and only their differences count.
- With the cross-entropy, its gradient is once more output minus target.
- For two classes all this is the logistic perceptron of lesson 3 again.
"""

# %%
# One-hot
# -------
#
# The same points as in lesson 3, with their labels as rows.

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import modelzoo
from modelzoo import datasets, reference, viz

data = datasets.load("linear", n=1000)
targets = datasets.one_hot(data.y_train, 2)
print("labels ", data.y_train[:5])
print("one-hot", *targets[:5], sep="\n")

# %%
# The softmax
# -----------
#
# A layer without activation gives one number a class, the *logits* :math:`z_k`. The softmax makes them positive and
# divides by their sum:
#
# .. math::
#
#     y_k = \operatorname{softmax}(\boldsymbol z)_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad
#     y_k > 0, \quad \sum_k y_k = 1 .

z = np.array([1.0, 2.0, 4.0])
y = reference.softmax(z)
print("softmax of", z, "is", y.round(4), "with the sum", y.sum())
_ = viz.plot_class_scores(y, ["z = 1", "z = 2", "z = 4"])

# %%
# Only differences count: adding the same number to all logits cancels in the fraction. Multiplying them does not. It
# sharpens the distribution, until a *soft* maximum has become a hard one; dividing them by a large *temperature*
# flattens it.

print("z + 10 :", reference.softmax(z + 10).round(4))
for temperature in (10, 1, 0.1):
    print(f"z / {temperature:<4}:", reference.softmax(z / temperature).round(4))

# %%
# The formula as it stands breaks down for large numbers, because :math:`e^{1000}` is more than a computer holds. As
# only differences count, subtract the largest logit first. Then no exponential exceeds 1.

large = np.array([1000.0, 1001.0, 1003.0])
with np.errstate(over="ignore", invalid="ignore"):
    print("as it stands    :", np.exp(large) / np.exp(large).sum())
print("maximum removed :", reference.softmax(large).round(4))

# %%
# The loss and its gradient
# -------------------------
#
# The cross-entropy is the mean surprise at the truth,
#
# .. math::
#
#     E = -\frac1N \sum_n \sum_k t_{nk} \ln y_{nk},
#
# and of each inner sum the one-hot row keeps a single term. A network that knows nothing pays :math:`\ln K` for each
# of :math:`K` classes, one that is sure and right pays nothing, and one that is sure and wrong pays dearly.

for name, logits in {"knows nothing": [0, 0], "right": [0, 5], "wrong": [5, 0]}.items():
    loss = reference.softmax_cross_entropy([logits], [1])
    print(f"{name:14}: probabilities {reference.softmax(logits).round(4)}, loss {loss:.4f}")
print(f"ln 2 = {np.log(2):.4f}")

# %%
# Every output of a softmax depends on every logit, so its derivative is a matrix,
# :math:`\partial y_j / \partial z_k = y_j (\delta_{jk} - y_k)`. In the chain rule it meets
# :math:`\partial E / \partial y_j = -t_j / y_j`, and nearly everything cancels:
#
# .. math::
#
#     \frac{\partial E}{\partial z_k} = \sum_j -\frac{t_j}{y_j}\, y_j (\delta_{jk} - y_k) = y_k - t_k .
#
# Three ways to the same gradient of one sample: the long way through the matrix, the short formula, and TensorFlow.

t = np.array([0.0, 1.0, 0.0])
jacobian = reference.ACTIVATIONS["softmax"].derivative(z)
print("Jacobian", jacobian.round(4), sep="\n")
print("through the matrix :", (-t / y) @ jacobian)
print("y − t              :", y - t)
variable = tf.Variable(z)
with tf.GradientTape() as tape:
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=t, logits=variable)
print("TensorFlow         :", tape.gradient(loss, variable).numpy())

# %%
# The network
# -----------
#
# .. math::
#
#     \boldsymbol y = \operatorname{softmax}(\boldsymbol x W + \boldsymbol b)
#
# with a matrix :math:`W` of two rows, one an input, and two columns, one a class. It is trained by gradient descent
# with learning rate 0.05 on all points at once.

model = modelzoo.create_model("onehot_softmax", seed=0)
kernel_before = model.get_weights()[0].copy()
_ = viz.plot_architecture(model)

# %%

history = modelzoo.train(model, data, "lesson", seed=0)
_ = viz.plot_training(history)

# %%
# One map a class, with the points of that class. The two maps add up to 1 everywhere.

_ = viz.plot_probability_maps(model, data)

# %%
# And the counts of what was taken for what, on points that the training never saw.

print(f"{modelzoo.evaluate(model, data)['accuracy']:.1%} of the test points are right")
_ = viz.plot_confusion_matrix(model, data)

# %%
# Two classes: the logistic perceptron again
# ------------------------------------------
#
# Divide numerator and denominator by :math:`e^{z_2}`, with the class "above" as the second,
#
# .. math::
#
#     y_2 = \frac{e^{z_2}}{e^{z_1} + e^{z_2}} = \frac{1}{1 + e^{-(z_2 - z_1)}} = \sigma(z_2 - z_1),
#
# and there is a logistic perceptron, whose weights are the differences of the two columns of :math:`W`.

kernel, bias = model.get_weights()
difference = reference.logistic(data.x_test @ (kernel[:, 1] - kernel[:, 0]) + bias[1] - bias[0])
print("largest deviation:", np.abs(modelzoo.predict(model, data.x_test)[:, 1] - difference).max())
_ = viz.plot_decision_line(model, data)

# %%
# So the network has six weights for what three can do. The other three are never used: the gradient
# :math:`\boldsymbol y - \boldsymbol t` of every point sums to zero over the classes, so training moves the two columns
# by opposite amounts, and their *sum* stays where the initial draw put it, up to rounding.

print("sum of the columns before training:", kernel_before.sum(axis=1))
print("                   after training :", kernel.sum(axis=1))
plt.show()

# %%
# To play with
# ------------
#
# Drag the point, and read the two units' sums and what softmax makes of them. ``modelzoo play onehot_softmax`` opens
# this page from a shell.
#
# .. play:: onehot_softmax
#
# Try it
# ------
#
# * ``modelzoo.create_model("onehot_softmax", num_classes=4)`` on ``datasets.load("four_class")``: what shape have the
#   regions of a softmax without hidden layer?
# * Replace the one-hot rows by (0.9, 0.1) and (0.1, 0.9): ``recipe.replace(label_smoothing=0.2)``. Do the weights of
#   lesson 3 still grow without end?
# * Derive :math:`\partial y_j / \partial z_k` from the definition, first for :math:`j = k`, then for :math:`j \ne k`.
