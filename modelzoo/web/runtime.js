/**
 * Run a network in the browser: what modelzoo/numpy_runtime.py does, from the same description, in plain JavaScript.
 *
 *   loadNetwork(facts) -> Network
 *     facts.network   the "network" of a card: {name, layers: [{kind, name, config, inputs, output_shape, weights}], outputs}
 *     facts.weights   {path: {dtype, shape, data, scale}}, `data` in base64, little-endian: float32, float16, or int8 with
 *                     one float32 `scale` (base64) for each index of the last axis; `data` may be a Uint8Array already;
 *                     or {path: Float32Array}
 *   network.forward(samples, batch = 1, from = "") -> {layer name: Float32Array, …}
 *     samples         Float32Array of `batch` samples, raw as the model takes them: 0–255 pixels, points
 *     from            name of a layer: the samples are taken for its output, and only what comes after is computed
 *   network.input, network.output   names of the input layer and of the layer that the model returns
 *   network.layers    [{name, kind, config, inputs, shape, size, weights: [{path, name, shape}], activation}]
 *   network.weights   {path: Float32Array}; change them in place, the next forward() uses them
 *
 * Arrays are flat, samples first, channels last. Names that occur twice get "_2", "_3", ….
 */

export class UnknownLayerError extends Error {}

// --- activations

const clip = (x, low, high) => Math.min(Math.max(x, low), high);
const elu = (x, alpha = 1) => (x > 0 ? x : alpha * Math.expm1(x));
const logistic = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const hardSigmoid = (x) => clip(x + 3, 0, 6) / 6;

/** The error function, to 1.5e-7: Abramowitz and Stegun (1964), 7.1.26. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

/** Functions of one number. */
const POINTWISE = {
  celu: (x) => elu(x),
  elu: (x) => elu(x),
  exponential: Math.exp,
  gelu: (x) => x * (0.5 + 0.5 * erf(x / Math.SQRT2)),
  hard_shrink: (x) => (Math.abs(x) > 0.5 ? x : 0),
  hard_sigmoid: hardSigmoid,
  hard_silu: (x) => x * hardSigmoid(x),
  hard_swish: (x) => x * hardSigmoid(x),
  hard_tanh: (x) => clip(x, -1, 1),
  leaky_relu: (x) => (x > 0 ? x : 0.2 * x),
  linear: (x) => x,
  log_sigmoid: (x) => -softplus(-x),
  mish: (x) => x * Math.tanh(softplus(x)),
  relu: (x) => (x > 0 ? x : 0),
  relu6: (x) => clip(x, 0, 6),
  selu: (x) => 1.05070098735548 * elu(x, 1.67326324235437),
  sigmoid: logistic,
  silu: (x) => x * logistic(x),
  soft_shrink: (x) => Math.sign(x) * Math.max(Math.abs(x) - 0.5, 0),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  sparse_plus: (x) => (x < 1 ? Math.max(x + 1, 0) ** 2 / 4 : x),
  sparse_sigmoid: (x) => clip((x + 1) / 2, 0, 1),
  squareplus: (x) => (x + Math.sqrt(x * x + 4)) / 2,
  swish: (x) => x * logistic(x),
  tanh: Math.tanh,
  tanh_shrink: (x) => x - Math.tanh(x),
};

/** Functions of some numbers, those at `places`: (values, places, result). */
const ROWWISE = {
  softmax(x, places, y) {
    const top = highest(x, places);
    let sum = 0;
    for (const i of places) sum += y[i] = Math.exp(x[i] - top);
    for (const i of places) y[i] /= sum;
  },
  log_softmax(x, places, y) {
    const top = highest(x, places);
    let sum = 0;
    for (const i of places) sum += Math.exp(x[i] - top);
    for (const i of places) y[i] = x[i] - top - Math.log(sum);
  },
};

const highest = (x, places) => places.reduce((top, i) => Math.max(top, x[i]), -Infinity);

/** Return the function of an activation, which may overwrite its input; null for one that is not known. */
function activationStep(activation, shape) {
  if (activation && activation.class_name in ACTIVATION_LAYERS)
    return LAYERS[activation.class_name]({ config: activation.config, output: shape, inputs: [shape] });
  if (activation in ROWWISE) return rowwise(ROWWISE[activation], shape, shape.length - 1);
  return activation in POINTWISE ? pointwise(POINTWISE[activation]) : null;
}

