// Drawing on canvases: sizes, colours of the theme, axes, lines, markers and maps of values.

const known = new Map();
const probe = document.createElement("i");

// A colour of the style sheet as [red, green, blue].
export function rgb(name) {
  if (!known.has(name)) {
    document.body.append(probe);
    probe.style.color = `var(--${name})`;
    known.set(name, getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number));
    probe.remove();
  }
  return known.get(name);
}

export const color = (name, alpha = 1) => `rgb(${rgb(name).join(" ")} / ${alpha})`;
export const mixed = (from, to, share) => from.map((value, i) => value + share * (to[i] - value));

// Let a button change between the light and the dark theme; until then the page follows the system's.
export function themeButton(button, changed) {
  const nights = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = (event) => {
    known.clear();
    const now = document.documentElement.dataset.theme ?? (nights.matches ? "dark" : "light");
    button.textContent = now === "dark" ? "Light" : "Dark";
    if (event) changed();
  };
  button.addEventListener("click", (event) => {
    document.documentElement.dataset.theme = button.textContent.toLowerCase();
    follow(event);
  });
  nights.addEventListener("change", follow);
  follow();
}

// The context of a canvas in CSS pixels, as large as the page shows it, and empty.
export function begin(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "12px system-ui, sans-serif";
  return { g, width, height };
}

// Where the pointer is on a canvas.
export function pointer(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) || raw;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

// Let a point follow the pointer over a plane, with `hover` also where no button is pressed, and the arrow keys;
// `space` and `at` give the plane's axes and the point as they are at that moment.
export function movePoint(plane, { space, span, at, moveTo, hover = false }) {
  const follow = (event) => {
    const [px, py] = pointer(event, plane);
    moveTo([space().fromX(px), space().fromY(py)]);
  };
  plane.addEventListener("pointerdown", (event) => (plane.setPointerCapture(event.pointerId), follow(event)));
  plane.addEventListener("pointermove", (event) => {
    if (plane.hasPointerCapture(event.pointerId) || (hover && event.pointerType === "mouse")) follow(event);
  });
  plane.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 0.05 : 0.01) * span;
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key] ?? [];
    if (dx === undefined) return;
    event.preventDefault();
    const [x, y] = at();
    moveTo([x + dx, y + dy]);
  });
}

export const short = (value, digits = 3) => {
  const size = Math.abs(value);
  const text = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
};

// Axes around a box; returns the maps from values to pixels and back. log: the values of y are powers of ten.
export function axes({ g, width, height }, [x0, x1], [y0, y1], { log = false, labels = ["", ""], grid = true } = {}) {
  const box = { left: 44, top: 8, right: width - 10, bottom: height - 24 };
  const toX = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
  const toY = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);
  g.lineWidth = 1;
  g.strokeStyle = color("line");
  g.fillStyle = color("muted");
  g.textAlign = "center";
  g.textBaseline = "top";
  for (const x of ticks(x0, x1, Math.max(2, (box.right - box.left) / 80))) {
    if (grid) line(g, [[toX(x), box.top], [toX(x), box.bottom]]);
    g.fillText(short(x, 5), toX(x), box.bottom + 6);
  }
  g.textAlign = "right";
  g.textBaseline = "middle";
  for (const y of ticks(y0, y1, Math.max(2, (box.bottom - box.top) / 44))) {
    if (log && y !== Math.round(y)) continue;
    if (grid) line(g, [[box.left, toY(y)], [box.right, toY(y)]]);
    g.fillText(log ? short(10 ** y, 1) : short(y, 5), box.left - 6, toY(y));
  }
  g.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  g.fillText(labels[0], box.right - 6, box.bottom - 10);
  g.textAlign = "left";
  g.fillText(labels[1], box.left + 6, box.top + 10);
  const fromX = (px) => x0 + ((px - box.left) / (box.right - box.left)) * (x1 - x0);
  const fromY = (py) => y0 + ((box.bottom - py) / (box.bottom - box.top)) * (y1 - y0);
  return { box, toX, toY, fromX, fromY };
}

