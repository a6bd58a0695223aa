"use strict";
// A spectrum as SVG: curve, band of uncertainty and sticks over nm or eV. The curve is one of lines,
// or a table of vibronic bands.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 760, TALL = 370; // of a picture that is saved
const FONT = 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif';

const QUANTITIES = {
  absorption: {title: "Absorption spectrum", symbol: "ε", scale: 1e3, axis: "ε (10³ L mol⁻¹ cm⁻¹)",
    strengths: "strengths", letter: "f", digits: 3, sticks: "Oscillator strength", least: 1e-3,
    area: "area", column: "absorption_L_mol-1_cm-1"},
  dichroism: {title: "Circular dichroism", symbol: "Δε", scale: 1, axis: "Δε (L mol⁻¹ cm⁻¹)",
    strengths: "rotatory", letter: "R", digits: 1, sticks: "Rotatory strength (10⁻⁴⁰ cgs)", least: 1,
    area: "rotatory_area", column: "dichroism_L_mol-1_cm-1", signed: true},
};
const minus = (text) => String(text).replace("-", "−");

function svg(name, attributes = {}, parent = null, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) { element.setAttribute(key, value); }
  if (text !== null) { element.textContent = text; }
  if (parent) { parent.append(element); }
  return element;
}

// About n round numbers between low and high.
function ticks(low, high, n) {
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) || 10);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) {
    found.push(Number((k * step).toPrecision(10)));
  }
  return found;
}

class Spectrum {
  // onPick(label) is called where a stick is chosen, onRead(text) where the pointer is.
  constructor(place, {onPick = () => {}, onRead = () => {}} = {}) {
    Object.assign(this, {place, onPick, onRead});
    this.colours = {curve: "#1f4e79", stick: "#b3402a"};
    this.unit = "nm";
    this.data = null;
    new ResizeObserver(() => {
      if (this.data && Math.abs(this.place.clientWidth - this.width) > 1) { this.draw(); }
    }).observe(place);
  }

  // data: labels, energies, strengths, shortest, fwhm, hc, area, and if known curve (low, high, origin,
  // values), draws, rotatory and rotatory_area, texts, colours.
  show(data) {
    this.data = data;
    this.fwhm = data.fwhm;
    this.colours = data.colours || this.colours;
    this.quantity = QUANTITIES[data.rotatory ? "dichroism" : "absorption"];
    this.table = data.curve ? new Float32Array(bytes(data.curve.values).buffer) : null;
    this.draws = data.draws ? new Int16Array(bytes(data.draws).buffer) : null;
    this.chosen = this.chosen && data.labels.includes(this.chosen) ? this.chosen : null;
    this.fit();
  }

  clear() {
    this.data = this.chosen = null;
    this.place.replaceChildren();
  }

  // The window people look at: from the shortest wavelength shown to beyond the longest there is.
  fit() {
    const {hc, energies, shortest, curve} = this.data;
    const lowest = Math.min(...energies, curve ? curve.origin : Infinity);
    const longest = energies.length ? hc / lowest : 400;
    const far = Math.min(1500, Math.max(400, 50 * Math.ceil((1.12 * longest) / 50)));
    this.range = this.unit === "nm" ? [shortest, far] : [hc / far, hc / shortest];
    this.draw();
  }

  limits() {
    return this.unit === "nm" ? [100, 1500, 5] : [0.8, 12.4, 0.05];
  }

  energy(x) { return this.unit === "nm" ? this.data.hc / x : x; }

  get strengths() { return this.data[this.quantity.strengths]; }

  // ε or Δε (L mol⁻¹ cm⁻¹) at an energy: from the table, 0 beyond it, or of lines.
  value(energy) {
    if (!this.table) { return this.lines(energy); }
    const {low, high} = this.data.curve, last = this.table.length - 1;
    const place = last * (energy - low) / (high - low), below = Math.floor(place);
    if (place < 0 || place > last) { return 0; }
    const next = this.table[Math.min(below + 1, last)];
    return this.table[below] + (place - below) * (next - this.table[below]);
  }

