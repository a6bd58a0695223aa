"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const config = {responsive: true, displaylogo: false, displayModeBar: false};
const ink = "#1d2733";
const font = {family: 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif', size: 12, color: ink};
const light = {ambient: 0.55, diffuse: 0.75, specular: 0.25, roughness: 0.6, fresnel: 0.1,
  facenormalsepsilon: 0, vertexnormalsepsilon: 0};
const hidden = {visible: false, showspikes: false};
const layout3d = {
  margin: {l: 0, r: 0, t: 0, b: 0}, showlegend: false, uirevision: "keep", font,
  scene: {xaxis: {...hidden, range: data.scene.ranges[0]},
    yaxis: {...hidden, range: data.scene.ranges[1]},
    zaxis: {...hidden, range: data.scene.ranges[2]},
    aspectmode: "manual", aspectratio: data.scene.aspect, dragmode: "orbit",
    camera: {eye: {x: 0, y: -0.75, z: 1.05}, up: {x: 0, y: 1, z: 0},
      projection: {type: "orthographic"}}},
};
const molecule = [
  {type: "mesh3d", ...data.scene.mesh, facecolor: data.scene.colours, hoverinfo: "skip",
    flatshading: false, lighting: light},
  {type: "scatter3d", mode: "markers", ...data.scene.atoms, text: data.scene.texts,
    hoverinfo: "text", marker: {size: 9, opacity: 0.01, color: "#ffffff"}},
];
function lobes(key) {
  return data.surfaces[key].signs.map((mesh, k) => ({type: "mesh3d", ...mesh, opacity: 0.62,
    color: data.colours[k], hoverinfo: "skip", flatshading: false, lighting: light}));
}
function draw(place, key) {
  const traces = key ? molecule.concat(lobes(key)) : molecule;
  Plotly.react("scene-" + place, traces, structuredClone(layout3d), config);
  document.getElementById("caption-" + place).textContent = key ? data.surfaces[key].text : "";
}
const choice = document.getElementById("choice"), pair = document.getElementById("pair");
function show(key, number = 1) {
  const state = data.surfaces[key + "-hole-1"] !== undefined;
  if (!state && data.surfaces[key] === undefined) { return; }
  choice.value = key;
  document.getElementById("scenes").classList.toggle("single", !state);
  if (state) {
    pair.hidden = data.surfaces[key + "-hole-2"] === undefined;
    pair.value = String(number);
    draw("a", key + "-hole-" + number);
    draw("b", key + "-electron-" + number);
  } else {
    pair.hidden = true;
    draw("a", key);
  }
  for (const part of state ? ["a", "b"] : ["a"]) { Plotly.Plots.resize("scene-" + part); }
  for (const row of document.querySelectorAll("tr[data-state]")) {
    row.classList.toggle("chosen", row.dataset.state === key);
  }
}
choice.addEventListener("change", () => show(choice.value));
pair.addEventListener("change", () => show(choice.value, Number(pair.value)));
for (const row of document.querySelectorAll("tr[data-state]")) {
  row.addEventListener("click", () => show(row.dataset.state));
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { show(row.dataset.state); }
  });
}

const s = data.spectrum;
if (s.energies) {
  const traces = [];
  if (s.band) {
    traces.push({x: s.energies, y: s.band[0], mode: "lines", line: {width: 0}, hoverinfo: "skip"});
    traces.push({x: s.energies, y: s.band[1], mode: "lines", line: {width: 0}, hoverinfo: "skip",
      fill: "tonexty", fillcolor: "rgba(31,78,121,0.16)"});
  }
  traces.push({x: s.energies, y: s.absorption, mode: "lines", hoverinfo: "skip",
    line: {color: s.colours[0], width: 2}});
  traces.push({x: s.sticks, y: s.strengths, yaxis: "y2", type: "bar", width: 0.02,
    marker: {color: s.colours[1]}, hoverinfo: "skip"});
  traces.push({x: s.sticks, y: s.strengths, yaxis: "y2", mode: "markers", hoverinfo: "text",
    text: s.texts, marker: {color: s.colours[1], size: 6}});
  traces.push({x: [s.energies[0]], y: [0], xaxis: "x2", mode: "markers", hoverinfo: "skip",
    marker: {opacity: 0}});
  const range = [s.energies[0], s.energies[s.energies.length - 1]];
  const frame = {showline: true, linecolor: "#333", ticks: "inside", showgrid: false,
    zeroline: false};
  Plotly.newPlot("spectrum", traces, {
    margin: {l: 62, r: 62, t: 48, b: 48}, showlegend: false, font, hovermode: "closest",
    barmode: "overlay",
    xaxis: {...frame, title: {text: "Energy (eV)"}, range},
    xaxis2: {...frame, title: {text: "Wavelength (nm)"}, range, overlaying: "x", side: "top",
      matches: "x", tickvals: s.ticks, ticktext: s.nanometres},
    yaxis: {...frame, title: {text: "ε (10³ L mol⁻¹ cm⁻¹)"}, rangemode: "tozero"},
    yaxis2: {...frame, title: {text: "Oscillator strength"}, overlaying: "y", side: "right",
      tickmode: "auto", nticks: 7, color: s.colours[1],
      range: [0, 1.08 * Math.max(0.001, ...s.strengths)]},
  }, config);
  document.getElementById("spectrum").on("plotly_click", (event) => {
    if (event.points.length) { show("S" + (event.points[0].pointNumber + 1)); }
  });
}

const lines = [];
for (const occupied of [true, false]) {
  const x = [], y = [];
  for (const level of data.levels.filter((each) => each.occupied === occupied)) {
    x.push(level.x - 0.26, level.x + 0.26, null);
    y.push(level.energy, level.energy, null);
  }
  lines.push({x, y, mode: "lines", hoverinfo: "skip",
    line: {width: 3, color: occupied ? "#1f4e79" : "#9aa5b1"}});
}
lines.push({x: data.levels.map((level) => level.x), y: data.levels.map((level) => level.energy),
  mode: "text", hoverinfo: "text", text: data.levels.map((level) => level.occupied ? "↑↓" : " "),
  textfont: {size: 12, color: ink},
  hovertext: data.levels.map((level) => level.label + "<br>" + level.energy.toFixed(2) + " eV"
    + (level.set > 1 ? "<br>one of " + level.set + " of this energy" : ""))});
const frontier = data.levels.filter((level) => level.label === "HOMO" || level.label === "LUMO");
Plotly.newPlot("levels", lines, {
  margin: {l: 58, r: 10, t: 10, b: 20}, showlegend: false, font, hovermode: "closest",
  xaxis: {visible: false, range: [-1.3, 2.1]},
  yaxis: {title: {text: "Orbital energy (eV)"}, showline: true, linecolor: "#333",
    ticks: "inside", showgrid: false, zeroline: false},
  annotations: frontier.map((level) => ({x: 1.0, y: level.energy, xanchor: "left",
    showarrow: false, text: level.label + " " + level.energy.toFixed(2)})),
}, config);
document.getElementById("levels").on("plotly_click", (event) => {
  if (event.points.length) { show(data.levels[event.points[0].pointNumber].label); }
});
show(data.start);
document.body.dataset.ready = "yes";
