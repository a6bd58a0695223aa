// The page of the server: a molecule, its spectrum while it is drawn, and lists in the background.
import { CanvasEditor, Molecule } from "./openchemlib.js";
import { Spectrum, save } from "./spectrum.js";

const get = (id) => document.getElementById(id);
const PAUSE = 150; // ms after a change until a question is asked
const SETTLED = 600; // ms after a draft until a geometry is relaxed

// A token comes behind # in the address, which browsers do not send, and is kept for this tab.
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem("token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

async function ask(path, {method = "GET", body = null, signal = null} = {}) {
  const headers = {}, token = sessionStorage.getItem("token");
  if (token) { headers.Authorization = `Bearer ${token}`; }
  if (body) { headers["Content-Type"] = "application/json"; }
  const answer = await fetch(`api/v1/${path}`,
    {method, headers, signal, body: body && JSON.stringify(body)});
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error || `the server answers ${answer.status}`);
  }
  return answer;
}

function tell(place, sentence) {
  get(place).textContent = sentence;
  get(place).hidden = !sentence;
}

// --- the molecule -------------------------------------------------------------------------------

const editor = new CanvasEditor(get("editor"), {initialMode: "molecule"});
const now = {question: null, answer: null, running: null, timer: null};
const limits = {smiles: Infinity, atoms: Infinity}; // until the server has told its own

function fromEditor() {
  const molecule = editor.getMolecule();
  const smiles = molecule.getAllAtoms() ? molecule.toIsomericSmiles() : "";
  get("smiles").value = smiles;
  change(smiles ? {smiles} : null);
}

// Why a SMILES is not even drawn: what is too large for the server keeps the editor busy for long.
function tooLarge(smiles) {
  const many = (number) => number.toLocaleString("en");
  if (smiles.length > limits.smiles) {
    return `the SMILES has ${many(smiles.length)} characters: expected at most `
      + `${many(limits.smiles)}; give a smaller molecule`;
  }
  const atoms = (smiles.match(/\[[^\]]*\]|Cl|Br|[BCNOPSFI]|[bcnops]/g) || []).length;
  return atoms > limits.atoms ? `the molecule has more than ${many(atoms - 1)} atoms: expected at `
    + `most ${many(limits.atoms)}; use the command esml predict for larger ones` : "";
}

function fromText() {
  const smiles = get("smiles").value.trim(), refusal = tooLarge(smiles);
  if (refusal) {
    change(null);
    tell("refusal", refusal);
    return;
  }
  try {
    editor.getMolecule().clear();
    if (smiles) { editor.setMolecule(Molecule.fromSmiles(smiles)); }
    editor.moleculeChanged();
  } catch {
    // What the editor cannot draw, the server may still read, or says what is wrong with it.
  }
  change(smiles ? {smiles} : null);
}

async function fromFile(file) {
  const content = await file.text();
  get("smiles").value = "";
  change({content, name: file.name});
}

editor.setOnChangeListener((event) => { if (event.isUserEvent) { fromEditor(); } });
get("smiles").addEventListener("input", fromText);
get("ask").addEventListener("submit", (event) => { event.preventDefault(); fromText(); });
get("file").addEventListener("change", () => {
  if (get("file").files.length) { fromFile(get("file").files[0]); }
});
for (const id of ["model", "solvent", "states"]) {
  get(id).addEventListener("change", () => { if (now.question) { change(now.question); } });
}

// --- question and answer ------------------------------------------------------------------------

function change(question) {
  clearTimeout(now.timer);
  now.running?.abort();
  now.question = question;
  if (!question) { clear(); return; }
  now.timer = setTimeout(() => find(question, question.smiles ? "draft" : "xtb"), PAUSE);
}

// Nothing is asked: what was answered, or worked at, is no longer shown.
function clear() {
  now.answer = null;
  for (const place of ["refusal", "warnings"]) { tell(place, ""); }
  for (const id of ["progress", "reading", "said"]) { get(id).textContent = " "; }
  get("table").tBodies[0].replaceChildren();
  get("output").setAttribute("aria-busy", "false");
  for (const id of ["report", "csv", "svg"]) { get(id).disabled = true; }
  spectrum.clear();
}

function whole(question, geometry) {
  return {...question, geometry, model: get("model").value, fwhm: Number(get("width").value),
    solvent: get("solvent").value, n_states: Number(get("states").value)};
}

async function find(question, geometry) {
  now.running = new AbortController();
  const {signal} = now.running;
  get("output").setAttribute("aria-busy", "true");
  get("progress").textContent = geometry === "draft" ? "predicting…"
    : question.smiles ? "relaxing the geometry with GFN2-xTB…" : "predicting…";
  try {
    const body = whole(question, geometry);
    const answer = await (await ask("predict", {method: "POST", body, signal})).json();
    if (question !== now.question) { return; }
    show(answer, body);
    if (geometry === "draft") {
      get("progress").textContent = "Draft geometry; GFN2-xTB follows.";
      now.timer = setTimeout(() => find(question, "xtb"), SETTLED);
    } else {
      get("progress").textContent = `Answered in ${answer.seconds.toFixed(1)} s.`;
    }
  } catch (error) {
    if (error.name === "AbortError" || question !== now.question) { return; }
    tell("refusal", error.message);
    get("progress").textContent = "";
  } finally {
    if (question === now.question) { get("output").setAttribute("aria-busy", "false"); }
  }
}

const spectrum = new Spectrum(get("spectrum"), {
  onPick: choose,
  onRead: (text) => { get("reading").textContent = text || " "; },
});

