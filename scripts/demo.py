"""The main job from end to end: train the CNN on MNIST, export it, and use the export with plain TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import click
import numpy as np
from report import Command

import modelzoo
from modelzoo import datasets, viz
from modelzoo.cli.common import import_tensorflow, print_scores

NAME = "two_conv_cnn"


@click.command(cls=Command)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("build"), show_default=True)
@click.option("--digit", type=click.IntRange(0, 9999), default=0, show_default=True, help="Test image to classify.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps, instead of the recipe's.")
def main(output: Path, digit: int, seed: int, steps: int | None) -> None:
    """Train two_conv_cnn by its fast recipe on MNIST, export a SavedModel and classify a test digit with it."""
    began = time.perf_counter()
    headline("The zoo")
    subprocess.run([sys.executable, "-m", "modelzoo", "list"], check=True)

    recipe = modelzoo.get_spec(NAME).recipe("fast")
    recipe = recipe if steps is None else recipe.replace(steps=steps, log_every=min(steps, recipe.log_every))
    mnist = datasets.load("mnist")
    total = recipe.total_steps(len(mnist.x_train))
    headline(f"Training {NAME} on MNIST by its fast recipe: {total:,} steps of {recipe.batch_size} images")
    import_tensorflow()
    import tensorflow as tf

    from modelzoo.training import ProgressBar

    model = modelzoo.create_model(NAME, recipe="fast", seed=seed)
    history = modelzoo.train(model, mnist, recipe, seed=seed, callbacks=[ProgressBar(keep_lines=True)])
    click.echo(f"Test accuracy: {modelzoo.evaluate(model, mnist)['accuracy']:.2%} of {len(mnist.x_test):,} images")

    headline("Exporting")
    directory = output / NAME / "1"
    modelzoo.save(model, directory, overwrite=True)
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    click.echo(f"{directory}: {size / 1e6:.1f} MB, weights {modelzoo.weights_digest(model)[:12]}")

    headline("Loading the export with plain TensorFlow")
    exported = tf.saved_model.load(str(directory))
    image, truth = mnist.x_test[digit], int(mnist.y_test[digit])
    scores = exported(image[np.newaxis]).numpy()[0]
    difference = float(np.abs(scores - modelzoo.predict(model, image[np.newaxis])[0]).max())
    click.echo(f"Test image {digit} is a {truth}. The export says {scores.argmax()} (differs by {difference:.1g}):")
    print_scores(dict(zip(mnist.class_names, map(float, scores), strict=True)))

    picture = output / "demo.png"
    draw(history, image, truth, scores, mnist, picture)
    headline(f"Done in {time.perf_counter() - began:.0f} s")
    click.echo(f"Picture: {picture}\nNext:    modelzoo finetune {directory} --data FOLDER_OF_CLASS_FOLDERS -o mine")


def headline(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def draw(history, image, truth: int, scores, mnist, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(11, 3.4), layout="constrained", width_ratios=(1.3, 0.8, 1.1)
    )
    viz.plot_history(history, "accuracy", ax=left).set_title(f"{NAME}: accuracy in training")
    viz.plot_image(image, f"a test digit: {truth}", ax=middle)
    viz.plot_class_scores(scores, mnist.class_names, truth=truth, ax=right).set_title("what the SavedModel says")
    viz.save_figure(figure, path, overwrite=True)


if __name__ == "__main__":
    main()
