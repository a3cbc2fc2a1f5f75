"""
Activations and back-propagation
================================

Gradient descent needs the derivative of the error with respect to every weight. Back-propagation computes all of them
for about the price of one more pass through the network. Behind it stands an idea that is older than networks: never
compute the same thing twice.

**What to notice**

- A derivative of an activation function can be written with the function itself.
- In matrix form, the backward pass is the forward pass with transposed matrices.
- Recursion alone takes exponential time, recursion that remembers takes linear time, and the difference is one line.
- A product of many small slopes vanishes.
"""

# %%
# Activations and their derivatives
# ---------------------------------
#
# The first row shows the functions, the second their slopes. Those of the logistic function and of tanh die out on both
# sides; a unit out there is *saturated* and learns slowly. ReLU has slope 1 wherever it is active.

import functools
import itertools
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import modelzoo
from modelzoo import datasets, reference, viz

_ = viz.plot_activations()

# %%
# The formulas over the slopes are checked with finite differences, at points that avoid the kink of ReLU.

points = np.linspace(-4, 4, 40)
for name in ("identity", "logistic", "tanh", "relu"):
    activation = reference.ACTIVATIONS[name]
    measured = [reference.finite_differences(lambda z, f=activation.function: float(f(z)), z) for z in points]
    deviation = np.abs(activation.derivative(points) - measured).max()
    largest = activation.derivative(np.linspace(-4, 4, 801)).max()
    print(f"{name:9} largest slope {largest:.2f}, largest deviation {deviation:.0e}")

# %%
# Back-propagation in matrix form
# -------------------------------
#
# A batch of :math:`N` samples is a matrix :math:`Y_0 = X` with one row a sample. Each layer computes
#
# .. math::
#
#     Z_l = Y_{l-1} W_l + \boldsymbol b_l, \qquad Y_l = h_l(Z_l), \qquad l = 1 \dots L.
#
# Let :math:`\Delta_l = \partial E / \partial Z_l`, a matrix of the shape of :math:`Z_l`. The chain rule gives it for
# the last layer and then, layer by layer, backwards; :math:`\odot` multiplies element by element:
#
# .. math::
#
#     \Delta_L = \frac{\partial E}{\partial Y_L} \odot h_L'(Z_L), \qquad
#     \Delta_{l-1} = \bigl(\Delta_l W_l^{\mathsf T}\bigr) \odot h_{l-1}'(Z_{l-1}).
#
# From these follow the gradients,
#
# .. math::
#
#     \frac{\partial E}{\partial W_l} = Y_{l-1}^{\mathsf T} \Delta_l, \qquad
#     \frac{\partial E}{\partial \boldsymbol b_l} = \text{sum of the rows of } \Delta_l .
#
# For a softmax with cross-entropy, :math:`\Delta_L = (Y_L - T) / N` at once, as lesson 4 derived. Here it is for the
# network of lesson 5.

data = datasets.load("quadratic", n=1000)
model = modelzoo.create_model("sigmoid_mlp", seed=0)
kernel_1, bias_1, kernel_2, bias_2 = weights = [w.astype(float) for w in model.get_weights()]
x, t = data.x_train.astype(float), datasets.one_hot(data.y_train, 2).astype(float)

hidden = reference.logistic(x @ kernel_1 + bias_1)
output = reference.softmax(hidden @ kernel_2 + bias_2)

delta_2 = (output - t) / len(x)
delta_1 = (delta_2 @ kernel_2.T) * hidden * (1 - hidden)
by_hand = [x.T @ delta_1, delta_1.sum(axis=0), hidden.T @ delta_2, delta_2.sum(axis=0)]

# %%
# Six lines are the whole of it. :func:`modelzoo.reference.backward` is the same for any number of layers. Two
# independent judges check both: TensorFlow, which knows nothing of these formulas, and finite differences, which know
# nothing of calculus.

activations = ["logistic", "softmax"]
passed = reference.forward(x, weights, activations)
slope = reference.softmax_cross_entropy_gradient(passed.pre[-1], data.y_train)
by_reference = reference.backward(passed, weights, activations, slope, from_logits=True)

with tf.GradientTape() as tape:
    losses = keras.losses.sparse_categorical_crossentropy(data.y_train, model(data.x_train))
    loss = tf.reduce_mean(losses)