/** Return the step that applies a function of some numbers along one axis. */
const rowwise = (f, shape, axis) => ([x]) => {
  const y = new Float32Array(x.length);
  const stride = size(shape.slice(axis + 1));
  const places = new Uint32Array(shape[axis]);
  for (let start = 0; start < x.length; start += stride * places.length)
    for (let first = start; first < start + stride; first++) {
      for (let k = 0; k < places.length; k++) places[k] = first + k * stride;
      f(x, places, y);
    }
  return y;
};

const pointwise = (f) => ([x]) => {
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) y[i] = f(x[i]);
  return y;
};

// --- layers: (layer, weights by name) -> (inputs, batch) -> output; a layer has config, inputs and output (shapes)

/** Add the products of `rows` rows of `a` with the matrix `b` to `c`; zeros in `a`, such as paper, cost nothing. */
function matmul(a, b, c, rows, inner, columns, offset = 0) {
  for (let row = 0; row < rows; row++) {
    const to = offset + row * columns;
    const from = row * inner;
    let k = 0;
    for (; k + 3 < inner; k += 4) {
      const [p, q, r, s] = [a[from + k], a[from + k + 1], a[from + k + 2], a[from + k + 3]];
      if (p === 0 && q === 0 && r === 0 && s === 0) continue;
      let at = k * columns;
      const [second, third, fourth] = [columns, 2 * columns, 3 * columns];
      for (let j = to; j < to + columns; j++, at++)
        c[j] += p * b[at] + q * b[at + second] + r * b[at + third] + s * b[at + fourth];
    }
    for (; k < inner; k++) {
      const p = a[from + k];
      if (p === 0) continue;
      for (let j = to, at = k * columns; j < to + columns; j++, at++) c[j] += p * b[at];
    }
  }
}

/** Return rows of the bias, or of zeros, that sums start from. */
function biased(rows, columns, bias) {
  const c = new Float32Array(rows * columns);
  if (bias) for (let i = 0; i < rows; i++) c.set(bias, i * columns);
  return c;
}

function dense({ inputs: [shape] }, { kernel, bias }) {
  const inner = shape.at(-1);
  const columns = kernel.length / inner;
  return ([x]) => {
    const y = biased(x.length / inner, columns, bias);
    matmul(x, kernel, y, x.length / inner, inner, columns);
    return y;
  };
}

/** Return where windows start: top and left padding, strides, dilation and the window's sides. */
function windows({ config, inputs: [shape], output }, [height, width]) {
  const strides = config.strides ?? [1, 1];
  const dilation = config.dilation_rate ?? [1, 1];
  const same = config.padding === "same";
  const before = [height, width].map((length, i) => {
    const lacking = (output[i] - 1) * strides[i] + (length - 1) * dilation[i] + 1 - shape[i];
    return same ? Math.floor(Math.max(lacking, 0) / 2) : 0;
  });
  return { height, width, strides, dilation, before };
}

function conv2d(layer, { kernel, bias }) {
  const [rows, columns, channels] = layer.inputs[0];
  const [outRows, outColumns] = layer.output;
  const { height, width, strides, dilation, before } = windows(layer, layer.config.kernel_size);
  const inner = height * width * channels;
  const filters = kernel.length / inner;
  const unfolded = new Float32Array(outColumns * inner); // of one row of the output: it stays in the cache
  return ([x], batch) => {
    const y = biased(batch * outRows * outColumns, filters, bias);
    for (let n = 0; n < batch; n++)
      for (let r = 0; r < outRows; r++) {
        unfolded.fill(0);
        for (let i = 0; i < height; i++) {
          const u = r * strides[0] - before[0] + i * dilation[0];
          if (u < 0 || u >= rows) continue;
          for (let s = 0; s < outColumns; s++)
            for (let j = 0; j < width; j++) {
              const v = s * strides[1] - before[1] + j * dilation[1];
              if (v < 0 || v >= columns) continue;
              const from = ((n * rows + u) * columns + v) * channels;
              const to = s * inner + (i * width + j) * channels;
              for (let c = 0; c < channels; c++) unfolded[to + c] = x[from + c];
            }
        }
        matmul(unfolded, kernel, y, outColumns, inner, filters, (n * outRows + r) * outColumns * filters);
      }
    return y;
  };
}

