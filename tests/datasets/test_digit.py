import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from modelzoo import datasets
from modelzoo.datasets import load_digit_image, load_digit_images
from modelzoo.datasets.digit import _largest, _touching
from modelzoo.errors import DataError

#: Pillow 10.0 has no font of its own that scales.
FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


def rendered(digit, ink=0, paper=255):
    image = Image.new("L", (200, 180), paper)
    ImageDraw.Draw(image).text((70, 15), str(digit), fill=ink, font=ImageFont.truetype(FONT, 110))
    return np.asarray(image)


def on_paper(page, *, paper=0.9, slope=0.45, ink=0.75, noise=0.02):
    """A white-on-black page as dark ink on unevenly lit, grainy paper."""
    v, u = np.meshgrid(*(np.linspace(0, 1, side) for side in page.shape), indexing="ij")
    light = paper - slope * (0.7 * u + 0.3 * v * v)
    page = light * (1 - ink * page / 255) + np.random.default_rng(0).normal(0, noise, page.shape)
    return (np.clip(page, 0, 1) * 255).astype(np.uint8)


def photo(image, **look):
    return on_paper(np.pad(Image.fromarray(image).resize((300, 300)), ((60, 60), (140, 120))), **look)


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean()


def nearly(a, b):
    """The difference at the best of nine positions: a hair's breadth can move the rounded centre of mass by a pixel."""
    return min(difference(np.roll(a, (i, j), (0, 1)), b) for i in (-1, 0, 1) for j in (-1, 0, 1))


@pytest.fixture(scope="module")
def mnist():
    return datasets.load("mnist")


def test_mnist_digits_stay_as_they_are(mnist):
    for image in mnist.x_test[:60]:
        once = load_digit_image(image)
        assert difference(once, image) < 2  # of 255, mean over pixels
        assert difference(load_digit_image(once), once) < 1


