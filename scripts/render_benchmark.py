"""Write README's table of speed and the documentation's page on it from what the benchmarks measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from benchmark import PEERS
from render_results import replace_table

from modelzoo._io import atomic_file
from modelzoo.errors import InputError, ModelZooError

ROOT = Path(__file__).resolve().parent.parent
TRAINING, COSTS = ROOT / "docs" / "benchmark.json", ROOT / "docs" / "benchmark_costs.json"
README, PAGE = ROOT / "README.md", ROOT / "docs" / "guide" / "speed.md"
MARKERS = ("<!-- speed: begin -->", "<!-- speed: end -->")
BY = "make bench BENCH_ARGS='--output docs/benchmark.json'"
COSTS_BY = "make bench-costs BENCH_ARGS='--output docs/benchmark_costs.json'"

PAGE_TEXT = """\
# Speed

Every number here is from two commands, on the machine they name, and written into this page by
`python scripts/render_benchmark.py`. Rates depend on the processor, on versions and on what else the machine does: run
the commands on yours.

## Training

`{by}`, a case or some at a time:

{machine}

In each round every peer trains once, while the others are stopped. *Ratio* is the speed of `modelzoo.train` divided
by the peer's in the same round, above 1 where modelzoo is faster; rates and ratios are medians with their range. *Of
peak* is the share of what two large matrices multiply at in TensorFlow in the same rounds. Each peer is written as
its documentation advises; `make bench BENCH_ARGS=--help` says how. How many epochs a peer needs to an accuracy
depends on its seed, too.

{cases}

## Where a target is missed

- **Dense networks and the autoencoder beside JAX.** XLA compiles the whole loop of both, and most of a step is its
  matrix products, which both compute with the same code: *of peak* bounds what is left to win.
- **The toy** computes for about as long as JAX's loop does: both are XLA's, and ours also counts the right answers.
- **The CNN.** TensorFlow and PyTorch call the same library for convolutions, and with 256 images a step these are
  most of the work, in Keras' `fit` as well. In bfloat16 with 50 images the gradients of the second convolution, casts
  and the optimiser's update, which is bound by memory, leave no lead over PyTorch.
- **From a cold process.** Importing TensorFlow takes about as long as some epochs of the dense network; Keras imports
  Matplotlib and scikit-learn meanwhile, and TensorFlow imports JAX where that is installed. The CNN's minutes are
  its epochs: one takes modelzoo less time than PyTorch, and PyTorch, with initial weights of its own, needed fewer.
- **One sample at a time.** A call through TensorFlow costs a few hundred microseconds whatever the network; export to
  ONNX or LiteRT where that matters.

## Starting, loading, predicting, memory

`{costs_by}`, medians with their range:

{costs_machine}

{costs}

How memory and time grow with the data is in [Growing past one machine](scaling.md).
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 when a text is stale.")
def main(check: bool) -> None:
    """Write the table in README.md and docs/guide/speed.md from docs/benchmark.json and docs/benchmark_costs.json."""
    try:
        training, costs = _read(TRAINING), _read(COSTS)
        readme = README.read_text(encoding="utf-8")
        wanted = {README: replace_table(readme, readme_table(training), markers=MARKERS), PAGE: page(training, costs)}
        stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        if check and stale:
            names = ", ".join(path.name for path in stale)
            click.echo(f"Stale: {names}. Run `python scripts/render_benchmark.py` to mend it.", err=True)
            sys.exit(1)
        for path in stale:
            with atomic_file(path) as temporary:
                temporary.write_text(wanted[path], encoding="utf-8")
            click.echo(f"{path}: written.")
    except ModelZooError as error:
        click.echo(f"render_benchmark: {error}", err=True)
        sys.exit(2)


def readme_table(report: Mapping[str, Any]) -> str:
    """Return the table of all cases: our rates, and how many times those of the others they are."""
    cases = report["cases"]
    peers = [peer for peer in PEERS if peer != "modelzoo" and any(peer in case["peers"] for case in cases.values())]
    rows = []
    for name, case in cases.items():
        ours = case["peers"]["modelzoo"]["rate"]["median"]
        cells = [f"{number(case['ratios'][peer]['median'])}×" if peer in case["ratios"] else "–" for peer in peers]
        best = case["ratios"]["best"]
        target = f"{best['target']:g}× {'met' if best['met'] else 'missed'}"
        rows.append([f"{name}", f"{number(ours)} {case['unit']}", *cells, target])
    header = ["case", "modelzoo", *(f"× {PEERS[peer]}" for peer in peers), "target, × the best"]
    return table(header, rows)


def page(training: Mapping[str, Any], costs: Mapping[str, Any]) -> str:
    """Return the page of the documentation."""
    return PAGE_TEXT.format(
        by=BY,
        machine=machine(training["machine"]),
        cases="\n\n".join(case_section(name, case) for name, case in training["cases"].items()),
        costs_by=COSTS_BY,
        costs_machine=machine(costs["machine"]),
        costs="\n\n".join(cost_section(rows) for rows in costs["parts"].values()),
    )


def case_section(name: str, case: Mapping[str, Any]) -> str:
    """Return the heading and the table of a case."""
    last = "epochs" if case["unit"] == "seconds" else "of peak"
    has_last = any(key in peer for peer in case["peers"].values() for key in ("epochs", "of_peak"))
    rows = []
    for peer, found in case["peers"].items():
        ratio = case["ratios"].get(peer)
        row = [PEERS[peer], spread(found["rate"]), spread(ratio, "×") if ratio else ""]
        if has_last:
            row.append(
                ", ".join(map(str, found["epochs"])) if "epochs" in found else f"{found['of_peak']['median']:.0%}"
            )
        rows.append(row)
    best = case["ratios"]["best"]
    rounds = len(best["rounds"])
    verdict = f"{rounds} rounds. Beside the best of each: {spread(best, '×')}; the target of {best['target']:g}× is "
    verdict += "met." if best["met"] else "missed."
    if "peak_gflops" in case:
        verdict += f" The peak was {number(case['peak_gflops']['median'])} GFLOP/s."
    header = ["peer", case["unit"], "ratio", *([last] if has_last else [])]
    title = f"### {name}: `{case['model']}`, batch {case['batch_size']}, {case['precision']}"
    return f"{title}\n\n{table(header, rows)}\n\n{verdict}"


def cost_section(part: Mapping[str, Any]) -> str:
    """Return the tables of a part: what was measured down, the peers across, where all have the same peers."""
    names = list(next(iter(part.values())))
    rows = [[title, *(spread(row[name]) for name in names)] for title, row in part.items()]
    return table(["", *names], rows)


def machine(facts: Mapping[str, Any]) -> str:
    """Return what the numbers depend on, as a list."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    return f"- {facts['processor']}, {facts['cores']} cores, {facts['threads']} threads a peer\n- {versions}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose first column is text."""
    alignment = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, alignment, *rows))


def spread(values: Mapping[str, Any], unit: str = "") -> str:
    """Return a median with its range."""
    return f"{number(values['median'])}{unit} ({number(values['min'])}–{number(values['max'])})"


def number(value: float) -> str:
    """Return a number with about three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        command = BY if path == TRAINING else COSTS_BY
        raise InputError(f"Cannot read {path}: {error}. Measure first: {command}.") from error


if __name__ == "__main__":
    main()
