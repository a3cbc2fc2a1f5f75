"""Digits that a program draws, in ways of writing that MNIST hardly has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelzoo.datasets.digit import center

Line = list[complex]  # the corners of a stroke, x + iy with y downwards; a digit is 1 high
Uniform = Callable[[float, float], float]

_BOX = 20  # pixels, as in MNIST
_WIDTHS = (2.0, 3.4)  # of strokes, in pixels


def draw_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``count`` each of ones with a flag, closed fours, sevens and straight nines.

    MNIST's writers were Americans. Elsewhere a 1 often has a flag and is then taken for a 7, and the bar of a closed 4
    may end at its stem, which makes a 9 of it. Sevens and nines drawn likewise keep them apart. The proportions are our
    own, drawn uniformly from wide ranges. The digits are always the same, and fewer are the first of more.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        uint8 images 0-255 of shape ``(4 * count, 28, 28)``, white on black, as MNIST's; uint8 labels.
    """
    x = np.empty((4 * count, 28, 28), np.uint8)
    rng = np.random.default_rng(0)
    for i in range(4 * count):
        strokes = (_one, _four, _seven, _nine)[i % 4](rng.uniform)
        x[i] = _image(strokes, rng.uniform(*_WIDTHS))
    return x, np.tile(np.array([1, 4, 7, 9], np.uint8), count)


def _one(uniform: Uniform) -> list[Line]:
    top, foot = complex(uniform(-0.15, 0.35)), 1j
    angle, length = np.deg2rad(uniform(30, 78)), uniform(0.15, 0.55)
    flag = top - length * np.exp(-1j * angle)
    bend = uniform(-0.06, 0.06) * 1j * np.exp(-1j * angle)
    lines = [[flag, (flag + top) / 2 + bend, top], [top, (top + foot) / 2 + uniform(-0.04, 0.04), foot]]
    if uniform(0, 1) < 0.25:
        tilt = uniform(-0.04, 0.04) * 1j
        lines.append([foot - uniform(0.12, 0.4) + tilt, foot + uniform(0.12, 0.4) - tilt])
    return lines


def _four(uniform: Uniform) -> list[Line]:
    top, foot = complex(uniform(-0.15, 0.35)), 1j
    crossing = top + uniform(0.35, 0.68) * (foot - top)
    corner = crossing - uniform(0.28, 0.65) + uniform(-0.06, 0.1) * 1j
    start = top + uniform(-0.06, 0.02) + uniform(-0.02, 0.1) * 1j
    return [[start, corner, crossing + uniform(-0.02, 0.1)], [top, foot]]


def _seven(uniform: Uniform) -> list[Line]:
    top = complex(uniform(-0.15, 0.35))
    foot = 0.3 * top + uniform(-0.35, 0.05) + 1j
    left = top - uniform(0.35, 0.75) + uniform(-0.08, 0.12) * 1j
    lines = [[left, top, (top + foot) / 2 + uniform(-0.06, 0.06), foot]]
    if uniform(0, 1) < 0.4:
        lines[0].insert(0, left + uniform(-0.04, 0.06) + uniform(0.08, 0.22) * 1j)
    if uniform(0, 1) < 0.4:
        middle, tilt = foot + uniform(0.4, 0.6) * (top - foot), uniform(-0.06, 0.06) * 1j
        lines.append([middle - uniform(0.12, 0.3) + tilt, middle + uniform(0.12, 0.3) - tilt])
    return lines


def _nine(uniform: Uniform) -> list[Line]:
    radius, roundness = uniform(0.2, 0.33), uniform(0.75, 1.2)
    right = uniform(-0.15, 0.35) + radius * uniform(0.8, 1.1) * 1j
    turn = np.linspace(-0.3, 2 * np.pi * uniform(0.85, 1.05), 16)
    bowl = right - radius + radius * (np.cos(turn) - 1j * roundness * np.sin(turn))
    return [list(bowl), [right - uniform(-0.2, 0.9) * radius * 1j, right, uniform(-0.1, 0.05) + 1j]]


def _image(lines: list[Line], width: float) -> np.ndarray:
    """Return strokes of that width in pixels as an image like MNIST's."""
    corners = np.concatenate(lines)
    low = complex(corners.real.min(), corners.imag.min())
    spans = np.array([np.ptp(corners.imag), np.ptp(corners.real)])
    scale = (_BOX - width) / spans.max()
    rows, columns = np.ceil(spans * scale + width).astype(int)
    pixels = np.arange(columns) + 0.5 + 1j * (np.arange(rows)[:, None] + 0.5)
    ends = [(np.array(line) - low) * scale + width / 2 * (1 + 1j) for line in lines]
    starts, along = np.concatenate([end[:-1] for end in ends]), np.concatenate([np.diff(end) for end in ends])
    offset = pixels[..., np.newaxis] - starts
    share = np.clip((offset / along).real, 0, 1)  # of the way to the nearest point of each straight piece
    distance = np.abs(offset - share * along).min(axis=-1)
    return center(np.clip(width / 2 - distance + 0.5, 0, 1))
