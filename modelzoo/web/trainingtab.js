// Training a network on points of the plane: the plane itself, the diagram, the curves and the controls.
import { axes, begin, clipped, color, curves, line, marker, mixed, paintMap, pointer, rgb, short, unitLine } from "./drawing.js";
import { Network, OPTIMIZERS, Trainer, drawWeights, readPoints } from "./training.js";

const $ = (selector) => document.querySelector(selector);
const SEEDS = ["0", "1", "2", "3", "4"];
const MOST_OWN = 100;
const option = (value, text = value) => `<option value="${value}">${text}</option>`;

export class Training {
  label = "Train";

  constructor(value, set, changed, data) {
    Object.assign(this, { value, set, changed, data, own: null, cross: [0, 0], held: null, selected: null });
    this.sets = Object.fromEntries(Object.entries(data.sets).map(([name, { classes, train, test }]) => [
      name, { classes, train: readPoints(train), test: name === "xor" ? null : readPoints(test) },
    ]));
    $("[name=net]").innerHTML = Object.entries(data.networks)
      .map(([name, { widths }]) => option(name, `${name}  ${widths.join("-")}`)).join("") + option("own", "own network");
    $("[name=set]").innerHTML = Object.keys(this.sets).map((name) => option(name)).join("") + option("own", "own points");
    $("[name=optimizer]").innerHTML = Object.entries(OPTIMIZERS).map((pair) => option(...pair)).join("");
    $("[name=batch]").innerHTML += [1, 10, 50, 100, 500].map((size) => option(size)).join("");
    $("#classes").innerHTML += SEEDS.concat("5").map((k) => `<label><input type="radio" name="class" value="${k}"
      aria-label="Class ${k}" ${k === "0" ? "checked" : ""}><span style="background:var(--class-${k})">${k}</span></label>`).join("") + `<label><input type="radio" name="class"
      value="delete" aria-label="Delete points"><span>✕</span></label>`;
    $("#train form").addEventListener("input", ({ target }) => this.control(target.name));
    $("[name=view]").addEventListener("input", () => this.select($("[name=view]").value));
    $("[name=lines]").addEventListener("input", changed);
    $("#recipe").addEventListener("click", () => this.recipe());
    $("#edit").addEventListener("click", () => this.edit($("#edit").getAttribute("aria-pressed") === "false"));
    $("#clear").addEventListener("click", () => {
      this.own = { x: [], y: [] };
      set({ set: "own" });
      this.edit(true);
      this.reset();
      changed();
    });
    $("#unit").addEventListener("input", ({ target }) => {
      if (!Number.isFinite(target.valueAsNumber)) return;
      this.network.weights[Number(target.name)] = target.valueAsNumber;
      this.record();
      changed();
    });
    this.plane = $("#plane");
    for (const kind of ["pointerdown", "pointermove", "pointerup", "dblclick", "keydown"]) {
      this.plane.addEventListener(kind, (event) => this[kind](event));
    }
    set({ net: "tanh_mlp" });
    this.recipe();
  }

  // ------------------------------------------------------------------------------- what the controls say

  control(name) {
    if (name === "net" && this.value("net") !== "own") return this.recipe();
    if (name === "class") return;
    if (name === "set") this.edit(this.value("set") === "own");
    if (["optimizer", "rate", "momentum", "batch"].includes(name)) this.retune();
    else this.reset();
    this.changed();
  }

  // The lesson's set of points, optimiser, loss and start of a network of the zoo.
  recipe() {
    const facts = this.data.networks[this.value("net")];
    if (facts) {
      const { set, optimizer, rate, momentum, batch, loss, starts } = facts;
      this.set({ net: this.value("net"), set, optimizer, rate, momentum, batch });
      this.set({ loss: loss === "sum_of_squares" ? loss : "crossentropy" });
      this.starts(Object.keys(starts).sort());
      this.set({ seed: starts.lesson ? "lesson" : "0" });
    } else {
      this.set({ optimizer: "adam", rate: 0.02, momentum: 0, batch: 0, loss: "crossentropy" });
    }
    this.edit(false);
    this.reset();
    this.changed();
  }