/** Call `visit(to, from, place)` for every output place and every pixel in its window, channels aside. */
function eachPixel(layer, sides, batch, visit) {
  const [rows, columns] = layer.inputs[0];
  const [outRows, outColumns] = layer.output;
  const { height, width, strides, dilation, before } = windows(layer, sides);
  for (let n = 0; n < batch; n++)
    for (let r = 0; r < outRows; r++)
      for (let s = 0; s < outColumns; s++)
        for (let i = 0; i < height; i++)
          for (let j = 0; j < width; j++) {
            const u = r * strides[0] - before[0] + i * dilation[0];
            const v = s * strides[1] - before[1] + j * dilation[1];
            if (u >= 0 && u < rows && v >= 0 && v < columns)
              visit((n * outRows + r) * outColumns + s, (n * rows + u) * columns + v, i * width + j);
          }
}

function depthwiseConv2d(layer, { kernel, bias }) {
  const channels = layer.inputs[0][2];
  const filters = layer.output[2];
  const multiplier = filters / channels;
  return ([x], batch) => {
    const y = biased(batch * layer.output[0] * layer.output[1], filters, bias);
    eachPixel(layer, layer.config.kernel_size, batch, (to, from, place) => {
      for (let f = 0; f < filters; f++)
        y[to * filters + f] += x[from * channels + Math.floor(f / multiplier)] * kernel[place * filters + f];
    });
    return y;
  };
}

function maxPooling(layer) {
  const channels = layer.output[2];
  return ([x], batch) => {
    const y = new Float32Array(batch * size(layer.output)).fill(-Infinity);
    eachPixel(layer, layer.config.pool_size, batch, (to, from) => {
      for (let c = 0, i = to * channels, j = from * channels; c < channels; c++, i++, j++) if (x[j] > y[i]) y[i] = x[j];
    });
    return y;
  };
}

function averagePooling(layer) {
  const channels = layer.output[2];
  return ([x], batch) => {
    const y = new Float32Array(batch * size(layer.output));
    const count = new Uint32Array(y.length / channels); // padding does not count
    eachPixel(layer, layer.config.pool_size, batch, (to, from) => {
      count[to]++;
      for (let c = 0; c < channels; c++) y[to * channels + c] += x[from * channels + c];
    });
    return y.map((sum, i) => sum / count[Math.floor(i / channels)]);
  };
}

const globalPooling = (join, start, divide) => ({ inputs: [shape] }) => ([x], batch) => {
  const channels = shape.at(-1);
  const length = size(shape);
  const y = new Float32Array(batch * channels).fill(start);
  for (let i = 0; i < x.length; i++) {
    const to = Math.floor(i / length) * channels + (i % channels);
    y[to] = join(y[to], x[i]);
  }
  return divide ? y.map((sum) => (sum * channels) / length) : y;
};

/** Return the function that scales and shifts along one axis; `factors` gives both when it is called. */
function affine(axis, shape, factors) {
  const length = shape[axis];
  const inner = size(shape.slice(axis + 1));
  return ([x]) => {
    const [scale, shift] = factors(length);
    return x.map((value, i) => {
      const place = Math.floor(i / inner) % length;
      return value * scale[place] + shift[place];
    });
  };
}

function batchNormalization({ config, inputs: [shape] }, { moving_mean, moving_variance, gamma, beta }) {
  const [axis] = [config.axis].flat();
  return affine(axis < 0 ? shape.length + axis : axis - 1, shape, () => {
    const scale = moving_variance.map((v, i) => (gamma ? gamma[i] : 1) / Math.sqrt(v + config.epsilon));
    return [scale, scale.map((s, i) => (beta ? beta[i] : 0) - moving_mean[i] * s)];
  });
}

function normalization(layer, { mean = layer.config.mean, variance = layer.config.variance }) {
  const { config, inputs: [shape] } = layer;
  const axes = [config.axis].flat();
  if (config.invert || axes.length !== 1 || ![null, undefined, -1, shape.length].includes(axes[0])) return null;
  return affine(shape.length - 1, shape, (length) => {
    const [m, v] = [mean, variance].map((values) => [...(values.length ? values : [values])].flat(Infinity));
    const scale = Array.from({ length }, (_, i) => 1 / Math.max(Math.sqrt(v[i % v.length]), 1e-7));
    return [scale, scale.map((s, i) => -m[i % m.length] * s)];
  });
}

