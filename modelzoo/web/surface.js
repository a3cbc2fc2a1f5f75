// The error of the 2-2-1 network on XOR over two of its nine weights, and a descent on it.
import { axes, begin, clipped, color, curves, line, mixed, paintMap, pointer, rgb, short, viridis } from "./drawing.js";
import { Network, Trainer } from "./training.js";

// The lesson's names of the weights, in their order in the network.
const NAMES = ["w3", "w5", "w4", "w6", "b2", "b3", "w1", "w2", "b1"];
const SUBSCRIPTS = "₀₁₂₃₄₅₆";
const subscript = (name) => name[0] + SUBSCRIPTS[name[1]];
const CELLS = 48;

export class Surface {
  label = "Descend";

  constructor(value, set, changed, facts, points) {
    Object.assign(this, { value, set, facts, points, turn: -0.9, tilt: 0.55 });
    const [form] = document.querySelectorAll("#surface form");
    const options = ["w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3"];
    this.options = options;
    for (const select of ["first", "second"]) {
      form.elements[select].innerHTML = options.map((name) => `<option value="${name}">${subscript(name)}</option>`).join("");
    }
    form.elements.others.innerHTML = Object.keys(facts.starts).reverse()
      .map((key) => `<option value="${key}">${key === "lesson" ? "as in the lesson" : `start weights of seed ${key}`}</option>`)
      .join("");
    set({ first: "w1", second: "w2" });
    form.addEventListener("input", ({ target }) => {
      if (["first", "second"].includes(target.name) && value("first") === value("second")) {
        const other = target.name === "first" ? "second" : "first";
        set({ [other]: options.find((name) => name !== target.value) });
      }
      this.reset();
      changed();
    });
    this.landscape = document.querySelector("#landscape");
    this.map = document.querySelector("#map");
    this.landscape.addEventListener("pointerdown", (event) => this.landscape.setPointerCapture(event.pointerId));
    this.landscape.addEventListener("pointermove", (event) => {
      if (event.buttons) this.rotate(event.movementX / 120, event.movementY / 160, changed);
    });
    this.landscape.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08] }[event.key];
      if (by) {
        event.preventDefault();
        this.rotate(...by, changed);
      }
    });
    this.map.addEventListener("click", (event) => {
      const [x, y] = pointer(event, this.map);
      set({ a: this.place.fromX(x).toFixed(2), b: this.place.fromY(y).toFixed(2) });
      this.reset();
      changed();
    });
    this.reset();
  }

  rotate(turn, tilt, changed) {
    this.turn += turn;
    this.tilt = Math.min(Math.max(this.tilt + tilt, 0.05), 1.5);
    changed();
  }

  reset() {
    this.network = new Network(this.facts.widths, this.facts.activations);
    this.network.weights.set(this.facts.starts[this.value("others")]);
    this.pair = [this.value("first"), this.value("second")].map((name) => NAMES.indexOf(name));
    [Number(this.value("a")), Number(this.value("b"))].forEach((number, k) => (this.network.weights[this.pair[k]] = number));
    const settings = { loss: this.value("error"), optimizer: "sgd", rate: Number(this.value("srate")),
      momentum: Number(this.value("smomentum")), batch: 0 };
    this.trainer = new Trainer(this.network, this.points, settings);
    this.all = this.value("moves") === "all";
    this.path = [this.now()];
    this.rows = [[0, this.error()]];
    this.steps = 0;
    this.message = "";
    this.heights = null;
  }

  now() {
    return this.pair.map((at) => this.network.weights[at]);
  }

  error() {
    return this.network.evaluate(this.points, this.trainer.settings.loss).loss;
  }

  errorAt(a, b) {
    const { weights } = this.network;
    const [p, q] = this.pair;
    const kept = [weights[p], weights[q]];
    [weights[p], weights[q]] = [a, b];
    const error = this.error();
    [weights[p], weights[q]] = kept;
    return error;
  }

  step() {
    const fixed = this.all ? null : this.network.weights.slice();
    this.trainer.step();
    if (fixed) {
      const [a, b] = this.now();
      this.network.weights.set(fixed);
      [this.network.weights[this.pair[0]], this.network.weights[this.pair[1]]] = [a, b];
    } else {
      this.heights = null;
    }
    this.steps += 1;
    const error = this.error();
    if (!Number.isFinite(error)) {
      this.message = `The weights diverged at step ${this.steps}. Take a smaller learning rate, and reset.`;
      return false;
    }
    this.path.push(this.now());
    this.rows.push([this.steps, error]);
    if (this.rows.length > 1500) {
      const kept = (_, i) => i % 2 === 0 || i === this.rows.length - 1;
      [this.rows, this.path] = [this.rows.filter(kept), this.path.filter(kept)];
    }
    return true;
  }

  get ended() {
    return false;
  }

  // Errors at the corners of CELLS × CELLS cells; the surface changes where all nine weights move.
  measure() {
    const range = Math.abs(Number(this.value("range"))) || 10;
    if (this.heights && this.range === range) return;
    this.range = range;
    const at = (i) => range * ((2 * i) / CELLS - 1);
    this.heights = [];
    for (let i = 0; i <= CELLS; i++) {
      this.heights.push(Float64Array.from({ length: CELLS + 1 }, (_, j) => this.errorAt(at(i), at(j))));
    }
    this.low = Math.min(...this.heights.map((row) => Math.min(...row)));
    this.high = Math.max(...this.heights.map((row) => Math.max(...row)), this.low + 1e-9);
  }

  draw() {
    this.measure();
    const names = this.pair.map((at) => subscript(NAMES[at]));
    document.querySelector("#surface-title").textContent = `Error over ${names.join(" and ")}`;
    this.drawLandscape(names);
    this.drawMap(names);
    curves(document.querySelector("#error-curve"), this.rows, ["error"], ["train"]);
    document.querySelector("#values").textContent = this.options
      .map((name) => `${subscript(name)} ${short(this.network.weights[NAMES.indexOf(name)])}`).join("   ");
  }

  drawLandscape(names) {
    const { g, width, height } = begin(this.landscape);
    const [sin, cos, lift, flat] = [Math.sin(this.turn), Math.cos(this.turn), Math.cos(this.tilt), Math.sin(this.tilt)];
    const scale = Math.min(width, height * 1.15) * 0.31;
    // a and b from −1 to 1, z from 0 to 1; depth grows away from the eye.
    const project = (a, b, z) => {
      const [x, depth] = [a * cos - b * sin, a * sin + b * cos];
      return [width / 2 + scale * x, height * 0.53 + scale * (-depth * flat - (1.1 * z - 0.45) * lift), depth];
    };
    const share = (error) => (error - this.low) / (this.high - this.low);
    const at = (i) => (2 * i) / CELLS - 1;
    const corners = this.heights.map((row, i) => Array.from(row, (error, j) => project(at(i), at(j), share(error))));
    g.lineWidth = 1;
    g.strokeStyle = color("line");
    const floor = [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]];
    line(g, floor.map(([a, b]) => project(a, b, 0)));
    // From the farthest cells to the nearest ones.
    const order = (rising) => Array.from({ length: CELLS }, (_, i) => (rising ? CELLS - 1 - i : i));
    const [firstOrder, secondOrder] = [order(sin > 0), order(cos > 0)];
    g.lineWidth = 0.6;
    for (const i of firstOrder) {
      for (const j of secondOrder) {
        const error = (this.heights[i][j] + this.heights[i + 1][j + 1] + this.heights[i + 1][j] + this.heights[i][j + 1]) / 4;
        const cell = viridis(share(error));
        g.fillStyle = `rgb(${cell})`;
        g.strokeStyle = `rgb(${mixed(cell, [0, 0, 0], 0.22)})`;
        g.beginPath();
        for (const [x, y] of [corners[i][j], corners[i + 1][j], corners[i + 1][j + 1], corners[i][j + 1]]) g.lineTo(x, y);
        g.closePath();
        g.fill();
        g.stroke();
      }
    }
    this.drawPath(g, ([a, b]) => project(a / this.range, b / this.range, share(this.errorAt(a, b))));
    g.fillStyle = color("ink");
    g.textAlign = "center";
    g.textBaseline = "middle";
    const near = [sin > 0 ? -1 : 1, cos > 0 ? -1 : 1];
    for (const [name, k] of names.map((name, k) => [name, k])) {
      for (const [text, along] of [[name, 0], [short(-this.range), -0.9], [short(this.range), 0.9]]) {
        const [x, y] = k === 0 ? project(along, near[1] * 1.16, 0) : project(near[0] * 1.16, along, 0);
        g.font = `${along ? 11 : 14}px system-ui, sans-serif`;
        g.fillText(text, x, y);
      }
    }
    g.textAlign = "left";
    g.font = "12px system-ui, sans-serif";
    g.fillText(`error ${short(this.low)} … ${short(this.high)}`, 4, 12);
  }

  drawMap(names) {
    const space = begin(this.map);
    const { g } = space;
    const limits = [-this.range, this.range];
    const share = (i, j) => (this.heights[i][CELLS - j] - this.low) / (this.high - this.low);
    this.picture = paintMap(CELLS + 1, (i, j) => viridis(share(i, j)), this.picture);
    this.place = axes(space, limits, limits, { grid: false });
    const { box, toX, toY } = this.place;
    g.drawImage(this.picture, 0.5, 0.5, CELLS, CELLS, box.left, box.top, box.right - box.left, box.bottom - box.top);
    clipped(g, box, () => this.drawPath(g, ([a, b]) => [toX(a), toY(b)]));
    g.fillStyle = "#fff";
    g.font = "14px system-ui, sans-serif";
    g.textAlign = "right";
    g.fillText(names[0], box.right - 8, box.bottom - 12);
    g.textAlign = "left";
    g.fillText(names[1], box.left + 8, box.top + 14);
  }

  drawPath(g, place) {
    const points = this.path.map(place);
    for (const [style, thickness] of [["#000", 4], ["#fff", 2]]) {
      g.strokeStyle = style;
      g.lineWidth = thickness;
      g.lineJoin = "round";
      line(g, points);
    }
    for (const [index, name] of [[0, "start"], [points.length - 1, "end"]]) {
      g.fillStyle = `rgb(${rgb(name)})`;
      g.strokeStyle = "#fff";
      g.beginPath();
      g.arc(points[index][0], points[index][1], 6, 0, 7);
      g.fill();
      g.stroke();
    }
  }

  get status() {
    return `step ${this.steps}   error ${this.rows[this.rows.length - 1][1].toFixed(4)}`;
  }

  save() {
    return { ssteps: this.steps, turn: this.turn.toFixed(2), tilt: this.tilt.toFixed(2) };
  }

  load(saved) {
    this.reset();
    this.turn = Number(saved.get("turn") ?? this.turn);
    this.tilt = Number(saved.get("tilt") ?? this.tilt);
    for (let n = Math.min(Number(saved.get("ssteps")) || 0, 20000); n > 0 && this.step(); n--);
  }
}
