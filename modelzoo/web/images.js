import { mixed, rgb } from "./drawing.js";
import { asInk, createPad, element, paintPixels } from "./pad.js";

/** Kinds of layers whose outputs are no new picture: they rescale, reshape or pass on what is there. */
const PASSING = new Set(["InputLayer", "Rescaling", "Reshape", "Flatten", "Normalization", "Identity", "ZeroPadding2D"]);
/** Side and step, in pixels, of the square that is covered to see which pixels mattered. */
const COVER = 4;
const STEP = 2;

/** More classes than this are not shown at once. */
const BARS = 12;

/** The page of a classifier of images. */
export function imagesPage(main, network, data) {
  const shape = data.shape;
  const [height, width, channels = 1] = shape;
  const pad = createPad({ shape, preparation: data.preparation, samples: data.samples, onInput: read });
  const top = element(`<div class="columns reading">
    <section class="panel" aria-label="What it reads">
      <p class="answer" aria-live="polite"><strong></strong><span></span></p>
      <ul class="bars"></ul>
      <p class="muted speed"></p>
    </section>
    <section class="panel sight" aria-label="What the network sees">
      <figure><canvas class="pixels seen" role="img" aria-label="What the network sees"></canvas>
        <figcaption>What the network sees: ${width} × ${height} pixels</figcaption></figure>
      <figure><canvas class="pixels mattered" role="img" aria-label="Which pixels mattered"></canvas>
        <figcaption class="mattering"></figcaption></figure>
    </section></div>`);
  top.prepend(pad.panel);
  const inside = element(`<section class="panel" aria-label="Inside"><h2>Inside, layer by layer</h2>
    <p class="muted"><span class="legend">Blue: positive. Orange: negative. The stronger, the larger. Point at a unit,
    or move with the arrow keys, to read its value.</span></p><div class="layers"></div></section>`);
  main.append(top, inside);
  const find = (name) => main.querySelector(name);

  const bars = data.classes.slice(0, BARS).map(() => {
    const bar = element(`<li><span class="label"></span><span class="track"><span class="fill"></span></span>
      <span class="share"></span></li>`);
    find(".bars").append(bar);
    return bar;
  });
  const head = network.layers.findLastIndex((layer) => layer.weights.length);
  const shown = network.layers.filter(
    (layer, i) => i < head && layer.size > 1 && !PASSING.has(layer.kind) && !layer.kind.includes("Dropout"),
  );
  const views = shown.map((layer) => unitsView(network, layer, shape));
  find(".layers").append(...views.map((view) => view.figure));
  inside.hidden = !views.length;

  let pixels = null;
  let covering = 0;

  function read(given) {
    pixels = given;
    const seen = given ?? new Float32Array(height * width * channels);
    const start = performance.now();
    const values = network.forward(seen);
    const time = performance.now() - start;
    const shares = data.probabilities(values[network.output]);
    const best = shares.indexOf(Math.max(...shares));
    find(".answer").classList.toggle("long", data.classes[best].length > 6);
    find(".answer strong").textContent = given ? data.classes[best] : "–";
    find(".answer span").textContent = given ? `${(100 * shares[best]).toFixed(1)} %` : "Draw, or choose a sample";
    const order = shares.map((_, i) => i);
    if (shares.length > BARS) order.sort((i, j) => shares[j] - shares[i]); // the likeliest, where there is no room for all
    bars.forEach((bar, k) => {
      const i = order[k];
      bar.classList.toggle("first", Boolean(given) && i === best);
      bar.querySelector(".label").textContent = data.classes[i];
      bar.querySelector(".fill").style.width = `${given ? 100 * shares[i] : 0}%`;
      bar.querySelector(".share").textContent = given ? `${(100 * shares[i]).toFixed(1)} %` : "";
    });
    find(".speed").textContent = given ? `Computed here in ${time < 10 ? time.toFixed(1) : Math.round(time)} ms.` : "";
    paintPixels(find(".seen"), seen, shape);
    views.forEach((view) => view.update(given ? values[view.name] : new Float32Array(view.size), seen));
    clearTimeout(covering);
    find(".mattering").textContent = "Which pixels mattered";
    paintPixels(find(".mattered"), seen, shape);
    if (given) covering = setTimeout(() => cover(seen, shares[best], best), 150);
  }

  /** Cover one square after another and show how much the probability falls: occlusion (Zeiler and Fergus 2014). */
  function cover(seen, share, best) {
    const ground = seen.reduce((low, value) => Math.min(low, value), 255);
    const places = [];
    for (let i = 0; i + COVER <= height + STEP; i += STEP)
      for (let j = 0; j + COVER <= width + STEP; j += STEP) places.push([i, j]);
    const falls = new Float32Array(height * width);
    const counts = new Float32Array(height * width);
    const work = (from) => {
      const end = performance.now() + 12;
      let k = from;
      for (; k < places.length && performance.now() < end; k++) {
        const covered = Float32Array.from(seen);
        const [i, j] = places[k];
        let inked = false;
        for (let u = i; u < Math.min(i + COVER, height); u++)
          for (let v = j; v < Math.min(j + COVER, width); v++)
            for (let c = (u * width + v) * channels; c < (u * width + v + 1) * channels; c++) {
              inked ||= covered[c] !== ground;
              covered[c] = ground;
            }
        const fall = inked ? share - data.probabilities(network.forward(covered)[network.output])[best] : 0;
        for (let u = i; u < Math.min(i + COVER, height); u++)
          for (let v = j; v < Math.min(j + COVER, width); v++) {
            falls[u * width + v] += fall;
            counts[u * width + v]++;
          }
      }
      if (k < places.length) covering = setTimeout(() => work(k), 0);
      else paintFalls(falls.map((fall, at) => fall / counts[at]), seen, best);
    };
    work(0);
  }

  function paintFalls(falls, seen, best) {
    const canvas = paintPixels(find(".mattered"), seen, shape);
    const g = canvas.getContext("2d");
    const image = g.createImageData(width, height);
    const most = falls.reduce((high, fall) => Math.max(high, Math.abs(fall)), 1e-9);
    const [ground, ink] = [rgb("paper"), rgb("pen")];
    for (let at = 0; at < falls.length; at++) {
      const plain = channels === 3 ? seen.subarray(3 * at, 3 * at + 3) : [seen[at], seen[at], seen[at]];
      const grey = asInk ? mixed(ground, ink, (0.3 * seen[at]) / 255) : plain;
      const strength = Math.abs(falls[at]) / most;
      image.data.set([...mixed([...grey], rgb(falls[at] > 0 ? "train" : "test"), 0.85 * strength), 255], 4 * at);
    }
    g.putImageData(image, 0, 0);
    const points = 100 * falls.reduce((high, fall) => Math.max(high, fall), 0);
    find(".mattering").textContent =
      `Which pixels mattered. Blue: covering them with a ${COVER} × ${COVER} square takes up to ` +
      `${points < 0.1 ? points.toExponential(0) : points.toFixed(1)} points from “${data.classes[best]}”.`;
  }

  return {
    start: () => (pad.refresh(), data.samples.length && pad.choose(data.samples[Math.min(3, data.samples.length - 1)])),
    refresh: () => (pad.refresh(), read(pixels)),
  };
}

