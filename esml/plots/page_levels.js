"use strict";
// Orbital energies: degenerate orbitals side by side, arrows in those that are filled.

function drawLevels(place, levels, onPick, chosen) {
  const width = 340, height = 400, left = 56, top = 14, bottom = 14;
  const root = svg("svg", {xmlns: SVG, viewBox: `0 0 ${width} ${height}`, "font-family": FONT,
    "font-size": 12, fill: "currentColor", role: "img", "aria-label": "orbital energies"});
  const energies = levels.map((level) => level.energy);
  const span = Math.max(1, Math.max(...energies) - Math.min(...energies));
  const low = Math.min(...energies) - 0.04 * span, high = Math.max(...energies) + 0.04 * span;
  const toY = (e) => top + (height - top - bottom) * (high - e) / (high - low);
  const frame = {stroke: "currentColor", fill: "none"};
  svg("path", {d: `M${left} ${top}V${height - bottom}`, ...frame}, root);
  for (const e of ticks(low, high, 8)) {
    svg("path", {d: `M${left} ${toY(e)}h5`, ...frame}, root);
    svg("text", {x: left - 6, y: toY(e) + 4, "text-anchor": "end"}, root,
      String(e).replace("-", "−"));
  }
  svg("text", {transform: `translate(13 ${height / 2}) rotate(-90)`, "text-anchor": "middle"}, root,
    "Orbital energy (eV)");
  for (const level of levels) {
    const x = 150 + 62 * level.offset, y = toY(level.energy), filled = level.occupied;
    const group = svg("g", {class: "pick", "data-orbital": level.name}, root);
    svg("title", {}, group, `${level.name}, ${level.energy.toFixed(2)} eV`
      + (level.set > 1 ? `, one of ${level.set} of this energy` : ""));
    svg("path", {d: `M${x - 25} ${y}h50`, stroke: filled ? "#1f4e79" : "#7d8894",
      "stroke-width": level.name === chosen ? 5 : 2.5, class: filled ? "filled" : "level"}, group);
    // Where others are too near there is no room for arrows; the colour says what is filled.
    const near = (other) => Math.abs(toY(other.energy) - y) < 13
      && Math.abs(other.energy - level.energy) > 0.02;
    if (filled && !levels.some((other) => other.occupied && near(other))) {
      const arrow = (cx, up) => `M${cx} ${y + 6 * up}V${y - 6 * up}l-2.5 ${3 * up}m2.5 ${-3 * up}`
        + `l2.5 ${3 * up}`;
      svg("path", {d: arrow(x - 4, 1) + arrow(x + 4, -1), stroke: "currentColor", fill: "none",
        "stroke-width": 0.9}, group);
    }
    if (["HOMO", "LUMO"].includes(level.name) && level.offset === (level.set - 1) / 2) {
      svg("text", {x: x + 34, y: y + 4}, group,
        `${level.name} ${level.energy.toFixed(2).replace("-", "−")}`);
    }
    svg("rect", {x: x - 28, y: y - 7, width: 56, height: 14, fill: "transparent"}, group);
    group.addEventListener("click", () => onPick(level.name));
  }
  place.replaceChildren(root);
}
