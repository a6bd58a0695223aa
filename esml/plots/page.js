"use strict";
// The page: what is shown follows from the state or orbital that is chosen.

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const library = window.$3Dmol || window["3Dmol"];
const stateOf = Object.fromEntries(data.states.map((state) => [state.label, state]));
const orbitalOf = Object.fromEntries(data.orbitals.map((orbital) => [orbital.name, orbital]));
const space = new Orbitals(data.atoms, data.basis, data.vectors, data.bohr);
const now = {key: null, view: "natural", pair: 0, share: data.enclosed};
const percent = (x) => `${(100 * x).toFixed(0)} %`;

// --- the molecule in space ----------------------------------------------------------------------

const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
// Surfaces are mixed with what lies behind them, so that the background must have a colour.
const background = () => getComputedStyle(document.documentElement).getPropertyValue("--card");

const TILT = 38 * Math.PI / 180, LOBES = [1.4, 1.4, 1.8]; // Å beyond the outermost atoms

class Scene {
  constructor(place) {
    this.place = get(`scene-${place}`);
    this.caption = get(`caption-${place}`);
    this.viewer = library.createViewer(this.place,
      {backgroundColor: background(), antialias: true, disableFog: true, hoverDuration: 60});
    const model = this.viewer.addModel();
    const neighbours = data.atoms.map(() => []);
    for (const [a, b] of data.bonds) { neighbours[a].push(b); neighbours[b].push(a); }
    model.addAtoms(data.atoms.map((atom, k) => ({elem: atom.element, serial: k, index: k,
      x: atom.place[0], y: atom.place[1], z: atom.place[2], bonds: neighbours[k],
      bondOrder: neighbours[k].map(() => 1)})));
    data.atoms.forEach((atom, k) => this.viewer.setStyle({index: k},
      {sphere: {color: atom.colour, radius: atom.radius}, stick: {color: atom.colour, radius: 0.11}}));
    this.viewer.setHoverable({}, true, (atom) => this.name(atom), () => this.unname());
  }

  // The whole molecule and its lobes from a little above, whatever the shape of the viewer.
  fit() {
    const aspect = this.place.clientWidth / Math.max(1, this.place.clientHeight);
    const ends = [0, 1, 2].map((k) => data.atoms.map((atom) => atom.place[k]));
    const middle = ends.map((x) => (Math.min(...x) + Math.max(...x)) / 2);
    const reach = ends.map((x, k) => (Math.max(...x) - Math.min(...x)) / 2 + LOBES[k]);
    const tall = reach[1] * Math.cos(TILT) + reach[2] * Math.sin(TILT);
    const distance = Math.max(reach[0] / aspect, tall) / Math.tan(Math.PI / 18); // 20° of view
    const depth = 2 * Math.hypot(...reach) + 50;
    this.viewer.setSlab(-depth, depth);
    const half = [Math.sin(TILT / 2), Math.cos(TILT / 2)];
    this.viewer.setView([...middle.map((x) => -x), 150 - distance, -half[0], 0, 0, half[1]], true);
  }

  name(atom) {
    const own = data.atoms[atom.index], charge = own.charge.toFixed(2).replace("-", "−");
    this.unname();
    this.label = this.viewer.addLabel(`${own.element}${atom.index + 1}, charge ${charge} e`,
      {position: atom, fontSize: 13, backgroundColor: "#1d2733", backgroundOpacity: 0.85,
        fontColor: "white"});
  }

  unname() {
    if (this.label) { this.viewer.removeLabel(this.label); }
    this.label = null;
  }

  // The surface of both signs that encloses a share; power is 2 for orbitals, 1 for densities.
  show(values, power, caption) {
    this.viewer.removeAllShapes();
    const level = isovalue(values, now.share, power);
    for (const sign of [1, -1]) {
      const mesh = surface(values, space.grid, sign * level);
      if (mesh.faceArr.length) {
        this.viewer.addCustom({...mesh, opacity: 0.82,
          color: sign > 0 ? data.colours.positive : data.colours.negative});
      }
    }
    this.caption.textContent = caption;
    this.viewer.render();
  }
}

const scenes = {a: new Scene("a"), b: new Scene("b")};
function fitAll() {
  // Sizes before views: linked viewers hand their views on when they are resized.
  for (const scene of Object.values(scenes)) { scene.viewer.resize(); }
  for (const scene of Object.values(scenes)) { scene.fit(); }
}
const repaint = (colour) => Object.values(scenes).forEach((scene) => {
  scene.viewer.setBackgroundColor(colour);
  scene.viewer.render();
});
dark.addEventListener("change", () => repaint(background()));
window.addEventListener("beforeprint", () => repaint("#ffffff"));
window.addEventListener("afterprint", () => repaint(background()));
scenes.a.viewer.linkViewer(scenes.b.viewer);
scenes.b.viewer.linkViewer(scenes.a.viewer);