@pytest.mark.parametrize("digit", range(10))
def test_rendered_digits(digit):
    result = load_digit_image(rendered(digit))
    assert result.shape == (28, 28)
    assert result.dtype == np.uint8
    assert result.max() == 255
    rows, columns = np.flatnonzero(result.any(1)), np.flatnonzero(result.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert result[0].max() == result[-1].max() == 0
    assert np.abs(np.subtract(ndimage.center_of_mass(result), 14)).max() <= 0.51  # as in MNIST
    inverted = load_digit_image(rendered(digit, ink=255, paper=0))
    assert difference(result, inverted) < 1
    faint = load_digit_image(rendered(digit, ink=150, paper=230))
    assert difference(result, faint) < 4


@pytest.mark.parametrize("digit", range(10))
def test_gradient_lighting(digit):
    clean = rendered(digit)
    light = np.linspace(1, 0.5, clean.shape[1])[None] * np.linspace(1, 0.8, clean.shape[0])[:, None]
    lit = (40 + clean * light * 0.8).astype(np.uint8)
    # a stroke one pixel narrower among hundreds can round the width to 13 instead of 14: about 12 of 255
    assert nearly(load_digit_image(lit), load_digit_image(clean)) < 14
    assert nearly(load_digit_image(255 - lit), load_digit_image(clean)) < 14


@pytest.mark.slow
def test_a_plain_classifier_reads_photos_as_well_as_the_originals(mnist):
    from sklearn.neighbors import KNeighborsClassifier

    few = mnist.take(per_class=300)
    model = KNeighborsClassifier(3).fit(few.x_train.reshape(3000, -1), few.y_train)
    x, y = mnist.x_test[1000:1040], mnist.y_test[1000:1040]

    def accuracy(images):
        return (model.predict(np.asarray(images).reshape(40, -1)) == y).mean()

    original = accuracy(x)
    for options in ({}, {"paper": 0.5, "slope": 0.2, "noise": 0.015}, {"ink": 0.4, "noise": 0.01}):
        assert accuracy([load_digit_image(photo(image, **options)) for image in x]) >= original - 0.08


def test_thin_pen_strokes_do_not_fade():
    image = Image.new("L", (1600, 1200), 250)
    ImageDraw.Draw(image).line([(600, 200), (1000, 200), (700, 1000)], fill=20, width=7)
    result = load_digit_image(np.asarray(image))
    assert (result > 200).sum() >= 30


def test_paths_and_array_forms(tmp_path):
    gray = rendered(4)
    expected = load_digit_image(gray)
    Image.fromarray(gray).save(tmp_path / "four.png")
    np.testing.assert_array_equal(load_digit_image(tmp_path / "four.png"), expected)
    np.testing.assert_array_equal(load_digit_image(str(tmp_path / "four.png")), expected)
    alpha = np.zeros((*gray.shape, 4), np.uint8)
    alpha[..., 3] = 255 - gray  # black ink on nothing
    for form in (
        gray[..., None],
        np.stack([gray] * 3, -1),
        alpha,
        gray / 255,
        gray.astype(np.float32),
        gray.astype(np.uint16) * 257,
        gray.astype(int),
    ):
        assert difference(load_digit_image(form), expected) < 0.5
    assert load_digit_image(gray < 128).max() == 255
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    assert difference(load_digit_image(tmp_path / "alpha.png"), expected) < 0.5


def test_dust_is_ignored():
    dusty = rendered(3).copy()
    dusty[8:10, 8:10] = 0
    assert difference(load_digit_image(dusty), load_digit_image(rendered(3))) < 1


@pytest.mark.parametrize(
    "stray",
    [
        lambda draw: draw.rectangle((250, 5, 290, 17), fill=60),
        lambda draw: draw.line((10, 262, 200, 260), fill=20, width=4),
        lambda draw: draw.polygon([(0, 280), (30, 280), (0, 250)], fill=40),
        lambda draw: draw.rectangle((297, 0, 300, 280), fill=50),
        lambda draw: draw.rectangle((284, 0, 300, 280), fill=50),
        lambda draw: draw.rectangle((0, 100, 60, 120), fill=60),
        lambda draw: draw.rectangle((0, 190, 300, 194), fill=60),
        lambda draw: draw.rectangle((200, 190, 250, 206), fill=60),
        lambda draw: [draw.rectangle((x, 230, x + 12, 233), fill=60) for x in range(20, 280, 24)],
    ],
    ids=["button", "line", "corner", "edge", "broad edge", "neighbour", "ruled line", "stamp", "dashed line"],
)
def test_what_is_not_of_the_digit_does_not_stretch_the_box(stray, mnist):
    for image in mnist.x_test[:10]:
        page = Image.new("L", (300, 280), 250)
        page.paste(Image.fromarray(255 - image).point(lambda value: value * 250 // 255).resize((120, 120)), (70, 60))
        alone = load_digit_image(np.asarray(page))
        stray(ImageDraw.Draw(page))
        assert nearly(load_digit_image(np.asarray(page)), alone) < 6


def test_a_faint_digit_outweighs_a_solid_stamp():
    page = Image.new("L", (400, 300), 255)
    ImageDraw.Draw(page).line([(150, 100), (220, 40), (220, 170)], fill=0, width=2)
    alone = load_digit_image(np.asarray(page))
    ImageDraw.Draw(page).rectangle((290, 180, 345, 200), fill=90)
    assert difference(load_digit_image(np.asarray(page)), alone) < 1


def test_thin_strokes_of_a_small_picture_keep_their_holes():
    small = np.zeros((28, 28), np.uint8)
    small[6:22, 8:16] = 255  # an 8 of strokes two pixels wide, holes of four
    small[8:13, 10:14] = small[15:20, 10:14] = 0
    result = load_digit_image(small)
    assert result[8:10, 13:15].max() < 100
    assert result[18:20, 13:15].max() < 100


def test_a_digit_of_two_strokes_keeps_both():
    page = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(page)
    draw.line((80, 40, 130, 38), fill=0, width=8)  # the bar of a five, apart from the rest
    draw.line((70, 60, 70, 100), fill=0, width=8)
    draw.arc((60, 90, 130, 160), 220, 140, fill=0, width=8)
    result = load_digit_image(np.asarray(page))
    assert result[4:7, 12:20].max() > 200


def test_a_five_whose_bar_is_heavier_than_its_broken_curve_keeps_all_of_it():
    page = np.zeros((28, 28), np.uint8)
    page[4:7, 9:14] = page[5:7, 14:18] = page[6:8, 15:21] = 255
    page[12:15, 16:19] = page[17:22, 17:19] = page[22:24, 11:17] = 255
    assert np.array_equal(np.sort(load_digit_image(page).ravel()), np.sort(page.ravel()))


def test_the_bar_of_a_five_is_no_label(mnist):
    for index in (7311, 9261):  # above to the right, apart from the rest
        five = mnist.x_train[index]
        page = np.pad(Image.fromarray(five).resize((140, 140), Image.Resampling.BICUBIC), 60)
        assert nearly(load_digit_image(page), five) < 12


def test_bows_that_do_not_touch_are_one_digit(mnist):
    for index in (21341, 31946):
        assert load_digit_images(mnist.x_train[index]).lines.tolist() == [0]


def test_a_digit_that_is_cropped_at_one_of_its_strokes_keeps_it(mnist):
    five = mnist.x_test[8]  # the bar apart from the rest
    cropped = five[np.flatnonzero(five.any(axis=1))[0] :]
    assert nearly(load_digit_image(cropped), five) < 2
    three = mnist.x_test[3448]  # in two strokes, the lower of which runs from side to side
    columns = np.flatnonzero(three.any(axis=0))
    assert nearly(load_digit_image(three[:, columns[0] : columns[-1] + 1]), three) < 2


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((50, 50), 255, np.uint8), "blank"),
        (np.zeros((50, 50), np.uint8), "blank"),
        (np.random.default_rng(0).integers(120, 135, (80, 80), np.uint8), "no digit"),
        (np.zeros((3, 50), np.uint8), "at least 5 x 5"),
        (np.zeros((0, 5), np.uint8), "shape"),
        (np.zeros((5, 5, 2), np.uint8), "channels"),
        (np.zeros(50, np.uint8), "shape"),
        (np.full((9, 9), np.nan), "NaN"),
        (np.full((9, 9), -1.0), "Give 0 to"),
        (np.full((9, 9), 300), "Give 0 to 255"),
        (np.array([["a"] * 9] * 9), "dtype"),
        ("gone.png", r"No image file gone\.png"),
    ],
)
def test_refuses(image, message):
    with pytest.raises(DataError, match=message):
        load_digit_image(image)


