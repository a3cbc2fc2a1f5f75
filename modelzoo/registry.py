"""The registry: builders enter it through a decorator, and are found by name."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import functools
import importlib
import inspect
import json
import logging
import pkgutil
import random
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from modelzoo._checks import check_choice, check_seed
from modelzoo._keras import tf
from modelzoo.card import Card, set_card, weights_digest
from modelzoo.errors import InputError, ModelZooError, reason_of, unknown_name
from modelzoo.network import Network, Shape, check_model_name, read_network, reconstructs
from modelzoo.recipe import Recipe, html_table

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import keras

Task = Literal["classification", "reconstruction"]
Builder = TypeVar("Builder", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

#: Entry points of this group are modules that register networks, or data sets, when they are imported.
ENTRY_POINTS = "modelzoo.models"

_REGISTRY: dict[str, ModelSpec] = {}
#: Held while plug-ins are imported: another thread waits for their networks.
_LOADING = threading.RLock()


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The facts declared beside a builder; tests execute each of them.

    Parameters
    ----------
    name
        Name of the builder.
    builder
        The builder function.
    family
        Module the builder lives in, e.g. ``"mlp"``.
    task
        ``"classification"`` or ``"reconstruction"``.
    dataset
        Name of the data set it is trained on.
    num_params
        Number of parameters with default arguments, as ``model.count_params()``; every such build verifies it.
    network
        The layer widths in one line, e.g. ``"784 → 500 → 300 → 10"``.
    source
        Where the architecture comes from.
    recipes
        Named recipes; every model has ``"lesson"``.
    """

    name: str
    builder: Callable[..., Any]
    family: str
    task: Task
    dataset: str
    num_params: int
    network: str
    source: str
    recipes: Mapping[str, Recipe]

    def _facts(self) -> dict[str, Any]:
        shown = ("task", "dataset", "num_params", "network", "source")
        return {"name": self.name, **{key: getattr(self, key) for key in shown}, "recipes": sorted(self.recipes)}

    def __repr__(self) -> str:
        return f"ModelSpec({', '.join(f'{key}={value!r}' for key, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        return html_table({**self._facts(), "recipes": ", ".join(sorted(self.recipes))})

    def recipe(self, name: str) -> Recipe:
        """Return the recipe of that name.

        Raises
        ------
        InputError
            There is none; the message lists those that exist.
        """
        return self.recipes[check_choice(f"recipe of {self.name}", name, self.recipes)]

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring."""
        return (inspect.getdoc(self.builder) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The builder's arguments with their defaults."""
        return {name: p.default for name, p in inspect.signature(self.builder).parameters.items()}

    def fitting_options(self, input_shape: Shape, num_classes: int | None) -> dict[str, Any]:
        """Return the builder's arguments for samples of a shape and a number of classes, as far as it has such."""
        shape = {"input_dim": input_shape[0]} if len(input_shape) == 1 else {"image_shape": input_shape}
        fitting = {"num_classes": num_classes, **shape}
        return {option: value for option, value in fitting.items() if option in self.options}