function rescaling({ config, inputs: [shape] }) {
  const [scale, offset] = [config.scale, config.offset].map((value) => [value].flat());
  return affine(shape.length - 1, shape, (length) =>
    [scale, offset].map((values) => Array.from({ length }, (_, i) => values[i % values.length])),
  );
}

function zeroPadding({ config, inputs: [[rows, columns, channels]], output }) {
  const [[top], [left]] = config.padding;
  return ([x], batch) => {
    const y = new Float32Array(batch * size(output));
    for (let row = 0; row < batch * rows; row++) {
      const to = ((Math.floor(row / rows) * output[0] + (row % rows) + top) * output[1] + left) * channels;
      y.set(x.subarray(row * columns * channels, (row + 1) * columns * channels), to);
    }
    return y;
  };
}

/** Return where each element of an output lies in an input that is broadcast to it; null for the same place. */
function broadcast(shape, output) {
  const filled = [...Array(output.length - shape.length).fill(1), ...shape];
  if (filled.every((length, i) => length === output[i])) return null;
  return Int32Array.from({ length: size(output) }, (_, i) => {
    let [place, step] = [0, 1];
    for (let axis = output.length - 1; axis >= 0; axis--) {
      place += filled[axis] === 1 ? 0 : (i % output[axis]) * step;
      step *= filled[axis];
      i = Math.floor(i / output[axis]);
    }
    return place;
  });
}

const joined = (f, divide) => ({ inputs: shapes, output }) => {
  const places = shapes.map((shape) => broadcast(shape, output));
  const [length, sizes] = [size(output), shapes.map(size)];
  return (inputs, batch) => {
    const y = new Float32Array(batch * length);
    for (let i = 0; i < y.length; i++) {
      const start = Math.floor(i / length);
      const value = (k) => inputs[k][places[k] ? start * sizes[k] + places[k][i - start * length] : i];
      let total = value(0);
      for (let k = 1; k < inputs.length; k++) total = f(total, value(k));
      y[i] = divide ? total / inputs.length : total;
    }
    return y;
  };
};

function concatenate({ config, inputs: shapes, output }) {
  const axis = (config.axis ?? -1) < 0 ? output.length + (config.axis ?? -1) : config.axis - 1; // without the batch
  const pieces = shapes.map((shape) => size(shape.slice(axis)));
  const whole = pieces.reduce((sum, piece) => sum + piece, 0);
  return (inputs, batch) => {
    const y = new Float32Array(batch * size(output));
    for (let start = 0, row = 0; start < y.length; start += whole, row++)
      inputs.reduce((to, x, k) => {
        y.set(x.subarray(row * pieces[k], (row + 1) * pieces[k]), to);
        return to + pieces[k];
      }, start);
    return y;
  };
}

function reluLayer({ config }) {
  const [threshold, slope, top] = [config.threshold ?? 0, config.negative_slope ?? 0, config.max_value ?? Infinity];
  return pointwise((x) => Math.min(x >= threshold ? x : slope * (x - threshold), top));
}

function softmaxLayer({ config, output }) {
  const axis = config.axis ?? -1;
  return Number.isInteger(axis) ? rowwise(ROWWISE.softmax, output, axis < 0 ? output.length + axis : axis - 1) : null;
}

const unchanged = () => ([x]) => x;

const ACTIVATION_LAYERS = {
  ELU: ({ config }) => pointwise((x) => elu(x, config.alpha)),
  LeakyReLU: reluLayer,
  ReLU: reluLayer,
  Softmax: softmaxLayer,
};

