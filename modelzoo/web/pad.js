import { begin, color, pointer, rgb } from "./drawing.js";
import { digitImage, resized } from "./digit.js";

/** Side of the picture that is drawn: load_digit_image shrinks others to it. */
const SIDE = 280;

/** Return an element from HTML. */
export function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

/** Whether grey levels are shown as ink on paper, as of digits; else as light and dark as they are. */
export let asInk = true;

/** Paint numbers 0–255, one or three a pixel, into a canvas. */
export function paintPixels(canvas, pixels, [height, width, channels = 1]) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const g = canvas.getContext("2d");
  const image = g.createImageData(width, height);
  const ink = rgb("pen");
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++)
      image.data[4 * i + c] = channels === 3 ? pixels[3 * i + c] : asInk ? ink[c] : pixels[i];
    image.data[4 * i + 3] = channels === 3 || !asInk ? 255 : pixels[i];
  }
  g.putImageData(image, 0, 0);
  return canvas;
}

/**
 * A pad to draw on, to drop a picture on, and to choose one of the samples from.
 *
 * `shape` is that of the network's input, `preparation` the card's (null: the person chooses), `samples` are
 * [{pixels, name}]. `onInput(pixels)` is called, once a frame at most, with what the network sees: numbers 0–255, or null
 * where there is nothing.
 */
