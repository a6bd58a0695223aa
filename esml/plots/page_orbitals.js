"use strict";
// Orbitals in space: values on a grid, and the surface where they reach a value. Lengths in Å.

const CUT = 12; // a Gaussian is left out where it is below exp(-CUT)
const MOST_POINTS = 350000;
const FINEST = 0.16;
const ROOM = 2.6; // around the atoms, for lobes

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

class Orbitals {
  // atoms: {element, place}; basis: by element; vectors: {scales, length, values}
  constructor(atoms, basis, vectors, bohr) {
    this.atoms = atoms;
    this.basis = basis;
    this.bohr = bohr;
    this.length = vectors.length;
    this.scales = vectors.scales;
    this.rows = new Int16Array(bytes(vectors.values).buffer);
    const low = [0, 1, 2].map((k) => Math.min(...atoms.map((a) => a.place[k])) - ROOM);
    const high = [0, 1, 2].map((k) => Math.max(...atoms.map((a) => a.place[k])) + ROOM);
    const volume = low.reduce((v, x, k) => v * (high[k] - x), 1);
    const spacing = Math.max(FINEST, Math.cbrt(volume / MOST_POINTS));
    this.grid = {origin: low, spacing,
      shape: low.map((x, k) => Math.ceil((high[k] - x) / spacing) + 1)};
  }

  vector(place) {
    const row = this.rows.subarray(place * this.length, (place + 1) * this.length);
    return Float32Array.from(row, (x) => x * this.scales[place]);
  }

  // Values in bohr^(-3/2), z running fastest.
  values(place, grid = this.grid) {
    const coefficients = this.vector(place);
    const [nx, ny, nz] = grid.shape, step = grid.spacing / this.bohr;
    const found = new Float32Array(nx * ny * nz);
    let first = 0;
    for (const atom of this.atoms) {
      const {exponents, s, p} = this.basis[atom.element];
      const own = coefficients.subarray(first, first + (p.length ? 4 : 1));
      first += own.length;
      const centre = atom.place.map((x, k) => (x - grid.origin[k]) / this.bohr);
      exponents.forEach((zeta, k) => {
        const a = s[k] * own[0];
        const b = p.length ? [1, 2, 3].map((c) => p[k] * own[c]) : [0, 0, 0];
        if (Math.abs(a) + Math.abs(b[0]) + Math.abs(b[1]) + Math.abs(b[2]) < 1e-6) { return; }
        const reach = Math.sqrt(CUT / zeta);
        const range = centre.map((c, axis) => [Math.max(0, Math.ceil((c - reach) / step)),
          Math.min(grid.shape[axis] - 1, Math.floor((c + reach) / step))]);
        const along = range.map(([from, to], axis) => {
          const offsets = [], factors = [];
          for (let i = from; i <= to; i++) {
            const d = i * step - centre[axis];
            offsets.push(d);
            factors.push(Math.exp(-zeta * d * d));
          }
          return {offsets, factors};
        });
        const [x, y, z] = along, start = range.map(([from]) => from);
        for (let i = 0; i < x.offsets.length; i++) {
          for (let j = 0; j < y.offsets.length; j++) {
            const g = x.factors[i] * y.factors[j];
            const c = a + b[0] * x.offsets[i] + b[1] * y.offsets[j];
            let point = ((start[0] + i) * ny + start[1] + j) * nz + start[2];
            for (let l = 0; l < z.offsets.length; l++) {
              found[point++] += g * z.factors[l] * (c + b[2] * z.offsets[l]);
            }
          }
        }
      });
    }
    return found;
  }

  // Σ_k amplitudes_k h_k(r) e_k(r): the transition density, bohr⁻³.
  transition(natural) {
    return this.sum(natural, (k, hole, electron) => {
      const a = natural.amplitudes[k];
      return (i) => a * hole[i] * electron[i];
    });
  }

  // Σ_k weights_k (e_k² − h_k²): where charge comes and goes, bohr⁻³.
  difference(natural) {
    return this.sum(natural, (k, hole, electron) => {
      const w = natural.weights[k];
      return (i) => w * (electron[i] * electron[i] - hole[i] * hole[i]);
    });
  }