  starts(keys) {
    const [select, before] = [$("[name=seed]"), this.value("seed")];
    select.innerHTML = keys.map((key) => option(key, key === "lesson" ? "the lesson's" : `seed ${key}`)).join("");
    select.value = keys.includes(before) ? before : keys[0];
  }

  get settings() {
    const facts = ["rate", "momentum", "batch"].map((name) => [name, Math.max(Number(this.value(name)) || 0, 0)]);
    return { ...Object.fromEntries(facts), optimizer: this.value("optimizer"), loss: this.value("loss") };
  }

  retune() {
    const before = this.trainer.settings.optimizer;
    this.trainer.settings = this.settings;
    this.trainer.optimizer.settings = this.settings;
    if (before !== this.settings.optimizer) {
      const { first, second } = this.trainer.optimizer;
      [first, second].forEach((slots) => slots.fill(0));
      this.trainer.optimizer.steps = 0;
    }
    $("[name=momentum]").disabled = this.settings.optimizer === "adam";
  }

  // --------------------------------------------------------------------------------- network and points

  get points() {
    return this.value("set") === "own" ? this.ownPoints() : this.sets[this.value("set")];
  }

  ownPoints() {
    if (!this.own) {
      const from = this.sets[this.shown || "xor"].train;
      const n = Math.min(MOST_OWN, from.y.length);
      this.own = { x: Array.from(from.x.slice(0, 2 * n)), y: Array.from(from.y.slice(0, n)) };
    }
    const classes = Math.max(2, ...this.own.y.map((label) => label + 1));
    return { classes: Array.from({ length: classes }, (_, k) => String(k)), train: this.own, test: null };
  }

  reset() {
    const { classes, train, test } = this.points;
    this.shown = this.value("set") === "own" ? this.shown : this.value("set");
    this.message = "";
    let facts = this.data.networks[this.value("net")];
    if (facts && classes.length > Math.max(2, facts.widths[facts.widths.length - 1])) {
      const [first = 0, second = 0] = facts.widths.slice(1, -1);
      this.message = `${this.value("net")} tells two classes apart, and these are ${classes.length}: here is an own network.`;
      this.set({ net: "own", hidden1: first, hidden2: second, head: "softmax", loss: "crossentropy",
        activation: first ? facts.activations[0] : "tanh" });
      facts = null;
    }
    $("#own").hidden = Boolean(facts);
    $("#recipe").hidden = !facts;
    this.starts(facts ? Object.keys(facts.starts) : SEEDS);
    const threshold = facts && facts.activations.includes("threshold");
    if (threshold) this.set({ loss: "sum_of_squares" });
    $("[name=loss]").disabled = Boolean(threshold);
    $("[name=head]").disabled = classes.length > 2;
    if (facts) {
      this.network = new Network(facts.widths, facts.activations);
      this.network.weights.set(facts.starts[this.value("seed")]);
      $("#origin").textContent = "As modelzoo's builder draws them.";
    } else {
      const hidden = ["hidden1", "hidden2"].map((name) => Math.min(Math.max(Math.round(Number(this.value(name))) || 0, 0), 12));
      const widths = hidden.filter((units) => units > 0);
      const head = classes.length === 2 && this.value("head") === "sigmoid" ? "sigmoid" : "softmax";
      this.network = new Network([2, ...widths, head === "sigmoid" ? 1 : classes.length],
        [...widths.map(() => this.value("activation")), head]);
      drawWeights(this.network, Number(this.value("seed")));
      $("#origin").textContent = "Drawn by this page: Glorot's uniform weights (He's before ReLU), biases 0.";
    }
    this.trainer = new Trainer(this.network, train, this.settings, Number(this.value("seed")) || 0);
    this.test = test;
    this.train = train;
    this.classes = classes;
    this.steps = 0;
    this.rows = [];
    this.retune();
    this.frame();
    this.views();
    this.buildDiagram();
    this.record();
  }

