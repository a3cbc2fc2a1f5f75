// The playground: its three pages share a toolbar, the loop that makes steps, and a link that holds all of the state.
import { Descent } from "./descent.js";
import { themeButton } from "./drawing.js";
import { Surface } from "./surface.js";
import { Training } from "./trainingtab.js";

const by = (id) => document.getElementById(id);
const controls = () => [...document.querySelectorAll("main [name], #toolbar [name]")].filter((field) => !field.closest("#unit"));
const field = (name) => controls().find((control) => control.name === name && (control.type !== "radio" || control.checked));
const value = (name) => field(name).value;

// Set controls by name; a value that a control does not have is left out.
function set(values) {
  for (const [name, wanted] of Object.entries(values)) {
    const control = field(name);
    if (!control) continue;
    const before = control.value;
    if (control.type === "checkbox") control.checked = wanted === "true";
    else control.value = wanted;
    if (control.tagName === "SELECT" ? control.selectedIndex < 0 : !control.checkValidity()) control.value = before;
  }
}

const data = JSON.parse(by("data").textContent);
const pages = {};
let [shown, running, dirty, last, owed, rate] = ["train", false, true, 0, 0, null];
const changed = () => (dirty = true);

pages.train = new Training(value, set, changed, data);
pages.surface = new Surface(value, set, changed, data.networks.xor_mlp, pages.train.sets.xor.train);
pages.descent = new Descent(value, set, changed);

function show(tab) {
  run(false);
  shown = tab;
  for (const name of Object.keys(pages)) by(name).hidden = name !== tab;
  for (const button of by("tabs").children) {
    if (button.dataset.tab === tab) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  by("toolbar").elements.speed.parentElement.hidden = tab === "descent";
  by("run").textContent = pages[tab].label;
  changed();
}

function run(on) {
  if (running && !on) remember();
  running = on;
  [last, owed, rate] = [performance.now(), 0, null];
  by("run").textContent = on ? "Pause" : pages[shown].label;
  changed();
}

// Make one step; pause where none can be made.
function step() {
  if (pages[shown].step()) return true;
  run(false);
  return false;
}

const finished = () => {
  pages[shown].record?.();
  if (pages[shown].ended) run(false);
};

function tick(now) {
  if (running) {
    const speed = shown === "descent" ? "descent" : value("speed");
    const began = performance.now();
    let steps = 0;
    if (speed === "full") {
      while (performance.now() - began < 30 && step()) steps += 1;
    } else {
      owed += { slow: (4 * (now - last)) / 1000, descent: (10 * (now - last)) / 1000 }[speed] ?? Number(speed);
      for (owed = Math.min(owed, 10); owed >= 1 && step(); owed -= 1) steps += 1;
    }
    if (now > last) rate = (rate ?? steps / (now - last)) * 0.95 + (0.05 * steps) / (now - last);
    if (steps) {
      finished();
      changed();
    }
  }
  last = now;
  if (dirty) {
    dirty = false;
    pages[shown].draw(running);
    by("status").textContent = pages[shown].status + (running && rate ? `   ${Math.round(1000 * rate)} steps/s` : "");
    if (by("message").textContent !== pages[shown].message) by("message").textContent = pages[shown].message;
  }
  requestAnimationFrame(tick);
}

// -------------------------------------------------------------------------------------------------------- links

function state() {
  const saved = new URLSearchParams({ tab: shown });
  for (const control of controls()) {
    if (control.type !== "radio") saved.set(control.name, control.type === "checkbox" ? control.checked : control.value);
  }
  for (const page of Object.values(pages)) for (const [key, text] of Object.entries(page.save())) saved.set(key, text);
  return `#${saved}`;
}

let written = "";
function remember() {
  written = state();
  window.location.replace(written);
}

// Take the state of the address, whatever it is: what a control cannot show stays as it was.
function recall() {
  const saved = new URLSearchParams(window.location.hash.slice(1));
  if (window.location.hash === written || !saved.has("tab")) return;
  run(false);
  set({ net: saved.get("net"), set: saved.get("set") });
  pages.train.load(saved); // whose starts and views the other controls depend on
  set(Object.fromEntries([...saved].filter(([key]) => key !== "tab" && key !== "view")));
  for (const page of Object.values(pages)) page.load(saved);
  if ([...field("view").options].some((option) => option.value === saved.get("view"))) pages.train.select(saved.get("view"));
  show(pages[saved.get("tab")] ? saved.get("tab") : "train");
}

async function copyLink() {
  remember();
  let told = "The link is in the address bar and on the clipboard.";
  try {
    await navigator.clipboard.writeText(window.location.href);
  } catch {
    told = "The link is in the address bar; copy it from there.";
  }
  pages[shown].message = told;
  changed();
}

// ------------------------------------------------------------------------------------------------------- events

by("tabs").addEventListener("click", ({ target }) => target.dataset.tab && show(target.dataset.tab));
by("run").addEventListener("click", () => run(!running));
by("step").addEventListener("click", () => {
  run(false);
  step();
  finished();
});
by("reset").addEventListener("click", () => {
  run(false);
  pages[shown].reset();
});
by("link").addEventListener("click", copyLink);
document.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("button, select, input:not([type=number])")) return;
  event.preventDefault();
  run(!running);
});
window.addEventListener("hashchange", recall);
function repaint() {
  pages.train.scatter = null;
  changed();
}
new ResizeObserver(repaint).observe(document.querySelector("main"));
themeButton(by("theme"), repaint);
show("train");
recall();
requestAnimationFrame(tick);
