// The age over the last minute, as a line: gaps where there was no signal.

const SAMPLES = 240;
const WIDTH = 240;
const HEIGHT = 40;
const SCALES_MS = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 100000];

export class Sparkline {
  constructor(svg, label) {
    this.svg = svg;
    this.label = label;
    this.curve = svg.querySelector(".curve");
    this.area = svg.querySelector(".area");
    this.values = [];
  }

  fill(values) {
    this.values = values.slice(-SAMPLES);
    this.draw();
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > SAMPLES) this.values.shift();
    this.draw();
  }

  draw() {
    const seen = this.values.filter((value) => value !== null);
    const largest = Math.max(0, ...seen);
    const top = SCALES_MS.find((scale) => scale >= largest * 1.1) ?? largest;
    const left = SAMPLES - this.values.length;
    let curve = "";
    let area = "";
    let run = [];
    const end = () => {
      if (run.length > 1) {
        const line = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        curve += `M${line}`;
        area += `M${run[0][0].toFixed(1)} ${HEIGHT}L${line}L${run.at(-1)[0].toFixed(1)} ${HEIGHT}Z`;
      }
      run = [];
    };
    this.values.forEach((value, index) => {
      if (value === null) end();
      else run.push([((left + index) / (SAMPLES - 1)) * WIDTH, HEIGHT - (value / top) * HEIGHT]);
    });
    end();
    this.curve.setAttribute("d", curve);
    this.area.setAttribute("d", area);
    this.label.textContent = seen.length > 1 ? `${top >= 1000 ? `${top / 1000} s` : `${top} ms`}` : "";
    this.svg.setAttribute(
      "aria-label",
      seen.length ? `Age over the last minute, at most ${Math.round(largest)} milliseconds` : "No age yet",
    );
  }
}
