"""A network as one page: what it holds, and what a person does with it in a real browser."""

import base64
import itertools
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import modelzoo
from modelzoo.cli import app
from modelzoo.datasets import load_digit_image
from modelzoo.errors import InputError
from modelzoo.numpy_runtime import UnknownLayerError, load_runtime
from modelzoo.pages import write_page
from modelzoo.pages.interactive import page_facts
from modelzoo.saving import list_pretrained
from modelzoo.web import playground

SCRIPTS = Path(modelzoo.__file__).parent / "web"
PAGES = ("relu_mlp", "tanh_mlp", "threshold_perceptron", "tanh_autoencoder")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the pages of some networks."""
    folder = tmp_path_factory.mktemp("pages")
    for name in PAGES:
        write_page(name, folder / f"{name}.html", compared=100)
    return folder


def numbers(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


@pytest.mark.parametrize("name", list_pretrained())
def test_small_weights_stay_near(name):
    facts, weights = page_facts(name, compared=10), load_runtime(name).weights
    for path, stored in facts["weights"].items():
        content = base64.b64decode(stored["data"])
        content = zlib.decompress(content) if "zlib" in stored else content
        value = np.frombuffer(content, stored["dtype"]).reshape(stored["shape"])
        scale = numbers(stored["scale"], np.float32) if "scale" in stored else 1
        step = {"float32": 0, "float16": 2**-11 * np.abs(weights[path]) + 2**-25, "int8": scale / 1.99}[stored["dtype"]]
        assert (np.abs(value * scale - weights[path]) <= step).all()
        assert stored["dtype"] == "float32" or value.size >= 10_000 or stored["dtype"] == "float16"


def test_samples_and_words_are_the_persons(tmp_path):
    import keras

    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((8, 6, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    cat = "cat </script><!--<script>"
    data = modelzoo.datasets.from_arrays(
        rng.integers(0, 256, (20, 8, 6, 3)).astype("uint8"), np.arange(20) % 2, class_names=[cat, "dog"]
    )
    modelzoo.train(model, data, modelzoo.Recipe(steps=2, batch_size=4, loss="sparse_categorical_crossentropy"))
    modelzoo.save(model, tmp_path / "pets")
    facts = page_facts(tmp_path / "pets")
    assert (facts["title"], facts["classes"], facts["logits"]) == ("pets", [cat, "dog"], True)
    assert len(numbers(facts["images"]["pixels"], np.uint8)) == 10 * 8 * 6 * 3
    write_page(tmp_path / "pets", tmp_path / "pets.html")
    html = (tmp_path / "pets.html").read_text(encoding="utf-8")
    assert html.count("</script>") == 2
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert json.loads(embedded[1])["classes"][0] == cat
    assert "<" not in embedded[1]  # a browser would take a comment or a script for the end of the data


def test_networks_that_no_page_shows_are_refused(tmp_path):
    import keras

    tall = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    modelzoo.save(tall, tmp_path / "tall")
    with pytest.raises(InputError, match=r"samples of shape \(3,\)"):
        page_facts(tmp_path / "tall")
    unknown = keras.Sequential([keras.Input((2,)), keras.layers.LayerNormalization(), keras.layers.Dense(2)])
    modelzoo.save(unknown, tmp_path / "unknown")
    with pytest.raises(UnknownLayerError, match="LayerNormalization"):
        page_facts(tmp_path / "unknown")


def test_the_command_writes_a_page(tmp_path):
    result = CliRunner().invoke(app, ["export", "xor_mlp", "-o", str(tmp_path / "xor.html")], catch_exceptions=False)
    assert "Weights in float32" in result.output
    assert (tmp_path / "xor.html").stat().st_size < 200_000


@pytest.mark.parametrize(
    ("thickness", "stray"),
    [
        (4, np.s_[:0]),
        (30, np.s_[:0]),
        (30, np.s_[100:115, :40]),  # cut off by the border, far from the digit
        (30, np.s_[100:115, :70]),  # and near it
        (30, np.s_[245:250]),  # from border to border
        (4, np.s_[235:255, 205:265]),  # a stamp below and beside
        (4, np.s_[60:230:80, 90:120]),  # near the digit and near each other
    ],
)
def test_drawings_are_prepared_as_digits_are(thickness, stray):
    """The page's steps are those of load_digit_image, with ink alone and with paper to take away."""
    picture = np.zeros((280, 280), np.uint8)
    picture[60 : 60 + thickness, 80:200] = 255
    picture[60:230, 200 - thickness : 200] = 255
    picture[stray] = 255
    for seen in in_javascript([picture], [True, False]):
        np.testing.assert_allclose(seen, load_digit_image(picture), atol=1)


