"""
Gradient descent and its three classic cases
============================================

Nearly all training of neural networks is one idea: stand somewhere, feel which way is down, take a step, repeat. The
idea needs no network. One curve shows all that can happen.

**What to notice**

- The same rule on the same curve converges, survives a step that is far too long, or gets stuck in a valley that is
  not the deepest. Only start and step size differ.
- The steps become shorter by themselves where the slope levels off.
- The curvature at the minimum says which step sizes converge, and how fast.
"""

# %%
# The curve
# ---------
#
# .. math::
#
#     f(x) = e^{-\sin x}\, x^2, \qquad f'(x) = -x\, e^{-\sin x}\,(x \cos x - 2).
#
# It is a parabola whose two arms are shaken by a sine. Its lowest point is :math:`f(0) = 0`, and it has other, local
# minima beside it. First a check that the formula of the derivative is right, against finite differences:
# :math:`f'(x) \approx \bigl(f(x + \epsilon) - f(x - \epsilon)\bigr) / 2\epsilon`.

import matplotlib.pyplot as plt
import numpy as np

from modelzoo import reference, viz
from modelzoo.errors import InputError
from modelzoo.reference import gradient_descent, lesson_derivative, lesson_function

for x in (-4.0, -1.0, 1.0, 5.0, 7.0):
    slope = reference.finite_differences(lesson_function, x)
    print(f"x = {x:4.1f}: f = {lesson_function(x):8.4f}, f' = {lesson_derivative(x):9.4f}, differences {slope:9.4f}")

# %%
# The rule
# --------
#
# Where the slope is positive, down is to the left; where it is negative, down is to the right. So step against it, by
# the *learning rate* :math:`\eta` times the slope:
#
# .. math::
#
#     x_{k+1} = x_k - \eta\, f'(x_k).
#
# That is the whole algorithm.


def descend(start, learning_rate, steps):
    x = start
    for _ in range(steps):
        x = x - learning_rate * lesson_derivative(x)
    return x


print(descend(1.0, 0.1, 20), "=", gradient_descent(lesson_derivative, 1.0, 0.1, 20))

# %%
# With ``trace=True``, :func:`modelzoo.reference.gradient_descent` returns every point on the way.
#
# Case 1: it converges
# --------------------
#
# A start in the valley and a small learning rate. The steps become shorter by themselves as the slope levels off, and
# the point creeps into the minimum.

limits = (-2.6, 3.0)
converges = gradient_descent(lesson_derivative, 2.2, learning_rate=0.1, steps=40, trace=True)
ax = viz.plot_descent(lesson_function, converges, limits=limits)
_ = ax.set_ylim(-0.5, 8)

# %%
# Case 2: still fine
# ------------------
#
# From the steep left wall with four times the learning rate, the first step is far too long: it jumps over the valley
# and lands on the other side. There the slope is gentler, and the descent recovers.

still_fine = gradient_descent(lesson_derivative, -1.0, learning_rate=0.4, steps=40, trace=True)
ax = viz.plot_descent(lesson_function, still_fine, limits=limits)
_ = ax.set_ylim(-0.5, 8)
print("the first points:", still_fine[:6].round(3))

# %%
# Case 3: stuck in a local optimum
# --------------------------------
#
# From the other side of a ridge, down is away from zero. The descent ends where the slope is zero, as it must, but the
# global minimum is elsewhere. Nothing that the rule can feel there tells it so.

stuck = gradient_descent(lesson_derivative, 5.5, learning_rate=0.02, steps=40, trace=True)
_ = viz.plot_descent(lesson_function, stuck, limits=(-2.5, 9.5))

for name, trace in {"converges": converges, "still fine": still_fine, "stuck": stuck}.items():
    x = trace[-1]
    print(f"{name:10}: x = {x:9.2e}, f = {lesson_function(x):9.2e}, f' = {lesson_derivative(x):9.2e}")

