"""Dropout of the convolutional network."""

import numpy as np

from modelzoo.models import two_conv_cnn


def test_dropout_only_in_training_and_half_of_the_units(rng):
    model = two_conv_cnn(seed=0, filters=(2, 2), hidden_units=2000, image_shape=(9, 11))
    images = rng.uniform(0, 255, (2, 9, 11)).astype("float32")
    np.testing.assert_array_equal(model(images).numpy(), model(images, training=False).numpy())
    first, second = model(images, training=True).numpy(), model(images, training=True).numpy()
    assert not np.array_equal(first, second)
    dropped = model.get_layer("dropout")(np.ones((1, 2000), "float32"), training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert 850 < (dropped == 0).sum() < 1150
    still = two_conv_cnn(seed=0, dropout=0.0, filters=(2, 2), hidden_units=6, image_shape=(9, 11))
    np.testing.assert_array_equal(still(images, training=True).numpy(), still(images).numpy())
