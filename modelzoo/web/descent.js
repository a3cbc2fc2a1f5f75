// Gradient descent on f(x) = e^(−sin x) x², the curve of the lesson.
import { axes, begin, clipped, color, curves, line, mixed, pointer, rgb } from "./drawing.js";

const f = (x) => Math.exp(-Math.sin(x)) * x * x;
const slope = (x) => -x * Math.exp(-Math.sin(x)) * (x * Math.cos(x) - 2);

export class Descent {
  label = "Descend";

  constructor(value, set, changed) {
    Object.assign(this, { value, set });
    const [form] = document.querySelectorAll("#descent form");
    form.addEventListener("input", ({ target }) => {
      if (target.name === "case" && target.value) {
        const [start, rate] = target.value.split(" ");
        set({ x: start, eta: rate, dmomentum: 0 });
      } else if (target.name !== "case") {
        set({ case: "" });
      }
      this.reset();
      changed();
    });
    this.canvas = document.querySelector("#curve");
    this.canvas.addEventListener("click", (event) => {
      set({ case: "", x: this.fromX(pointer(event, this.canvas)[0]).toFixed(3) });
      this.reset();
      changed();
    });
    this.reset();
  }

  reset() {
    this.trace = [Number(this.value("x"))];
    this.velocity = 0;
    this.message = "";
  }

  step() {
    const x = this.trace[this.trace.length - 1];
    this.velocity = Number(this.value("dmomentum")) * this.velocity - Number(this.value("eta")) * slope(x);
    const next = x + this.velocity;
    if (!Number.isFinite(f(next)) || Math.abs(next) > 1e6) {
      this.message = `The descent diverged at step ${this.trace.length}. Take a smaller learning rate, and reset.`;
      return false;
    }
    this.trace.push(next);
    return true;
  }

  get ended() {
    const [before, now] = this.trace.slice(-2);
    return this.trace.length > 2000 || Math.abs(now - before) < 1e-9;
  }

  draw() {
    const space = begin(this.canvas);
    const { g } = space;
    const [low, high] = [Math.min(...this.trace), Math.max(...this.trace)].map((x) => Math.min(Math.max(x, -40), 40));
    const limits = [Math.min(-2.6, low - 0.3), Math.max(low > 3 || high > 3 ? 9.5 : 3, high + 0.3)];
    const top = Math.min(Math.max(8, 1.15 * Math.max(...this.trace.map(f))), 5000);
    const { box, toX, toY, fromX } = axes(space, limits, [-0.05 * top, top], { labels: ["x", "f(x)"] });
    this.fromX = fromX;
    clipped(g, box, () => {
      g.strokeStyle = color("muted");
      g.lineWidth = 2;
      line(g, Array.from({ length: 601 }, (_, i) => fromX(box.left + ((box.right - box.left) * i) / 600))
        .map((x) => [toX(x), toY(f(x))]));
      g.strokeStyle = color("ink", 0.5);
      g.lineWidth = 1;
      line(g, this.trace.map((x) => [toX(x), toY(f(x))]));
      g.strokeStyle = color("ground");
      this.trace.forEach((x, i) => {
        const end = i === 0 || i === this.trace.length - 1;
        g.fillStyle = `rgb(${mixed(rgb("start"), rgb("end"), this.trace.length > 1 ? i / (this.trace.length - 1) : 0)})`;
        g.beginPath();
        g.arc(toX(x), toY(f(x)), end ? 7 : 4.5, 0, 7);
        g.fill();
        g.stroke();
      });
    });
    const rows = this.trace.map((x, i) => [i, f(x)]);
    curves(document.querySelector("#values-curve"), rows, ["f(x)"], ["train"], { log: true });
    const body = document.querySelector("#visited tbody");
    const shown = this.trace.map((x, i) => [i, x.toFixed(5), f(x).toFixed(5), slope(x).toFixed(5)]).slice(-8).reverse();
    body.innerHTML = shown.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("");
  }

  get status() {
    const x = this.trace[this.trace.length - 1];
    return `step ${this.trace.length - 1}   x ${x.toFixed(4)}   f ${f(x).toFixed(4)}   f′ ${slope(x).toFixed(4)}`;
  }

  save() {
    return { dsteps: this.trace.length - 1 };
  }

  load(saved) {
    this.reset();
    for (let n = Math.min(Number(saved.get("dsteps")) || 0, 2000); n > 0 && this.step(); n--);
  }
}
