"""Write what the documentation and the playground show of registry, cards and measurements."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")

import click
from benchmark import PEERS, case_section, cost_section, machine_lines
from report import ROOT, Command, markdown_table, number, read_text, replace_between, write_text

import modelzoo
from modelzoo.card import read_card
from modelzoo.cli.common import import_tensorflow
from modelzoo.errors import ArtifactError, InputError
from modelzoo.network import read_network
from modelzoo.pages import read_subject, render
from modelzoo.pages.markdown import prose, read_docstring
from modelzoo.saving import find
from modelzoo.web import POINT_SETS, STARTS

#: The folder that is this script's own: what it did not write there is obsolete.
PAGES = ROOT / "docs" / "architectures"
RESULTS, SPEED = ROOT / "docs" / "guide" / "results.md", ROOT / "docs" / "guide" / "speed.md"
TRAINING, COSTS = ROOT / "docs" / "benchmark.json", ROOT / "docs" / "benchmark_costs.json"
PICTURE = ROOT / "docs" / "_static" / "zoo.png"

Files = dict[Path, str]


def architectures() -> Files:
    """Return the pages of all models and their index."""
    files: Files = {}
    for name in modelzoo.list_models():
        files |= {PAGES / file: text for file, text in render(read_subject(name)).items()}
    specs = sorted(map(modelzoo.get_spec, modelzoo.list_models()), key=lambda spec: (spec.num_params, spec.name))
    parts = [
        "# Architectures",
        f"The {len(specs)} networks of the zoo, the smallest first. The pages are written by `python scripts/render.py "
        "architectures` from the registry, the models' cards and the live models; `modelzoo describe` writes such a "
        "page for a model of yours.",
        "\n".join(["```{toctree}", ":hidden:", "", *(spec.name for spec in specs), "```"]),
    ]
    for spec in specs:
        parts += [
            f"## [{spec.name}]({spec.name}.md)",
            f"{read_docstring(spec.builder).summary} {spec.num_params:,} parameters, data set `{spec.dataset}`.",
            f"[![Diagram of {spec.name}: {prose(spec.network)}]({spec.name}.svg)]({spec.name}.md)",
        ]
    return files | {PAGES / "index.md": "\n\n".join(parts) + "\n"}


def results() -> Files:
    """Return the page of results, whose table comes from the cards of the pretrained models."""
    header = ["model", "recipe", "test error", "this artifact", "calibration error", "error when corrupted"]
    header += ["parameters", "multiply-adds", "size", "training"]
    rows = [
        result_row(f"{name}/{version}" if len(versions) > 1 else name, find(name, version=version))
        for name, versions in modelzoo.list_pretrained().items()
        for version in versions
    ]
    return {RESULTS: replace_between(RESULTS, "results", markdown_table(header, rows, left=2))}


def result_row(label: str, directory: Path) -> list[str]:
    """Return one artifact's cells of the table of results."""
    found: Any = read_card(directory).get("results")
    try:
        metrics, seeds = found["metrics"], len(found["seeds"])
        classifies = "test_accuracy" in metrics
        scores = metrics["test_accuracy"] if classifies else metrics["test_loss"]
        mean, value = (1 - scores[key] if classifies else scores[key] for key in ("mean", "value"))
        form = ".2%" if classifies else ".4f"
        corrupted = [score["value"] for score in (found.get("corruptions") or {}).values()]
        calibration = (metrics.get("calibration_error") or {}).get("value")
        seconds = (metrics.get("seconds") or {}).get("value")  # unknown of a run that was interrupted and resumed
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        return [
            f"`{label}`",
            f"{found['recipe']}, {seeds} seed{'s' if seeds > 1 else ''}",
            format(mean, form) + (f" ± {scores['std']:{form}}" if seeds > 1 else ""),
            format(value, form),
            "–" if calibration is None else f"{calibration:.2%}",
            format(statistics.fmean(corrupted), form) if corrupted else "–",
            format(found["num_params"], ","),
            format(found["multiply_adds"], ","),
            f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB",
            "–" if seconds is None else f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s",
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{directory}: the card's results are incomplete ({type(error).__name__}: {error}). Train and export the "
            f"model again: `python scripts/train_zoo.py {directory.parent.name} --recipe … --export`."
        ) from error


def speed() -> Files:
    """Return the page on speed, whose tables come from what the benchmark measured."""
    training = read_measurements(TRAINING, "make bench BENCH_ARGS='--output docs/benchmark.json'")
    costs = read_measurements(COSTS, "make bench-costs BENCH_ARGS='--output docs/benchmark_costs.json'")
    sections = [case_section(name, case) for name, case in training["cases"].items()]
    text = replace_between(SPEED, "summary", f"{machine_lines(training['machine'])}\n\n{speed_table(training)}")
    text = replace_between(SPEED, "training", "\n\n".join(sections), text)
    parts = [machine_lines(costs["machine"]), *map(cost_section, costs["parts"].values())]
    return {SPEED: replace_between(SPEED, "costs", "\n\n".join(parts), text)}


