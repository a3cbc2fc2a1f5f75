"""What a page says of using a model: code that runs as it stands, with data of the package."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from modelzoo import datasets
from modelzoo.pages.markdown import brief, code, read_docstring, table
from modelzoo.pages.subject import Subject


def usage_section(subject: Subject) -> str:
    """Return how to build, load, fine-tune and serve a model."""
    parts = _keras_file(subject) if subject.spec is None else _zoo_model(subject)
    return "\n\n".join(["## Use", *parts])


def _zoo_model(subject: Subject) -> list[str]:
    spec, network = subject.spec, subject.network
    assert spec is not None
    docstring = read_docstring(spec.builder)
    options = subject.card["builder"]["options"] if subject.card and not subject.pretrained else {}
    arguments = _arguments(spec.name, {**(options or {}), "seed": 0})
    rows = [
        [
            code(name),
            code(brief(default) if isinstance(default, Mapping) else repr(default)),
            docstring.parameters.get(name, "").replace("|", "\\|"),
        ]
        for name, default in spec.options.items()
    ]
    parts = [
        "### Build",
        _python("import modelzoo", "", f"model = modelzoo.create_model({arguments})"),
        table(["option", "default", "meaning"], rows),
        docstring.returns,
    ]
    if subject.card is None:
        command = f"$ modelzoo train {spec.name} -o my_{spec.name}"
        return [*parts, "### Train", "There are no pretrained weights.", _console(command)]
    source, (data, other) = _literal(subject.source), _data_code(subject)
    given, result = network.input.name, network.output.name
    variable = result if result.isidentifier() else "outputs"
    place = f"models/{spec.name}"
    return [
        *parts,
        "### Load",
        "Every file is checked against the card before the weights are read.",
        _python(
            f"model = modelzoo.load({source})",
            f"data = {data}",
            f"{variable} = modelzoo.predict(model, data.x_test[:5])",
        ),
        "### Fine-tune",
        _python(
            f"other = {other}",
            f"model, history = modelzoo.finetune({source}, other)",
            f'modelzoo.save(model, "my_{spec.name}")  # its card names the parent',
        ),
        "### Serve",
        _python(
            "import tensorflow as tf",
            "",
            f"served = tf.saved_model.load(str(modelzoo.saving.find({source})))",
            'function = served.signatures["serving_default"]',
            f'{variable} = function({given}=tf.constant(data.x_test[:5], tf.float32))["{result}"]',
        ),
        _console(
            f"$ modelzoo export {shlex.quote(subject.source)} -o {place}/1",
            f'$ tensorflow_model_server --rest_api_port=8501 --model_name={spec.name} --model_base_path="$PWD/{place}"',
        ),
    ]


def _keras_file(subject: Subject) -> list[str]:
    samples = [
        f'np.zeros({(1, *(length or 1 for length in tensor.shape[1:]))}, "{tensor.dtype}")'
        for tensor in subject.model.inputs
    ]
    return [
        _python(
            "import keras",
            "import numpy as np",
            "",
            f"model = keras.models.load_model({_literal(subject.source)})",
            f"outputs = model({samples[0] if len(samples) == 1 else '[' + ', '.join(samples) + ']'})",
        ),
        "`model.compile` and `model.fit` train it further. To serve it:",
        _python(f'model.export("{subject.stem}_served/1", verbose=False)'),
    ]


def _data_code(subject: Subject) -> tuple[str, str]:
    """Return the calls that load the data the model is made for, and others of the same kind to fine-tune on."""
    spec, used = subject.spec, subject.trained_on
    assert spec is not None
    if subject.pretrained or not used:
        used = {"name": spec.dataset, "options": spec.recipe("lesson").data_options}
    load, name = "modelzoo.datasets.load({})", used["name"]
    if name not in datasets.list_datasets() or "options" not in used:  # only the caller has them
        return load.format('"my_data.npz"'), load.format('"others.npz"')
    data = load.format(_arguments(name, used["options"]))
    if subject.network.input.output_shape == (28, 28):
        return data, load.format('"digits"')
    drawn = {"n", "seed"} <= datasets.dataset_options(name).keys()
    return data, load.format(_arguments(name, {"n": 200, "seed": 1})) if drawn else data


def _arguments(name: str, options: Mapping[str, Any]) -> str:
    return ", ".join([_literal(name), *(f"{key}={_literal(value)}" for key, value in options.items())])


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def _console(*lines: str) -> str:
    return "\n".join(["```console", *lines, "```"])