/** A picture of a layer's outputs: maps side by side, or a cell for each unit. */
function unitsView(network, layer, input) {
  const maps = layer.shape.length === 3;
  const count = layer.shape.at(-1);
  const [rows, columns] = maps ? layer.shape : [8, 8];
  const across = Math.ceil(Math.sqrt(count * (maps ? 2 : 3)));
  const down = Math.ceil(count / across);
  const first = network.layers.filter((each) => each.weights.length)[0] === layer && layer.kind === "Dense";
  const activation = typeof layer.activation === "string" && layer.activation !== "linear" ? `, ${layer.activation}` : "";
  const what = maps ? `${count} maps of ${rows} × ${columns}` : `${count} units`;
  const figure = element(`<figure><div class="with-weights">
    <canvas class="units" tabindex="0" role="img"></canvas>
    ${first ? `<canvas class="pixels weights" role="img" aria-label="Weights of the unit" hidden></canvas>` : ""}</div>
    <figcaption aria-live="polite"></figcaption></figure>`);
  const [canvas, weights, caption] = [".units", ".weights", "figcaption"].map((name) => figure.querySelector(name));
  canvas.setAttribute("aria-label", `Outputs of ${layer.name}: ${what}`);
  canvas.width = across * (columns + 1) - 1;
  canvas.height = down * (rows + 1) - 1;
  let [values, chosen] = [new Float32Array(layer.size), -1];

  function update(given) {
    values = given;
    const g = canvas.getContext("2d");
    const image = g.createImageData(canvas.width, canvas.height);
    const most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-6);
    const [ground, positive, negative] = [rgb("panel"), rgb("train"), rgb("test")];
    for (let unit = 0; unit < count; unit++) {
      const [left, top] = [(unit % across) * (columns + 1), Math.floor(unit / across) * (rows + 1)];
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) {
          const value = values[maps ? (i * columns + j) * count + unit : unit];
          const share = Math.sqrt(Math.abs(value) / most); // so that faint ones are seen
          const tone = value > 0 ? positive : negative;
          const to = 4 * ((top + i) * canvas.width + left + j);
          for (let c = 0; c < 3; c++) image.data[to + c] = ground[c] + share * (tone[c] - ground[c]);
          image.data[to + 3] = 255;
        }
    }
    g.putImageData(image, 0, 0);
    tell();
  }

  function tell() {
    const name = `${layer.name}: ${what}${activation}`;
    if (weights) weights.hidden = chosen < 0;
    if (chosen < 0) return (caption.textContent = name);
    let value = values[chosen];
    if (maps) {
      value = 0;
      for (let at = chosen; at < values.length; at += count) value = Math.max(value, values[at]);
    }
    caption.textContent = `${layer.name}, ${maps ? "map" : "unit"} ${chosen + 1} of ${count}: ${maps ? "at most " : ""}` +
      `${value.toFixed(2).replace("-", "−")}${weights ? "; right: its weights" : ""}`;
    if (weights) paintWeights();
  }

  function paintWeights() {
    const kernel = network.weights[layer.weights[0].path];
    const [height, width, channels = 1] = input;
    Object.assign(weights, { width, height });
    const g = weights.getContext("2d");
    const image = g.createImageData(width, height);
    const of = (at) => kernel[at * channels * count + chosen];
    let most = 1e-9;
    for (let at = 0; at < width * height; at++) most = Math.max(most, Math.abs(of(at)));
    for (let at = 0; at < width * height; at++) {
      const share = Math.abs(of(at)) / most;
      image.data.set([...mixed(rgb("panel"), rgb(of(at) > 0 ? "train" : "test"), share), 255], 4 * at);
    }
    g.putImageData(image, 0, 0);
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * across);
    const unit = Math.floor(((event.clientY - box.top) / box.height) * down) * across + column;
    chosen = unit >= 0 && unit < count ? unit : chosen;
    tell();
  });
  canvas.addEventListener("pointerleave", () => ((chosen = -1), tell()));
  canvas.addEventListener("blur", () => ((chosen = -1), tell()));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (!step) return;
    event.preventDefault();
    chosen = Math.min(Math.max(chosen < 0 ? 0 : chosen + step, 0), count - 1);
    tell();
  });
  return { figure, update, name: layer.name, size: layer.size };
}