const LAYERS = {
  ...ACTIVATION_LAYERS,
  Activation: ({ config, output }) => activationStep(config.activation, output),
  ActivityRegularization: unchanged,
  Add: joined((x, y) => x + y),
  AlphaDropout: unchanged,
  Average: joined((x, y) => x + y, true),
  AveragePooling2D: averagePooling,
  BatchNormalization: batchNormalization,
  Concatenate: concatenate,
  Conv2D: conv2d,
  Dense: dense,
  DepthwiseConv2D: depthwiseConv2d,
  Dropout: unchanged,
  Flatten: unchanged,
  GaussianDropout: unchanged,
  GaussianNoise: unchanged,
  GlobalAveragePooling2D: globalPooling((x, y) => x + y, 0, true),
  GlobalMaxPooling2D: globalPooling(Math.max, -Infinity, false),
  Identity: unchanged,
  MaxPooling2D: maxPooling,
  Maximum: joined(Math.max),
  Minimum: joined(Math.min),
  Multiply: joined((x, y) => x * y),
  Normalization: normalization,
  PReLU: ({ weights: [{ shape }], output }, { alpha }) => {
    const places = broadcast(shape, output);
    return ([x]) => x.map((v, i) => (v > 0 ? v : v * alpha[places ? places[i % places.length] : i % alpha.length]));
  },
  RandomBrightness: unchanged,
  RandomContrast: unchanged,
  RandomFlip: unchanged,
  RandomRotation: unchanged,
  RandomTranslation: unchanged,
  RandomZoom: unchanged,
  Rescaling: rescaling,
  Reshape: unchanged,
  SpatialDropout1D: unchanged,
  SpatialDropout2D: unchanged,
  Subtract: joined((x, y) => x - y),
  ZeroPadding2D: zeroPadding,
};

// --- operations between tensors, as in keras.ops: functions of their arguments, numbers or inputs

const BINARY = {
  Add: (x, y) => x + y,
  Divide: (x, y) => x / y,
  Greater: (x, y) => Number(x > y),
  GreaterEqual: (x, y) => Number(x >= y),
  Multiply: (x, y) => x * y,
  Subtract: (x, y) => x - y,
  TrueDivide: (x, y) => x / y,
};

const UNARY = {
  Cast: (x) => x,
  Exp: Math.exp,
  Negative: (x) => -x,
  OnesLike: () => 1,
  StopGradient: (x) => x,
};

/** Return the function of an operation, or null. */
function operation({ kind, config: { args, kwargs, ...settings }, inputs: shapes, output }) {
  const given = [...args, ...Object.values(kwargs)];
  const index = (argument) => argument?.input;
  if (kind in UNARY && index(given[0]) === 0) return pointwise(UNARY[kind]);
  if (kind in BINARY && given.length === 2) {
    if (given.every((argument) => index(argument) !== undefined)) {
      const order = given.map(index);
      const join = joined(BINARY[kind])({ inputs: order.map((i) => shapes[i]), output });
      return (inputs, batch) => join(order.map((i) => inputs[i]), batch);
    }
    const [x, y] = given;
    if (index(x) === 0 && typeof y === "number") return pointwise((value) => BINARY[kind](value, y));
    if (index(y) === 0 && typeof x === "number") return pointwise((value) => BINARY[kind](x, value));
  }
  if (kind === "Concatenate" && Array.isArray(given[0])) {
    const order = given[0].map(index);
    const join = concatenate({ config: settings, inputs: order.map((i) => shapes[i]), output });
    return (inputs, batch) => join(order.map((i) => inputs[i]), batch);
  }
  if (kind === "GetItem") return item(given, shapes[0]);
  return null;
}

/** Return the function of x[:, key, …]: slices and numbers, all of the batch. */
function item([, key], shape) {
  const whole = { slice: [null, null, null] };
  const [samples, ...keys] = [key].flat();
  if (samples?.slice?.some((end) => end !== null) ?? true) return null;
  let places = [0];
  for (const [axis, length] of shape.entries()) {
    const part = keys[axis] ?? whole;
    const [start, stop, step] = Number.isInteger(part) ? [part, part + 1 || null, 1] : (part.slice ?? [0, 0, -1]);
    if ((step ?? 1) < 1) return null;
    const chosen = [...Array(length).keys()].slice(start ?? 0, stop ?? length).filter((_, i) => i % (step ?? 1) === 0);
    places = places.flatMap((place) => chosen.map((index) => place * length + index));
  }
  return ([x], batch) => {
    const y = new Float32Array(batch * places.length);
    for (let i = 0; i < y.length; i++)
      y[i] = x[Math.floor(i / places.length) * size(shape) + places[i % places.length]];
    return y;
  };
}

