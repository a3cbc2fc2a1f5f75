// Dense networks of points: forward pass, backpropagation, Keras' update rules, and start weights.
// All weights of a network are one Float64Array in the order of Keras' get_weights: kernel (inputs × units, row by
// row), bias, kernel, bias, …

const logistic = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));

// The activations of units, from pre-activations z to values y; loops of their own, because they are called often.
const ACTIVATIONS = {
  linear: (z, y) => y.set(z),
  tanh(z, y) {
    for (let j = 0; j < z.length; j++) y[j] = Math.tanh(z[j]);
  },
  sigmoid(z, y) {
    for (let j = 0; j < z.length; j++) y[j] = logistic(z[j]);
  },
  relu(z, y) {
    for (let j = 0; j < z.length; j++) y[j] = z[j] > 0 ? z[j] : 0;
  },
  threshold(z, y) {
    for (let j = 0; j < z.length; j++) y[j] = z[j] > 0 ? 1 : 0;
  },
  softmax(z, y) {
    let largest = -Infinity;
    let sum = 0;
    for (let k = 0; k < z.length; k++) if (z[k] > largest) largest = z[k];
    for (let k = 0; k < z.length; k++) sum += y[k] = Math.exp(z[k] - largest);
    for (let k = 0; k < z.length; k++) y[k] /= sum;
  },
};

// Multiply errors by the derivatives of activations, which their values y tell. The threshold's is taken for 1, as if
// it were the identity: that is Rosenblatt's rule.
const DERIVATIVES = {
  linear() {},
  tanh(delta, y) {
    for (let j = 0; j < y.length; j++) delta[j] *= 1 - y[j] * y[j];
  },
  sigmoid(delta, y) {
    for (let j = 0; j < y.length; j++) delta[j] *= y[j] * (1 - y[j]);
  },
  relu(delta, y) {
    for (let j = 0; j < y.length; j++) if (y[j] <= 0) delta[j] = 0;
  },
  threshold() {},
  softmax(delta, y) {
    let mean = 0;
    for (let k = 0; k < y.length; k++) mean += delta[k] * y[k];
    for (let k = 0; k < y.length; k++) delta[k] = y[k] * (delta[k] - mean);
  },
};

export const OPTIMIZERS = { sgd: "SGD", rmsprop: "RMSprop", adam: "Adam" };

export class Network {
  // widths: [2, …, outputs]; activations: one a layer, the last one "softmax", "sigmoid" or "threshold".
  constructor(widths, activations) {
    this.widths = widths;
    this.activations = activations;
    this.values = widths.map((width) => new Float64Array(width));
    this.sums = widths.map((width) => new Float64Array(width));
    this.deltas = widths.map((width) => new Float64Array(width));
    this.kernels = [0];
    this.biases = [0];
    let size = 0;
    for (let l = 1; l < widths.length; l++) {
      this.kernels.push(size);
      this.biases.push(size + widths[l - 1] * widths[l]);
      size += (widths[l - 1] + 1) * widths[l];
    }
    this.weights = new Float64Array(size);
    this.gradient = new Float64Array(size);
  }

  get outputs() {
    return this.values[this.widths.length - 1];
  }

  forward(x1, x2) {
    const weights = this.weights;
    this.values[0][0] = x1;
    this.values[0][1] = x2;
    for (let l = 1; l < this.widths.length; l++) {
      const input = this.values[l - 1];
      const z = this.sums[l];
      const kernel = this.kernels[l];
      const bias = this.biases[l];
      const units = z.length;
      for (let j = 0; j < units; j++) {
        let sum = weights[bias + j];
        for (let i = 0, at = kernel + j; i < input.length; i++, at += units) sum += input[i] * weights[at];
        z[j] = sum;
      }
      ACTIVATIONS[this.activations[l - 1]](z, this.values[l]);
    }
    return this.outputs;
  }

  // The class of the last forward pass: the largest output, or whether a single one exceeds ½.
  decision() {
    const y = this.outputs;
    if (y.length === 1) return y[0] > 0.5 ? 1 : 0;
    let best = 0;
    for (let k = 1; k < y.length; k++) if (y[k] > y[best]) best = k;
    return best;
  }

  // The loss of the last forward pass; the cross-entropy is taken from the pre-activations and never overflows.
  loss(label, kind) {
    const [z, y] = [this.sums[this.widths.length - 1], this.outputs];
    if (kind === "sum_of_squares") {
      let sum = 0;
      for (let k = 0; k < y.length; k++) sum += (y[k] - target(y, k, label)) ** 2;
      return sum / 2;
    }
    if (y.length === 1) return Math.max(z[0], 0) - z[0] * label + Math.log1p(Math.exp(-Math.abs(z[0])));
    const largest = Math.max(...z);
    let sum = 0;
    for (let k = 0; k < z.length; k++) sum += Math.exp(z[k] - largest);
    return largest + Math.log(sum) - z[label];
  }