by_tensorflow = tape.gradient(loss, model.trainable_variables)


def error(candidates):
    logits = reference.forward(x, candidates, activations).pre[-1]
    return reference.softmax_cross_entropy(logits, data.y_train)


by_differences = reference.finite_differences(error, weights)

print("largest deviation of our gradients from those of")
print(f"{'':15}{'largest':>9}{'reference':>11}{'TensorFlow':>12}{'differences':>13}")
for i, variable in enumerate(model.trainable_variables):
    name = "/".join(variable.path.split("/")[-2:])
    others = (by_reference[i], by_tensorflow[i].numpy(), by_differences[i])
    deviations = [np.abs(by_hand[i] - other).max() for other in others]
    print(f"{name:15}{np.abs(by_hand[i]).max():9.5f}{deviations[0]:11.0e}{deviations[1]:12.0e}{deviations[2]:13.0e}")

# %%
# TensorFlow computes in float32, which has seven digits; the deviation is its rounding.
#
# Why not finite differences, then? They need two forward passes for each weight. Back-propagation needs one backward
# pass for all of them. With the 22 weights of this network that is a nuisance; with the millions of a larger one it is
# the difference between possible and impossible.


def seconds(function, repeats=5):
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


forward_time = seconds(lambda: reference.forward(x, weights, activations))
backward_time = seconds(lambda: reference.backward(passed, weights, activations, slope, from_logits=True))
differences_time = seconds(lambda: reference.finite_differences(error, weights), repeats=2)
print(f"forward pass       {1e3 * forward_time:8.2f} ms")
print(f"backward pass      {1e3 * backward_time:8.2f} ms")
print(f"finite differences {1e3 * differences_time:8.2f} ms, {2 * model.count_params()} forward passes")

# %%
# The idea behind it: recursion that remembers
# --------------------------------------------
#
# Fibonacci's numbers, :math:`F_n = F_{n-1} + F_{n-2}`, are defined by recursion, and the definition is a program. It is
# a slow one: :math:`F_{n-2}` is computed for :math:`F_n` and again for :math:`F_{n-1}`, and so on down, so that the
# calls grow like the numbers themselves. Remember what has been computed, and each is computed once. This is called
# *memoisation*, and solving a problem by its stored smaller cases is *dynamic programming*.


def fibonacci_program(*, remember):
    calls = 0

    def fibonacci(n):
        nonlocal calls
        calls += 1
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    if remember:
        fibonacci = functools.cache(fibonacci)
    return fibonacci, lambda: calls


for remember in (False, True):
    fibonacci, count = fibonacci_program(remember=remember)
    start = time.perf_counter()
    value = fibonacci(24)
    took = time.perf_counter() - start
    print(f"F(24) = {value}: {count():7,} calls, {1e3 * took:8.3f} ms, {'with' if remember else 'without'} memory")

# %%
# Now the derivative of a network's output :math:`y` with respect to the pre-activation of unit :math:`j` in layer
# :math:`l`. The chain rule says it by recursion, over all units that listen to unit :math:`j`:
#
# .. math::
#
#     \delta_j^{(l)} = h'\bigl(z_j^{(l)}\bigr) \sum_k W^{(l+1)}_{jk}\, \delta_k^{(l+1)}, \qquad
#     \delta^{(L)} = h'\bigl(z^{(L)}\bigr).
#
# Written as a program without memory, it walks along every path from the unit to the output, and with :math:`m` units
# in each of :math:`H` hidden layers there are :math:`m^{H-1}` paths from each unit of the first. With memory, each unit
# is asked once. The matrix form is the same dynamic programming with the memory laid out layer by layer:
# :math:`\Delta_l` *is* the table of what is remembered.


def delta_program(kernels, slopes, *, remember):
    calls = 0

    def delta(layer, unit):
        nonlocal calls
        calls += 1
        if layer == len(slopes) - 1:
            return slopes[layer][unit]
        listeners = enumerate(kernels[layer + 1][unit])
        return slopes[layer][unit] * sum(weight * delta(layer + 1, k) for k, weight in listeners)

    if remember:
        delta = functools.cache(delta)
    return delta, lambda: calls


