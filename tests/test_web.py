"""The playground computes what modelzoo does: the start weights, the points, and a hundred steps of training."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import modelzoo
from modelzoo import datasets, web
from modelzoo.cli.play import play

SCRIPTS = Path(web.__file__).parent
NODE = shutil.which("node")

#: What node adds to training.js: it trains each case for a hundred steps and prints the weights.
RUN = """
const { data, cases } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const trained = cases.map(({ name, seed, ...changes }) => {
  const facts = { ...data.networks[name], ...changes, batch: 0 };
  const network = new Network(facts.widths, facts.activations);
  network.weights.set(facts.starts[seed]);
  const trainer = new Trainer(network, readPoints(data.sets[facts.set].train), facts);
  for (let step = 0; step < 100; step++) trainer.step();
  return Array.from(network.weights);
});
console.log(JSON.stringify(trained));
"""
NETWORKS = [name for name in modelzoo.list_models() if modelzoo.get_spec(name).dataset in web.POINT_SETS]
CASES = [
    *({"name": name, "seed": "3"} for name in NETWORKS),
    {"name": "xor_mlp", "seed": "lesson"},
    {"name": "tanh_mlp", "seed": "0", "optimizer": "rmsprop", "rate": 0.001, "momentum": 0.5},
    {"name": "sigmoid_mlp", "seed": "1", "optimizer": "adam", "rate": 0.05, "momentum": 0.0},
]


@pytest.fixture(scope="module")
def data():
    """Return what the page finds as its data."""
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', web.playground(), re.DOTALL)
    return json.loads(embedded[1])


@pytest.fixture(scope="module")
def trained(data):
    """Return the weights of each case after a hundred steps of the page."""
    if NODE is None:
        pytest.skip("node is not installed: apt install nodejs")
    script = re.sub(r"^export ", "", (SCRIPTS / "training.js").read_text(encoding="utf-8"), flags=re.MULTILINE)
    given = json.dumps({"data": data, "cases": CASES})
    found = subprocess.run([NODE, "-e", script + RUN], input=given, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def flat(model):
    return np.concatenate([array.ravel() for array in model.get_weights()])


def test_points_are_the_data_sets(data):
    for name in web.POINT_SETS:
        expected = datasets.load(name)
        for part, (x, y) in {"train": expected.train, "test": expected.test}.items():
            found = data["sets"][name][part]
            decoded = np.frombuffer(base64.b64decode(found["x"]), "<f4").reshape(-1, 2)
            np.testing.assert_array_equal(decoded, x)
            assert found["y"] == "".join(map(str, y))


def test_start_weights_are_the_builders(data):
    assert sorted(data["networks"]) == sorted(NETWORKS)
    for name in NETWORKS:
        for seed in (0, 4):
            found = data["networks"][name]["starts"][str(seed)]
            np.testing.assert_allclose(found, flat(modelzoo.create_model(name, seed=seed)), rtol=0, atol=1e-7)


def test_play_writes_the_page_and_opens_it(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    for name, arguments in (("playground", []), ("tanh_mlp", ["tanh_mlp"])):
        result = CliRunner().invoke(play, arguments, catch_exceptions=False)
        assert opened.pop() == Path(result.output.removeprefix("Wrote ").strip()).as_uri()
        assert result.output.endswith(f"/{name}.html\n")
    CliRunner().invoke(play, ["-o", str(tmp_path / "page.html")], catch_exceptions=False)
    assert opened == []
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == web.playground()
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing is asked for


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_hundred_steps_agree_with_train(case, trained):
    options = {"lesson_weights": True} if case["seed"] == "lesson" else {"seed": int(case["seed"])}
    model = modelzoo.create_model(case["name"], **options)
    start = flat(model)
    recipe = modelzoo.get_spec(case["name"]).recipe("lesson")
    recipe = recipe.replace(steps=100, batch_size=None, log_every=100, log_train="batches", target_loss=None, xla="off")
    if "optimizer" in case:
        options = {"momentum": case["momentum"]} if case["momentum"] else {}
        recipe = recipe.replace(optimizer=case["optimizer"], learning_rate=case["rate"], optimizer_options=options)
    modelzoo.train(model, datasets.load(modelzoo.get_spec(case["name"]).dataset).train, recipe, seed=0)
    found = trained[CASES.index(case)]
    assert np.abs(flat(model) - start).max() > 1e-2
    np.testing.assert_allclose(found, flat(model), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_xor_is_learnt_in_the_browser(width, tmp_path, browser):
    path = tmp_path / "playground.html"
    path.write_text(web.playground(), encoding="utf-8")
    heard = []
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(path.as_uri())
    assert heard.pop(0) == path.as_uri()
    page.select_option("[name=net]", "xor_mlp")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('status').textContent.includes('right 100.0 %')")
    page.keyboard.press("Space")
    page.select_option("[name=batch]", "1")
    page.click("#step")
    page.click("#link")
    linked = browser.new_page()
    linked.goto(page.url)
    for _ in range(3):  # also the order of the batches
        linked.wait_for_function(
            "given => document.getElementById('status').textContent === given", arg=page.inner_text("#status")
        )
        page.click("#step")
        linked.click("#step")
    for tab in ("train", "surface", "descent"):
        page.click(f"[data-tab={tab}]")
        page.click("#step")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0
    assert heard == []
