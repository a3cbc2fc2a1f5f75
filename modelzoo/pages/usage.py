"""What a page says of using a model: code that runs as it stands."""

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
    options = subject.card["builder"]["options"] if subject.card and not subject.pretrained else {}
    arguments = _arguments(spec.name, {**options, "seed": 0})
    parts = [
        "### Build",
        _python("import modelzoo", "", f"model = modelzoo.create_model({arguments})"),
        *_options(subject),
        read_docstring(spec.builder).returns,
    ]
    if subject.card is None:
        command = f"$ modelzoo train {spec.name} -o my_{spec.name}"
        return [*parts, "### Train", "There are no pretrained weights.", _console(command)]
    source, data = _literal(subject.source), _data_code(subject)
    given, result = network.input.name, network.output.name
    variable = result if result.isidentifier() else "outputs"
    loading = [f"model = modelzoo.load({source})"]
    if data:
        loading += [f"data = {data}", f"{variable} = modelzoo.predict(model, data.x_test[:5])"]
    parts += ["### Load", "Every file is checked against the card before the weights are read.", _python(*loading)]
    mine = f"my_{spec.name}"
    parts += ["### Fine-tune"]
    if data:
        parts.append(
            _python(
                f"other = {_other_data_code(subject) or data}",
                f"model, history = modelzoo.finetune({source}, other)",
                f'modelzoo.save(model, "{mine}")  # its card names the parent',
            )
        )
    else:
        parts.append(_console(f"$ modelzoo finetune {shlex.quote(subject.source)} --data mine.npz -o {mine}"))
    parts += ["### Serve"]
    if data:
        parts.append(
            _python(
                "import tensorflow as tf",
                "",
                f"served = tf.saved_model.load(str(modelzoo.saving.find({source})))",
                'function = served.signatures["serving_default"]',
                f'{variable} = function({given}=tf.constant(data.x_test[:5], tf.float32))["{result}"]',
            )
        )
    place = f"models/{spec.name}"
    parts.append(
        _console(
            f"$ modelzoo export {shlex.quote(subject.source)} -o {place}/1",
            f'$ tensorflow_model_server --rest_api_port=8501 --model_name={spec.name} --model_base_path="$PWD/{place}"',
        )
    )
    return parts


def _keras_file(subject: Subject) -> list[str]:
    model, shape = subject.model, getattr(subject.model, "input_shape", None)
    lines = ["import keras", "", f"model = keras.models.load_model({_literal(subject.source)})"]
    if isinstance(shape, tuple) and None not in shape[1:]:
        lines[1:1] = ["import numpy as np"]
        lines.append(f'outputs = model(np.zeros({(1, *shape[1:])}, "{model.inputs[0].dtype}"))')
    return [
        _python(*lines),
        "`model.compile` and `model.fit` train it further. To serve it:",
        _python(f'model.export("{subject.stem}_served/1", verbose=False)'),
    ]


def _options(subject: Subject) -> list[str]:
    spec = subject.spec
    assert spec is not None
    texts = read_docstring(spec.builder).parameters
    rows = [
        [
            code(name),
            code(brief(default) if isinstance(default, Mapping) else repr(default)),
            texts.get(name, "").replace("|", "\\|"),
        ]
        for name, default in spec.options.items()
    ]
    return [table(["option", "default", "meaning"], rows)] if rows else []


def _data_code(subject: Subject) -> str:
    """Return the call that loads the data the model is made for; empty if only the caller has them."""
    spec, used = subject.spec, subject.trained_on
    assert spec is not None
    if subject.pretrained or not used:
        return f"modelzoo.datasets.load({_arguments(spec.dataset, spec.recipe('lesson').data_options)})"
    if used.get("name") not in datasets.list_datasets() or "options" not in used:
        return ""
    return f"modelzoo.datasets.load({_arguments(used['name'], used['options'])})"


def _other_data_code(subject: Subject) -> str:
    """Return the call that loads data to fine-tune on: other digits, or other points of the same kind."""
    assert subject.spec is not None
    name = subject.trained_on.get("name") or subject.spec.dataset
    if tuple(subject.model.input_shape[1:]) == (28, 28):
        return 'modelzoo.datasets.load("digits")'
    if name in datasets.list_datasets() and {"n", "seed"} <= datasets.dataset_options(name).keys():
        return f"modelzoo.datasets.load({_arguments(name, {'n': 200, 'seed': 1})})"
    return ""


def _arguments(name: str, options: Mapping[str, Any]) -> str:
    parts = [_literal(name), *(f"{key}={_literal(value)}" for key, value in options.items())]
    return ", ".join(parts)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def _console(*lines: str) -> str:
    return "\n".join(["```console", *lines, "```"])
