// Lesson 20 in the page: how far the products are from the stars, and the solver (lessonkit/collab.py).
function errors(stars, m, p, f) { // products less stars, row by row; NaN where there are no stars
  const [n, k] = stars.shape, out = new Float64Array(n * k);
  for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) {
    let s = 0;
    for (let c = 0; c < f; c++) s += m[i * f + c] * p[j * f + c];
    out[i * k + j] = s - stars.data[i * k + j];
  }
  return out;
}
function rms(off) {
  let sum = 0, count = 0;
  for (const e of off) if (e === e) { sum += e * e; count++; }
  return Math.sqrt(sum / count);
}
export const sheet_error = (stars, m, p) => rms(errors(stars, m.data, p.data, m.shape[1]));
export function solve_sheet(stars, m, p, rate, n) {
  const f = m.shape[1], [rows, cols] = stars.shape, path = [[m.data, p.data]];
  let off = errors(stars, m.data, p.data, f), found = [rms(off)];
  for (let step = 0; step < n; step++) {
    const [a, b] = path.at(-1), x = a.slice(), y = b.slice();
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) {
      const e = off[i * cols + j];
      if (e !== e) continue;
      for (let c = 0; c < f; c++) { x[i * f + c] -= rate * e * b[j * f + c]; y[j * f + c] -= rate * e * a[i * f + c]; }
    }
    off = errors(stars, x, y, f);
    const error = rms(off);
    if (!(error < 1e6)) break;
    path.push([x, y]);
    found.push(error);
  }
  const stack = (at, shape) => np.stack(path.map((q) => new py.ND(q[at], shape)));
  return [stack(0, m.shape), stack(1, p.shape), np.array(found)];
}