  // The part of the plane that is shown: around the points, with a margin.
  frame() {
    const { x } = this.value("set") === "own" ? { x: [...this.sets[this.shown || "xor"].train.x, ...this.own.x] } : this.train;
    this.limits = [0, 1].map((axis) => {
      let [low, high] = [Infinity, -Infinity];
      for (let i = axis; i < x.length; i += 2) [low, high] = [Math.min(low, x[i]), Math.max(high, x[i])];
      const margin = (high - low || 1) * (x.length < 20 ? 0.3 : 0.06);
      return [low - margin, high + margin];
    });
    this.cross = this.limits.map(([low, high]) => (low + high) / 2);
    this.scatter = null;
  }

  step() {
    if (!this.train.y.length) {
      this.message = "There are no points. Add some: Edit points.";
      return false;
    }
    this.trainer.step();
    this.steps += 1;
    return true;
  }

  get ended() {
    const { loss } = this.scores;
    if (!Number.isFinite(loss)) this.message = `The loss is no finite number after step ${this.steps}. Take a smaller learning rate, and reset.`;
    else if (loss === 0 && this.network.activations.includes("threshold")) this.message = `No mistakes after step ${this.steps}.`;
    else return false;
    return true;
  }

  // Measure the network; called once a frame, not once a step.
  record() {
    const found = this.network.evaluate(this.train, this.settings.loss);
    const test = this.test && this.network.evaluate(this.test, this.settings.loss);
    this.scores = { ...found, test };
    if (this.rows.length && this.rows[this.rows.length - 1][0] === this.steps) this.rows.pop();
    this.rows.push([this.steps, found.loss, test?.loss, found.accuracy, test?.accuracy]);
    if (this.rows.length > 1000) this.rows = this.rows.filter((_, i) => i % 2 === 0);
  }

  get status() {
    const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–");
    const { loss, accuracy, test } = this.scores;
    return `step ${this.steps}   loss ${Number.isFinite(loss) ? loss.toFixed(4) : "–"}   right ${percent(accuracy)}` +
      (test ? `, test ${percent(test.accuracy)}` : "");
  }

  // ---------------------------------------------------------------------------------------------- views

  // What the plane can show: regions, a class' probability, a unit's view; "unit layer index".
  views() {
    const { widths } = this.network;
    const last = widths.length - 1;
    const views = [["regions", "regions"]];
    for (let l = 1; l < last; l++) {
      for (let j = 0; j < widths[l]; j++) views.push([`unit ${l} ${j}`, `unit ${last > 2 ? `${l}.` : ""}${j + 1}`]);
    }
    for (let k = 0; k < widths[last]; k++) {
      views.push([`unit ${last} ${k}`, widths[last] === 1 ? "output" : `P(${this.classes[k] ?? k})`]);
    }
    $("[name=view]").innerHTML = views.map((pair) => option(...pair)).join("");
    if (!views.some(([view]) => view === this.selected)) this.selected = "regions";
    this.select(this.selected);
  }

  select(view) {
    this.selected = view;
    $("[name=view]").value = view;
    for (const button of document.querySelectorAll("#diagram button")) {
      button.setAttribute("aria-pressed", button.dataset.view === view);
    }
    const [, l, j] = view.split(" ").map(Number);
    $("#unit").hidden = view === "regions";
    if (view !== "regions") {
      const { widths, kernels, biases, activations } = this.network;
      const named = Array.from({ length: widths[l - 1] }, (_, i) => [kernels[l] + i * widths[l] + j, l === 1 ? `x${"₁₂"[i]}` : `unit ${i + 1}`]);
      const fields = [...named, [biases[l] + j, "bias"]].map(([at, name]) =>
        `<label>${name}<input type="number" step="any" name="${at}"></label>`);
      $("#unit").innerHTML = `<h2>Weights of ${$("[name=view]").selectedOptions[0].text} (${activations[l - 1]})</h2>${fields.join("")}`;
      this.writeWeights();
    }
    this.changed();
  }