def strip(images, gap, *, jitter=0, shear=0.0):
    """White digits side by side on black, three times as large, with ``gap`` pixels between them, and their boxes."""
    page = np.zeros((150, 40 + len(images) * (130 + gap)), np.uint8)
    left, boxes = 20, []
    for n, image in enumerate(images):
        large = Image.fromarray(np.pad(image, ((0, 0), (8, 8)))).resize((132, 84), Image.Resampling.BICUBIC)
        large = np.asarray(large.transform(large.size, Image.Transform.AFFINE, (1, shear, -42 * shear, 0, 1, 0)))
        rows, columns = np.flatnonzero((large > 60).any(1)), np.flatnonzero((large > 60).any(0))
        large = large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top = 35 + jitter * (-1) ** n
        page[top : top + large.shape[0], left : left + large.shape[1]] = large
        boxes.append((left, top, left + large.shape[1], top + large.shape[0]))
        left += large.shape[1] + gap
    return page[:, : left + 20], np.array(boxes)


@pytest.mark.parametrize(
    ("look", "gap", "jitter", "shear"),
    [("light", 8, 0, 0), ("dark", 25, 9, 0.25), ("dark", 60, 4, 0), ("photo", 8, 9, 0), ("photo", 25, 0, 0.25)],
)
def test_digits_of_a_strip_are_found_in_order(mnist, gap, jitter, shear, look):
    page, boxes = strip(mnist.x_test[[5, 3, 17, 2, 9, 1]], gap, jitter=jitter, shear=shear)
    picture = {"light": page, "dark": 255 - page, "photo": on_paper(page, slope=0.43, ink=0.7, noise=0.015)}[look]
    found = load_digit_images(picture)
    assert len(found.samples) == 6
    assert np.abs(found.boxes - boxes).max() <= 5
    assert not found.lines.any()
    assert not found.wide.any()
    for sample, (left, top, right, bottom) in zip(found.samples, boxes, strict=True):
        alone = load_digit_image(np.pad(page[top:bottom, left:right], 20))
        assert nearly(sample, alone) < 12
    with pytest.raises(DataError, match=r"shows 6 digits\. Read all with datasets\.load_digit_images"):
        load_digit_image(picture)


