"""Networks of other people's packages: LeNet-5 is in the guide, here is a residual one with batch normalisation."""

import pytest

PLUG_IN = '''
import random

import modelzoo.testing
from modelzoo import Recipe, register_model
from modelzoo.errors import InputError


@register_model(
    task="classification", dataset="mnist", num_params=5_662, source="He, Zhang, Ren and Sun (2016)",
    recipes={"lesson": Recipe(epochs=1, batch_size=64, optimizer="adam", log_every=100)},
)
def small_resnet(num_classes=10, *, depth=2, seed=None, name="small_resnet"):
    """Residual blocks with batch normalisation."""
    import keras
    from keras import layers

    if num_classes < 2:
        raise InputError(f"num_classes must be an integer of at least 2; got num_classes={num_classes}.")
    seeds = random.Random(seed)

    def seeded(layer, *sizes, **settings):
        return layer(*sizes, kernel_initializer=keras.initializers.HeNormal(seeds.getrandbits(31)), **settings)

    def conv(filters, name, x, strides=1):
        x = seeded(layers.Conv2D, filters, 3, strides=strides, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(name=f"{name}_norm")(x)

    images = keras.Input((28, 28), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    x = layers.Reshape((28, 28, 1), name="channel")(x)
    x = layers.ReLU(name="stem_relu")(conv(12, "stem", x, strides=2))
    for block in range(depth):
        y = layers.ReLU(name=f"relu_{block}_1")(conv(12, f"conv_{block}_1", x))
        x = layers.Add(name=f"add_{block}")([x, conv(12, f"conv_{block}_2", y)])
        x = layers.ReLU(name=f"relu_{block}_2")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Activation("softmax", name="probabilities")(seeded(layers.Dense, num_classes, name="logits")(x))
    return keras.Model(images, x, name=name)


TestOwn = modelzoo.testing.contract_tests("small_resnet", nonsense={"depth": ("deep", None, 1.5)})
'''


@pytest.mark.slow
def test_a_residual_network_with_batch_normalisation_keeps_the_contract(tmp_path, python):
    (tmp_path / "test_own.py").write_text(PLUG_IN)
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py", cwd=tmp_path)
    assert "17 passed" in done.stdout
