"""How to train a network: ``Recipe`` and ``Augmentation``, plain dataclasses that import no TensorFlow."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from modelzoo._checks import check_choice, check_flag, check_fraction, check_integer, check_number
from modelzoo.errors import InputError, unknown_name

Xla = Literal["auto", "loop", "update", "off"]
Precision = Literal["float32", "bfloat16"]


class _Fields:
    """Refuses fields that do not exist, with the closest name, and writes those that differ from the defaults."""

    if not TYPE_CHECKING:

        def __new__(cls, *args, **fields):
            check_fields(f"{cls.__name__.lower()} field", cls, fields)
            return super().__new__(cls)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from the defaults, ready for JSON."""
        return _plain(_changed(self))


@dataclasses.dataclass(frozen=True)
class Augmentation(_Fields):
    """Random changes of training images, drawn anew for each sample and step: of shape, of looks, and noise.

    Every amount of shape is the half-width of a uniform distribution around "no change", and an amount of looks the end
    of one that begins there; 0 switches a part off. What a reconstruction aims at has the changes of shape alone, which
    makes an autoencoder a denoising one (Vincent et al. 2008).

    Parameters
    ----------
    rotation
        Radians.
    scale
        Fraction of the size, of height and width independently.
    shear
        Horizontal shift of a row, in pixels for each pixel of height.
    shift
        Pixels, vertically and horizontally.
    elastic_strength, elastic_sigma
        α and σ of Simard, Steinkraus and Platt (2003): a field of displacements, uniform on −1…1 pixel, smoothed by a
        Gaussian of σ pixels and multiplied by α. The field here is Gaussian of the same covariance.
    probability
        Share of the samples that are distorted; the others keep their shape, which interpolation does not blur.
    noise
        Grey levels, of 255, of the uniform noise that is added to each pixel of every sample.
    looks
        Probability of each of the following changes, in this order, for each sample. A rare change is made in some
        steps only, and there to a third of the samples.
    stroke
        Pixels, at most 1, by which strokes become wider or thinner at each side (grey dilation and erosion).
    outline
        Fraction by which strokes fade to their outline (dilation less erosion).
    blur
        Standard deviation of a Gaussian, in pixels.
    occlusion
        Height and width, in pixels, of a rectangle that is missing, or covered by a grey level.
    lines
        Number of straight or wavy lines, whole or dotted, of any grey level.
    contrast
        Fraction by which grey levels become smaller.
    background
        Level of a background with waves, as a fraction of white.
    inversion
        Probability that dark and bright change places, in the place of ``looks``.
    gaussian_noise
        Standard deviation, in grey levels.
    salt_pepper
        Fraction of the pixels that become black or white.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic_strength: float = 0.0
    elastic_sigma: float = 4.0
    probability: float = 1.0
    noise: float = 0.0
    looks: float = 0.1
    stroke: float = 0.0
    outline: float = 0.0
    blur: float = 0.0
    occlusion: float = 0.0
    lines: int = 0
    contrast: float = 0.0
    background: float = 0.0
    inversion: float = 0.0
    gaussian_noise: float = 0.0
    salt_pepper: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name), 0)
        check_fraction("scale", self.scale)
        check_integer("lines", self.lines, 0)
        for name in ("probability", "looks", "stroke", "outline", "contrast", "background", "inversion", "salt_pepper"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("elastic_sigma", self.elastic_sigma, 0, exclusive=True)

    @property
    def distorts(self) -> bool:
        """Whether anything moves pixels."""
        return any((self.rotation, self.scale, self.shear, self.shift, self.elastic_strength))

    @property
    def changes_looks(self) -> bool:
        """Whether anything changes how images look, ``noise`` apart."""
        names = [field.name for field in dataclasses.fields(self)]
        return any(getattr(self, name) for name in names[names.index("looks") + 1 :])

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Augmentation:
        """Rebuild an augmentation from :meth:`to_dict`."""
        return cls(**fields)


@dataclasses.dataclass(frozen=True)
class Recipe(_Fields):
    """How to train a network: every hyper-parameter, and nothing that depends on the machine.

    Parameters
    ----------
    steps
        Number of optimiser steps. Give this or ``epochs``.
    epochs
        Number of passes over the training set, turned into steps once its size is known.
    batch_size
        Samples a step; ``None`` is the full batch.
    optimizer
        Name of a Keras optimiser, e.g. ``"adam"``.
    learning_rate
        A number, or a schedule of ``keras.optimizers.schedules``, which may also be written as ``{"class_name": …,
        "config": …}``. A ``decay_steps`` left out of the configuration is the length of the run (after the warm-up,
        where there is one).
    layer_learning_rates
        Multipliers, above 0, of the learning rate of single layers by name; weight decay is not multiplied.
    optimizer_options
        Further arguments of the optimiser, e.g. ``{"momentum": 0.9}``. With ``use_ema`` the averaged weights are what
        is evaluated, shown to callbacks, and left in the model.
    loss
        Name of a Keras loss, or ``"sum_of_squares"`` (½ Σ (output − label)², summed over the batch).
    reconstruct
        The target is the input itself scaled to 0–1 (pixels / 255) instead of the labels.
    label_smoothing
        Share, from 0 to below 1, of the target's probability that is spread evenly over all classes (Szegedy et al.
        2016); in training only, so that evaluations stay comparable.
    class_weight
        Factors of the loss of the samples of each class, by its name or number, 1 for the others; ``"balanced"`` gives
        each class of the training samples the same sum. In training only, as label smoothing.
    augmentation
        How training images are distorted.
    validation_size
        Samples of the training set to hold out and evaluate on (``val_loss``, ``val_accuracy``); training then never
        sees the test data. Which ones depends on the data alone, not on the seed.
    log_every
        Steps between two entries of the history, each of which is one compiled call.
    log_train
        ``"batches"``: the training loss and metrics are means over the batches since the last entry, as in
        Keras' ``fit``; ``"all"``: they are computed over the whole training set, in inference mode, if it is in
        memory.
    validation_freq
        Entries between two evaluations on the validation data, or else the test data; the last entry always has one.
    calibrate
        Divide the logits by the temperature that minimises the cross-entropy on the validation data (Guo et al. 2017),
        once training has ended: kernel and bias of the last layer become so much smaller or larger. Where all n
        validation samples are right no temperature does; their mean probability is then made (n + 1) / (n + 2), as
        far as a temperature of 0.05 to 20 does. The last entry of the history has the validation loss after that.
    target_loss
        Stop at the first entry whose training loss is not above this value.
    precision
        ``"bfloat16"`` computes in bfloat16 and keeps the weights in float32.
    xla
        What XLA compiles: the whole ``"loop"``, the optimiser's ``"update"`` only, or nothing (``"off"``);
        ``"auto"`` is what is faster on a CPU, ``"update"`` for convolutional networks and ``"loop"`` for others.
    model_options
        Arguments of the builder that belong to this recipe.
    data_options
        Options of :func:`modelzoo.datasets.load` that belong to this recipe.
    source
        Where the hyper-parameters come from.
    """

    steps: int | None = None
    epochs: float | None = None
    batch_size: int | None = None
    optimizer: str = "adam"
    learning_rate: float | Mapping[str, Any] = 1e-3
    layer_learning_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    optimizer_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    loss: str = "sparse_categorical_crossentropy"
    reconstruct: bool = False
    label_smoothing: float = 0.0
    class_weight: Mapping[str | int, float] | Literal["balanced"] | None = None
    augmentation: Augmentation | None = None
    validation_size: int = 0
    log_every: int = 100
    log_train: Literal["batches", "all"] = "batches"
    validation_freq: int = 1
    calibrate: bool = False
    target_loss: float | None = None
    precision: Precision = "float32"
    xla: Xla = "auto"
    model_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: str = dataclasses.field(default="", compare=False)  # words do not make another recipe

    def __post_init__(self) -> None:
        for name, value in vars(self).items():  # NumPy's numbers become Python's, as a card holds them
            if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
                object.__setattr__(self, name, value.item())
        if (self.steps is None) == (self.epochs is None):
            raise InputError(
                f"A recipe needs either steps or epochs; got steps={self.steps!r}, epochs={self.epochs!r}."
            )
        for name in ("steps", "batch_size", "log_every", "validation_freq"):
            if getattr(self, name) is not None or name in ("log_every", "validation_freq"):
                check_integer(name, getattr(self, name))
        if self.epochs is not None:
            check_number("epochs", self.epochs, 0, exclusive=True)
        if self.target_loss is not None:
            check_number("target_loss", self.target_loss)
        if hasattr(self.learning_rate, "get_config"):  # a Keras schedule
            schedule = {"class_name": type(self.learning_rate).__name__, "config": self.learning_rate.get_config()}
            object.__setattr__(self, "learning_rate", schedule)
        if not isinstance(self.learning_rate, Mapping):
            check_number("learning_rate", self.learning_rate, 0, exclusive=True)
        check_integer("validation_size", self.validation_size, 0)
        check_fraction("label_smoothing", self.label_smoothing)
        check_flag("reconstruct", self.reconstruct)
        check_flag("calibrate", self.calibrate)
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("xla", self.xla, get_args(Xla))
        check_choice("log_train", self.log_train, ("batches", "all"))
        for name in ("optimizer", "loss", "source"):
            if not isinstance(value := getattr(self, name), str):
                raise InputError(f"{name} must be a string; got {name}={value!r:.80}.{_written(name, value)}")
        if not isinstance(self.augmentation, Augmentation | None):
            raise InputError(f"augmentation must be a modelzoo.Augmentation; got {self.augmentation!r:.80}.")
        if isinstance(self.class_weight, Mapping):
            for key, weight in self.class_weight.items():
                check_number(f"class_weight[{key!r}]", weight, 0)
        elif self.class_weight not in (None, "balanced"):
            raise InputError(
                f"class_weight must map classes to weights, or be 'balanced'; got {self.class_weight!r:.80}."
            )
        for name in ("layer_learning_rates", "optimizer_options", "model_options", "data_options"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"{name} must be a mapping; got {name}={getattr(self, name)!r:.80}.")
            object.__setattr__(self, name, _with_tuples(getattr(self, name)))  # a card has lists
        for name, factor in self.layer_learning_rates.items():
            check_number(f"layer_learning_rates[{name!r}]", factor, 0, exclusive=True)

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in _changed(self).items())})"

    def _repr_html_(self) -> str:
        return html_table(_changed(self))

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with some fields changed; giving ``steps`` drops ``epochs`` and the other way round."""
        check_fields("recipe field", type(self), changes)
        if changes.get("steps") is not None:
            changes.setdefault("epochs", None)
        elif changes.get("epochs") is not None:
            changes.setdefault("steps", None)
        return dataclasses.replace(self, **changes)

    def total_steps(self, num_samples: int) -> int:
        """Return the number of steps on a training set of ``num_samples`` samples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        batch_size = min(self.batch_size or num_samples, num_samples)
        return max(1, round(self.epochs * num_samples / batch_size))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from :meth:`to_dict`."""
        if isinstance(fields.get("augmentation"), Mapping):
            fields = {**fields, "augmentation": Augmentation.from_dict(fields["augmentation"])}
        return cls(**fields)