export function createPad({ shape, preparation, samples, onInput }) {
  const [height, width, channels = 1] = shape;
  const ways = [["paper", "scaled, dark on light"], ["board", "scaled, light on dark"]];
  if (preparation === null && height === 28 && width === 28 && channels === 1)
    ways.unshift(["digit", "cropped and centred, light on dark"]);
  const panel = element(`<section class="panel" aria-label="Draw">
    <canvas class="pad" tabindex="0" role="application" aria-describedby="pad-help"
      aria-label="Pad to draw on"></canvas>
    <div class="row">
      <label class="grow">Pen <input class="grow" type="range" min="8" max="44" value="24" aria-label="Thickness of the pen"></label>
      <button type="button" class="undo">Undo</button><button type="button" class="clear">Clear</button>
    </div>
    <label class="ways">A drawing is <select></select></label>
    <div class="thumbs" role="group" aria-label="Samples to start from"></div>
    <div class="row"><button type="button" class="open">Open a picture…</button>
      <span class="muted">or drop or paste one</span></div>
    <p class="muted pad-help" id="pad-help">Keyboard: arrow keys move the pen, Space puts it down or lifts it, Backspace undoes,
      Delete clears.</p>
    <input type="file" accept="image/*" hidden></section>`);
  const [canvas, thickness, file, way] = ["canvas", "[type=range]", "[type=file]", "select"].map((name) =>
    panel.querySelector(name),
  );
  for (const [value, text] of ways) way.add(new Option(text, value));
  way.parentElement.hidden = asInk = preparation === "digit";
  way.addEventListener("change", () => changed());
  const centres = () => (preparation === "digit" ? "digit" : way.value) === "digit";
  const isDark = () => centres() || way.value === "board";
  const picture = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = picture.getContext("2d", { willReadFrequently: true });
  let strokes = []; // [{width, points: [[x, y], …]}] on the picture
  let base = null; // {sample} or {photo}
  let pen = { at: [SIDE / 2, SIDE / 2], down: false, shown: false };
  let waiting = false;

  function paint(g, ink) {
    if (base?.photo) {
      g.fillStyle = "#fff"; // transparency is white paper
      g.fillRect(...base.box);
      g.imageSmoothingQuality = "high";
      g.drawImage(base.photo, ...base.box);
    }
    if (base?.sample) g.drawImage(base.image, 0, 0, SIDE, SIDE);
    g.strokeStyle = g.fillStyle = ink;
    g.lineCap = g.lineJoin = "round";
    for (const stroke of strokes) {
      g.lineWidth = stroke.width;
      g.beginPath();
      for (const [x, y] of [stroke.points[0], ...stroke.points]) g.lineTo(x, y); // a point alone is a dot
      g.stroke();
    }
  }

  /** Return what the network sees. */
  function input() {
    if (!strokes.length && !base) return null;
    if (!strokes.length && base.sample) return Float32Array.from(base.sample);
    const dark = isDark();
    context.globalCompositeOperation = "source-over";
    context.fillStyle = dark ? "#000" : "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    if (base?.sample) base.image = sampleImage(dark);
    paint(context, base?.photo || !dark ? "#000" : "#fff");
    const box = base?.box ?? [0, 0, SIDE, SIDE];
    const { data } = context.getImageData(...box);
    const planes = channels === 3 ? [[1, 0, 0], [0, 1, 0], [0, 0, 1]] : [[0.299, 0.587, 0.114]];
    const pictures = planes.map(([red, green, blue]) => {
      const values = new Float32Array(box[2] * box[3]);
      for (let i = 0; i < values.length; i++)
        values[i] = (red * data[4 * i] + green * data[4 * i + 1] + blue * data[4 * i + 2]) / 255;
      return { values, width: box[2], height: box[3] };
    });
    if (centres()) return digitImage(pictures[0], !base?.photo);
    const small = pictures.map((each) => resized(each, width, height).values);
    return Float32Array.from({ length: width * height * channels }, (_, i) =>
      Math.min(Math.max(255 * small[i % channels][Math.floor(i / channels)], 0), 255),
    );
  }

  /** Return a canvas of a sample, its numbers as light on black, or as they are seen. */
  function sampleImage(light) {
    const small = document.createElement("canvas");
    paintPixels(small, base.sample, shape);
    if (light && asInk) {
      const g = small.getContext("2d");
      g.globalCompositeOperation = "source-in";
      g.fillStyle = "#fff";
      g.fillRect(0, 0, width, height);
    }
    return small;
  }

  function show() {
    const { g, width: side } = begin(canvas);
    g.scale(side / SIDE, side / SIDE);
    g.imageSmoothingEnabled = !base?.sample;
    if (base?.sample) base.image = sampleImage(false);
    paint(g, base?.photo ? "#000" : color("pen"));
    if (pen.shown) {
      g.lineWidth = 2;
      g.strokeStyle = color("accent");
      g.beginPath();
      g.arc(...pen.at, Number(thickness.value) / 2 + 3, 0, 7);
      g.stroke();
    }
    if (strokes.length || base) return;
    g.fillStyle = color("muted");
    g.font = "15px system-ui, sans-serif";
    g.textAlign = "center";
    g.fillText("Draw here", SIDE / 2, SIDE / 2);
  }

  function changed() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      show();
      onInput(input());
    });
  }

  const place = (event) => pointer(event, canvas).map((value) => (value * SIDE) / canvas.clientWidth);
  const startStroke = (at) => strokes.push({ width: Number(thickness.value), points: [at] });
  const undo = () => (strokes.length ? strokes.pop() : (base = null), changed());
  const clear = () => ((strokes = []), (base = null), (pen.down = false), changed());

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pen.shown = false;
    startStroke(place(event));
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || !strokes.length) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).points.push(place(each));
    changed();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 24 : 8;
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== "z") return;
      undo();
    } else if (dx || dy) {
      pen.at = [pen.at[0] + dx, pen.at[1] + dy].map((value) => Math.min(Math.max(value, 0), SIDE));
      if (pen.down) strokes.at(-1).points.push(pen.at);
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) startStroke(pen.at);
    } else if (event.key === "Backspace") {
      undo();
      pen.down = false;
    } else if (event.key === "Delete") clear();
    else return;
    event.preventDefault();
    pen.shown = true;
    changed();
  });
  canvas.addEventListener("blur", () => ((pen.shown = pen.down = false), show()));
  panel.querySelector(".undo").addEventListener("click", undo);
  panel.querySelector(".clear").addEventListener("click", clear);

  async function openPicture(blob) {
    const photo = await createImageBitmap(blob).catch(() => null);
    if (!photo) return;
    const scale = SIDE / Math.max(photo.width, photo.height);
    const [w, h] = [photo.width, photo.height].map((side) => Math.max(5, Math.round(side * scale)));
    [strokes, base] = [[], { photo, box: [Math.floor((SIDE - w) / 2), Math.floor((SIDE - h) / 2), w, h] }];
    changed();
  }
  panel.querySelector(".open").addEventListener("click", () => file.click());
  file.addEventListener("change", () => file.files.length && openPicture(file.files[0]));
  document.addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (image) openPicture(image);
  });
  for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
    document.addEventListener(name, (event) => {
      event.preventDefault();
      canvas.classList.toggle("dropping", over);
      const image = name === "drop" && [...event.dataTransfer.files].find((each) => each.type.startsWith("image/"));
      if (image) openPicture(image);
    });

  const thumbs = panel.querySelector(".thumbs");
  const drawThumbs = () =>
    thumbs.replaceChildren(
      ...samples.map((sample) => {
        const button = element(`<button type="button"></button>`);
        button.setAttribute("aria-label", `Sample: ${sample.name}`);
        button.title = sample.name;
        button.append(paintPixels(document.createElement("canvas"), sample.pixels, shape));
        button.addEventListener("click", () => choose(sample));
        return button;
      }),
    );
  const choose = (sample) => (([strokes, base] = [[], { sample: sample.pixels }]), changed());
  new ResizeObserver(show).observe(canvas);
  return { panel, choose, refresh: () => (drawThumbs(), changed()) };
}