def delta_by_matrices(kernels, slopes):
    delta = slopes[-1]
    for kernel, slope_before in zip(kernels[:0:-1], slopes[-2::-1], strict=True):
        delta = (kernel @ delta) * slope_before
    return delta


# %%
# A chain of layers with six tanh units each and one output, made deeper and deeper. All three programs give the same
# numbers; so does :func:`modelzoo.reference.backward`.

width = 6
table = {name: {"step": [], "seconds": []} for name in ("recursion", "with memory", "matrix form")}
print("layers   calls without / with memory   largest deviation")
for depth in range(2, 8):
    rng = np.random.default_rng(depth)
    sizes = [2] + [width] * depth + [1]
    kernels = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in itertools.pairwise(sizes)]
    chain = [part for kernel in kernels for part in (kernel, np.zeros(kernel.shape[1]))]
    names = ["tanh"] * len(kernels)
    sample = reference.forward([[0.5, -1.0]], chain, names)
    slopes = [reference.ACTIVATIONS["tanh"].derivative(z)[0] for z in sample.pre]

    found, counts = [], []
    for name, remember in (("recursion", False), ("with memory", True)):
        delta, count = delta_program(kernels, slopes, remember=remember)
        start = time.perf_counter()
        found.append([delta(0, unit) for unit in range(width)])
        table[name]["seconds"].append(time.perf_counter() - start)
        counts.append(count())
    found.append(delta_by_matrices(kernels, slopes))
    table["matrix form"]["seconds"].append(seconds(lambda k=kernels, s=slopes: delta_by_matrices(k, s)))
    for column in table.values():
        column["step"].append(depth)

    expected = reference.backward(sample, chain, names, [[1.0]])[1]
    deviation = max(np.abs(np.array(values) - expected).max() for values in found)
    print(f"{depth:6}   {counts[0]:13,} / {counts[1]:<13}   {deviation:.0e}")

# %%
# On a logarithmic scale the time of the plain recursion is a straight line that climbs: each further layer costs six
# times as much. The other two stay on the ground. A network of fifty layers is out of reach for the first and nothing
# for the last.

figure, ax = plt.subplots(figsize=(6.2, 3.9), layout="constrained")
viz.plot_history(table, "seconds", ax=ax)
_ = ax.set(yscale="log", xlabel="hidden layers of six units", title="derivative of the output by all first-layer units")

# %%
# When slopes multiply
# --------------------
#
# The recursion multiplies one slope a layer. The logistic function's slope is at most ¼, so on its way back through
# many layers a gradient shrinks and shrinks: the *vanishing gradient*. Here is its size in networks of ten layers,
# relative to that of the last. The initial weights are scaled as Glorot and He advise: a variance of one over the
# number of inputs, and twice that for ReLU.

depth, width = 10, 50
rng = np.random.default_rng(0)
inputs = rng.normal(size=(200, width))
print("layer     " + "".join(f"{layer:10}" for layer in range(1, depth + 1, 3)))
for name, gain in (("logistic", 1.0), ("tanh", 1.0), ("relu", np.sqrt(2))):
    kernels = list(gain * rng.normal(size=(depth, width, width)) / np.sqrt(width))
    passed = reference.forward(inputs, kernels, [name] * depth)
    gradients = reference.backward(passed, kernels, [name] * depth, rng.normal(size=passed.output.shape))
    sizes = np.array([np.linalg.norm(kernel) for kernel in gradients])
    print(f"{name:10}" + "".join(f"{size:10.1e}" for size in (sizes / sizes[-1])[::3]))

plt.show()

# %%
# Deep networks waited for ReLU, and for weights that are initialised with care.
#
# To play with
# ------------
#
# The forward pass with numbers: drag the point, change a weight, and see what follows. ``modelzoo play sigmoid_mlp``
# opens this page from a shell.
#
# .. play:: sigmoid_mlp
#
# Try it
# ------
#
# * Leave out ``hidden * (1 - hidden)`` in ``delta_1`` and run the comparison again. Which gradients are wrong now, and
#   why only those?
# * Train the network of lesson 5 with ``by_hand`` alone: put the six lines in a loop and step against the gradients.
# * Let ``delta_program`` remember and ask it for a thousand layers. Where is the limit now?
# * Give ``plot_activations`` a function of your own: ``reference.Activation("sin", np.sin, np.cos)``.
