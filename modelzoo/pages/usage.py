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
    parts = [] if subject.spec is None else _build(subject)
    if subject.card is not None:
        parts += _artifact(subject)
    elif subject.spec is None:
        parts += _keras_file(subject)
    else:
        command = f"$ modelzoo train {subject.name} -o my_{subject.name}"
        parts += ["### Train", "There are no pretrained weights.", _console(command)]
    return "\n\n".join(["## Use", *parts])


def _build(subject: Subject) -> list[str]:
    spec = subject.spec
    assert spec is not None
    docstring = read_docstring(spec.builder)
    options = subject.card["builder"]["options"] if subject.card and not subject.pretrained else {}
    rows = []
    for name, default in spec.options.items():
        shown = brief(default) if isinstance(default, Mapping) else repr(default)
        rows.append([code(name), code(shown), docstring.parameters.get(name, "").replace("|", "\\|")])
    call = f"model = modelzoo.create_model({_arguments(spec.name, {**options, 'seed': 0})})"
    return [
        "### Build",
        _python("import modelzoo", "", call),
        table(["option", "default", "meaning"], rows),
        docstring.returns,
    ]


def _artifact(subject: Subject) -> list[str]:
    source, (data, other), network = _literal(subject.source), _data_code(subject), subject.network
    given, result, name = network.input.name, network.output.name, subject.stem
    variable = result if result.isidentifier() else "outputs"
    return [
        "### Load",
        "Every file is checked against the card before the weights are read.",
        _python(
            *(["import modelzoo", ""] if subject.spec is None else []),
            f"model = modelzoo.load({source})",
            f"data = {data}",
            f"{variable} = modelzoo.predict(model, data.x_test[:5])",
        ),
        "### Fine-tune",
        _python(
            f"other = {other}",
            f"model, history = modelzoo.finetune({source}, other)",
            f'modelzoo.save(model, "my_{name}")  # its card names the parent',
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
            f"$ modelzoo export {shlex.quote(subject.source)} -o models/{name}/1",
            f"$ tensorflow_model_server --rest_api_port=8501 --model_name={name} "
            f'--model_base_path="$PWD/models/{name}"',
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
    if spec is not None and (subject.pretrained or not used):
        used = {"name": spec.dataset, "options": spec.recipe("lesson").data_options}
    load, name = "modelzoo.datasets.load({})", used.get("name")
    if name not in datasets.list_datasets() or "options" not in used:  # only the caller has them
        return load.format('"my_data.npz"'), load.format('"others.npz"')
    data = load.format(_arguments(name, used["options"]))
    if subject.network.input.output_shape == (28, 28):
        seen = "digits" in (name, subject.trained_on.get("options", {}).get("extra"))
        return data, load.format('"others.npz"' if seen else '"digits"')
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
