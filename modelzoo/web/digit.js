/**
 * Turn a drawing or photo of one digit into an image like MNIST's: modelzoo.datasets.load_digit_image, step by step.
 * Pictures are {values: Float32Array of grey levels 0–1, width, height}.
 */

const WORKING_SIDE = 280;
const MIDDLE = 14.499;
const MIN_CONTRAST = 0.08;

/**
 * Return 784 pixels, 0–255, white digit on black, or null where the picture shows no digit. `drawn` pictures, at most
 * 280 pixels wide, hold ink on black ground: no surface has to be fitted to it, which takes most of the time.
 */
export function digitImage(picture, drawn = false) {
  const ink = drawn ? normalised(picture, 0, 0) : inkOf(shrunk(picture));
  return ink && centred(boxed(mainPart(ink)));
}

/** Resize as Pillow does: bicubic, the kernel widened where the picture is made smaller. */
export function resized({ values, width, height }, newWidth, newHeight) {
  const rows = resampled(values, height, width, newWidth);
  const columns = resampled(transposed(rows, height, newWidth), newWidth, height, newHeight);
  return { values: transposed(columns, newWidth, newHeight), width: newWidth, height: newHeight };
}

/** Round halves to the even number, as Python and NumPy do. */
function rounded(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + Math.abs(below % 2) : Math.round(value);
}

function transposed(values, rows, columns) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}

/** Resize each of the rows from `from` to `to` numbers. */
function resampled(values, rows, from, to) {
  if (from === to) return values;
  const scale = Math.max(from / to, 1);
  const result = new Float32Array(rows * to);
  for (let j = 0; j < to; j++) {
    const centre = ((j + 0.5) * from) / to;
    const start = Math.max(Math.floor(centre - 2 * scale + 0.5), 0);
    const end = Math.min(Math.floor(centre + 2 * scale + 0.5), from);
    const weights = [];
    for (let k = start; k < end; k++) weights.push(cubic((k - centre + 0.5) / scale));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let k = start; k < end; k++) sum += weights[k - start] * values[i * from + k];
      result[i * to + j] = sum / total;
    }
  }
  return result;
}

function cubic(x) {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

function shrunk(picture) {
  const scale = WORKING_SIDE / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  return resized(picture, Math.max(5, rounded(picture.width * scale)), Math.max(5, rounded(picture.height * scale)));
}

/** The `share` quantile, between neighbours as numpy.percentile. */
function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** Fit a quadratic surface to what is not ink: the surface, and the spread around it. */
function background({ values, width, height }) {
  const terms = (i, j) => {
    const [u, v] = [(2 * j) / (width - 1) - 1, (2 * i) / (height - 1) - 1];
    return [1, u, v, u * v, u * u, v * v];
  };
  const [down, right] = [Math.max(1, Math.floor(height / 64)), Math.max(1, Math.floor(width / 64))];
  const [rows, columns] = [Math.ceil(height / down), Math.ceil(width / right)];
  const edge = Math.max(1, Math.floor(Math.min(rows, columns) / 16));
  const pixels = [];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const border = Math.min(r, c, rows - 1 - r, columns - 1 - c) < edge;
      pixels.push({ value: values[r * down * width + c * right], terms: terms(r * down, c * right), member: border });
    }
  const median = quantile(pixels.filter((p) => p.member).map((p) => p.value), 0.5);
  for (const p of pixels) p.member &&= Math.abs(p.value - median) <= 0.35;
  let solution = [quantile(pixels.filter((p) => p.member).map((p) => p.value), 0.5)];
  let spread = 0;
  for (const count of [1, 3, 6, 6, 6]) {
    solution = leastSquares(pixels.filter((p) => p.member), count);
    for (const p of pixels) p.residual = Math.abs(p.value - dot(solution, p.terms));
    spread = 1.4826 * quantile(pixels.filter((p) => p.member).map((p) => p.residual), 0.5);
    for (const p of pixels) p.member = p.residual <= Math.max(3 * spread, 0.02);
    if (pixels.filter((p) => p.member).length < 12) break;
  }
  const surface = new Float32Array(values.length);
  for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) surface[i * width + j] = dot(solution, terms(i, j));
  return { surface, spread };
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Solve the normal equations for the first `count` terms. */
function leastSquares(pixels, count) {
  const m = Array.from({ length: count }, () => new Float64Array(count + 1));
  for (const { value, terms } of pixels)
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) m[i][j] += terms[i] * terms[j];
      m[i][count] += terms[i] * value;
    }
  for (let i = 0; i < count; i++) {
    const best = m.reduce((top, row, k) => (k > i && Math.abs(row[i]) > Math.abs(m[top][i]) ? k : top), i);
    [m[i], m[best]] = [m[best], m[i]];
    for (let k = 0; k < count; k++) {
      const factor = k === i || m[i][i] === 0 ? 0 : m[k][i] / m[i][i];
      for (let j = i; j <= count; j++) m[k][j] -= factor * m[i][j];
    }
  }
  return m.map((row, i) => (row[i] ? row[count] / row[i] : 0));
}