  // ε or Δε of lines, every state moved by shift(n); Δε has the energy as a factor.
  lines(energy, shift = () => 0) {
    const sigma = this.fwhm / (2 * Math.sqrt(2 * Math.log(2)));
    let total = 0;
    this.data.energies.forEach((centre, n) => {
      const z = (energy - centre - shift(n)) / sigma;
      if (Math.abs(z) < 6) { total += this.strengths[n] * Math.exp(-0.5 * z * z); }
    });
    const factor = this.quantity.signed ? energy : 1;
    return factor * total / (sigma * Math.sqrt(2 * Math.PI) * this.data[this.quantity.area]);
  }

  // The 16 % and 84 % quantiles of ε at an energy.
  band(energy) {
    const n = this.data.energies.length, sets = this.draws.length / n, found = new Float64Array(sets);
    for (let k = 0; k < sets; k++) {
      found[k] = this.lines(energy, (state) => this.draws[k * n + state] / 1000);
    }
    found.sort();
    const quantile = (q) => {
      const place = q * (sets - 1), below = Math.floor(place);
      return found[below] + (place - below) * (found[Math.min(below + 1, sets - 1)] - found[below]);
    };
    return [quantile(0.16), quantile(0.84)];
  }

  // As wide as its place, so that letters keep their size on a phone.
  draw() {
    this.width = this.place.clientWidth;
    const height = Math.round(Math.min(TALL, Math.max(0.75 * this.width, 260)));
    this.place.replaceChildren(this.picture(this.width || WIDE, this.width ? height : TALL));
  }

  picture(width, height) {
    const left = 62, right = 58, top = 16, bottom = 46;
    const root = svg("svg", {xmlns: SVG, viewBox: `0 0 ${width} ${height}`, "font-family": FONT,
      "font-size": 13, fill: "currentColor", role: "img", "aria-label": this.quantity.title});
    const [low, high] = this.range, {signed, scale, least} = this.quantity;
    const inner = width - left - right, tall = height - top - bottom;
    const toX = (x) => left + inner * (x - low) / (high - low);
    const points = Array.from({length: 401}, (_, k) => low + (high - low) * k / 400);
    const curve = points.map((x) => this.value(this.energy(x)));
    // Uncertain energies are the least of what is uncertain about Δε.
    const edges = this.draws && !signed ? points.filter((_, k) => k % 2 === 0)
      .map((x) => [x, ...this.band(this.energy(x))]) : [];
    const peak = Math.max(...curve.map(Math.abs), ...edges.map((edge) => edge[2]));
    // As much as a state of f = 0.001 makes, so that rounding errors of dark states stay small.
    const faint = least * 0.9394 / (this.fwhm * this.data[this.quantity.area]);
    const most = 1.08 * Math.max(peak, faint) / scale;
    const strongest = 1.08 * Math.max(least, ...this.strengths.map(Math.abs));
    // Both axes have their zero at one height: the floor, or the middle where there are signs.
    const zero = top + (signed ? 0.5 : 1) * tall, lowest = signed ? -1 : 0;
    const toY = (y) => zero - (zero - top) * y / most;
    const toF = (f) => zero - (zero - top) * f / strongest;
    const clip = svg("clipPath", {id: "inside"}, svg("defs", {}, root));
    svg("rect", {x: left, y: top, width: inner, height: tall}, clip);
    this.visible(root, toX, top + tall, low, high);
    const body = svg("g", {"clip-path": "url(#inside)"}, root);
    const line = (pairs) => pairs.map(([x, y]) => `${toX(x).toFixed(2)},${toY(y).toFixed(2)}`);
    if (edges.length) {
      const upper = edges.map(([x, , high]) => [x, high / scale]);
      const lower = edges.map(([x, low]) => [x, low / scale]).reverse();
      svg("polygon", {points: line(upper.concat(lower)).join(" "), fill: this.colours.curve,
        opacity: 0.18, class: "fill"}, body);
    }
    this.sticks(body, toX, toF, zero, [left, left + inner]);
    svg("polyline", {points: line(points.map((x, k) => [x, curve[k] / scale])).join(" "),
      fill: "none", stroke: this.colours.curve, "stroke-width": 2, class: "curve"}, body);
    const frame = {stroke: "currentColor", "stroke-width": 1, fill: "none"};
    svg("rect", {x: left, y: top, width: inner, height: tall, ...frame}, root);
    svg("path", {d: `M${left} ${zero}h${inner}`, ...frame, opacity: 0.5}, root);
    for (const x of ticks(low, high, Math.max(3, Math.min(8, Math.floor(inner / 55))))) {
      svg("path", {d: `M${toX(x)} ${top + tall}v-5`, ...frame}, root);
      svg("text", {x: toX(x), y: top + tall + 18, "text-anchor": "middle"}, root, String(x));
    }
    for (const y of ticks(lowest * most, most, 5)) {
      svg("path", {d: `M${left} ${toY(y)}h5`, ...frame}, root);
      svg("text", {x: left - 7, y: toY(y) + 4, "text-anchor": "end"}, root, minus(y));
    }
    for (const f of ticks(lowest * strongest, strongest, 5)) {
      const y = toF(f);
      svg("path", {d: `M${width - right} ${y}h-5`, ...frame}, root);
      svg("text", {x: width - right + 7, y: y + 4, fill: this.colours.stick, class: "sticktext"},
        root, minus(f));
    }
    svg("text", {x: left + inner / 2, y: height - 8, "text-anchor": "middle"}, root,
      this.unit === "nm" ? "Wavelength (nm)" : "Energy (eV)");
    svg("text", {transform: `translate(16 ${top + tall / 2}) rotate(-90)`, "text-anchor": "middle"},
      root, this.quantity.axis);
    svg("text", {transform: `translate(${width - 10} ${top + tall / 2}) rotate(-90)`,
      "text-anchor": "middle", fill: this.colours.stick, class: "sticktext"}, root,
    this.quantity.sticks);
    this.follow(root, {left, right, top, inner, tall, width, low, high, toX, toY});
    return root;
  }