def register_model(
    *,
    task: Task,
    dataset: str,
    num_params: int,
    source: str,
    recipes: Mapping[str, Recipe],
    network: str = "",
) -> Callable[[Builder], Builder]:
    """Declare a builder's facts and add it to the registry.

    The decorated function returns a plain ``keras.Model`` with a :class:`modelzoo.card.Card`. All arguments are as in
    :class:`modelzoo.registry.ModelSpec`.
    """

    def decorate(builder: Builder) -> Builder:
        name = builder.__name__
        if not builder.__module__.startswith("modelzoo.models."):
            _load_builtin_models()  # whose names are taken, whether they were listed before or not
        known = _REGISTRY.get(name)
        if known is not None and known.builder.__module__ != builder.__module__:
            raise InputError(f"A model named {name!r} is registered already; choose another name.")
        if "lesson" not in recipes:
            raise InputError(f"{name} declares recipes {sorted(recipes)}; every model needs one named 'lesson'.")
        signature = inspect.signature(builder)

        @functools.wraps(builder)
        def build(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                for option in kwargs:
                    if option not in signature.parameters:
                        raise unknown_name(f"option of {name}", option, signature.parameters) from None
                raise InputError(f"{name}: {error}. Options: {', '.join(signature.parameters)}.") from None
            if "name" in bound.arguments:
                check_model_name(bound.arguments["name"])
            for option, value in bound.arguments.items():
                if isinstance(value, np.generic):  # Keras takes Python's numbers alone
                    bound.arguments[option] = value.item()
            given = [f"{k}={v!r:.80}" for k, v in bound.arguments.items() if k not in ("seed", "name")]
            if bound.arguments.get("seed") is not None:
                bound.arguments["seed"] = check_seed(bound.arguments["seed"])
            elif "seed" in signature.parameters:
                # Python's generator, as Keras' own layers take it: keras.utils.set_random_seed seeds that.
                bound.arguments["seed"] = random.getrandbits(31)
            try:
                model = builder(*bound.args, **bound.kwargs)
            except (TypeError, ValueError) as error:
                if isinstance(error, ModelZooError) or not given:  # without options the mistake is the builder's
                    raise
                given_text = " ".join(", ".join(given).splitlines())
                raise InputError(f"{name} cannot be built with {given_text}: {reason_of(error)}") from error
            check_model_name(model.name)  # a builder may give it itself
            seed = bound.arguments.pop("seed", None)
            options = changed_options(name, bound.arguments, _REGISTRY[name].options)
            if not options and model.count_params() != num_params:
                raise InputError(
                    f"{name} declares num_params={num_params!r:.80}, and its builder makes a network of "
                    f"{model.count_params()} parameters. Correct one of them."
                )
            set_card(model, Card(name, name, options, seed, weights_digest=weights_digest(model)))
            return model

        family = builder.__module__.rpartition(".")[2]
        _REGISTRY[name] = ModelSpec(name, build, family, task, dataset, num_params, network, source, dict(recipes))
        return build  # type: ignore[return-value]

    return decorate


def changed_options(model: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options of a builder that differ from the known ones, as a card holds them."""
    plain = {option: _plain_option(model, option, value) for option, value in given.items()}
    empty = inspect.Parameter.empty  # of an option without a default
    return {
        option: value
        for option, value in plain.items()
        if known.get(option, empty) is empty or value != _plain_option(model, option, known[option])
    }


def _plain_option(model: str, option: str, value: Any) -> Any:
    if hasattr(value, "get_config"):  # a Keras initializer
        return {"class_name": type(value).__name__, "config": value.get_config()}
    try:
        return json.loads(json.dumps(value, default=lambda array: array.tolist()))  # NumPy's numbers and arrays
    except (TypeError, ValueError, AttributeError):
        raise InputError(
            f"{model}: {option}={value!r} cannot be written to a card. Use numbers, strings, sequences or a Keras name."
        ) from None


@functools.cache
def _load_builtin_models() -> None:
    package = importlib.import_module("modelzoo.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


@functools.cache
def _plug_ins() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # here, because a name of the zoo's own needs no plug-in

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.value)


def load_plug_ins() -> None:
    """Import what installed packages declare as entry points, once; one that fails is named in a warning."""
    with _LOADING:
        while _plug_ins():  # each is taken out first, because a plug-in may list models itself
            entry = _plug_ins().pop(0)
            try:
                entry.load()
            except Exception as error:
                package = f" of {entry.dist.name}" if entry.dist else ""
                reason = f"{type(error).__name__}: {error}"
                logger.warning("The entry point %s = %s%s was left out: %s", entry.name, entry.value, package, reason)


def list_models(
    pattern: str = "*", *, task: str | None = None, dataset: str | None = None, family: str | None = None
) -> list[str]:
    """Return the sorted names of the registered models.

    Parameters
    ----------
    pattern
        Shell-style pattern of names, e.g. ``"*_mlp"``.
    task, dataset, family
        Keep only models with this task, data set or family.

    Raises
    ------
    InputError
        No registered model has that task, data set or family, or ``pattern`` is not a string.
    """
    if not isinstance(pattern, str):
        raise InputError(f"pattern must be a text such as '*_mlp'; got pattern={pattern!r:.80}.")
    _load_builtin_models()
    load_plug_ins()
    found = [spec for spec in _REGISTRY.values() if fnmatch.fnmatchcase(spec.name, pattern)]
    for kind, wanted in (("task", task), ("dataset", dataset), ("family", family)):
        if wanted is not None:
            check_choice(kind, wanted, {getattr(spec, kind) for spec in _REGISTRY.values()})
            found = [spec for spec in found if getattr(spec, kind) == wanted]
    return sorted(spec.name for spec in found)


def get_spec(name: str) -> ModelSpec:
    """Return the declared facts of a model.

    Raises
    ------
    InputError
        No model has that name; the message has the closest match.
    """
    _load_builtin_models()
    if isinstance(name, str) and name not in _REGISTRY:
        load_plug_ins()
    if not isinstance(name, str) or name not in _REGISTRY:
        raise InputError(
            f"{unknown_name('model', name, _REGISTRY)} A network of your own is known once its module is imported: "
            f"`modelzoo --import MODULE …`, or an entry point of the group {ENTRY_POINTS!r}."
        )
    return _REGISTRY[name]


def build_model(name: str, /, *, seed: int | None = None, **options: Any) -> keras.Model:
    """Build a model with fresh weights; :func:`modelzoo.create_model` also gives pretrained ones.

    Parameters
    ----------
    name
        Name of the model, see :func:`list_models`.
    seed
        Seed of the initial weights; ``None`` draws one, which ``keras.utils.set_random_seed`` decides.
    **options
        Arguments of the builder.

    Returns
    -------
    keras.Model
        A plain Keras model, not compiled.

    Raises
    ------
    InputError
        The name or an option is not known, or an option's value is not allowed.
    """
    spec = get_spec(name)
    if "seed" in spec.options:
        options["seed"] = seed
    return spec.builder(**options)


def card_for(model: keras.Model) -> Card:
    """Return the card of a live model: its own, or a new one that says what is known and stays with the model.

    A model that lost its card in a ``.keras`` file, a clone or a copy has the builder of its name, where that makes the
    same network for its inputs and outputs.

    Parameters
    ----------
    model
        Any functional or Sequential Keras model.
    """
    card = getattr(model, "_modelzoo_card", None)
    if card is None:
        network, options = read_network(model), {}
        ends = [network.layers[index].output_shape for index in (*network.inputs, *network.outputs)]
        if network.name in list_models() and len(ends) == 2 and all(ends):
            spec, (inputs, outputs) = _REGISTRY[network.name], ends
            options = changed_options(network.name, spec.fitting_options(inputs, outputs[-1]), spec.options)
        known = find_builder(network.name, options, network)
        card = Card(network.name) if known is None else Card(network.name, network.name, options)
        set_card(model, card)
    return card


def find_builder(name: str | None, options: Mapping[str, Any], network: Network) -> Callable[..., keras.Model] | None:
    """Return the registered builder of that name, as a function of ``seed``, if its network with these options is this.

    That is tried in a graph of its own, where nothing is allocated.
    """
    if name is None or name not in list_models():
        return None
    builder = inspect.unwrap(_REGISTRY[name].builder)
    with contextlib.suppress(Exception), tf.Graph().as_default():  # a card may have any options
        model = builder(**{key: value for key, value in options.items() if key != "seed"})
        if read_network(model).same_as(network):
            return functools.partial(build_model, name, **options)
    return None


def spec_of(model: keras.Model) -> ModelSpec | None:
    """Return the declared facts of the builder of a live model; ``None`` where no builder is known."""
    builder = card_for(model).builder
    return None if builder is None else get_spec(builder)


def base_recipe(model: keras.Model) -> Recipe:
    """Return the recipe that says what a model is trained for: its builder's lesson, or one with a loss that fits.

    A model whose outputs are of its inputs' shape reconstructs them; others are classifiers.
    """
    if (spec := spec_of(model)) is not None:
        return spec.recipe("lesson")
    if reconstructs(model):
        return Recipe(steps=1000, batch_size=64, loss="mean_squared_error", reconstruct=True)
    loss = "binary_crossentropy" if model.output_shape[-1] == 1 else "sparse_categorical_crossentropy"
    return Recipe(steps=1000, batch_size=64, loss=loss)