  writeWeights() {
    for (const input of $("#unit").elements) {
      if (input !== document.activeElement) input.value = Number(this.network.weights[Number(input.name)].toPrecision(5));
    }
  }

  // How a value of a unit is coloured: from the ground to blue, and to vermillion for negative values.
  // An output has the colour of its class.
  tint(l, j, values) {
    const activation = this.network.activations[l - 1];
    const outputs = this.network.outputs.length;
    const own = l < this.network.widths.length - 1 ? 0 : outputs === 1 ? 1 : j % 6;
    const [ground, positive, negative] = [rgb("ground"), rgb(`class-${own}`), rgb("class-1")];
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scale = activation === "relu" || activation === "linear" ? largest || 1 : 1;
    return (value) => mixed(ground, value < 0 ? negative : positive, 0.85 * Math.min(Math.abs(value) / scale, 1));
  }

  // The map is coarser while training runs: nobody sees it, and steps get the time.
  draw(running) {
    const [, l, j] = this.selected.split(" ").map(Number);
    const [[x0, x1], [y0, y1]] = this.limits;
    const { network } = this;
    const n = running ? 48 : 96;
    const at = (i, k) => network.forward(x0 + ((i + 0.5) / n) * (x1 - x0), y1 - ((k + 0.5) / n) * (y1 - y0));
    let paint;
    if (this.selected === "regions") {
      const [ground, classes] = [rgb("ground"), SEEDS.concat("5").map((k) => rgb(`class-${k}`))];
      const pixel = [0, 0, 0];
      paint = (i, k) => {
        const y = at(i, k);
        const shares = y.length === 1 ? [1 - y[0], y[0]] : y;
        for (let channel = 0; channel < 3; channel++) {
          let mean = 0;
          for (let c = 0; c < shares.length; c++) mean += shares[c] * classes[c % 6][channel];
          pixel[channel] = ground[channel] + 0.38 * (mean - ground[channel]);
        }
        return pixel;
      };
    } else {
      const values = new Float64Array(n * n);
      for (let k = 0; k < n * n; k++) {
        at(k % n, Math.floor(k / n));
        values[k] = network.values[l][j];
      }
      const tint = this.tint(l, j, values);
      paint = (i, k) => tint(values[k * n + i]);
    }
    this.map = paintMap(n, paint, this.map);
    const space = begin(this.plane);
    const { g } = space;
    this.place = axes(space, ...this.limits, { grid: false });
    const { box, toX, toY } = this.place;
    g.drawImage(this.map, box.left, box.top, box.right - box.left, box.bottom - box.top);
    clipped(g, box, () => {
      if ($("[name=lines]").checked) this.drawLines(g, l, j);
      this.drawPoints(space);
      if (this.editing && document.activeElement === this.plane) {
        const [x, y] = [toX(this.cross[0]), toY(this.cross[1])];
        g.strokeStyle = color("ink");
        g.lineWidth = 1.5;
        line(g, [[x - 9, y], [x + 9, y]]);
        line(g, [[x, y - 9], [x, y + 9]]);
      }
    });
    this.drawDiagram();
    const rows = this.rows;
    curves($("#loss-curve"), rows.map(([s, loss, test]) => [s, loss, test]), ["train", "test"], ["train", "test"], { label: "loss" });
    curves($("#accuracy-curve"), rows.map(([s, , , own, test]) => [s, own, test]), ["train", "test"], ["train", "test"], { label: "share right", top: 1.02 });
    this.writeWeights();
  }

