import { axes, begin, clipped, color, line, marker, mixed, movePoint, paintMap, rgb, ring, short, unitLine } from "./drawing.js";
import { element } from "./pad.js";

/** Points along each side of the grid on which the network is computed. */
const GRID = 90;
/** More units of a layer than this are not drawn. */
const DRAWN_UNITS = 12;

/** The page of a network of points in the plane. */
export function planePage(main, network, data) {
  const columns = columnsOf(network);
  const [low, high] = limits(data.points.x);
  let at = [0.25, 0.7].map((share, i) => low[i] + share * (high[i] - low[i]));
  let chosen = null; // {column, unit}
  const trained = Object.fromEntries(Object.entries(network.weights).map(([path, values]) => [path, values.slice()]));

  const page = element(`<div class="columns plane">
    <section class="panel" aria-label="Plane">
      <div class="row"><label>Show <select class="view"></select></label>
        <label><input type="checkbox" class="lines" checked> unit lines</label>
        <label><input type="checkbox" class="points" checked> points</label></div>
      <canvas class="square" tabindex="0" role="application"
        aria-label="The plane of both inputs; drag the point, or move it with the arrow keys"></canvas>
      <div class="legend"></div>
      <p class="readout" aria-live="polite"></p>
      <p class="muted">Drag the ring over the plane, or move it with the arrow keys: the diagram shows each unit's value
        there.</p>
    </section>
    <section class="panel" aria-label="Units and weights">
      <div class="row"><h2 class="grow">Units and weights</h2><button type="button" class="reset">As trained</button></div>
      <div class="diagram"></div>
      <p class="muted">Each unit shows its own view of the plane. Lines are weights: blue positive, orange negative, the
        thicker, the larger. Choose a unit to change its weights.</p>
      <div class="fields" role="group" aria-label="Weights of the unit"></div>
    </section></div>`);
  main.append(page);
  const find = (name) => page.querySelector(name);
  const [plane, view, diagram, fields] = [".square", ".view", ".diagram", ".fields"].map(find);

  const options = [["regions", "classes"], ...data.classes.map((name, i) => [`class ${i}`, `probability of ${name}`])];
  columns.slice(1, -1).forEach((column, c) =>
    column.units.forEach((_, u) => options.push([`unit ${c + 1} ${u}`, `hidden unit ${columns.length > 3 ? `${c + 1}.` : ""}${u + 1}`])),
  );
  for (const [value, text] of options) view.add(new Option(text, value));
  view.parentElement.hidden = options.length < 2;

  const grid = new Float32Array(GRID * GRID * 2);
  for (let j = 0, k = 0; j < GRID; j++)
    for (let i = 0; i < GRID; i++) {
      grid[k++] = low[0] + ((i + 0.5) / GRID) * (high[0] - low[0]);
      grid[k++] = high[1] - ((j + 0.5) / GRID) * (high[1] - low[1]);
    }
  let everywhere = null;

  /** Return the colour of a place of the grid in a view. */
  function painter(name) {
    const [kind, first, second] = name.split(" ");
    const [ground, positive, negative] = [rgb("ground"), rgb("train"), rgb("test")];
    if (kind === "unit") {
      const { name: layer, width } = columns[first];
      const values = everywhere[layer];
      let most = 1e-6;
      for (let k = Number(second); k < values.length; k += width) most = Math.max(most, Math.abs(values[k]));
      return (k) => {
        const value = values[k * width + Number(second)] / most;
        return mixed(ground, value > 0 ? positive : negative, 0.75 * Math.abs(value));
      };
    }
    const outputs = everywhere[network.output];
    const width = outputs.length / (GRID * GRID);
    const colors = data.classes.map((_, i) => rgb(`class-${i}`));
    return (k) => {
      const shares = data.probabilities(outputs.subarray(k * width, (k + 1) * width));
      if (kind === "class") return mixed(ground, colors[first], 0.85 * shares[first]);
      const best = shares.indexOf(Math.max(...shares));
      const sure = (shares[best] - 1 / shares.length) / (1 - 1 / shares.length);
      return mixed(ground, colors[best], 0.14 + 0.34 * sure);
    };
  }
  const painted = (name, canvas) => {
    const paint = painter(name);
    return paintMap(GRID, (i, j) => paint(j * GRID + i), canvas);
  };

  let space = null;
  const map = document.createElement("canvas");
  function drawPlane() {
    space = begin(plane);
    const { g } = space;
    const { box, toX, toY } = Object.assign(space, axes(space, [low[0], high[0]], [low[1], high[1]], { grid: false }));
    g.imageSmoothingEnabled = true;
    g.drawImage(map, box.left, box.top, box.right - box.left, box.bottom - box.top);
    clipped(g, box, () => {
      if (find(".lines").checked) {
        const { kernel, bias, width, rows } = columns[1];
        columns[1].units.forEach((_, u) => {
          const [a, b] = [kernel[u], kernel[width + u]];
          const c = bias ? bias[u] : rows > 2 ? kernel[2 * width + u] : 0;
          const own = chosen?.column === 1 && chosen.unit === u;
          g.strokeStyle = color(own ? "accent" : "ink", own ? 1 : 0.55);
          g.lineWidth = own ? 3 : 1.5;
          const ends = unitLine(a, b, c, [0, 1].map((i) => [low[i], high[i]]));
          if (a || b) line(g, ends.map(([x, y]) => [toX(x), toY(y)]));
        });
      }
      const { x, y } = data.points;
      g.lineWidth = 1;
      g.strokeStyle = color("ground");
      if (find(".points").checked)
        for (let k = 0; k < y.length; k++) {
          g.fillStyle = color(`class-${y[k]}`);
          marker(g, toX(x[2 * k]), toY(x[2 * k + 1]), y[k], y.length > 50 ? 3.4 : 6);
        }
    });
    ring(g, toX(at[0]), toY(at[1]), 9, "ink");
  }

  /** Values at the point, on the diagram and in words. */
  function tell() {
    const values = network.forward(Float32Array.from(at));
    columns.forEach((column) =>
      column.units.forEach((unit, u) => {
        unit.value.textContent = `${unit.label ? `${unit.label}: ` : ""}${short(values[column.name][u], 3)}`;
      }),
    );
    const shares = data.probabilities(values[network.output]);
    find(".readout").textContent =
      `At (${at.map((value) => short(value, 3)).join(", ")})` +
      data.classes.map((name, i) => ` · ${name}: ${(100 * shares[i]).toFixed(1)} %`).join("");
  }

  function update() {
    everywhere = network.forward(grid, GRID * GRID);
    painted(view.value, map);
    columns.slice(1).forEach((column, c) =>
      column.units.forEach((unit, u) => {
        const output = c + 2 === columns.length;
        painted(output && data.classes.length === column.width ? `class ${u}` : output ? "class 1" : `unit ${c + 1} ${u}`, unit.canvas);
      }),
    );
    drawEdges();
    drawPlane();
    tell();
  }

  // --- diagram

  const svg = element(`<svg aria-hidden="true"></svg>`);
  const most = Math.max(...columns.map((column) => column.units.length));
  const tall = Math.max(most * 66, 190);
  diagram.style.height = `${tall}px`;
  diagram.append(svg);
  columns.forEach((column, c) => {
    column.left = 12 + (74 * c) / (columns.length - 1);
    column.units.forEach((unit, u) => {
      const spacing = Math.min(tall / column.units.length, 110);
      unit.top = tall / 2 + (u - (column.units.length - 1) / 2) * spacing - 8;
      const last = c === columns.length - 1;
      unit.label = last ? data.classes[column.width > 1 ? u : 1] : "";
      unit.canvas = document.createElement("canvas");
      const button = element(
        c ? `<button type="button" class="unit" aria-pressed="false"></button>` : `<span class="unit">${["x₁", "x₂"][u]}</span>`,
      );
      if (c) {
        button.setAttribute("aria-label", last ? `Output unit ${unit.label}` : `Hidden unit ${c}.${u + 1}`);
        button.append(unit.canvas);
        button.addEventListener("click", () => choose(c, u));
      }
      unit.button = button;
      unit.value = element(`<span class="value"></span>`);
      for (const [part, top] of [[button, unit.top], [unit.value, unit.top + 22]]) {
        part.style.left = `${column.left}%`;
        part.style.top = `${top}px`;
      }
      diagram.append(button, unit.value);
    });
  });

  function drawEdges() {
    let strongest = 1e-9;
    for (const { kernel } of columns.slice(1)) for (const value of kernel) strongest = Math.max(strongest, Math.abs(value));
    const lines = [];
    columns.slice(1).forEach((column, c) =>
      column.units.forEach((unit, u) =>
        columns[c].units.forEach((source, i) => {
          const weight = column.kernel[i * column.width + u];
          lines.push(`<line x1="${columns[c].left}%" y1="${source.top}" x2="${column.left}%" y2="${unit.top}"
            stroke="${color(weight > 0 ? "train" : "test")}" stroke-width="${0.5 + (4.5 * Math.abs(weight)) / strongest}"/>`);
        }),
      ),
    );
    svg.innerHTML = lines.join("");
  }

  function choose(c, u) {
    const same = chosen?.column === c && chosen.unit === u;
    chosen = same ? null : { column: c, unit: u };
    columns.forEach((column, i) =>
      column.units.forEach((unit, k) => i && unit.button.setAttribute("aria-pressed", String(!same && i === c && k === u))),
    );
    const output = c === columns.length - 1;
    view.value = same ? "regions" : output ? `class ${columns[c].width > 1 ? u : 1}` : `unit ${c} ${u}`;
    showFields();
    update();
  }

  function showFields() {
    fields.replaceChildren();
    if (!chosen) return;
    const { kernel, bias, width, rows } = columns[chosen.column];
    const sources = columns[chosen.column - 1];
    const entries = Array.from({ length: rows }, (_, i) => {
      const name = i >= sources.width ? "bias" : chosen.column === 1 ? ["x₁", "x₂"][i] : `hidden unit ${i + 1}`;
      return [name, kernel, i * width + chosen.unit];
    });
    if (bias) entries.push(["bias", bias, chosen.unit]);
    for (const [name, values, place] of entries) {
      const range = Math.max(5, 2 * Math.abs(values[place]));
      const field = element(`<label>${name === "bias" ? "bias" : `weight of ${name}`}<span class="pair">
        <input type="range" min="${-range}" max="${range}" step="${range / 200}"><output></output></span></label>`);
      const [input, output] = ["input", "output"].map((tag) => field.querySelector(tag));
      input.value = values[place];
      output.textContent = short(values[place], 3);
      input.addEventListener("input", () => {
        values[place] = Number(input.value);
        output.textContent = short(values[place], 3);
        update();
      });
      fields.append(field);
    }
  }

  find(".reset").addEventListener("click", () => {
    for (const [path, values] of Object.entries(trained)) network.weights[path].set(values);
    showFields();
    update();
  });
  view.addEventListener("change", update);
  for (const name of [".lines", ".points"]) find(name).addEventListener("change", drawPlane);

  // --- the point

  function moveTo(point) {
    at = point.map((value, i) => Math.min(Math.max(value, low[i]), high[i]));
    drawPlane();
    tell();
  }
  movePoint(plane, { space: () => space, span: high[0] - low[0], at: () => at, moveTo });

  drawLegend(find(".legend"), data.points.y.length ? data.labels : []);
  new ResizeObserver(() => everywhere && drawPlane()).observe(plane);
  const refresh = () => (drawLegend(find(".legend"), data.points.y.length ? data.labels : []), update());
  return { start: update, refresh };
}