  sum(natural, term) {
    let total = null;
    natural.weights.forEach((_, k) => {
      const of = term(k, this.values(natural.holes[k]), this.values(natural.electrons[k]));
      total = total || new Float32Array(this.grid.shape.reduce((a, b) => a * b));
      for (let i = 0; i < total.length; i++) { total[i] += of(i); }
    });
    return total;
  }
}

// The |value| whose surface encloses a share of Σ|value|^power: 2 for an orbital, 1 for a density.
// From a histogram of 4096 values, without sorting.
function isovalue(values, share, power) {
  const n = 4096, sums = new Float64Array(n);
  let largest = 0, total = 0;
  for (let i = 0; i < values.length; i++) { largest = Math.max(largest, Math.abs(values[i])); }
  for (let i = 0; i < values.length; i++) {
    const v = Math.abs(values[i]), weight = power === 2 ? v * v : v;
    sums[Math.min(n - 1, Math.floor(n * v / largest))] += weight;
    total += weight;
  }
  let inside = 0, k = n;
  while (k > 0 && inside < share * total) { inside += sums[--k]; }
  return largest * (k + 0.5) / n;
}

// The surface where values reach level, of either sign: naive surface nets (S. F. Gibson, MICCAI
// 1998), one vertex in every cell that the surface crosses, with normals from the gradient.
function surface(values, grid, level) {
  const [nx, ny, nz] = grid.shape, sign = level < 0 ? -1 : 1, height = Math.abs(level);
  const steps = [ny * nz, nz, 1];
  const corner = [], edges = [];
  for (let k = 0; k < 8; k++) {
    corner.push((k & 1) * steps[0] + ((k >> 1) & 1) * steps[1] + ((k >> 2) & 1) * steps[2]);
    for (const bit of [1, 2, 4]) { if (!(k & bit)) { edges.push([k, k | bit]); } }
  }
  const own = new Int32Array(nx * ny * nz).fill(-1);
  const vertexArr = [], normalArr = [], faceArr = [];
  const v = new Float64Array(8);
  for (let x = 0; x < nx - 1; x++) {
    for (let y = 0; y < ny - 1; y++) {
      for (let z = 0; z < nz - 1; z++) {
        const point = (x * ny + y) * nz + z;
        let inside = 0;
        for (let k = 0; k < 8; k++) {
          v[k] = sign * values[point + corner[k]] - height;
          if (v[k] > 0) { inside++; }
        }
        if (inside === 0 || inside === 8) { continue; }
        const sum = [0, 0, 0];
        let count = 0;
        for (const [a, b] of edges) {
          if (v[a] > 0 === v[b] > 0) { continue; }
          const t = v[a] / (v[a] - v[b]);
          for (let axis = 0; axis < 3; axis++) {
            const from = (a >> axis) & 1, to = (b >> axis) & 1;
            sum[axis] += from + t * (to - from);
          }
          count++;
        }
        const at = [x, y, z].map((i, k) => grid.origin[k] + grid.spacing * (i + sum[k] / count));
        const normal = [0, 0, 0];
        for (let k = 0; k < 8; k++) {
          for (let axis = 0; axis < 3; axis++) { normal[axis] += (k >> axis) & 1 ? -v[k] : v[k]; }
        }
        const length = Math.hypot(...normal) || 1;
        own[point] = vertexArr.length;
        vertexArr.push({x: at[0], y: at[1], z: at[2]});
        normalArr.push({x: normal[0] / length, y: normal[1] / length, z: normal[2] / length});
      }
    }
  }
  // A face for every edge of the grid that the surface crosses, between the four cells around it.
  for (let x = 1; x < nx - 1; x++) {
    for (let y = 1; y < ny - 1; y++) {
      for (let z = 1; z < nz - 1; z++) {
        const point = (x * ny + y) * nz + z, here = sign * values[point] > height;
        for (let axis = 0; axis < 3; axis++) {
          if (here === sign * values[point + steps[axis]] > height) { continue; }
          const u = steps[(axis + 1) % 3], w = steps[(axis + 2) % 3];
          const [a, b, c, d] = [point, point - u, point - u - w, point - w].map((k) => own[k]);
          faceArr.push(...(here ? [a, b, c, a, c, d] : [a, c, b, a, d, c]));
        }
      }
    }
  }
  return {vertexArr, normalArr, faceArr};
}