  // Where the first layer's units are in the middle of their range: w·x + b = 0.
  drawLines(g, l, j) {
    const { weights, widths, biases, activations } = this.network;
    if (activations[0] === "softmax") return;
    const { toX, toY } = this.place;
    for (let unit = 0; unit < widths[1]; unit++) {
      const ends = unitLine(weights[unit], weights[widths[1] + unit], weights[biases[1] + unit], this.limits);
      if (!ends.flat().every(Number.isFinite)) continue;
      const chosen = l === 1 && j === unit;
      g.strokeStyle = color("ink", chosen ? 1 : 0.55);
      g.lineWidth = chosen ? 3 : 1.2;
      g.setLineDash(chosen ? [] : [5, 4]);
      line(g, ends.map(([x, y]) => [toX(x), toY(y)]));
    }
    g.setLineDash([]);
  }

  // Points change seldom: their picture is kept.
  drawPoints({ g, width, height }) {
    const ratio = this.plane.width / width;
    if (!this.scatter || this.scatter.width !== this.plane.width) {
      this.scatter = document.createElement("canvas");
      [this.scatter.width, this.scatter.height] = [this.plane.width, this.plane.height];
      const own = this.scatter.getContext("2d");
      own.scale(ratio, ratio);
      own.strokeStyle = color("ground");
      const { x, y } = this.train;
      own.lineWidth = y.length > 200 ? 0.7 : 1.5;
      for (let n = 0; n < y.length; n++) {
        own.fillStyle = color(`class-${y[n] % 6}`);
        marker(own, this.place.toX(x[2 * n]), this.place.toY(x[2 * n + 1]), y[n], y.length > 200 ? 3.2 : 7);
      }
    }
    g.drawImage(this.scatter, 0, 0, width, height);
  }

  // ------------------------------------------------------------------------------------------- diagram

  buildDiagram() {
    const box = $("#diagram");
    const { widths } = this.network;
    const tallest = Math.max(...widths);
    const height = Math.max(150, 40 * tallest);
    box.style.height = `${height}px`;
    this.nodes = widths.map((width, l) => Array.from({ length: width }, (_, i) =>
      [7 + (86 * l) / (widths.length - 1), ((i + 0.5) / width) * Math.min(1, (width * 64) / height) * height +
        (height * (1 - Math.min(1, (width * 64) / height))) / 2]));
    const edges = [];
    for (let l = 1; l < widths.length; l++) {
      for (let i = 0; i < widths[l - 1]; i++) {
        for (let j = 0; j < widths[l]; j++) edges.push([this.nodes[l - 1][i], this.nodes[l][j], this.network.kernels[l] + i * widths[l] + j]);
      }
    }
    this.numbered = edges.length <= 12;
    const lines = edges.map(([[x1, y1], [x2, y2], at]) => `<line data-at="${at}" x1="${x1}%" y1="${y1}" x2="${x2}%" y2="${y2}"/>`);
    const texts = this.numbered ? edges.map(([[x1, y1], [x2, y2], at], k) => {
      const share = k % 2 ? 0.62 : 0.34;
      return `<text data-at="${at}" x="${x1 + share * (x2 - x1)}%" y="${y1 + share * (y2 - y1) + 4}" text-anchor="middle"></text>`;
    }) : [];
    const nodes = this.nodes.flatMap((column, l) => column.map(([x, y], i) => {
      const place = `style="left:${x}%;top:${y}px"`;
      if (l === 0) return `<span ${place}>x${"₁₂"[i]}</span>`;
      const name = l === widths.length - 1 ? `Output ${i + 1}` : `Unit ${i + 1} of hidden layer ${l}`;
      return `<button type="button" ${place} data-view="unit ${l} ${i}" aria-label="${name}" aria-pressed="${this.selected === `unit ${l} ${i}`}"><canvas width="20" height="20"></canvas></button>`;
    }));
    box.innerHTML = `<svg aria-hidden="true">${lines.join("")}${texts.join("")}</svg>${nodes.join("")}`;
    for (const button of box.querySelectorAll("button")) {
      const { view } = button.dataset;
      button.addEventListener("click", () => this.select(this.selected === view ? "regions" : view));
    }
  }