/** Name the classes beside their markers. */
export function drawLegend(legend, names) {
  legend.replaceChildren(
    ...names.map((name, i) => {
      const entry = element(`<span><canvas></canvas></span>`);
      entry.append(name);
      requestAnimationFrame(() => {
        const { g } = begin(entry.firstChild);
        g.fillStyle = color(`class-${i}`);
        g.strokeStyle = color("ground");
        marker(g, 7, 7, i, 5);
      });
      return entry;
    }),
  );
}

/** Return what the plane shows: the points with a margin, or −3 to 3. */
export function limits(x, { margin = 0.08, square = true } = {}) {
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (let k = 0; k < x.length; k++) {
    low[k % 2] = Math.min(low[k % 2], x[k]);
    high[k % 2] = Math.max(high[k % 2], x[k]);
  }
  if (!x.length) return [[-3, -3], [3, 3]];
  const sides = [0, 1].map((i) => Math.max(high[i] - low[i], 1e-6) * (1 + 2 * margin));
  const half = (i) => (square ? Math.max(...sides) : sides[i]) / 2;
  const middle = [0, 1].map((i) => (low[i] + high[i]) / 2);
  return [middle.map((value, i) => value - half(i)), middle.map((value, i) => value + half(i))];
}

/** Return the columns of the diagram: the inputs, and each dense layer with the activation that follows it. */
function columnsOf(network) {
  const columns = [{ name: network.input, width: 2, units: [{}, {}] }];
  network.layers.forEach((layer, i) => {
    if (layer.kind === "Dense") {
      const weight = (name) => network.weights[layer.weights.find((each) => each.name === name)?.path];
      const [rows, width] = layer.weights[0].shape;
      const units = Array.from({ length: Math.min(width, DRAWN_UNITS) }, () => ({}));
      columns.push({ width, rows, kernel: weight("kernel"), bias: weight("bias"), units, name: layer.name });
    } else if (columns.length > 1 && layer.size === columns.at(-1).width && i) columns.at(-1).name = layer.name;
  });
  return columns;
}
