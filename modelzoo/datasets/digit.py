"""Turning a person's photo or drawing of a digit into an image like MNIST's."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelzoo.datasets.images import MAX_PIXELS, read_image
from modelzoo.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_WORKING_SIDE = 280  # larger pictures are shrunk to this first: plenty for a 20-pixel digit, and fast
_PAGE_SIDES = (280, 560, 1120, 1680)  # of pictures of several digits: the first at which these are 60 pixels high
_WIDE = 1.3  # times its height: what is wider is hardly one digit
_MIDDLE = 14.5  # the centre of pixel 14: in MNIST's own images the centres of mass lie from 14.0 to 15.0
_UNTIED = _MIDDLE - 1e-3  # a symmetric digit lies just between two pixels, where the grain of its ink would decide
_MIN_CONTRAST = 0.08  # of the full range; below, paper grain and a stroke cannot be told apart


def load_digit_image(path_or_array: str | os.PathLike[str] | np.ndarray | Image) -> np.ndarray:
    """Turn a photo or drawing of one digit into an MNIST-like image.

    Dark ink on light paper and light on dark both work, under uneven lighting: a smooth surface is fitted to the
    background and subtracted. The digit is cropped, scaled to fit 20 x 20 pixels with its aspect ratio kept, and laid
    into 28 x 28 with its centre of mass in the middle, as MNIST's authors did (http://yann.lecun.com/exdb/mnist/).

    Parameters
    ----------
    path_or_array
        An image file, a Pillow image, or an array of shape ``(height, width)``, ``(height, width, 1)``, or with 3 (RGB)
        or 4 (RGBA) channels; integers 0-255 (uint16: 0-65535), or floats 0-1 or 0-255. At least 5 x 5 pixels, one
        digit, not touching others; transparency counts as white paper.

    Returns
    -------
    numpy.ndarray
        uint8 0-255 of shape ``(28, 28)``, white digit on black.
    """
    samples = load_digit_images(path_or_array).samples
    if len(samples) > 1:
        label = "image array" if isinstance(path_or_array, np.ndarray) else path_or_array
        raise DataError(
            f"{label} shows {len(samples)} digits. Read all with datasets.load_digit_images, or cut one out."
        )
    return samples[0]


class DigitImages(NamedTuple):
    """The digits of a picture in reading order: line by line, from left to right.

    Attributes
    ----------
    samples
        uint8 0-255 of shape ``(n, 28, 28)``, white digits on black, each as of :func:`load_digit_image`.
    boxes
        ``(left, top, right, bottom)`` of each in pixels of the picture, right and bottom exclusive; shape ``(n, 4)``.
    lines
        The line of each, counted from 0, shape ``(n,)``.
    wide
        Whether each is too wide for one digit, as several that touch are, shape ``(n,)``.
    """

    samples: np.ndarray
    boxes: np.ndarray
    lines: np.ndarray
    wide: np.ndarray


def load_digit_images(path_or_array: str | os.PathLike[str] | np.ndarray | Image) -> DigitImages:
    """Find the digits in a photo or drawing and turn each into an MNIST-like image.

    Parts of a digit that lie near each other are joined. What is much smaller than the digits is left out, such as
    specks, points and signs, and so are ruled lines, frames and tables.

    Parameters
    ----------
    path_or_array
        As for :func:`load_digit_image`. Digits upright, in lines from left to right, not touching each other.

    Returns
    -------
    DigitImages
        At least one.
    """
    gray, label = _read(path_or_array)
    ink = _ink(_shrink(gray, _WORKING_SIDE), label)
    digit, alone = _main_part(ink)
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    box = np.array([[rows[0], columns[0]], [rows[-1] + 1, columns[-1] + 1]])
    if not alone:
        found = _find_digits(gray, label)
        if not _stacked(found):
            return found
    scale = np.array(gray.shape) / ink.shape
    boxes = np.concatenate([np.floor(box[0] * scale)[::-1], np.ceil(box[1] * scale)[::-1]]).astype(int)
    wide = np.ptp(columns) > _WIDE * np.ptp(rows)
    return DigitImages(center(crop_to_box(digit), _UNTIED)[None], boxes[None], np.zeros(1, int), np.array([wide]))


def _stacked(found: DigitImages) -> bool:
    """Return whether what was found, one above the other, may be strokes of one digit and not lines of a page."""
    starts, stops = np.moveaxis(found.boxes.reshape(-1, 2, 2), 1, 0)
    (width, height), heights = stops.max(axis=0) - starts.min(axis=0), (stops - starts)[:, 1]
    blank = (starts[1:] - stops[:-1])[:, 1] > 0.5 * heights.min()
    apart = blank.any() and heights.min() >= 0.6 * heights.max()
    return bool(len(starts) == 1 + found.lines.max() and height < 2.5 * width and not apart)


def _find_digits(gray: np.ndarray, label: str) -> DigitImages:
    """Find several digits: at the first scale at which they are large enough."""
    for side in _PAGE_SIDES:
        last = side >= min(max(gray.shape), _PAGE_SIDES[-1])
        try:
            ink = _ink(_shrink(gray, side), label)
        except DataError:
            if last:
                raise
            continue
        parts, starts, stops = _digits(ink)
        if last or (len(starts) and np.median(stops[:, 0] - starts[:, 0]) >= 60):
            break
    if not len(starts):
        raise DataError(f"{label} shows no digit: only lines and specks.")
    samples = []
    for digit, (top, left), (bottom, right) in zip(range(1, len(starts) + 1), starts, stops, strict=True):
        around = slice(max(0, top - 2), bottom + 2), slice(max(0, left - 2), right + 2)  # edges are faint
        others = (parts[around] > 0) & (parts[around] != digit)
        samples.append(center(crop_to_box(np.where(others, 0, ink[around])), _UNTIED))
    lines = _lines(starts, stops)
    order = np.lexsort((starts[:, 1], lines))
    scale = np.array(gray.shape) / ink.shape
    boxes = np.concatenate([np.floor(starts * scale)[:, ::-1], np.ceil(stops * scale)[:, ::-1]], axis=1).astype(int)
    height, width = (stops - starts).T
    return DigitImages(np.stack(samples)[order], boxes[order], lines[order], (width > _WIDE * height)[order])


def _read(path_or_array: Any) -> tuple[np.ndarray, str]:
    """Return a picture as grey levels 0-1, and what errors call it."""
    if isinstance(path_or_array, str | os.PathLike) or hasattr(path_or_array, "getbands"):
        gray, label = read_image(path_or_array).astype(np.float32) / 255, str(path_or_array)
    else:
        gray, label = _gray_of(path_or_array), "image array"
    if min(gray.shape) < 5:
        raise DataError(f"{label}: {gray.shape[0]} x {gray.shape[1]} pixels are too few. Give at least 5 x 5.")
    return gray, label


def _gray_of(array: Any) -> np.ndarray:
    """Return an array as float32 grey levels 0-1 of shape ``(height, width)``."""
    array = np.asarray(array)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise DataError(f"image array: shape {array.shape}. Give (height, width), or with 1, 3 or 4 channels.")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"image array: shape {array.shape}; at most {MAX_PIXELS} pixels are read. Make it smaller.")
    if array.dtype.kind not in "buif":
        raise DataError(f"image array: dtype {array.dtype}. Give uint8 0-255, or floats 0-1.")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError("image array: it holds NaN or infinity. Give finite pixels.")
    top = 65535 if array.dtype == np.uint16 else 255
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and values.max() <= 1):
        top = 1
    if values.min() < 0 or values.max() > top:
        raise DataError(f"image array: values from {values.min():g} to {values.max():g}. Give 0 to {top}.")
    values = values.reshape(*array.shape[:2], channels) / top
    if channels == 1:
        return values[..., 0]
    gray = values[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # the luma of ITU-R BT.601, as Pillow's
    return gray if channels == 3 else gray * values[..., 3] + (1 - values[..., 3])


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(image.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def _shrink(gray: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(gray.shape)
    if scale >= 1:
        return gray
    return _resize(gray, max(5, round(gray.shape[0] * scale)), max(5, round(gray.shape[1] * scale)))


def _background(gray: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a quadratic surface to what is not ink; return it and the spread of the background around it.

    The border, where a digit rarely is, starts the fit; then every pixel that lies near the surface joins.
    """
    height, width = gray.shape
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    whole = np.stack([np.ones_like(u), u, v, u * v, u * u, v * v], axis=-1)
    sparse = slice(None, None, max(1, height // 64)), slice(None, None, max(1, width // 64))  # enough for six numbers
    gray, basis = gray[sparse], whole[sparse].reshape(-1, 6)
    height, width = gray.shape
    values = gray.reshape(-1).astype(np.float64)
    edge = max(1, min(height, width) // 16)
    inside = np.zeros(gray.shape, bool)
    inside[edge:-edge, edge:-edge] = True
    member = ~inside.reshape(-1)
    member &= np.abs(values - np.median(values[member])) <= 0.35  # a stroke that runs off the border
    solution, spread = np.array([np.median(values[member])]), 0.0
    for terms in (1, 3, 6, 6, 6):  # a constant, a plane, then the quadratic: from few members no wild bends
        solution = np.linalg.lstsq(basis[member, :terms], values[member], rcond=None)[0]
        surface = basis[:, :terms] @ solution
        residual = np.abs(values - surface)
        spread = 1.4826 * float(np.median(residual[member]))
        member = residual <= max(3 * spread, 0.02)
        if member.sum() < 12:
            break
    return whole[..., : len(solution)] @ solution, spread


def _ink(gray: np.ndarray, label: str) -> np.ndarray:
    """Return how much ink is at each pixel, 0-1."""
    surface, spread = _background(gray)
    difference = gray - surface
    floor = max(4 * spread, 0.003)  # less than one grey level of 255 where the background is flat
    above, below = np.where(difference > floor, difference, 0), np.where(-difference > floor, -difference, 0)
    # Paper in the shade is darker and so is the contrast on it: ink on paper is measured as a share of the light there.
    ink = above if above.sum() > below.sum() else below * np.median(surface) / np.maximum(surface, 0.1)
    if not (ink > 0).any():
        raise DataError(f"{label} shows no digit: it is blank. Write one digit, large and dark, on light paper.")
    peak = float(np.percentile(ink[ink > 0.5 * ink.max()], 90))
    if peak < max(_MIN_CONTRAST, 5 * spread):
        raise DataError(
            f"{label} shows no digit: contrast {peak:.2f} is too low. Write darker, or light the paper better."
        )
    if spread > 1e-3:  # a photo: grain and shadows remain; a drawing or an MNIST image keeps its faint edges
        low = max(floor, 0.3 * peak)
        return np.clip((ink - low) / (0.85 * peak - low), 0, 1)
    return np.clip(ink / peak, 0, 1)


def _main_part(ink: np.ndarray) -> tuple[np.ndarray, bool]:
    """Keep the digit: the heaviest part and those near it; neither dust and grain nor a button, a line, a dark corner.

    Also tell whether no other part can be a digit.

    What touches the border of the picture counts a third, for corners, edges and neighbours do, and so does a solid
    bar, for a label may have more ink than a pen's strokes. The gap to another part of the digit is at most half of the
    digit's longer side, which is 1.6 times the width where the heaviest part is flat, as a five's bar is; a seventh if
    the border cuts off that part but not the digit; hardly any to a solid bar that is neither beside it nor above or
    below, as an app's label in a corner. Such a part has at least a twentieth of the digit's ink. What is long, thin
    and runs from border to border is a ruled line or an edge.
    """
    parts, starts, stops = _touching(ink > 0)
    mass = np.bincount(parts.ravel(), weights=ink.ravel())[1:]
    cut = (starts == 0).any(axis=1) | (stops == ink.shape).any(axis=1)
    sizes = stops - starts
    height, width = sizes.T
    solid = (np.bincount(parts.ravel())[1:] > 0.8 * height * width) & (cut | (width > height))
    main = np.argmax(np.where(cut, 0.3, 1) * np.where(solid, 0.3, 1) * mass)
    flat = height[main] < 0.5 * width[main]  # as a five's bar, which is heavier than a faint curve
    side = 1.6 * width[main] if flat else sizes[main].max()
    alike = (mass >= 0.1 * mass[main]) & (height >= 0.33 * height[main])
    long = np.array(ink.shape) > 1.3 * sizes[main]  # than the digit, as the bar of a cropped five is not
    thin = sizes.min(axis=1) < 0.25 * side
    across = ((starts == 0) & (stops == ink.shape) & long).any(axis=1) & thin & ~cut[main]
    reach = np.where(cut & ~cut[main], 0.15, 0.5) * side
    gaps = np.maximum(starts - stops[main], starts[main] - stops)
    beside = (-gaps >= 0.5 * np.minimum(sizes, sizes[main])).any(axis=1)  # or above or below
    reach[solid & ~beside] = 0.03 * side + 1
    kept = (mass >= 0.05 * mass[main]) & (gaps.max(axis=1) <= reach) & ~across
    alone = alike.sum() == 1 and width[main] <= _WIDE * height[main]
    return np.where(np.concatenate([[False], kept])[parts], ink, 0), alone


def _boxes(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each numbered part begins and ends, rows and columns, shape ``(parts, 2)``."""
    from scipy import ndimage

    boxes = np.array([[[side.start, side.stop] for side in box] for box in ndimage.find_objects(parts)])
    return boxes.reshape(-1, 2, 2)[..., 0], boxes.reshape(-1, 2, 2)[..., 1]


def _digits(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a page with its digits numbered from 1 on, 0 for all else, and where each begins and ends."""
    from scipy import ndimage

    parts = ndimage.label(_without_rules(ink > 0.1), structure=np.ones((3, 3)))[0]
    mass = ndimage.sum_labels(ink, parts, np.arange(1, parts.max() + 1))
    starts, stops = _boxes(parts)
    if not len(mass):
        return parts, starts, stops
    height, width = (stops - starts).T
    side = np.maximum(height, width)
    at_border = (starts == 0).any(axis=1) | (stops == ink.shape).any(axis=1)
    weight = np.where(at_border & (mass[~at_border].sum() > 0.1 * mass.sum()), 0, height * side)
    order = np.argsort(height)
    typical = height[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]
    kept = (side >= 0.1 * typical) & (height <= 2 * typical) & ~((width > 1.3 * typical) & (height < 0.25 * typical))
    kept &= ~at_border | (height > 0.5 * typical)
    root, joining = np.arange(len(mass)), True
    while joining:  # until no part is near another
        joining = False
        for i in np.argsort(mass):  # the lightest first: each joins the part that it belongs to
            far = np.maximum(starts - stops[i], starts[i] - stops).max(axis=1) > 0.3 * typical
            others = np.flatnonzero(kept & ~far & (root == np.arange(len(root))) & (np.arange(len(root)) != i))
            gaps = (
                [_gap(parts, int(i), int(j), starts, stops, typical) for j in others]
                if kept[i] and root[i] == i
                else []
            )
            if gaps and min(gaps) < np.inf:
                j = root[i] = others[int(np.argmin(gaps))]
                starts[j], stops[j] = np.minimum(starts[i], starts[j]), np.maximum(stops[i], stops[j])
                parts[parts == i + 1] = j + 1
                joining = True
    height = (stops - starts)[:, 0]
    digits = np.flatnonzero(kept & (root == np.arange(len(root))) & (height >= 0.33 * typical))
    number = np.full(len(root) + 1, len(digits) + 1)  # what is no digit is erased in the neighbours' images
    number[0], number[digits + 1] = 0, np.arange(1, len(digits) + 1)
    return number[parts], starts[digits], stops[digits]


def _gap(parts: np.ndarray, i: int, j: int, starts: np.ndarray, stops: np.ndarray, typical: float) -> float:
    """Return how far two parts are apart, infinity if they are not strokes of one digit.

    They are if they lie above each other and near, and together are as large as a digit.
    """
    from scipy import ndimage

    low, high = np.minimum(starts[i], starts[j]), np.maximum(stops[i], stops[j])
    sizes, size = (stops - starts)[[i, j]], high - low
    overlap = (np.minimum(stops[i], stops[j]) - np.maximum(starts[i], starts[j]))[1] / sizes[:, 1].min()
    if size[1] > 1.3 * typical or size[0] > 2.2 * typical or overlap < -0.3:
        return np.inf
    left, right = (i, j) if starts[i, 1] < starts[j, 1] else (j, i)
    stem = stops[right] - starts[right]
    hanging = stem[1] < 0.35 * stem[0] and stops[left, 0] < stops[right, 0] - 0.25 * stem[0]  # as parts of a 4 or 9
    if size[0] > 1.35 * typical or (0 < overlap <= 0.3 and sizes[:, 0].min() < 0.75 * typical):
        limit = 0.1
    elif hanging or (sizes[:, 0].min() < 0.6 * typical and overlap > 0.3):
        limit = 0.3 if overlap > 0.3 else 0.15
    else:
        limit = 0.12 if overlap > 0.6 else 0
    crop = parts[low[0] : high[0], low[1] : high[1]]
    gap = float(ndimage.distance_transform_edt(crop != j + 1)[crop == i + 1].min())
    return gap if gap <= max(2.0, limit * typical) and limit else np.inf


def _lines(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the line of text of each digit, numbered from the top; a line may slope."""
    lines = np.full(len(starts), -1)
    last: list[int] = []
    for i in np.argsort(starts[:, 1], kind="stable"):
        overlap = [
            (min(stops[i, 0], stops[j, 0]) - max(starts[i, 0], starts[j, 0]))
            / min(stops[i, 0] - starts[i, 0], stops[j, 0] - starts[j, 0])
            for j in last
        ]
        line = int(np.argmax(overlap)) if overlap and max(overlap) > 0.4 else len(last)
        last[line : line + 1] = [i]
        lines[i] = line
    middles = [np.mean((starts + stops)[lines == line, 0]) for line in range(len(last))]
    return np.argsort(np.argsort(middles))[lines]


def _without_rules(mask: np.ndarray) -> np.ndarray:
    """Remove ruled lines, frames and tables; strokes that cross them stay."""
    from scipy import ndimage

    parts = ndimage.label(mask, structure=np.ones((3, 3)))[0]
    starts, stops = _boxes(parts)
    areas = (stops - starts).prod(axis=1)
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        height, width = stop - start
        rule = width > 3 * height and width > 0.4 * mask.shape[1]
        inside = (starts > start).all(axis=1) & (stops < stop).all(axis=1)
        if not rule and areas[inside].sum() < 0.03 * areas[i]:
            continue
        around = slice(start[0], stop[0]), slice(start[1], stop[1])
        part = parts[around] == i + 1
        straight, edge = _straight(part), max(1, height // 6)
        if straight[:edge].any() and straight[-edge:].any():
            straight |= _straight(part.T).T
        if rule or straight.sum() >= 0.6 * part.sum():
            mask[around] &= ~straight
    return mask


def _straight(part: np.ndarray) -> np.ndarray:
    """Return the pixels of long, thin, nearly horizontal lines."""
    from scipy import ndimage

    length = max(3, part.shape[1] // 3)
    slack = max(1, round(0.05 * length))
    near = ndimage.binary_dilation(part, np.ones((2 * slack + 1, 1)))
    long = ndimage.binary_opening(near, np.ones((1, length))) & part
    runs = _run_lengths(part)
    thin = 2 * np.median(runs[long]) if long.any() else 0
    return long & (runs <= thin)


def _run_lengths(part: np.ndarray) -> np.ndarray:
    """Return for each pixel how many pixels of the part stand together in its column."""
    change = np.diff(np.pad(part, ((1, 1), (0, 0))).astype(np.int8), axis=0).T  # columns become rows
    begin, end = np.nonzero(change == 1), np.nonzero(change == -1)
    runs = np.zeros(part.T.shape, int)
    runs[part.T] = np.repeat(end[1] - begin[1], end[1] - begin[1])
    return runs.T


def _touching(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the parts of a picture, whose pixels touch at sides or corners, numbered from 1 on; 0 is none.

    The order is that of reading. Also return where each begins and ends, rows and columns, shape ``(parts, 2)``. It is
    ``scipy.ndimage.label`` with ``find_objects``, whose import takes longer than all the rest of a prediction.
    """
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, left), right = np.nonzero(change == 1), np.nonzero(change == -1)[1]  # of each run of pixels in a row
    line = mask.shape[1] + 2
    first = np.searchsorted(rows * line + right, (rows - 1) * line + left)  # of the runs above that touch it
    count = np.searchsorted(rows * line + left, (rows - 1) * line + right, side="right") - first
    run = np.repeat(np.arange(len(rows)), count)
    above = np.arange(len(run)) - np.repeat(np.cumsum(count) - count - first, count)
    root = np.arange(len(rows))
    while (root[run] != root[above]).any():
        ends = root[run], root[above]
        for end in ends:
            np.minimum.at(root, end, np.minimum(*ends))
        while (root != root[root]).any():
            root = root[root]
    number = np.unique(root, return_inverse=True)[1].reshape(-1)
    parts = np.zeros(mask.shape, int)
    parts[mask] = np.repeat(number + 1, right - left)
    order = np.argsort(number, kind="stable")
    begin = np.flatnonzero(np.diff(number[order], prepend=-1))
    starts = np.stack([np.minimum.reduceat(side[order], begin) for side in (rows, left)], axis=1)
    stops = np.stack([np.maximum.reduceat(side[order], begin) for side in (rows + 1, right)], axis=1)
    return parts, starts, stops


def _largest(image: np.ndarray, size: int) -> np.ndarray:
    """Return the largest value, none below 0, in the square of ``size`` pixels around each pixel."""
    for axis in (0, 1):
        length, around = image.shape[axis], [(0, 0), (0, 0)]
        around[axis] = (size // 2, (size - 1) // 2)
        padded = np.pad(image, around)
        views = (padded.take(range(k, k + length), axis) for k in range(size))
        image = functools.reduce(np.maximum, views)
    return image


def crop_to_box(ink: np.ndarray) -> np.ndarray:
    """Crop to the digit and scale its longer side to 20 pixels."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 20 / max(crop.shape)
    height, width = (max(1, round(side * scale)) for side in crop.shape)
    if (height, width) == crop.shape:
        return crop
    small = np.clip(_resize(_thickened(crop, scale), height, width), 0, 1)
    return np.clip(small / np.percentile(small[small > 0.5 * small.max()], 75), 0, 1)


def _thickened(crop: np.ndarray, scale: float) -> np.ndarray:
    """Widen strokes that would be thinner than two pixels in the box: a pen line would fade to grey.

    Widths are counted along rows and columns, where a slanted stroke is wider; small holes thus stay open.
    """
    inked = np.pad(crop > 0.5, 1)
    widths = np.minimum(_run_lengths(inked), _run_lengths(inked.T).T)[inked]
    missing = round(2 / scale - (float(np.median(widths)) if widths.size else 1.0))
    if missing < 1:
        return crop
    return _largest(crop, min(missing, round(1.5 / scale)) + 1)


def center(box: np.ndarray, middle: float = _MIDDLE) -> np.ndarray:
    """Lay the box into 28 x 28 so that the centre of mass is in the middle, as far as the digit stays inside."""
    height, width = box.shape
    total = box.sum()
    row = float(box.sum(axis=1) @ (np.arange(height) + 0.5)) / total
    column = float(box.sum(axis=0) @ (np.arange(width) + 0.5)) / total
    top = min(max(round(middle - row), 0), 28 - height)
    left = min(max(round(middle - column), 0), 28 - width)
    image = np.zeros((28, 28), np.uint8)
    image[top : top + height, left : left + width] = np.rint(box * 255)
    return image