export function line(g, points) {
  g.beginPath();
  for (const [x, y] of points) g.lineTo(x, y);
  g.stroke();
}

// The ends, within limits, of the line on which a unit's sum w₁x + w₂y + b is 0.
export const unitLine = (w1, w2, b, [[x0, x1], [y0, y1]]) =>
  Math.abs(w2) * (y1 - y0) > Math.abs(w1) * (x1 - x0)
    ? [x0, x1].map((x) => [x, -(b + w1 * x) / w2])
    : [y0, y1].map((y) => [-(b + w2 * y) / w1, y]);

// A ring around a place, on any ground.
export function ring(g, x, y, radius, name) {
  for (const [stroke, width] of [["ground", 7], [name, 3]]) {
    g.strokeStyle = color(stroke);
    g.lineWidth = width;
    g.beginPath();
    g.arc(x, y, radius, 0, 7);
    g.stroke();
  }
}

export function clipped(g, box, draw) {
  g.save();
  g.beginPath();
  g.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  g.clip();
  draw();
  g.restore();
}

// Curves over steps: rows of [step, value, value, …], one value for each of names; null where there is none.
export function curves(canvas, rows, names, colors, { log = false, label = "", top = null } = {}) {
  const space = begin(canvas);
  const height = (value) => (log ? Math.log10(Math.max(value, 1e-16)) : value);
  const values = rows.flatMap((row) => row.slice(1)).filter((value) => Number.isFinite(value)).map(height);
  let [low, high] = [log ? Math.min(...values, 0) : 0, top ?? Math.max(...values, log ? -12 : 1e-9)];
  if (log) [low, high] = [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
  else if (top === null) high *= 1.2;
  const last = rows.length ? rows[rows.length - 1][0] : 0;
  const { box, toX, toY } = axes(space, [0, Math.max(last, 10)], [low, high], { log, labels: ["steps", label] });
  const { g } = space;
  clipped(g, { ...box, top: box.top - 3, bottom: box.bottom + 3 }, () => {
    names.forEach((name, k) => {
      g.strokeStyle = color(colors[k]);
      g.lineWidth = 2;
      line(g, rows.filter((row) => Number.isFinite(row[k + 1])).map((row) => [toX(row[0]), toY(height(row[k + 1]))]));
    });
  });
  g.textAlign = "right";
  g.textBaseline = "middle";
  names.forEach((name, k) => {
    if (!rows.some((row) => Number.isFinite(row[k + 1]))) return;
    g.fillStyle = color(colors[k]);
    g.fillText(name, box.right - 6 - 44 * (names.length - 1 - k), box.top + 10);
  });
}

// One marker a class, so that colour is never the only difference.
export function marker(g, x, y, kind, size) {
  const corners = [null, [[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
    [[0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]], [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
    [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4],
      [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]]][kind % 6];
  g.beginPath();
  if (corners) for (const [dx, dy] of corners) g.lineTo(x + size * 0.9 * dx, y + size * 0.9 * dy);
  else g.arc(x, y, size, 0, 7);
  g.closePath();
  g.fill();
  g.stroke();
}

// A map of n × n colours, the first row at the top; paint(i, j) gives [red, green, blue] of column i and row j.
export function paintMap(n, paint, canvas = document.createElement("canvas")) {
  if (canvas.width !== n || canvas.height !== n) canvas.width = canvas.height = n;
  const g = canvas.getContext("2d");
  const image = g.createImageData(n, n);
  for (let j = 0, at = 0; j < n; j++) {
    for (let i = 0; i < n; i++, at += 4) {
      const [red, green, blue] = paint(i, j);
      image.data[at] = red;
      image.data[at + 1] = green;
      image.data[at + 2] = blue;
      image.data[at + 3] = 255;
    }
  }
  g.putImageData(image, 0, 0);
  return canvas;
}

// The ends of viridis and what is between them, dark to light, the same in both themes.
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
export function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * 4;
  const i = Math.min(Math.floor(at), 3);
  return mixed(VIRIDIS[i], VIRIDIS[i + 1], at - i);
}
