"""What a model and its card say of where the weights came from."""

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo.card import read_card
from modelzoo.recipe import Recipe
from modelzoo.registry import card_for

RECIPE = Recipe(steps=16, batch_size=8, optimizer="adam", learning_rate=0.01, log_every=4, xla="off")


def test_weights_that_were_not_drawn_are_a_parent(points, tanh_mlp, interrupt, tmp_path):
    model = tanh_mlp()
    assert card_for(model).weights_digest == modelzoo.weights_digest(model)
    modelzoo.train(model, points.train, RECIPE)
    assert card_for(model).parent is None
    assert card_for(model).weights_digest == modelzoo.weights_digest(model)
    by_hand, interrupted, resumed = tanh_mlp(), tanh_mlp(), tanh_mlp()
    by_hand.set_weights([np.ones_like(w) for w in by_hand.get_weights()])
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(interrupted, points.train, RECIPE, checkpoint_dir=tmp_path, callbacks=[interrupt(1)])
    for model in (by_hand, interrupted):
        found = modelzoo.weights_digest(model)
        modelzoo.train(model, points.train, RECIPE)
        assert card_for(model).parent["weights_digest"] == found
    modelzoo.train(resumed, points.train, RECIPE, checkpoint_dir=tmp_path, resume=True)
    assert card_for(resumed).parent is None


def test_validation_data_replace_what_would_be_held_out(points, tanh_mlp, tmp_path):
    model = tanh_mlp()
    recipe = RECIPE.replace(validation_size=40)
    modelzoo.train(model, points, recipe, validation_data=points.test, checkpoint_dir=tmp_path / "given")
    training = card_for(model).training
    assert training["recipe"].get("validation_size", 0) == 0
    assert training["dataset"]["num_train"] == len(points.x_train)
    assert training["dataset"]["num_validation"] == len(points.x_test)
    assert "num_test" not in training["dataset"]
    with pytest.raises(modelzoo.ModelZooError, match="another run"):
        modelzoo.train(tanh_mlp(), points, recipe, checkpoint_dir=tmp_path / "given", resume=True)


def test_a_validation_loss_that_is_not_finite_fits_into_a_card(tanh_mlp, tmp_path):
    model = tanh_mlp()
    hidden, logits = (layer for layer in model.layers if layer.weights)
    hidden.trainable = False
    logits.set_weights([np.full((10, 4), 2e38), np.zeros(4)])
    y = np.arange(8) % 4
    there, far = np.zeros((8, 2), np.float32), np.ones((8, 2), np.float32)  # tanh(0) times 2e38 is 0
    history = modelzoo.train(model, (there, y), RECIPE, validation_data=(far, y))
    assert np.isfinite(history.history["loss"][-1])
    assert not np.isfinite(history.history["val_loss"][-1])
    modelzoo.save(model, tmp_path / "1")
    assert read_card(tmp_path / "1")["training"]["metrics"]["val_loss"] is None


def test_a_callback_that_stops_before_the_first_step_trains_nothing(points, tanh_mlp):
    model = tanh_mlp()
    stop = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: setattr(model, "stop_training", True))
    history = modelzoo.train(model, points, RECIPE, callbacks=[stop])
    assert history.history == {}
    assert card_for(model).training is None