def speed_table(report: Mapping[str, Any]) -> str:
    """Return the table of all cases: our rates, and how many times those of the others they are."""
    cases = report["cases"]
    peers = [peer for peer in PEERS if any(peer in case["ratios"] for case in cases.values())]
    rows = []
    for name, case in cases.items():
        ratios = case["ratios"]
        cells = [f"{number(ratios[peer]['median'])}×" if peer in ratios else "–" for peer in (*peers, "best")]
        kept = "*" if "machine" in case else ""
        rows.append([f"{name}{kept}", f"{number(case['peers']['modelzoo']['rate']['median'])} {case['unit']}", *cells])
    header = ["case", "modelzoo", *(f"× {PEERS[peer]}" for peer in peers), "× the best of each round"]
    note = "\n\n\\* Of an earlier session, whose machine stands below the case's own table."
    return markdown_table(header, rows) + note * any("machine" in case for case in cases.values())


def read_measurements(path: Path, command: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path}: {error}. Measure first: {command}.") from error


def starts() -> Files:
    """Return the start weights that the playground shows: those of seeds 0 to 4, and the lesson's where it has any."""
    networks = []
    for name in modelzoo.list_models():
        spec = modelzoo.get_spec(name)
        if spec.dataset not in POINT_SETS:
            continue
        options: dict[str, Any] = {str(seed): {"seed": seed} for seed in range(5)}
        if "lesson_weights" in spec.options:
            options = {"lesson": {"lesson_weights": True}, **options}
        models = {key: modelzoo.create_model(name, **given) for key, given in options.items()}
        network = read_network(models["0"])
        dense = [layer for layer in network.layers if layer.kind == "Dense"]
        facts: dict[str, Any] = {
            "widths": [2, *(layer.config["units"] for layer in dense)],
            "activations": [layer.activation for layer in dense[:-1]] + [network.output.activation or "threshold"],
            "starts": {key: [float(str(v)) for w in m.get_weights() for v in w.ravel()] for key, m in models.items()},
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in facts.pop("starts").items()]
        told = json.dumps(facts)[:-1] + ', "starts": {\n' + ",\n".join(lines) + "\n}}"
        networks.append(f"{json.dumps(name)}: {told}")
    return {STARTS: "{\n" + ",\n".join(networks) + "\n}\n"}


PARTS: dict[str, Callable[[], Files]] = {
    "architectures": architectures,
    "results": results,
    "speed": speed,
    "starts": starts,
}


@click.command(cls=Command)
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS, "picture"]))
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 when a file is stale.")
def main(parts: tuple[str, ...], check: bool) -> None:
    """Write PARTS: all but the picture by default."""
    import_tensorflow()
    if "picture" in parts:
        draw_picture()
    for part in [name for name in PARTS if name in (parts or PARTS)]:
        files = PARTS[part]()
        stale = [path for path, text in files.items() if is_stale(path, text)]
        if part == "architectures":
            stale += [path for path in PAGES.glob("*") if path.suffix in (".md", ".svg") and path not in files]
        if check and stale:
            names = ", ".join(path.name for path in stale)
            click.echo(f"Stale: {names}. To write them: python scripts/render.py {part}", err=True)
            sys.exit(1)
        for path in stale:
            if path in files:
                write_text(path, files[path])
            else:
                path.unlink()
            click.echo(f"{path}: {'written' if path in files else 'removed'}.")
        if not stale:
            click.echo(f"{part}: up to date.")


def is_stale(path: Path, text: str) -> bool:
    """Return whether a file is to be written; a picture that another version of Matplotlib drew is not compared."""
    if not path.is_file():
        return True
    before = read_text(path)
    drawn_by = [re.search(r"Matplotlib v[\w.+-]+", svg) for svg in (before, text)]
    return before != text and (path.suffix != ".svg" or len({found and found[0] for found in drawn_by}) == 1)


def draw_picture(path: Path = PICTURE, theme: str = "light") -> None:
    """Draw README's picture: a network, what it learnt, and the plane that the autoencoder maps digits to."""
    import matplotlib.pyplot as plt
    from PIL import Image

    from modelzoo import datasets, viz

    network, autoencoder = modelzoo.load("tanh_mlp"), modelzoo.load("tanh_autoencoder")
    digits = datasets.load("mnist", classes=(1, 5, 6))
    with viz.theme(theme):
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.7), layout="constrained", width_ratios=(1.5, 1, 0.9))
        viz.plot_architecture(network, ax=axes[0])
        viz.plot_regions(network, datasets.load("four_class"), ax=axes[1]).set_title("the classes it tells apart")
        viz.plot_manifold(autoencoder, digits, count=14, ax=axes[2]).set_title("an autoencoder's digits")
        viz.save_figure(figure, path, dpi=110, overwrite=True)
    Image.open(path).quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main()