  // What the eye sees of the range, as a strip along the axis.
  visible(root, toX, y, low, high) {
    const colours = [[380, "#6b00a8"], [430, "#3a2cff"], [480, "#00a8ff"], [510, "#00c060"],
      [560, "#9bd000"], [590, "#ffd000"], [620, "#ff8000"], [660, "#f02000"], [780, "#8a0000"]];
    const toUnit = (nm) => this.unit === "nm" ? nm : this.data.hc / nm;
    const ends = [toUnit(380), toUnit(780)].sort((a, b) => a - b);
    const from = Math.max(low, ends[0]), to = Math.min(high, ends[1]);
    if (from >= to) { return; }
    const gradient = svg("linearGradient", {id: "rainbow", gradientUnits: "userSpaceOnUse",
      x1: toX(toUnit(380)), x2: toX(toUnit(780)), y1: 0, y2: 0}, root.querySelector("defs"));
    for (const [nm, colour] of colours) {
      const offset = (toUnit(nm) - toUnit(380)) / (toUnit(780) - toUnit(380));
      svg("stop", {offset, "stop-color": colour}, gradient);
    }
    svg("rect", {x: toX(from), y: y - 5, width: toX(to) - toX(from), height: 5,
      fill: "url(#rainbow)", opacity: 0.75}, root);
  }

  // Labels by falling strength, the chosen first; one that would lie on another is left out.
  labelled(places) {
    const sizes = this.strengths.map(Math.abs), strongest = Math.max(...sizes), kept = [];
    const rank = (n) => (this.data.labels[n] === this.chosen ? Infinity : sizes[n]);
    for (const n of [...places.keys()].sort((a, b) => rank(b) - rank(a))) {
      const apart = ([x, y]) => Math.abs(x - places[n][0]) > 22 || Math.abs(y - places[n][1]) > 14;
      if (rank(n) > 0.05 * strongest && kept.every((k) => apart(places[k]))) { kept.push(n); }
    }
    return new Set(kept);
  }