/** Return how much ink is at each pixel. */
function inkOf(picture) {
  const { values } = picture;
  const { surface, spread } = background(picture);
  const floor = Math.max(4 * spread, 0.003);
  const light = quantile(surface, 0.5);
  const above = values.map((value, i) => (value - surface[i] > floor ? value - surface[i] : 0));
  const below = values.map((value, i) => (surface[i] - value > floor ? surface[i] - value : 0));
  const total = (array) => array.reduce((sum, value) => sum + value, 0);
  const dark = total(above) <= total(below);
  const ink = dark ? below.map((value, i) => (value * light) / Math.max(surface[i], 0.1)) : above;
  return normalised({ ...picture, values: ink }, floor, spread);
}

/** Return ink as a share of the darkest, without the grain of a photo; null for a blank or faint picture. */
function normalised(picture, floor, spread) {
  const ink = picture.values;
  const most = ink.reduce((top, value) => Math.max(top, value), 0);
  if (most === 0) return null;
  const peak = quantile(ink.filter((value) => value > 0.5 * most), 0.9);
  if (peak < Math.max(MIN_CONTRAST, 5 * spread)) return null;
  const low = spread > 1e-3 ? Math.max(floor, 0.3 * peak) : 0;
  const high = spread > 1e-3 ? 0.85 * peak : peak;
  return { ...picture, values: ink.map((value) => Math.min(Math.max((value - low) / (high - low), 0), 1)) };
}

/** Keep the heaviest connected part and those near it: nearer if the border cuts them off, or a bar lies in a corner. */
function mainPart({ values, width, height }) {
  const label = new Int32Array(values.length);
  const parts = [];
  for (let start = 0; start < values.length; start++) {
    if (values[start] <= 0 || label[start]) continue;
    const part = { mass: 0, area: 0, top: height, left: width, bottom: 0, right: 0 };
    parts.push(part);
    label[start] = parts.length;
    for (const queue = [start]; queue.length; ) {
      const at = queue.pop();
      const [i, j] = [Math.floor(at / width), at % width];
      part.mass += values[at];
      part.area += 1;
      [part.top, part.left] = [Math.min(part.top, i), Math.min(part.left, j)];
      [part.bottom, part.right] = [Math.max(part.bottom, i + 1), Math.max(part.right, j + 1)];
      for (let u = Math.max(i - 1, 0); u <= Math.min(i + 1, height - 1); u++)
        for (let v = Math.max(j - 1, 0); v <= Math.min(j + 1, width - 1); v++) {
          const next = u * width + v;
          if (values[next] > 0 && !label[next]) {
            queue.push(next);
            label[next] = parts.length;
          }
        }
    }
  }
  const sizes = (p) => [p.bottom - p.top, p.right - p.left];
  const touches = (p) => p.top === 0 || p.left === 0 || p.bottom === height || p.right === width;
  const solid = (p) => p.area > 0.8 * sizes(p)[0] * sizes(p)[1] && (touches(p) || sizes(p)[1] > sizes(p)[0]);
  const weight = (p) => (touches(p) ? 0.3 : 1) * (solid(p) ? 0.3 : 1) * p.mass;
  const main = parts.reduce((best, part) => (weight(part) > weight(best) ? part : best));
  const [high, broad] = sizes(main);
  const side = high < 0.5 * broad ? 1.6 * broad : Math.max(high, broad); // a five's bar is flat
  const tall = height > 1.3 * (main.bottom - main.top);
  const wide = width > 1.3 * (main.right - main.left); // than the digit, as the bar of a cropped five is not
  const thin = (p) => Math.min(...sizes(p)) < 0.25 * side;
  const across = (p) =>
    thin(p) && ((tall && p.top === 0 && p.bottom === height) || (wide && p.left === 0 && p.right === width));
  const gaps = (p) => [Math.max(p.top - main.bottom, main.top - p.bottom), Math.max(p.left - main.right, main.left - p.right)];
  const beside = (p) => gaps(p).some((gap, axis) => -gap >= 0.5 * Math.min(sizes(p)[axis], sizes(main)[axis]));
  const reach = (p) => {
    if (solid(p) && !beside(p)) return 0.03 * side + 1;
    return (touches(p) && !touches(main) ? 0.15 : 0.5) * side;
  };
  const kept = parts.map(
    (p) =>
      p === main ||
      (p.mass >= 0.05 * main.mass && Math.max(...gaps(p)) <= reach(p) && (touches(main) || !across(p))),
  );
  return { values: values.map((value, i) => (label[i] && kept[label[i] - 1] ? value : 0)), width, height };
}

