// One camera: its picture, its state, its figures. A picture that may be old never looks live.

import { Sparkline } from "./sparkline.js";

const FROZEN_MS = 2000;

const HEADLINES = {
  connecting: "Connecting",
  stale: "No new picture",
  reconnecting: "No signal",
  failed: "Given up",
};

export class Camera {
  // The callbacks of `on`: drawn(name), enlarge(name).
  constructor(name, on) {
    this.name = name;
    this.on = on;
    this.element = document.getElementById("camera-template").content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.element.querySelector(selector);
    this.canvas = this.find("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.sparkline = new Sparkline(this.find(".sparkline"), this.find(".scale"));
    this.element.dataset.camera = name;
    this.element.setAttribute("aria-label", name);
    this.find("h2").textContent = name;
    this.still = this.find(".still");
    this.still.href = `/still/${encodeURIComponent(name)}.jpg`;
    this.still.setAttribute("aria-label", `Still of ${name}`);
    this.find(".enlarge").onclick = () => on.enlarge(name);
    this.status = { state: "connecting", reason: "" };
    this.connected = false;
    this.pictureMs = -Infinity; // When the newest picture was drawn.
    this.hasSignal = false; // Whether it showed the road.
    this.sequence = 0;
    this.update();
  }

  async draw(header, jpeg) {
    try {
      const bitmap = await createImageBitmap(jpeg);
      if (header.sequence < this.sequence) return; // A newer one was decoded sooner.
      if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
        this.canvas.width = bitmap.width;
        this.canvas.height = bitmap.height;
      }
      this.context.drawImage(bitmap, 0, 0);
      bitmap.close();
      this.pictureMs = performance.now();
      this.hasSignal = header.has_signal;
      this.sequence = header.sequence;
      this.element.dataset.sequence = header.sequence;
    } finally {
      this.on.drawn(this.name);
    }
    this.update();
  }

  report(status) {
    this.status = status;
    this.connected = true;
    if (status.ages_ms) this.sparkline.fill(status.ages_ms);
    else this.sparkline.add(status.state === "live" ? status.last_age_ms : null);
    this.find(".fps").textContent = status.state === "live" ? status.fps.toFixed(status.fps < 10 ? 1 : 0) : "–";
    this.find(".age-now").textContent = status.state === "live" ? rounded(status.last_age_ms) : "–";
    this.tellClear(status);
    this.find(".facts").replaceChildren(...facts(status));
    this.update();
  }

  // Only of cameras that are calibrated; of one without a signal nothing is known.
  tellClear(status) {
    const clear = status.scene?.clear;
    if (clear) this.find(".clear").hidden = false;
    const known = clear?.is_seen && status.scene.has_signal && status.state === "live";
    this.find(".clear-now").textContent = known ? `${clear.is_open ? "> " : ""}${clear.distance_m.toFixed(0)}` : "–";
  }

  setEnlargeable(is) {
    this.find(".enlarge").disabled = !is;
  }

  lose() {
    this.connected = false;
    this.update();
  }

  // Chip, veil and greyness, from all that is known.
  update() {
    const { state, reason } = this.status;
    const frozen = performance.now() - this.pictureMs > FROZEN_MS;
    const seen = this.connected && state === "live" && this.hasSignal && !frozen;
    const shownState = this.connected ? state : "unknown";
    this.element.dataset.state = shownState;
    this.element.classList.toggle("unseen", !seen);
    this.element.classList.toggle("slate", !seen && !this.hasSignal);
    const chip = this.find(".chip");
    chip.dataset.state = shownState;
    chip.textContent = shownState;
    if (reason && this.connected) chip.title = reason;
    else chip.removeAttribute("title");
    const [headline, detail] = this.explain(frozen);
    this.find(".veil").hidden = seen;
    this.find(".veil strong").textContent = seen ? "" : headline;
    this.find(".veil span").textContent = seen ? "" : detail;
    this.find(".enlarge").setAttribute("aria-label", `${this.name}: ${seen ? "live picture" : headline}. Enlarge`);
    this.still.setAttribute("aria-disabled", String(!this.connected));
  }

  explain(frozen) {
    const { state, reason, silent_s: silentS } = this.status;
    const last = silentS != null ? `last picture ${duration(silentS)} ago` : "";
    if (!this.connected) return ["Not connected to the run", "This picture is old."];
    if (state !== "live") return [HEADLINES[state] ?? state, [reason, last].filter(Boolean).join(" · ")];
    if (this.pictureMs === -Infinity) return ["Waiting for the first picture", ""];
    return frozen ? ["No new picture", "The camera gives frames, but none comes through."] : ["Coming back", ""];
  }
}

function facts(status) {
  const entries = [];
  const add = (label, value, warn = false) => {
    const span = document.createElement("span");
    const figure = document.createElement("b");
    figure.textContent = value;
    span.append(`${label} `, figure);
    span.classList.toggle("warn", warn);
    entries.push(span);
  };
  const { p50, p95, p99 } = status.age_ms;
  if (p50 != null) add("age p50 / p95 / p99", `${rounded(p50)} / ${rounded(p95)} / ${rounded(p99)} ms`);
  if (status.size_hw) add("size", `${status.size_hw[1]} × ${status.size_hw[0]}`);
  for (const [cause, count] of Object.entries(status.dropped)) if (count) add(cause, count.toLocaleString("en"), cause === "corrupt");
  if (status.reconnects) add("reconnects", status.reconnects.toLocaleString("en"), true);
  const scene = status.scene;
  if (scene?.has_signal && status.state === "live") {
    add("road", `${Math.round(scene.road_share * 100)} %`);
    for (const [kind, count] of Object.entries(scene.road_users)) add(kind, count);
    for (const user of scene.in_path) add("in path", `${user.class} ${user.id}, ${user.distance_m.toFixed(0)} m`, true);
    if (scene.visibility?.is_low) add("visibility", scene.visibility.causes.join(", ") || "low", true);
  }
  return entries;
}

function rounded(ms) {
  return ms == null ? "–" : ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en");
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
