"""
Every figure, for a beamer
==========================

``with viz.theme("dark", scale=1.8):`` draws on a dark ground with text of 18 points instead of 10, which can be
read from the last row. Figures of your own follow it, too. Here it is set for the whole script.
"""

# sphinx_gallery_thumbnail_number = 16

import matplotlib.pyplot as plt
import numpy as np

import modelzoo
from modelzoo import datasets, reference, viz

plt.rcParams.update(viz.theme_rc("dark", scale=1.8))

# %%
# Data
# ----

four, mnist = datasets.load("four_class"), datasets.load("mnist")
_ = viz.plot_points(four)

# %%

_ = viz.plot_dataset(mnist)

# %%

_ = viz.plot_images(mnist, count=20)

# %%

_ = viz.plot_image(mnist.x_test[0], "a seven")

# %%
# Networks
# --------

tanh, xor = modelzoo.load("tanh_mlp"), modelzoo.load("xor_mlp")
_ = viz.plot_architecture(tanh)

# %%

_ = viz.plot_architecture(xor, show_weights=True)

# %%

cnn = modelzoo.load("two_conv_cnn")
_ = viz.plot_architecture(cnn)

# %%

autoencoder = modelzoo.load("tanh_autoencoder")
_ = viz.plot_architecture(autoencoder)

# %%

_ = viz.plot_architecture(cnn, kind="table")

# %%

_ = viz.plot_activations()

# %%
# Training
# --------

history = modelzoo.train(modelzoo.create_model("tanh_mlp", recipe="fast", seed=0), four, "fast", seed=0)
_ = viz.plot_training(history)

# %%

runs = {}
for rate in (0.1, 0.01):
    net = modelzoo.create_model("tanh_mlp", seed=0)
    runs[f"learning rate {rate}"] = modelzoo.train(
        net, four, "lesson", seed=0, learning_rate=rate, steps=200, log_every=10
    )
_ = viz.plot_history(runs)

# %%

descent = reference.gradient_descent(reference.lesson_derivative, 2.2, learning_rate=0.1, steps=40, trace=True)
_ = viz.plot_descent(reference.lesson_function, descent, limits=(-2.6, 3.0))

# %%

corners, untrained = datasets.load("xor"), modelzoo.create_model("xor_mlp", lesson_weights=True)
weight, other = {"w1": "logits/kernel[0, 0]"}, {"w2": "logits/kernel[1, 0]"}
_ = viz.plot_error_curves(untrained, corners, weight)

# %%

_ = viz.plot_error_surface(untrained, corners, weight | other)

# %%
# What a network of points answers
# --------------------------------

_ = viz.plot_regions(tanh, four)

# %%

_ = viz.plot_probability_maps(tanh, four)

# %%

_ = viz.plot_hidden_units(tanh, four)

# %%

_ = viz.plot_unit_maps(tanh, four)

# %%

linear = datasets.load("linear")
_ = viz.plot_decision_line(modelzoo.load("logistic_perceptron"), linear)

# %%
# What a classifier of images answers
# -----------------------------------

digit = mnist.x_test[0]
_ = viz.plot_prediction(cnn, digit)

# %%

_ = viz.plot_class_scores(modelzoo.predict(cnn, digit[np.newaxis])[0], mnist.class_names)

# %%

mlp = modelzoo.load("relu_mlp")
probabilities = modelzoo.predict(mlp, mnist.x_test)
_ = viz.plot_confusion_matrix(mnist, probabilities)

# %%

_ = viz.plot_misclassified(mnist, probabilities)

# %%

_ = viz.plot_reliability(mnist, probabilities)

# %%

_ = viz.plot_saliency(cnn, digit)

# %%

_ = viz.plot_weights(mlp)

# %%

_ = viz.plot_kernels(cnn)

# %%

_ = viz.plot_feature_maps(cnn, digit)

# %%
# An autoencoder
# --------------

digits = datasets.load("mnist", classes=(1, 5, 6))
_ = viz.plot_latent(autoencoder, digits)

# %%

_ = viz.plot_manifold(autoencoder, digits)

# %%

_ = viz.plot_decodings(autoencoder, digits, [(-2, 12), (1, 0), (12, -4)])

# %%

_ = viz.plot_reconstructions(autoencoder, digits)

# %%

_ = viz.plot_interpolation(autoencoder, *digits.x_test[:2])
plt.show()