/** Crop to the digit and scale its longer side to 20 pixels. */
function boxed({ values, width, height }) {
  let [top, left, bottom, right] = [height, width, 0, 0];
  values.forEach((value, at) => {
    if (value <= 0) return;
    const [i, j] = [Math.floor(at / width), at % width];
    [top, left, bottom, right] = [Math.min(top, i), Math.min(left, j), Math.max(bottom, i + 1), Math.max(right, j + 1)];
  });
  const crop = { width: right - left, height: bottom - top };
  crop.values = Float32Array.from({ length: crop.width * crop.height }, (_, at) =>
    values[(top + Math.floor(at / crop.width)) * width + left + (at % crop.width)],
  );
  const scale = 20 / Math.max(crop.width, crop.height);
  const [w, h] = [crop.width, crop.height].map((side) => Math.max(1, rounded(side * scale)));
  if (w === crop.width && h === crop.height) return crop;
  const small = resized(thickened(crop, scale), w, h);
  const clipped01 = small.values.map((value) => Math.min(Math.max(value, 0), 1));
  const most = clipped01.reduce((high, value) => Math.max(high, value), 0);
  const full = quantile(clipped01.filter((value) => value > 0.5 * most), 0.75);
  return { ...small, values: clipped01.map((value) => Math.min(value / full, 1)) };
}

/** Return for each number how many unequal to 0 stand together in its row; every row must end with a 0. */
function runLengths(values) {
  const lengths = new Float32Array(values.length);
  for (let begin = 0; begin < values.length; begin++) {
    let end = begin;
    while (values[end]) end++;
    lengths.fill(end - begin, begin, end);
    begin = end;
  }
  return lengths;
}

/** Widen strokes that would be thinner than two pixels in the box. */
function thickened(crop, scale) {
  const [width, height] = [crop.width + 2, crop.height + 2];
  const inked = new Float32Array(width * height);
  crop.values.forEach((value, at) => {
    inked[(Math.floor(at / crop.width) + 1) * width + (at % crop.width) + 1] = value > 0.5 ? 1 : 0;
  });
  const down = transposed(runLengths(transposed(inked, height, width)), width, height);
  const widths = runLengths(inked).map((length, at) => Math.min(length, down[at]));
  const strokes = widths.filter(Boolean);
  const missing = rounded(2 / scale - (strokes.length ? quantile(strokes, 0.5) : 1));
  return missing < 1 ? crop : highestNear(crop, Math.min(missing, rounded(1.5 / scale)) + 1);
}

/** Return the highest value in the square of that side around each pixel; one of even side starts further left. */
function highestNear({ values, width, height }, side) {
  const along = (source, length, rows) => {
    const result = new Float32Array(source.length);
    for (let row = 0; row < rows; row++)
      for (let j = 0; j < length; j++) {
        let most = -Infinity;
        for (let k = j - Math.floor(side / 2); k < j - Math.floor(side / 2) + side; k++)
          most = Math.max(most, source[row * length + Math.min(Math.max(k, 0), length - 1)]);
        result[row * length + j] = most;
      }
    return result;
  };
  const rows = along(values, width, height);
  return { values: transposed(along(transposed(rows, height, width), height, width), width, height), width, height };
}

/** Lay the box into 28 × 28 so that the centre of mass is in the middle, as far as the digit stays inside. */
function centred({ values, width, height }) {
  let [total, row, column] = [0, 0, 0];
  values.forEach((value, at) => {
    total += value;
    row += value * (Math.floor(at / width) + 0.5);
    column += value * ((at % width) + 0.5);
  });
  const top = Math.min(Math.max(rounded(MIDDLE - row / total), 0), 28 - height);
  const left = Math.min(Math.max(rounded(MIDDLE - column / total), 0), 28 - width);
  const image = new Float32Array(784);
  values.forEach((value, at) => {
    image[(top + Math.floor(at / width)) * 28 + left + (at % width)] = rounded(value * 255);
  });
  return image;
}