def test_pictures_of_any_size_are_prepared_as_in_python():
    """Widths and sizes are rounded: a half to the even number."""
    pages = []
    for side in range(40, 80, 5):
        for thickness in (2, 3):
            page = np.zeros((100, 90), np.uint8)
            page[10 : 10 + thickness, 10 : 10 + side // 2] = 255
            page[10 : 10 + side, 10 + side // 2 : 10 + side // 2 + thickness] = 255
            pages.append(page)
    for seen, page in zip(in_javascript(pages, [False]), pages, strict=True):
        np.testing.assert_allclose(seen, load_digit_image(page), atol=1)


def in_javascript(pictures, drawn):
    """Return what the page makes of pictures, with ink alone (drawn) or with paper to take away."""
    if (node := shutil.which("node")) is None:
        pytest.skip("Node.js is not installed: apt install nodejs")
    script = f"""
import {{ readFileSync }} from "node:fs";
import {{ digitImage }} from "{(SCRIPTS / "digit.js").as_uri()}";
const images = JSON.parse(readFileSync(0)).flatMap((rows) => {{
  const values = Float32Array.from(rows.flat(), (level) => level / 255);
  const picture = {{ values, width: rows[0].length, height: rows.length }};
  return {json.dumps(drawn)}.map((drawn) => [...digitImage(picture, drawn)]);
}});
console.log(JSON.stringify(images));
"""
    command = [node, "--input-type=module", "-e", script]
    asked = json.dumps([picture.tolist() for picture in pictures])
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return np.reshape(json.loads(told.stdout), (-1, 28, 28))


# --- in a browser


@pytest.fixture
def visit(browser, written):
    """Return a function that opens a page; fail where it asks for anything, complains or is too wide."""
    asked, said = [], []

    def opened(name, width=1280):
        page = browser.new_page(viewport={"width": width, "height": 900})
        address = (written / f"{name}.html").as_uri()
        page.on("request", lambda request: None if request.url in (address, "data:,") else asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address, wait_until="load")
        page.wait_for_function("document.querySelector('main').children.length > 0")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return page

    yield opened
    assert asked == []
    assert said == []


#: A 7, as shares of the pad's sides.
SEVEN = [(0.28, 0.2), (0.72, 0.2), (0.42, 0.82)]


def draw(page, stroke):
    box = page.locator(".pad").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_drawn_seven_is_read(visit, width):
    page = visit("relu_mlp", width)
    page.get_by_role("button", name="Sample: 3").click()
    answer = page.locator(".answer strong")
    page.wait_for_function("document.querySelector('.answer strong').textContent === '3'")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.querySelector('.answer strong').textContent === '–'")
    draw(page, SEVEN)
    page.wait_for_function("document.querySelector('.answer strong').textContent === '7'")
    page.wait_for_function("document.querySelector('.mattering').textContent.includes('points from “7”')")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelector('.answer strong').textContent === '–'")
    page.locator(".pad").focus()
    for key in [*["ArrowUp"] * 10, " ", *["ArrowDown"] * 20, " "]:
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('.answer strong').textContent === '1'")
    assert answer.inner_text() == "1"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["tanh_mlp", "threshold_perceptron"])
def test_weights_change_what_a_unit_says(visit, name, width):
    page = visit(name, width)
    unit = page.locator("button.unit").first
    unit.click()

    def shown():
        view = unit.locator("canvas").evaluate("canvas => canvas.toDataURL()")
        return page.locator(".readout").inner_text(), page.locator(".value").all_inner_texts(), view

    before = shown()
    bias = page.get_by_label("bias").last
    bias.fill(bias.get_attribute("max"))
    assert shown()[2] != before[2]
    page.get_by_role("button", name="As trained").click()
    assert shown() == before
    page.locator(".square").press("ArrowRight")
    assert page.locator(".readout").inner_text() != before[0]


@pytest.mark.browser
def test_codes_are_decoded_where_the_pointer_is(visit):
    page = visit("tanh_autoencoder", 390)
    where = page.locator(".where")
    before = where.inner_text()
    page.locator(".square").click(position={"x": 100, "y": 100})
    assert where.inner_text() != before
    page.get_by_role("button", name="Sample: 6").first.click()
    page.wait_for_function("document.querySelector('.code').textContent.includes('from (')")
    page.get_by_label("decoded everywhere").check()
    assert page.locator(".strip canvas").count() == 9


def press(page, means, target):
    """Press a control by mouse, finger or keyboard."""
    if means == "keyboard":
        target.focus()
        page.keyboard.press("Enter")
    else:
        (target.tap if means == "touch" else target.click)()


def draw_by(page, means, stroke):
    """Draw one line on the pad: corners as shares of its sides; with keys as steps along both axes."""
    pad = page.locator(".pad")
    pad.scroll_into_view_if_needed()
    if means == "mouse":
        draw(page, stroke)
    elif means == "touch":
        box, touch = pad.bounding_box(), page.context.new_cdp_session(page)
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        line = [np.add(a, np.subtract(b, a) * k / 8) for a, b in itertools.pairwise(at) for k in range(1, 9)]
        for kind, (x, y) in [("touchStart", at[0]), *(("touchMove", place) for place in line)]:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": float(x), "y": float(y)}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        pad.focus()
        corner, across = [*["ArrowLeft"] * 8, *["ArrowUp"] * 10], ["ArrowRight"] * 15
        for key in [*corner, " ", *across, *["ArrowDown", "ArrowDown", "ArrowLeft"] * 10, " "]:
            page.keyboard.press(key)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("means", ["mouse", "touch", "keyboard"])
def test_a_person_finds_the_way_by_any_means(means, browser, written):
    """Draw a 7 and see it read, train XOR, and find a point between a 1 and a 6."""
    (written / "playground.html").write_text(playground(), encoding="utf-8")
    with browser.new_context(has_touch=means == "touch", viewport={"width": 390, "height": 800}) as context:
        page = context.new_page()
        page.goto((written / "relu_mlp.html").as_uri())
        press(page, means, page.get_by_role("button", name="Clear"))
        draw_by(page, means, SEVEN)
        page.wait_for_function("document.querySelector('.answer strong').textContent === '7'")

        page.goto((written / "playground.html").as_uri())
        page.select_option("[name=net]", "xor_mlp")
        press(page, means, page.locator("#run"))
        page.wait_for_function("document.getElementById('status').textContent.includes('right 100.0 %')")

        page.goto((written / "tanh_autoencoder.html").as_uri())
        codes = []
        for name, end in (("1", "Start here"), ("6", "End here")):
            press(page, means, page.get_by_role("button", name=f"Sample: {name}").first)
            page.wait_for_function("document.querySelector('.code').textContent.includes('from (')")
            page.wait_for_timeout(100)
            press(page, means, page.get_by_role("button", name=end))
            codes.append(numbers_in(page.locator(".where").inner_text()))
        slider = page.get_by_label("Along the path")
        if means == "keyboard":
            slider.focus()
            page.keyboard.press("PageDown")
        else:
            press(page, means, slider)  # in its middle
        share = float(slider.input_value())
        between = np.array(codes[0]) + share * np.subtract(codes[1], codes[0])
        assert 0.2 < share < 1
        np.testing.assert_allclose(numbers_in(page.locator(".where").inner_text()), between, rtol=0.02, atol=0.1)


def numbers_in(words):
    return [float(number.replace("−", "-")) for number in re.findall(r"−?[\d.]*\d", words)]