/** What is known, so that a test can compare it with modelzoo/numpy_runtime.py. */
export const KNOWN = {
  activations: [...Object.keys(POINTWISE), ...Object.keys(ROWWISE)].sort(),
  layers: Object.keys(LAYERS).sort(),
  operations: [...Object.keys(BINARY), ...Object.keys(UNARY), "Concatenate", "GetItem"].sort(),
};

// --- the network

const size = (shape) => shape.reduce((product, length) => product * length, 1);

/** Return the function of one layer, or null where its kind or a setting is not known. */
function stepOf(layer, weights) {
  if (layer.kind === "InputLayer") return unchanged();
  if (layer.config.args) return operation(layer);
  const make = LAYERS[layer.kind];
  if (!make || layer.config.data_format === "channels_first" || (layer.config.groups ?? 1) !== 1) return null;
  const step = make(layer, Object.fromEntries(layer.weights.map(({ name, path }) => [name, weights[path]])));
  if (!step || layer.kind === "Activation" || [undefined, null, "linear"].includes(layer.config.activation)) return step;
  const activation = activationStep(layer.config.activation, layer.output);
  return activation && ((inputs, batch) => activation([step(inputs, batch)], batch));
}

/** Return a network that runs, or throw UnknownLayerError with all layers that are not known. */
export function loadNetwork({ network, weights: stored }) {
  const weights = Object.fromEntries(Object.entries(stored).map(([path, weight]) => [path, decode(weight)]));
  const layers = [];
  for (const facts of network.layers) {
    const same = layers.filter((layer) => layer.first === facts.name).length;
    layers.push({
      name: same ? `${facts.name}_${same + 1}` : facts.name,
      first: facts.name,
      kind: facts.kind,
      config: facts.config,
      from: facts.inputs,
      group: facts.group ?? [],
      inputs: facts.inputs.map((index) => network.layers[index].output_shape),
      output: facts.output_shape,
      shape: facts.output_shape,
      size: size(facts.output_shape),
      activation: facts.config.activation ?? "linear",
      weights: facts.weights.map(({ path, shape }) => ({ path, shape, name: path.split("/").at(-1) })),
    });
  }
  const steps = layers.map((layer) => stepOf(layer, weights));
  const unknown = layers.filter((layer, i) => !steps[i] || layer.shape.includes(null));
  if (unknown.length)
    throw new UnknownLayerError(
      `${network.name} has layers that only Keras computes: ${unknown.map((l) => `${l.name} (${l.kind})`).join(", ")}.`,
    );

  function forward(samples, batch = 1, from = "") {
    const start = from ? layers.findIndex((layer) => layer.name === from) : 0;
    if (start < 0) throw new RangeError(`${network.name} has no layer ${from}.`);
    if (samples.length !== batch * layers[start].size)
      throw new RangeError(`${layers[start].name} takes ${batch} × ${layers[start].size} numbers; got ${samples.length}.`);
    const values = { [layers[start].name]: samples };
    for (let i = start + 1; i < layers.length; i++)
      values[layers[i].name] = steps[i](layers[i].from.map((index) => values[layers[index].name]), batch);
    return values;
  }

  return {
    name: network.name,
    layers,
    weights,
    input: layers[0].name,
    output: layers[network.outputs[0]].name,
    forward,
  };
}

// --- weights

/** Return stored numbers as float32. */
function decode(weight) {
  if (weight instanceof Float32Array) return weight;
  const bytes = weight.data instanceof Uint8Array ? weight.data : fromBase64(weight.data);
  if (weight.dtype === "float32") return new Float32Array(bytes.buffer);
  const half = weight.dtype === "float16";
  const levels = half ? new Uint16Array(bytes.buffer) : new Int8Array(bytes.buffer);
  const scale = half ? null : decode({ dtype: "float32", data: weight.scale });
  const values = new Float32Array(levels.length);
  for (let i = 0; i < values.length; i++) values[i] = half ? fromHalf(levels[i]) : levels[i] * scale[i % scale.length];
  return values;
}

export function fromBase64(encoded) {
  const text = atob(encoded);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Return the number that 16 bits stand for: IEEE 754 binary16. */
function fromHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
