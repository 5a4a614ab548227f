// Lesson 33 in the page: a character net of GRU or LSTM layers reads a symbol, and what it answers becomes chances
// (lessonkit/gates.py).
// as explorers/generation_data writes weights
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", STEPS = 31;
const sigmoid = (v) => 1 / (1 + Math.exp(-v));
class Matrix { // single precision; eight rows lie side by side, so that one number of the vector serves eight
  constructor(m) {
    const [rows, cols] = m.shape ?? m.get("shape"), w = new Float32Array(Math.ceil(rows / 8) * 8 * cols),
      put = (r, j, v) => { w[(r >> 3) * 8 * cols + 8 * j + (r & 7)] = v; };
    if (m.shape) for (let r = 0, k = 0; r < rows; r++) for (let j = 0; j < cols; j++, k++) put(r, j, m.data[k]);
    else {
      const codes = m.get("codes"), scale = m.get("scale").data, step = new Int8Array(128);
      [...LETTERS].forEach((c, i) => { step[c.charCodeAt(0)] = i - STEPS; });
      for (let r = 0, k = 0; r < rows; r++)
        for (let j = 0; j < cols; j++, k++) put(r, j, step[codes.charCodeAt(k)] * scale[r]);
    }
    Object.assign(this, { rows, cols, w });
  }
  row(r) {
    return Float64Array.from({ length: this.cols }, (_, j) => this.w[(r >> 3) * 8 * this.cols + 8 * j + (r & 7)]);
  }
  times(x, bias) { // W x + bias
    const { rows, cols, w } = this, out = new Float64Array(rows + 7);
    for (let r = 0, k = 0; r < rows; r += 8) {
      let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
      for (let j = 0; j < cols; j++, k += 8) {
        const v = x[j];
        a += w[k] * v;
        b += w[k + 1] * v;
        c += w[k + 2] * v;
        d += w[k + 3] * v;
        e += w[k + 4] * v;
        f += w[k + 5] * v;
        g += w[k + 6] * v;
        h += w[k + 7] * v;
      }
      out[r] = a;
      out[r + 1] = b;
      out[r + 2] = c;
      out[r + 3] = d;
      out[r + 4] = e;
      out[r + 5] = f;
      out[r + 6] = g;
      out[r + 7] = h;
    }
    for (let r = 0; r < rows; r++) out[r] += bias[r];
    return out;
  }
}
const CELLS = { // (what the letter gives, what the state gives, h, c, units) → [h, c]
  LSTM(i, s, h, c, n) { // i, f, g, o
    const cell = new Float64Array(n), out = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      const gate = (at) => i[at * n + k] + s[at * n + k];
      cell[k] = sigmoid(gate(1)) * c[k] + sigmoid(gate(0)) * Math.tanh(gate(2));
      out[k] = sigmoid(gate(3)) * Math.tanh(cell[k]);
    }
    return [out, cell];
  },
  GRU(i, s, h, c, n) { // r, z, n
    const out = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      const r = sigmoid(i[k] + s[k]), z = sigmoid(i[n + k] + s[n + k]);
      out[k] = (1 - z) * Math.tanh(i[2 * n + k] + r * s[2 * n + k]) + z * h[k];
    }
    return [out, null];
  },
};
export function reader(net) { // what `for_page` wrote down → (symbol, state) → [activations, state]
  const emb = new Matrix(net.emb), out = new Matrix(net.out), cell = CELLS[net.kind];
  const layers = net.layers.map((l) => ({
    ih: new Matrix(l.get("w_ih")), hh: new Matrix(l.get("w_hh")), b: l.get("b_ih").data, bh: l.get("b_hh").data,
  }));
  const start = layers.map((l) => [new Float64Array(l.hh.cols), new Float64Array(l.hh.cols)]);
  return (symbol, state) => {
    let x = emb.row(symbol);
    const next = layers.map((l, i) => {
      const [h, c] = (state ?? start)[i], now = cell(l.ih.times(x, l.b), l.hh.times(h, l.bh), h, c, l.hh.cols);
      x = now[0];
      return now;
    });
    return [new py.ND(out.times(x, net.bias.data).slice(0, out.rows), [out.rows]), next];
  };
}
export function distribution(activations, options) { // temperature, then top-k, then top-p; the rest is shared out anew
  let { temperature = 1, top_k = null, top_p = null, banned = [] } = options.of;
  const x = Float64Array.from(activations.data), n = x.length;
  for (const i of banned) x[i] = -Infinity;
  const best = Math.max(...x);
  if (temperature === 0) [top_k, temperature] = [1, 1];
  const p = x.map((v) => Math.exp((v - best) / temperature)), sum = (v) => v.reduce((a, b) => a + b, 0), all = sum(p);
  const order = [...p.keys()].sort((a, b) => p[b] - p[a] || a - b), kept = order.slice(0, top_k ?? n),
    share = sum(kept.map((i) => p[i] / all));
  const out = new Float64Array(n);
  let before = 0;
  for (const i of kept) {
    if (top_p !== null && !(before < top_p * share)) break;
    out[i] = p[i] / all;
    before += out[i];
  }
  const left = sum(out);
  return new py.ND(out.map((v) => v / left), [n]);
}
export const methods = (e) => { const read = reader(e.kit); return { after: read }; };