  sticks(body, toX, toY, floor, [left, right]) {
    const places = this.data.energies.map((energy, n) => [
      toX(this.unit === "nm" ? this.data.hc / energy : energy), toY(this.strengths[n])]);
    const labelled = this.labelled(places);
    places.forEach((_, n) => {
      const [x, y] = places[n], label = this.data.labels[n];
      const chosen = label === this.chosen;
      const group = svg("g", {class: "pick", "data-state": label}, body);
      svg("path", {d: `M${x} ${floor}V${y}`, stroke: this.colours.stick, class: "stick",
        "stroke-width": chosen ? 4 : 2}, group);
      svg("circle", {cx: x, cy: y, r: chosen ? 6 : 4, fill: this.colours.stick, class: "stick"},
        group);
      if (labelled.has(n) && x >= left && x <= right) {
        svg("text", {x: x + 6, y: y > floor ? y + 15 : Math.max(y - 5, 28), fill: this.colours.stick,
          class: "sticktext"}, group, label);
      }
      svg("circle", {cx: x, cy: y, r: 14, fill: "transparent"}, group);
      group.addEventListener("click", () => this.onPick(label));
    });
  }

  // Values under the pointer.
  follow(root, {left, top, inner, tall, width, low, high, toX, toY}) {
    const cross = svg("path", {stroke: "currentColor", "stroke-width": 1, opacity: 0.5,
      "stroke-dasharray": "3 3", fill: "none", visibility: "hidden", "data-transient": ""}, root);
    const move = (event) => {
      const box = root.getBoundingClientRect();
      const at = (event.clientX - box.left) * width / box.width;
      const x = Math.min(high, Math.max(low, low + (high - low) * (at - left) / inner));
      const energy = this.energy(x), value = this.value(energy);
      const {symbol, scale, strengths, letter, digits} = this.quantity;
      cross.setAttribute("d", `M${toX(x)} ${top}V${top + tall}M${left} ${toY(value / scale)}h${inner}`);
      cross.setAttribute("visibility", "visible");
      const states = this.data.energies.map((e, n) => [Math.abs(
        toX(this.unit === "nm" ? this.data.hc / e : e) - toX(x)), n]).sort((a, b) => a[0] - b[0]);
      let text = `${(this.data.hc / energy).toFixed(0)} nm, ${energy.toFixed(2)} eV: ${symbol} = `
        + `${minus(Number(value.toPrecision(3)).toLocaleString("en"))} L mol⁻¹ cm⁻¹`;
      if (states.length && states[0][0] < 14) {
        const n = states[0][1];
        text += ` · ${this.data.labels[n]} at ${(this.data.hc / this.data.energies[n]).toFixed(0)}`
          + ` nm, ${letter} = ${minus(this.data[strengths][n].toFixed(digits))}`
          + (this.data.texts ? `: ${this.data.texts[n]}` : "");
      }
      this.onRead(text);
    };
    root.addEventListener("pointermove", move);
    root.addEventListener("pointerdown", move);
    root.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "touch") { return; } // a finger leaves to let its owner read
      cross.setAttribute("visibility", "hidden");
      this.onRead("");
    });
  }

  csv() {
    const {hc} = this.data, [low, high] = this.range, lines = [];
    for (let k = 0; k <= 1000; k++) {
      const energy = this.energy(low + (high - low) * k / 1000);
      lines.push([energy.toFixed(5), (hc / energy).toFixed(3),
        this.value(energy).toPrecision(6)].join(","));
    }
    return [`energy_eV,wavelength_nm,${this.quantity.column}`, ...lines, ""].join("\n");
  }

  svgText() {
    const copy = this.picture(WIDE, TALL);
    copy.querySelectorAll("[data-transient]").forEach((element) => element.remove());
    copy.setAttribute("color", "#1d2733");
    return new XMLSerializer().serializeToString(copy);
  }
}

// A file for the person at the page.
function save(name, content, type) {
  const link = document.createElement("a");
  link.href = content instanceof Blob ? URL.createObjectURL(content)
    : URL.createObjectURL(new Blob([content], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// An SVG as a PNG of three times its size on white.
async function toPng(text) {
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 3 * WIDE;
  canvas.height = 3 * TALL;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
