import { themeButton } from "./drawing.js";
import { codesPage } from "./codes.js";
import { imagesPage } from "./images.js";
import { planePage } from "./plane.js";
import { fromBase64, loadNetwork } from "./runtime.js";

const facts = JSON.parse(document.getElementById("data").textContent);
const byId = (name) => document.getElementById(name);

/** Return stored numbers: little-endian, in base64. */
const unpacked = (text, Kind) => new Kind(fromBase64(text).buffer);

/** Inflate the weights that are stored in zlib's format. */
async function inflate() {
  for (const weight of Object.values(facts.weights)) {
    if (!weight.zlib) continue;
    const stream = new Blob([fromBase64(weight.data)]).stream().pipeThrough(new DecompressionStream("deflate"));
    weight.data = new Uint8Array(await new Response(stream).arrayBuffer());
  }
}

/** Return one probability a class from what the network returns for one sample. */
function probabilities(outputs) {
  let rows = outputs;
  if (facts.logits) {
    const both = outputs.length === 1 ? [0, outputs[0]] : outputs;
    const e = Array.from(both, (z) => Math.exp(z - Math.max(...both)));
    const total = e.reduce((sum, value) => sum + value, 0);
    rows = e.map((value) => value / total);
  }
  return rows.length === 1 ? [1 - rows[0], rows[0]] : Array.from(rows);
}

async function start() {
  document.title = facts.title;
  byId("name").textContent = facts.title;
  byId("summary").textContent = facts.summary;
  byId("about").textContent = facts.about;
  facts.colors.forEach((value, i) => document.documentElement.style.setProperty(`--class-${i}`, value));
  let network;
  try {
    await inflate();
    network = loadNetwork(facts);
  } catch (error) {
    byId("main").textContent = error.message;
    return;
  }
  const size = facts.shape.reduce((product, length) => product * length, 1);
  const images = unpacked(facts.images.pixels, Uint8Array);
  const samples = facts.images.names.map((name, i) => ({ name, pixels: images.subarray(i * size, (i + 1) * size) }));
  const points = { x: unpacked(facts.points.x, Float32Array), y: facts.points.y };
  const pages = { images: imagesPage, points: planePage, codes: codesPage };
  const page = pages[facts.kind](byId("main"), network, { ...facts, samples, points, probabilities });
  themeButton(byId("theme"), page.refresh);
  page.start();
}

start();