def test_lines_of_digits_are_read_from_the_top(mnist, tmp_path):
    lines = [strip(mnist.x_test[chosen], 20)[0] for chosen in ([0, 1, 2], [3, 4], [5, 6, 7, 8])]
    width = max(line.shape[1] for line in lines)
    page = np.concatenate([np.pad(line[20:], ((0, 0), (0, width - line.shape[1]))) for line in lines])
    Image.fromarray(255 - page).rotate(2, fillcolor=255).save(tmp_path / "page.png")
    found = load_digit_images(tmp_path / "page.png")
    assert found.lines.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert (np.diff(found.boxes[:, 0])[[0, 1, 3, 5, 6, 7]] > 0).all()


@pytest.mark.parametrize("right", [0, 60, 160, 300])
def test_digits_one_below_the_other_are_two(mnist, right):
    page = np.zeros((300, 480), np.uint8)
    for n, image in enumerate(mnist.x_test[[0, 9]]):  # a 7 and a 9
        large = np.asarray(Image.fromarray(image).resize((84, 84), Image.Resampling.BICUBIC))
        page[30 + 120 * n : 114 + 120 * n, 40 + right * n : 124 + right * n] = large
    found = load_digit_images(255 - page)
    assert found.lines.tolist() == [0, 1]
    with pytest.raises(DataError, match="shows 2 digits"):
        load_digit_image(page)


def test_a_picture_of_one_digit_gives_what_load_digit_image_gives(mnist):
    found = load_digit_images(rendered(3))
    np.testing.assert_array_equal(found.samples[0], load_digit_image(rendered(3)))
    rows, columns = (np.flatnonzero((rendered(3) < 128).any(axis)) for axis in (1, 0))
    assert np.abs(found.boxes - (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)).max() <= 2


def _specks(draw, boxes):
    for x in range(30, 500, 90):
        draw.ellipse((x, 12, x + 7, 19), fill=255)


def _ruled(draw, boxes):
    draw.line((0, boxes[:, 3].max() - 3, 2000, boxes[:, 3].max()), fill=255, width=2)


def _framed(draw, boxes):
    draw.rectangle((4, 4, boxes[-1, 2] + 12, 144), outline=255, width=3)


def _cells(draw, boxes):
    for left, _, right, _ in boxes:
        draw.rectangle((left - 8, 20, right + 8, 140), outline=255, width=2)


@pytest.mark.parametrize("stray", [_specks, _ruled, _framed, _cells])
def test_specks_and_ruled_lines_are_no_digits(mnist, stray):
    page, boxes = strip(mnist.x_test[[5, 3, 17, 2, 9, 1]], 30)
    image = Image.fromarray(page)
    stray(ImageDraw.Draw(image), boxes)
    found = load_digit_images(255 - np.asarray(image))
    assert len(found.samples) == 6
    assert np.abs(found.boxes - boxes)[:, [0, 2]].max() <= 5


def test_strokes_of_one_digit_are_joined_and_touching_digits_are_wide(mnist):
    page, boxes = strip(mnist.x_test[[15, 1, 2]], 30)
    left, top, right, _ = boxes[0]
    page[top + 20 : top + 26, left:right] = 0  # the bar of the five, apart
    page[80:86, boxes[1, 2] - 10 : boxes[2, 0] + 10] = 255  # the other two hang together
    found = load_digit_images(page)
    assert found.wide.tolist() == [False, True]
    assert np.abs(found.boxes[0] - boxes[0]).max() <= 3
    with pytest.raises(DataError, match="shows no digit"):
        load_digit_images(np.full((50, 50), 255, np.uint8))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7])
def test_parts_are_those_of_scipy(share):
    rng = np.random.default_rng(0)
    for shape in [(40, 70), (33, 5), (6, 90)]:
        mask = rng.random(shape) < share
        mask[0, 0] = True
        parts, starts, stops = _touching(mask)
        expected, _ = ndimage.label(mask, np.ones((3, 3)))
        np.testing.assert_array_equal(parts, expected)
        boxes = [[[side.start, side.stop] for side in box] for box in ndimage.find_objects(expected)]
        np.testing.assert_array_equal(np.stack([starts, stops], axis=-1), boxes)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_largest_values_around_are_those_of_scipy(size):
    image = np.random.default_rng(0).random((20, 13))
    np.testing.assert_array_equal(_largest(image, size), ndimage.maximum_filter(image, size))