  drawDiagram() {
    const { weights, widths } = this.network;
    const largest = Math.max(...weights.map(Math.abs), 1e-9);
    for (const edge of $("#diagram svg").children) {
      const weight = weights[Number(edge.dataset.at)];
      if (edge.tagName === "text") {
        edge.textContent = short(weight, 2);
      } else {
        edge.setAttribute("stroke", color(weight < 0 ? "test" : "train", 0.8));
        edge.setAttribute("stroke-width", (0.5 + (4.5 * Math.abs(weight)) / largest).toFixed(2));
      }
    }
    const n = 20;
    const [[x0, x1], [y0, y1]] = this.limits;
    const values = widths.map((width) => Array.from({ length: width }, () => new Float64Array(n * n)));
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < n; i++) {
        this.network.forward(x0 + ((i + 0.5) / n) * (x1 - x0), y1 - ((k + 0.5) / n) * (y1 - y0));
        for (let l = 1; l < widths.length; l++) for (let j = 0; j < widths[l]; j++) values[l][j][k * n + i] = this.network.values[l][j];
      }
    }
    for (const button of document.querySelectorAll("#diagram button")) {
      const [, l, j] = button.dataset.view.split(" ").map(Number);
      const tint = this.tint(l, j, values[l][j]);
      paintMap(n, (i, k) => tint(values[l][j][k * n + i]), button.firstChild);
    }
  }

  // ---------------------------------------------------------------------------------------- own points

  edit(on) {
    this.editing = on;
    $("#edit").setAttribute("aria-pressed", on);
    $("#editing").hidden = $("#classes").hidden = !on;
    this.plane.classList.toggle("editing", on);
    if (on && this.value("set") !== "own") {
      this.own = null;
      this.set({ set: "own" });
      this.reset();
      this.message = `These are own points now, copied from ${this.shown}.`;
    }
    this.held = null;
    this.changed();
  }

  // The index of the point nearest to a place in pixels, within reach; −1 if none is.
  near([px, py], reach = 14) {
    let [best, least] = [-1, reach ** 2];
    this.own.y.forEach((_, n) => {
      const distance = (this.place.toX(this.own.x[2 * n]) - px) ** 2 + (this.place.toY(this.own.x[2 * n + 1]) - py) ** 2;
      if (distance <= least) [best, least] = [n, distance];
    });
    return best;
  }

  // Points have changed; the network and its weights stay while it has an output for each class.
  edited() {
    this.scatter = null;
    const outputs = this.network.widths[this.network.widths.length - 1];
    const { classes } = this.ownPoints();
    if (classes.length > Math.max(outputs, 2) || (this.value("net") === "own" && classes.length < outputs)) this.reset();
    this.record();
    this.changed();
  }

  add(x, y) {
    if ($("[name=class]:checked").value === "delete") return;
    this.own.x.push(x, y);
    this.own.y.push(Number($("[name=class]:checked").value));
    this.held = this.own.y.length - 1;
    this.edited();
  }

  move(n, x, y) {
    [this.own.x[2 * n], this.own.x[2 * n + 1]] = [x, y];
    this.edited();
  }

  remove(n) {
    this.own.x.splice(2 * n, 2);
    this.own.y.splice(n, 1);
    this.held = null;
    this.edited();
  }

  within(event) {
    const [px, py] = pointer(event, this.plane);
    return [[px, py], [this.place.fromX(px), this.place.fromY(py)]];
  }

  pointerdown(event) {
    if (!this.editing || event.button) return;
    const [pixels, at] = this.within(event);
    const found = this.near(pixels);
    this.plane.setPointerCapture(event.pointerId);
    this.cross = at;
    if ($("[name=class]:checked").value === "delete") {
      if (found >= 0) this.remove(found);
    } else if (found < 0) {
      this.add(...at);
    } else {
      this.held = found;
    }
  }

  pointermove(event) {
    const [, at] = this.within(event);
    if (this.editing && this.held !== null && event.buttons) this.move(this.held, ...at);
    this.tell(...at);
  }

  pointerup() {
    this.held = null;
  }

  dblclick(event) {
    if (!this.editing) return;
    const found = this.near(this.within(event)[0]);
    if (found >= 0) this.remove(found);
  }

  keydown(event) {
    if (!this.editing) return;
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const here = () => this.near([this.place.toX(this.cross[0]), this.place.toY(this.cross[1])]);
    if (by) {
      this.cross = this.cross.map((value, axis) => value + (by[axis] * (this.limits[axis][1] - this.limits[axis][0])) / (event.shiftKey ? 100 : 40));
      if (this.held !== null) this.move(this.held, ...this.cross);
      this.tell(...this.cross);
    } else if (event.key === "Enter") {
      if (this.held !== null) this.held = null;
      else if (here() >= 0) this.held = here();
      else {
        this.add(...this.cross);
        this.held = null;
      }
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (here() >= 0) this.remove(here());
    } else if (/^[0-5]$/.test(event.key)) {
      $(`[name=class][value="${event.key}"]`).checked = true;
    } else {
      return;
    }
    event.preventDefault();
    this.changed();
  }

  tell(x, y) {
    const outputs = Array.from(this.network.forward(x, y));
    const told = outputs.length === 1 ? `output ${short(outputs[0])}` : outputs.map((p, k) => `P(${this.classes[k] ?? k}) ${p.toFixed(2)}`).join("  ");
    $("#readout").textContent = `x = (${short(x)}, ${short(y)}): class ${this.classes[this.network.decision()] ?? this.network.decision()}, ${told}`;
  }

  // --------------------------------------------------------------------------------------------- links

  save() {
    const { first, second, steps } = this.trainer.optimizer;
    const numbers = (values) => encode(Float32Array.from(values));
    return {
      step: this.steps,
      ...(this.value("set") === "own" && { points: numbers(this.own.x), labels: this.own.y.join(""), shown: this.shown || "" }),
      ...(this.steps && { weights: numbers(this.network.weights), slots: numbers([...first, ...second]), updates: steps,
        drawn: this.trainer.drawn }),
    };
  }

  load(saved) {
    const labels = saved.get("labels");
    if (labels && /^[0-5]*$/.test(labels)) {
      const x = decode(saved.get("points"));
      if (x && x.length === 2 * labels.length) this.own = { x, y: Array.from(labels, Number) };
      this.shown = this.sets[saved.get("shown")] ? saved.get("shown") : "xor";
    }
    this.reset();
    const [weights, slots] = [decode(saved.get("weights")), decode(saved.get("slots"))];
    const { optimizer } = this.trainer;
    if (weights?.length === this.network.weights.length && slots?.length === 2 * weights.length) {
      this.network.weights.set(weights);
      optimizer.first.set(slots.slice(0, weights.length));
      optimizer.second.set(slots.slice(weights.length));
      optimizer.steps = Number(saved.get("updates")) || 0;
      this.trainer.drawn = Number(saved.get("drawn")) || 0;
      this.steps = Number(saved.get("step")) || 0;
      this.rows = [];
      this.record();
    }
  }
}

// Numbers in a link: base64 of float32, in the alphabet that links leave as it is.
function encode(values) {
  const text = String.fromCharCode(...new Uint8Array(values.buffer));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    const values = Array.from(new Float32Array(bytes.buffer));
    return values.every(Number.isFinite) ? values : null;
  } catch {
    return null;
  }
}