function drawSurfaces() {
  const state = stateOf[now.key];
  const both = Boolean(state) && now.view === "natural";
  const changed = get("scenes").classList.toggle("single", !both) !== drawSurfaces.single;
  if (changed) { fitAll(); }
  drawSurfaces.single = !both;
  if (!state) {
    const orbital = orbitalOf[now.key];
    scenes.a.show(space.values(orbital.vector), 2,
      `${orbital.name}, ${orbital.energy.toFixed(2).replace("-", "−")} eV`);
    return;
  }
  const natural = state.natural, covered = natural.weights.reduce((a, b) => a + b, 0);
  const of = natural.weights.length > 1 ? `, ${percent(covered)} of the excitation` : "";
  if (now.view === "transition") {
    scenes.a.show(space.transition(natural), 1, `${now.key} transition density${of}`);
  } else if (now.view === "difference") {
    scenes.a.show(space.difference(natural), 1, `${now.key}: the electron (blue) minus the hole`
      + ` (orange)${of}`);
  } else {
    const weight = percent(natural.weights[now.pair]);
    scenes.a.show(space.values(natural.holes[now.pair]), 2, `${now.key} hole, ${weight}`);
    scenes.b.show(space.values(natural.electrons[now.pair]), 2, `${now.key} electron, ${weight}`);
  }
}

// --- what is chosen -----------------------------------------------------------------------------

function show(key) {
  const state = stateOf[key];
  if (!(state ? state.natural : orbitalOf[key])) { return; }
  now.key = key;
  now.pair = 0;
  get("choice").value = key;
  get("view-label").hidden = !state;
  for (const row of document.querySelectorAll("tr[data-row]")) {
    row.classList.toggle("chosen", row.dataset.row === key);
  }
  get("pairs").textContent = "";
  if (state) {
    const options = state.natural.weights.map((weight, k) => {
      const option = document.createElement("option");
      option.value = String(k);
      option.textContent = `${k + 1}: ${percent(weight)}`;
      return option;
    });
    get("pair").replaceChildren(...options);
    get("pairs").textContent = `${key}, ${state.energy.toFixed(2)} eV, `
      + (state.nanometres === null ? "" : `${state.nanometres.toFixed(0)} nm, `)
      + `${state.description}. `
      + state.pairs.map(([name, weight]) => `${name} ${percent(weight)}`).join(", ");
    showShares(state);
    spectrum.chosen = key;
    spectrum.draw();
  }
  drawLevels(get("levels"), data.levels, show, state ? null : key);
  update();
}

function update() {
  const state = stateOf[now.key];
  get("pair-label").hidden = !state || now.view !== "natural" || state.natural.weights.length < 2;
  get("pair").value = String(now.pair);
  get("share-text").textContent = percent(now.share);
  drawSurfaces();
}

// How much of hole and electron is on each fragment.
function showShares(state) {
  for (const place of document.querySelectorAll("[data-of=state]")) {
    place.textContent = `of ${state.label}`;
  }
  [...get("fragments").tBodies[0].rows].forEach((row, k) => {
    for (const part of ["hole", "electron"]) {
      const cell = row.querySelector(`[data-part=${part}]`), bar = document.createElement("i");
      bar.className = "share";
      bar.style.width = `${(4.5 * state[part][k]).toFixed(2)}em`;
      cell.replaceChildren(bar, percent(state[part][k]));
    }
  });
}

// --- controls -----------------------------------------------------------------------------------

const reading = get("reading"), hint = "Point at the curve for its values, click a stick to see the "
  + "state.";
const spectrum = new Spectrum(get("spectrum"),
  {onPick: show, onRead: (text) => { reading.textContent = text || hint; }});
reading.textContent = hint;
spectrum.show({...data.spectrum, colours: data.colours,
  texts: data.spectrum.labels.map((label) => stateOf[label].description)});