#: What other libraries call fields of a recipe.
_OTHER_NAMES = {"lr": "learning_rate", "num_epochs": "epochs", "max_steps": "steps", "weights": "class_weight"}


def check_fields(kind: str, cls: type, given: Iterable[str], *, beside: Iterable[str] = ()) -> None:
    """Raise InputError, with the closest name, unless all names are fields of ``cls``.

    ``beside`` are other names to suggest.
    """
    names = {field.name for field in dataclasses.fields(cls)}
    for name in given:
        if name not in names:
            raise unknown_name(kind, name, {*names, *beside}, close=_OTHER_NAMES.get(name))


def _written(field: str, value: Any) -> str:
    """Return how a Keras object is written in a recipe, which holds names."""
    if not hasattr(value, "get_config"):
        return ""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(value).__name__).lower()
    options = ", with learning_rate and optimizer_options beside it" if field == "optimizer" else ""
    return f" Write {field}={(name.replace('_', '') if field == 'optimizer' else name)!r}{options}."


def _changed(instance: Any) -> dict[str, Any]:
    """Return the fields that differ from their defaults."""
    result = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value != default:
            result[field.name] = value
    return result


def html_table(rows: Mapping[str, Any]) -> str:
    """Return a table of names and values for a notebook."""
    lines = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(lines)}</table>"


def _with_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, tuple | list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Augmentation):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