  // Add the gradient of the last forward pass' loss, times a factor.
  backward(label, kind, factor) {
    const weights = this.weights;
    const gradient = this.gradient;
    const last = this.widths.length - 1;
    const y = this.outputs;
    for (let k = 0; k < y.length; k++) this.deltas[last][k] = factor * (y[k] - target(y, k, label));
    if (kind === "sum_of_squares") DERIVATIVES[this.activations[last - 1]](this.deltas[last], y);
    for (let l = last; l > 0; l--) {
      const input = this.values[l - 1];
      const above = this.deltas[l];
      const below = this.deltas[l - 1];
      const bias = this.biases[l];
      for (let j = 0; j < above.length; j++) gradient[bias + j] += above[j];
      for (let i = 0, at = this.kernels[l]; i < input.length; i++) {
        const value = input[i];
        let sum = 0;
        for (let j = 0; j < above.length; j++, at++) {
          gradient[at] += value * above[j];
          sum += above[j] * weights[at];
        }
        below[i] = sum;
      }
      if (l > 1) DERIVATIVES[this.activations[l - 2]](below, input);
    }
  }

  // Mean (for the sum of squares: total) loss and share of right classes over a set {x, y}.
  evaluate({ x, y }, kind) {
    let [loss, right] = [0, 0];
    for (let n = 0; n < y.length; n++) {
      this.forward(x[2 * n], x[2 * n + 1]);
      loss += this.loss(y[n], kind);
      right += this.decision() === y[n];
    }
    return { loss: kind === "sum_of_squares" ? loss : loss / y.length, accuracy: right / y.length };
  }
}

function target(y, k, label) {
  return y.length === 1 ? label : +(k === label);
}

// Keras' SGD, RMSprop (rho 0.9, epsilon 1e-7) and Adam (beta 0.9 and 0.999, epsilon 1e-7).
export class Optimizer {
  constructor({ optimizer, rate, momentum }, size) {
    this.settings = { optimizer, rate, momentum };
    this.steps = 0;
    this.first = new Float64Array(size);
    this.second = new Float64Array(size);
  }

  update(weights, gradient) {
    const { optimizer, rate, momentum } = this.settings;
    const [first, second] = [this.first, this.second];
    this.steps += 1;
    if (optimizer === "sgd") {
      for (let i = 0; i < weights.length; i++) weights[i] += first[i] = momentum * first[i] - rate * gradient[i];
    } else if (optimizer === "rmsprop") {
      for (let i = 0; i < weights.length; i++) {
        second[i] = 0.9 * second[i] + 0.1 * gradient[i] ** 2;
        first[i] = momentum * first[i] + (rate * gradient[i]) / Math.sqrt(second[i] + 1e-7);
        weights[i] -= first[i];
      }
    } else {
      const alpha = (rate * Math.sqrt(1 - 0.999 ** this.steps)) / (1 - 0.9 ** this.steps);
      for (let i = 0; i < weights.length; i++) {
        first[i] += 0.1 * (gradient[i] - first[i]);
        second[i] += 0.001 * (gradient[i] ** 2 - second[i]);
        weights[i] -= (alpha * first[i]) / (Math.sqrt(second[i]) + 1e-7);
      }
    }
  }
}

// Trains a network on a set {x, y}. settings: loss, optimizer, rate, momentum, batch (0: all points in their order).
export class Trainer {
  constructor(network, set, settings, seed = 0) {
    Object.assign(this, { network, set, settings, seed, order: [], epoch: -1, drawn: 0 });
    this.optimizer = new Optimizer(settings, network.weights.length);
  }

  step() {
    const { network, set, settings } = this;
    const whole = !settings.batch || settings.batch >= set.y.length;
    const size = whole ? set.y.length : settings.batch;
    const factor = settings.loss === "sum_of_squares" ? 1 : 1 / size;
    network.gradient.fill(0);
    for (let i = 0; i < size; i++) {
      const n = whole ? i : this.next();
      network.forward(set.x[2 * n], set.x[2 * n + 1]);
      network.backward(set.y[n], settings.loss, factor);
    }
    this.optimizer.update(network.weights, network.gradient);
  }

  // The next sample of an endless stream that shows every point once an epoch, in an order drawn anew. It follows from
  // the seed and how many samples were drawn, which a link holds.
  next() {
    const count = this.set.y.length;
    const epoch = Math.floor(this.drawn / count);
    if (epoch !== this.epoch || this.order.length !== count) {
      this.epoch = epoch;
      const random = generator(this.seed + 5 * epoch);
      this.order = Array.from(this.set.y, (_, n) => n);
      for (let n = count - 1; n > 0; n--) {
        const other = Math.floor(random() * (n + 1));
        [this.order[n], this.order[other]] = [this.order[other], this.order[n]];
      }
    }
    return this.order[this.drawn++ % count];
  }
}

// Uniform numbers in [0, 1): mulberry32 of a seed.
export function generator(seed) {
  let state = (seed + 1) * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Glorot's uniform kernels, He's uniform ones before ReLU, and biases of 0, drawn by this page.
export function drawWeights(network, seed) {
  const random = generator(seed);
  network.weights.fill(0);
  for (let l = 1; l < network.widths.length; l++) {
    const [from, to] = [network.widths[l - 1], network.widths[l]];
    const limit = Math.sqrt(6 / (network.activations[l - 1] === "relu" ? from : from + to));
    for (let at = network.kernels[l]; at < network.biases[l]; at++) network.weights[at] = limit * (2 * random() - 1);
  }
}

// A set of points as training takes it, from base64 of little-endian float32 coordinates and a digit for each label.
export function readPoints({ x, y }) {
  const bytes = Uint8Array.from(atob(x), (character) => character.charCodeAt(0));
  return { x: Float64Array.from(new Float32Array(bytes.buffer)), y: Uint8Array.from(y) };
}
