import { axes, begin, clipped, color, line, marker, movePoint, ring, short } from "./drawing.js";
import { createPad, element, paintPixels } from "./pad.js";
import { drawLegend, limits } from "./plane.js";

/** Decoded images along each side of the manifold, and along a path. */
const MANIFOLD = 17;
const PATH = 9;

/** The page of an autoencoder of images with two latent units. */
export function codesPage(main, network, data) {
  const [low, high] = limits(data.points.x, { margin: 0.04, square: false });
  const size = data.shape.reduce((product, length) => product * length, 1);
  let at = [0, 1].map((i) => (low[i] + high[i]) / 2);
  let ends = [endOf(0), endOf(data.labels.length - 1)];
  let touched = false;

  const page = element(`<div class="columns codes">
    <section class="panel" aria-label="Plane of codes">
      <div class="row"><h2 class="grow">Plane of codes</h2>
        <label><input type="checkbox" class="points" checked> test images</label>
        <label><input type="checkbox" class="grid" checked> decoded everywhere</label></div>
      <canvas class="square" tabindex="0" role="application"
        aria-label="The plane of both codes; drag the point, or move it with the arrow keys"></canvas>
      <div class="legend"></div>
      <p class="muted">Point anywhere, or move the ring with the arrow keys: the decoder draws what lies there.</p>
    </section>
    <section class="panel" aria-label="Decoded">
      <figure class="decoding"><canvas class="pixels decoded" role="img" aria-label="The decoded image"></canvas>
        <figcaption class="where" aria-live="polite"></figcaption></figure>
      <h2>A path between two images</h2>
      <div class="row"><button type="button" class="from">Start here</button>
        <button type="button" class="to">End here</button>
        <input type="range" class="grow" min="0" max="1" step="0.01" value="0" aria-label="Along the path"></div>
      <div class="strip"></div>
      <p class="muted">Move the ring, then set an end of the path there. The images lie evenly on the straight line between
        both ends; the slider walks along it.</p>
    </section></div>`);
  const pad = createPad({ shape: data.shape, preparation: data.preparation, samples: data.samples, onInput: encode });
  const own = element(`<section class="columns reading" aria-label="An image of your own">
    <div class="panel"><h2>Through the bottleneck</h2><p class="muted">An image becomes two numbers, its place in the plane,
      and an image again. Draw one, or choose a test image.</p><div class="pair-of-images">
      <figure><canvas class="pixels seen" role="img" aria-label="The image that is encoded"></canvas>
        <figcaption>What is encoded</figcaption></figure>
      <figure><canvas class="pixels back" role="img" aria-label="The image that comes back"></canvas>
        <figcaption class="code">What comes back</figcaption></figure></div></div></section>`);
  own.prepend(pad.panel);
  main.append(page, own);
  const find = (name) => main.querySelector(name);
  const [plane, slider] = [find(".square"), find(".from").parentElement.querySelector("input")];

  /** The code of a class' first image; the first and the last of images without classes. */
  function endOf(label) {
    const found = data.points.y.indexOf(label);
    const k = found >= 0 ? found : label ? data.points.x.length / 2 - 1 : 0;
    return data.points.x.length ? [data.points.x[2 * k], data.points.x[2 * k + 1]] : [label ? high[0] : low[0], low[1]];
  }

  const decode = (codes) => {
    const images = network.forward(Float32Array.from(codes.flat()), codes.length, data.latent)[network.output];
    return codes.map((_, i) => images.subarray(i * size, (i + 1) * size).map((value) => Math.min(Math.max(data.scale * value, 0), 255)));
  };

  function encode(pixels) {
    if (!pixels) return;
    const code = Array.from(network.forward(pixels)[data.latent]);
    paintPixels(find(".seen"), pixels, data.shape);
    paintPixels(find(".back"), decode([code])[0], data.shape);
    find(".code").textContent = `What comes back from (${code.map((value) => short(value, 3)).join(", ")})`;
    if (touched) moveTo(code, true);
    touched = true;
  }

  function moveTo(point, free = false) {
    at = free ? point : point.map((value, i) => Math.min(Math.max(value, low[i]), high[i]));
    paintPixels(find(".decoded"), decode([at])[0], data.shape);
    find(".where").textContent = `Decoded at (${at.map((value) => short(value, 3)).join(", ")})`;
    draw();
  }

  let manifold = null;
  function makeManifold() {
    const [height, width] = data.shape;
    manifold = Object.assign(document.createElement("canvas"), { width: MANIFOLD * width, height: MANIFOLD * height });
    const codes = Array.from({ length: MANIFOLD * MANIFOLD }, (_, k) => [
      low[0] + (((k % MANIFOLD) + 0.5) / MANIFOLD) * (high[0] - low[0]),
      high[1] - ((Math.floor(k / MANIFOLD) + 0.5) / MANIFOLD) * (high[1] - low[1]),
    ]);
    const small = document.createElement("canvas");
    decode(codes).forEach((image, k) =>
      manifold.getContext("2d").drawImage(paintPixels(small, image, data.shape), (k % MANIFOLD) * width, Math.floor(k / MANIFOLD) * height),
    );
  }

  let space = null;
  function draw() {
    space = begin(plane);
    const { g } = space;
    const { box, toX, toY } = Object.assign(space, axes(space, [low[0], high[0]], [low[1], high[1]], { grid: false }));
    clipped(g, box, () => {
      if (find(".grid").checked) {
        if (!manifold) makeManifold();
        g.drawImage(manifold, box.left, box.top, box.right - box.left, box.bottom - box.top);
      }
      if (find(".points").checked) {
        const { x, y } = data.points;
        g.strokeStyle = color("ground");
        g.lineWidth = 0.7;
        for (let k = 0; k < x.length / 2; k++) {
          g.fillStyle = color(`class-${y[k] ?? 0}`, 0.8);
          marker(g, toX(x[2 * k]), toY(x[2 * k + 1]), y[k] ?? 0, 3.4);
        }
      }
      g.strokeStyle = color("ink");
      g.lineWidth = 2;
      g.setLineDash([6, 4]);
      line(g, ends.map(([x, y]) => [toX(x), toY(y)]));
      g.setLineDash([]);
      g.font = "600 14px system-ui, sans-serif";
      g.textAlign = "center";
      g.textBaseline = "middle";
      ends.forEach(([x, y], i) => {
        g.fillStyle = color("ink");
        g.beginPath();
        g.arc(toX(x), toY(y), 10, 0, 7);
        g.fill();
        g.fillStyle = color("ground");
        g.fillText("AB"[i], toX(x), toY(y) + 0.5);
      });
      ring(g, toX(at[0]), toY(at[1]), 13, "accent");
    });
  }

  const along = (share) => ends[0].map((value, i) => value + share * (ends[1][i] - value));
  function drawPath() {
    const images = decode(Array.from({ length: PATH }, (_, k) => along(k / (PATH - 1))));
    find(".strip").replaceChildren(
      ...images.map((image) => {
        const canvas = paintPixels(document.createElement("canvas"), image, data.shape);
        canvas.className = "pixels";
        return canvas;
      }),
    );
  }
  movePoint(plane, { space: () => space, span: high[0] - low[0], at: () => at, moveTo, hover: true });
  [".from", ".to"].forEach((name, i) =>
    find(name).addEventListener("click", () => {
      ends[i] = at;
      slider.value = i;
      drawPath();
      draw();
    }),
  );
  slider.addEventListener("input", () => moveTo(along(Number(slider.value))));
  for (const name of [".points", ".grid"]) find(name).addEventListener("change", draw);
  new ResizeObserver(() => space && draw()).observe(plane);

  function refresh() {
    manifold = null;
    drawLegend(find(".legend"), data.points.y.length ? data.labels : []);
    pad.refresh();
    drawPath();
    moveTo(at, true);
  }
  function start() {
    refresh();
    if (data.samples.length) pad.choose(data.samples[0]);
    slider.value = 0.5;
    moveTo(along(0.5));
  }
  return { start, refresh };
}