function choose(label) {
  spectrum.chosen = label;
  spectrum.draw();
  for (const row of get("table").tBodies[0].rows) {
    row.classList.toggle("chosen", row.dataset.state === label);
  }
}

function cells(row, texts) {
  texts.forEach((text, k) => {
    const cell = document.createElement(k ? "td" : "th");
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

function show(answer, asked) {
  now.answer = answer;
  now.asked = asked;
  tell("refusal", "");
  tell("warnings", answer.warnings.join("; "));
  get("output").classList.toggle("draft", asked.geometry === "draft");
  get("said").textContent = `${answer.name} (${answer.formula}), charge ${answer.charge} `
    + `(${answer.charge_source}); geometry: ${answer.geometry}`
    + answer.notes.map((note) => `; ${note}`).join("");
  const digits = (value, n) => value === null ? "–" : value.toFixed(n);
  get("table").tBodies[0].replaceChildren(...answer.states.map((state) => {
    const row = document.createElement("tr");
    row.dataset.state = state.label;
    return cells(row, [state.label, digits(state.energy_eV, 2), digits(state.uncertainty_eV, 2),
      digits(state.wavelength_nm, 0), digits(state.f, 3), state.character]);
  }));
  const texts = answer.states.slice(0, answer.spectrum.labels.length).map((s) => s.character);
  spectrum.show({...answer.spectrum, texts});
  choose(answer.brightest);
  for (const id of ["report", "csv", "svg"]) { get(id).disabled = false; }
}

get("unit").addEventListener("change", () => {
  spectrum.unit = get("unit").value;
  if (now.answer) { spectrum.fit(); }
});
get("width").addEventListener("input", () => {
  spectrum.fwhm = Number(get("width").value);
  get("width-text").textContent = `${spectrum.fwhm.toFixed(2)} eV`;
  if (now.answer) { spectrum.draw(); }
});
get("csv").addEventListener("click", () => save("spectrum.csv", spectrum.csv(), "text/csv"));
get("svg").addEventListener("click", () => save("spectrum.svg", spectrum.svgText(), "image/svg+xml"));
get("report").addEventListener("click", async () => {
  get("report").disabled = true;
  try {
    const answer = await ask("report", {method: "POST", body: {...now.asked, fwhm: spectrum.fwhm}});
    save("report.html", await answer.blob());
  } catch (error) {
    tell("refusal", error.message);
  } finally {
    get("report").disabled = false;
  }
});

// --- lists --------------------------------------------------------------------------------------

async function send(file) {
  tell("batch-refusal", "");
  try {
    await ask("batches", {method: "POST", body: {content: await file.text(), name: file.name,
      n_states: Number(get("states").value), model: get("model").value,
      solvent: get("solvent").value === "vacuum" ? "" : get("solvent").value,
      format: get("format").value}});
    await follow();
  } catch (error) {
    tell("batch-refusal", error.message);
  }
}

function line(batch) {
  const medium = batch.solvent || "vacuum, or the solvents that it names";
  const row = cells(document.createElement("tr"), [`${batch.name}, in ${medium}`, "", batch.failed
    ? `${batch.failed} failed: ${batch.reasons[0]}` : batch.error, ""]);
  row.dataset.batch = batch.id;
  if (batch.state === "waiting" || batch.state === "running") {
    const bar = document.createElement("progress");
    Object.assign(bar, {max: batch.expected, value: batch.done});
    bar.setAttribute("aria-label", `progress of ${batch.name}`);
    row.cells[1].append(bar, ` ${batch.done} of ${batch.expected}`);
  } else {
    row.cells[1].textContent = `${batch.state}, ${batch.done} of ${batch.expected}`;
  }
  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    row.cells[3].append(made, " ");
  };
  if (batch.state === "done") {
    button("Download", async () => {
      const answer = await ask(`batches/${batch.id}/result`);
      save(`${batch.name}.${batch.format === "hdf5" ? "h5" : batch.format}`, await answer.blob());
    });
  }
  button(batch.state === "done" || batch.state === "failed" ? "Forget" : "Stop", async () => {
    await ask(`batches/${batch.id}`, {method: "DELETE"});
    await follow();
  });
  return row;
}

let following = null;
async function follow() {
  clearTimeout(following);
  const found = await (await ask("batches")).json();
  get("batches").tBodies[0].replaceChildren(...found.map(line));
  if (found.some((batch) => batch.state === "waiting" || batch.state === "running")) {
    following = setTimeout(follow, 1000);
  }
}

get("list").addEventListener("change", () => {
  if (get("list").files.length) { send(get("list").files[0]); }
});
for (const [place, take] of [["input", fromFile], ["drop", send]]) {
  get(place).addEventListener("dragover", (event) => {
    event.preventDefault();
    get(place).classList.add("over");
  });
  get(place).addEventListener("dragleave", () => get(place).classList.remove("over"));
  get(place).addEventListener("drop", (event) => {
    event.preventDefault();
    get(place).classList.remove("over");
    if (event.dataTransfer.files.length) { take(event.dataTransfer.files[0]); }
  });
}

try {
  const about = await (await ask("about")).json();
  get("model").replaceChildren(...about.models.map((name) => new Option(name, name)));
  get("solvent").replaceChildren(...about.solvents.map((name) => new Option(name, name)));
  get("states").max = about.limits.states;
  Object.assign(limits, about.limits);
  await follow();
} catch (error) {
  tell("refusal", error.message);
}
document.body.dataset.ready = "yes";