function bindRange() {
  const [least, most, step] = spectrum.limits();
  ["from", "to"].forEach((id, k) => {
    Object.assign(get(id), {min: least, max: most, step});
    get(id).value = spectrum.range[k];
    get(`${id}-text`).textContent = `${Number(spectrum.range[k].toFixed(2))} ${spectrum.unit}`;
  });
  get("width").value = spectrum.fwhm;
  get("width-text").textContent = `${spectrum.fwhm.toFixed(2)} eV`;
}
const quantities = get("quantity");
function showQuantity() {
  if (quantities) { spectrum.quantity = QUANTITIES[quantities.value]; }
  get("h-spectrum").textContent = spectrum.quantity.title;
  spectrum.draw();
}
if (quantities) { quantities.addEventListener("change", showQuantity); }
get("width-label").hidden = Boolean(data.spectrum.curve); // bands have the width they came with
["from", "to"].forEach((id, k) => get(id).addEventListener("input", () => {
  const wanted = Number(get(id).value), [, , step] = spectrum.limits();
  spectrum.range[k] = k ? Math.max(wanted, spectrum.range[0] + 4 * step)
    : Math.min(wanted, spectrum.range[1] - 4 * step);
  bindRange();
  spectrum.draw();
}));
get("unit").addEventListener("change", () => {
  const ends = spectrum.range.map((x) => spectrum.data.hc / x).reverse();
  spectrum.unit = get("unit").value;
  spectrum.range = ends;
  bindRange();
  spectrum.draw();
});
get("width").addEventListener("input", () => {
  spectrum.fwhm = Number(get("width").value);
  bindRange();
  spectrum.draw();
});
get("choice").addEventListener("change", () => show(get("choice").value));
get("view").addEventListener("change", () => { now.view = get("view").value; update(); });
get("pair").addEventListener("change", () => { now.pair = Number(get("pair").value); update(); });
get("share").value = String(100 * now.share);
get("share").addEventListener("input", () => {
  now.share = Number(get("share").value) / 100;
  update();
});
for (const button of document.querySelectorAll("button[data-state]")) {
  button.addEventListener("click", () => show(button.dataset.state));
}
for (const row of document.querySelectorAll("tr[data-row]")) {
  row.addEventListener("click", () => show(row.dataset.row));
}
let resized = null;
window.addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(fitAll, 150);
});

// --- downloads ----------------------------------------------------------------------------------

async function unpacked(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).blob();
}

function statesCsv() {
  const extras = [...new Set(data.states.flatMap((state) => Object.keys(state.extras)))];
  const lines = data.states.map((state) => [state.label, state.energy, state.nanometres ?? "",
    state.strength ?? "", state.uncertainty ?? "",
    ...extras.map((name) => state.extras[name] ?? ""),
    `"${state.pairs.map(([name, weight]) => `${name} ${percent(weight)}`).join("; ")}"`,
    `"${state.description.replaceAll('"', '""')}"`].join(","));
  const names = ["state", "energy_eV", "wavelength_nm", "f", "uncertainty_eV", ...extras,
    "orbitals", "character"];
  return [names.join(","), ...lines, ""].join("\n");
}

async function picture(scene) {
  const image = await fetch(scene.viewer.pngURI());
  return image.blob();
}

const stem = data.title.replace(/[^\w.-]+/g, "_").slice(0, 60) || "molecule";
const downloads = {
  "Spectrum, CSV": () => save(`${stem}-spectrum.csv`, spectrum.csv(), "text/csv"),
  "Spectrum, SVG": () => save(`${stem}-spectrum.svg`, spectrum.svgText(), "image/svg+xml"),
  "Spectrum, PNG": async () => save(`${stem}-spectrum.png`, await toPng(spectrum.svgText())),
  "States, CSV": () => save(`${stem}-states.csv`, statesCsv(), "text/csv"),
  "Surfaces, PNG": async () => {
    save(`${stem}-${now.key}-a.png`, await picture(scenes.a));
    if (!drawSurfaces.single) { save(`${stem}-${now.key}-b.png`, await picture(scenes.b)); }
  },
  "Geometry, xyz": () => save(`${stem}.xyz`, data.xyz, "chemical/x-xyz"),
};
const formula = document.querySelector(".drawing svg");
if (formula) {
  downloads["Formula, SVG"] = () => {
    const copy = formula.cloneNode(true);
    copy.setAttribute("color", "#000000");
    save(`${stem}-formula.svg`, new XMLSerializer().serializeToString(copy), "image/svg+xml");
  };
}
for (const [name, text] of Object.entries(data.files)) {
  downloads[name] = async () => save(name, await unpacked(text));
}
for (const [name, make] of Object.entries(downloads)) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", make);
  get("downloads").append(button);
}

bindRange();
showQuantity();
show(data.start);
document.body.dataset.ready = "yes";