# %%
# Nobody can draw the landscape of a large network. What one sees of its training is a learning curve, and here are
# those of the three cases. A curve that falls and then lies flat says that a minimum was found, not which one.

runs = {
    name: {"step": list(range(len(trace))), "f(x)": lesson_function(trace).tolist()}
    for name, trace in {"converges": converges, "still fine": still_fine, "stuck": stuck}.items()
}
ax = viz.plot_history(runs, "f(x)")
ax.set_yscale("log")
_ = ax.set_ylim(1e-12, 1e2)

# %%
# Where does it end?
# ------------------
#
# The start decides. :func:`~modelzoo.reference.gradient_descent` moves many starts at once, one an element of an array:
# here 1501 of them, with a learning rate small enough for the steepest place among them. Each minimum has its *basin*,
# the starts that lead to it; ridges are the borders.

starts = np.linspace(-6, 9, 1501)
ends = gradient_descent(lesson_derivative, starts, learning_rate=0.005, steps=5000)
for minimum in np.unique(ends.round(4) + 0.0):
    basin = starts[np.isclose(ends, minimum, atol=1e-3)]
    print(f"from {basin.min():5.2f} … {basin.max():5.2f} to x = {minimum:7.4f}, f = {lesson_function(minimum):7.4f}")

# %%
# The learning rate
# -----------------
#
# Near a minimum at 0 every smooth curve is a parabola, :math:`f(x) \approx \tfrac12 f''(0)\, x^2`. A step then
# multiplies :math:`x` by a constant,
#
# .. math::
#
#     x_{k+1} \approx \bigl(1 - \eta f''(0)\bigr)\, x_k ,
#
# and all is said: below :math:`\eta = 1 / f''` the point creeps from one side, above it jumps from side to side, and
# above :math:`2 / f''` every step leads farther away. Here :math:`f''(0) = 2`, so the fastest rate is ½ and the limit
# is 1. The table measures by which factor the last of 40 steps, from :math:`x = 0.05`, has multiplied :math:`x`.

curvature = reference.finite_differences(lambda x: float(lesson_derivative(x)), 0.0)
print(f"f''(0) = {curvature:.4f}")
print("   η   predicted factor   measured")
for rate in (0.01, 0.1, 0.4, 0.6, 0.9):
    trace = gradient_descent(lesson_derivative, 0.05, rate, 40, trace=True)
    print(f"{rate:5.2f}   {1 - rate * curvature:16.3f}   {trace[-1] / trace[-2]:8.3f}")

# %%
# Two rates near the ends of what is allowed: one creeps, one rattles. Both converge.

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained", sharey=True)
for ax, rate in zip(axes, (0.02, 0.97), strict=True):
    trace = gradient_descent(lesson_derivative, 0.1, rate, 15, trace=True)
    viz.plot_descent(lesson_function, trace, limits=(-0.12, 0.15), ax=ax)
    ax.set_title(f"η = {rate}: {len(trace) - 1} steps")
    ax.set_ylim(-0.001, 0.018)

# %%
# And beyond the limit it does not end at all. On the steep wall the limit is lower than at the bottom: there a rate
# that would be safe near zero throws the point out, farther at every step.

try:
    gradient_descent(lesson_derivative, -1.5, learning_rate=0.9, steps=100)
except InputError as error:
    print(error)

plt.show()

# %%
# To play with
# ------------
#
# The three cases again, and any other start and rate. Click the curve to start there. ``modelzoo play`` opens this page
# from a shell.
#
# .. play:: playground#tab=descent
#
# Try it
# ------
#
# * Find the largest learning rate with which the descent from :math:`x = 2.2` still reaches zero.
# * Case 3 with ``learning_rate=0.1``: where does it end now? Too large a step can also be luck.
# * Give the point a memory, :math:`v \leftarrow 0.9\, v - \eta f'(x)`, :math:`x \leftarrow x + v`. This *momentum*
#   carries it over small ridges. From which starts does it now reach zero?
