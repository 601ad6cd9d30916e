// The page: puts the run's report and the cameras' pictures where they belong.

import { Camera, duration } from "./camera.js";
import { Connection } from "./connection.js";

const find = (id) => document.getElementById(id);
const cameras = new Map();
let large = null;
let run = null;
let lostMs = null;

const connection = new Connection({
  state: (state) => {
    show(find("connection"), state);
    lostMs = state === "lost" ? (lostMs ?? performance.now()) : null;
    document.body.classList.toggle("lost", state === "lost");
    if (state === "lost") for (const camera of cameras.values()) camera.lose();
    find("save").disabled = state === "lost";
    tell();
  },
  status: (status) => {
    if (run !== null && run !== status.run) location.reload(); // Another run, perhaps another version.
    run = status.run;
    report(status);
  },
  picture: (header, jpeg) => {
    const camera = cameras.get(header.camera);
    if (camera) camera.draw(header, jpeg).catch(() => {});
    else connection.drawn(header.camera);
  },
});

setInterval(() => {
  for (const camera of cameras.values()) camera.update();
  tell();
}, 500);

// A page that nobody sees asks for no pictures.
document.addEventListener("visibilitychange", () => connection.setWatch(document.hidden ? [] : null));
document.addEventListener("keydown", (event) => event.key === "Escape" && enlarge(null));
find("save").onclick = save;

let ailments = [];

function report(status) {
  for (const entry of status.cameras) {
    if (!cameras.has(entry.name)) {
      const camera = new Camera(entry.name, { drawn: (name) => connection.drawn(name), enlarge: toggle });
      cameras.set(entry.name, camera);
      find("cameras").append(camera.element);
    }
    cameras.get(entry.name).report(entry);
  }
  arrange();
  ailments = status.ailments;
  find("run").textContent = `running for ${duration(status.elapsed_s)}`;
  find("model").textContent = status.model;
  find("engine-name").textContent = status.engine.replace(/\((R|TM)\)/g, "");
  find("save").hidden = !status.can_save;
  show(find("engine"), status.engine_state);
  reportAlerts(status.cameras);
  reportStages(status.timings_ms);
  reportOutputs(status.outputs, status.output_drops);
  tell();
}

function show(chip, state) {
  chip.dataset.state = state;
  if (chip.textContent !== state) chip.textContent = state;
}

// The banner is read out when it changes, so it holds no running seconds.
function tell() {
  const banner = find("banner");
  const lost = "The page has lost the run: what you see is old. Trying again.";
  const text = lostMs === null ? ailments.map((line) => line[0].toUpperCase() + line.slice(1)).join("\n") : lost;
  banner.hidden = !text;
  banner.classList.toggle("bad", lostMs === null);
  if (banner.textContent !== text) banner.textContent = text;
  if (lostMs !== null) find("run").textContent = `lost for ${duration((performance.now() - lostMs) / 1000)}`;
}

// Lists are only touched where they change, so that screen readers stay calm.
function fill(list, entries) {
  const key = JSON.stringify(entries.map(([text]) => text));
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...entries.map(([, make]) => make()));
}

function reportAlerts(entries) {
  const alerts = entries.flatMap((camera) => (camera.scene?.alerts ?? []).map((alert) => [camera.name, alert]));
  const items = alerts.map(([name, alert]) => [
    `${name} ${alert.kind} ${alert.message}`,
    () => {
      const item = element("li", "", alert.message);
      if (entries.length > 1) item.prepend(element("span", "where", name));
      return item;
    },
  ]);
  fill(find("alerts"), items.length ? items : [["none", () => element("li", "none", "None.")]]);
}

function reportStages(timings) {
  const list = find("stages");
  const stages = Object.entries(timings);
  const most = Math.max(1, ...stages.map(([, figures]) => figures.p95));
  fill(list, stages.map(([name]) => [name, () => {
    const item = element("li");
    const track = element("span", "track");
    track.append(element("i"));
    item.append(element("span", "name", name), element("span", "p50"), element("span", "p95"), track);
    return item;
  }]));
  stages.forEach(([, figures], index) => {
    const item = list.children[index];
    item.querySelector(".p50").textContent = figures.p50.toFixed(1);
    item.querySelector(".p95").textContent = figures.p95.toFixed(1);
    item.querySelector("i").style.width = `${(100 * figures.p50) / most}%`;
  });
}

function reportOutputs(outputs, drops) {
  find("outputs-panel").hidden = Object.keys(outputs).length === 0;
  fill(find("outputs"), Object.entries(outputs).map(([name, failure]) => {
    const missed = drops[name] ?? 0;
    return [`${name} ${failure} ${missed}`, () => {
      const item = element("li", "", name);
      const chip = element("span", "chip", failure ? "failed" : "working");
      chip.dataset.state = failure ? "failed" : "working";
      item.append(chip);
      if (failure) item.append(element("span", "reason", failure));
      else if (missed) item.append(element("span", "reason", `too slow for ${missed.toLocaleString("en")} scenes`));
      return item;
    }];
  }));
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function toggle(name) {
  if (cameras.size > 1) enlarge(large === name ? null : name);
}

function enlarge(name) {
  large = name;
  arrange();
  if (name !== null) cameras.get(name).element.scrollIntoView({ block: "nearest" });
}

function arrange() {
  const grid = find("cameras");
  grid.classList.toggle("several", cameras.size > 1);
  grid.classList.toggle("one-large", large !== null);
  for (const [name, camera] of cameras) {
    camera.element.classList.toggle("large", name === large);
    camera.setEnlargeable(cameras.size > 1);
  }
}

async function save() {
  const button = find("save");
  button.disabled = true;
  try {
    const response = await fetch("/save", { method: "POST" });
    const answer = await response.json();
    toast(response.ok ? answer.saved : answer.error);
  } catch {
    toast("The run could not be reached; nothing was saved.");
  } finally {
    button.disabled = lostMs !== null;
  }
}

let toastTimer;
function toast(text) {
  const shown = find("toast");
  shown.textContent = text;
  shown.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (shown.hidden = true), 6000);
}
