// Lesson 05 in the page: schedules as functions of position that print as their code (lessonkit/schedules.py), and the
// small net's training.
const real = (v) =>
  Array.isArray(v) ? `[${v.map(real).join(", ")}]`
  : typeof v === "function" ? v.text
  : Number.isInteger(v) ? `${v}.0`
  : py.str(v);
const check = (name, v, ok, bound) => {
  if (!ok) throw new py.PyError("ValueError", `${name}=${real(v)} does not fit: it must be ${bound}`);
};
export const SNAP = 1e-10;

function schedule(text, f, joints = []) {
  const at = (pos) => (typeof pos === "number" ? f(Math.min(Math.max(pos, 0), 1)) : np.array([...pos].map(at)));
  const sample = () => {
    const pos = np.unique([...np.linspace(0, 1, 201), ...joints, ...joints.map((j) => j - 1e-7)]);
    return [pos, at(pos)];
  };
  return Object.assign(at, { text, joints, sample });
}
// The arguments of a call as code: those of `more` that are not the default.
const written = (name, given, more = {}) =>
  `${name}(${[
    ...given,
    ...Object.entries(more)
      .filter(([, [v, other]]) => v !== other)
      .map(([k, [v]]) => `${k}=${real(v)}`),
  ].join(", ")})`;
const named = (o) => o?.of ?? {};

export const sched_const = (v) => schedule(written("sched_const", [real(v)]), () => v);
export const sched_lin = (a, b) => schedule(written("sched_lin", [real(a), real(b)]), (p) => (1 - p) * a + p * b);
export const sched_cos = (a, b) =>
  schedule(written("sched_cos", [real(a), real(b)]), (p) => {
    const u = (1 - Math.cos(Math.PI * p)) / 2;
    return (1 - u) * a + u * b;
  });
export function sched_exp(a, b) {
  for (const [name, v] of [["start", a], ["end", b]]) check(name, v, v > 0, "above 0");
  return schedule(written("sched_exp", [real(a), real(b)]), (p) => a ** (1 - p) * b ** p);
}
export function combine_scheds(pcts, scheds, text) {
  const edges = [0];
  for (const p of pcts) edges.push(edges.at(-1) + p);
  const joints = [...edges.slice(1, -1), ...scheds.flatMap((s, i) => s.joints.map((j) => edges[i] + pcts[i] * j))].sort(
    (a, b) => a - b,
  );
  return schedule(text ?? written("combine_scheds", [real(pcts), real(scheds)]), (p) => {
    let i = 0;
    while (i < scheds.length - 1 && edges[i + 1] <= p + SNAP) i++;
    return scheds[i](Math.min(Math.max((p - edges[i]) / pcts[i], 0), 1));
  }, joints);
}
export function clr(low, high, n, options) {
  const { decay = 1 } = named(options), legs = [];
  check("lr_min", low, low >= 0, "0 or more");
  check("lr_max", high, high >= low, `${py.format(low, "g")} or more`);
  for (let i = 0; i < n; i++) {
    const tip = low + (high - low) * decay ** i;
    legs.push(sched_lin(low, tip), sched_lin(tip, low));
  }
  const text = written("clr", [real(low), real(high)], {
    ...(n === 1 ? {} : { n_cycle: [py.str(n)] }),
    decay: [decay, 1],
  });
  return combine_scheds(Array(2 * n).fill(0.5 / n), legs, text);
}
export function stlr(top, options) {
  const { cut_frac: cut, ratio } = named(options), low = top / ratio;
  return combine_scheds(
    [cut, 1 - cut], [sched_lin(low, top), sched_lin(top, low)],
    written("stlr", [real(top)], { cut_frac: [cut, 0.1], ratio: [ratio, 32] }),
  );
}
export function one_cycle(top, options) {
  const { pct_start: up, div, div_final } = named(options), begin = top / div;
  return combine_scheds(
    [up, 1 - up], [sched_cos(begin, top), sched_cos(top, begin / div_final)],
    written("one_cycle", [real(top)], { pct_start: [up, 0.3], div: [div, 25], div_final: [div_final, 1e4] }),
  );
}
export const one_cycle_momentum = (high, low, up) =>
  combine_scheds(
    [up, 1 - up], [sched_cos(high, low), sched_cos(low, high)],
    written("one_cycle_momentum", [], { high: [high, 0.95], low: [low, 0.85], pct_start: [up, 0.3] }),
  );
export function sgdr(lr, n, options) {
  const { cycle_mult: m = 1, lr_min: low = 0 } = named(options), ends = [];
  if (low > lr)
    throw new py.PyError(
      "ValueError",
      `lr_min=${py.format(low, "g")} is above lr=${py.format(lr, "g")}: a cycle falls from lr to lr_min`,
    );
  for (let i = 0; i < n; i++) ends.push((ends.at(-1) ?? 0) + m ** i);
  const text = written("sgdr", [real(lr), py.str(n)], { cycle_mult: [m, 1], lr_min: [low, 0] });
  return combine_scheds(
    ends.map((e, i) => (e - (ends[i - 1] ?? 0)) / ends[n - 1]), Array(n).fill(sched_cos(lr, low)), text,
  );
}

// Training the small net (64 pixels, 32 hidden, 10 classes) on the lesson's digits; `e.kit` holds them, its first
// weights and its batches. In double precision, where torch has single: the losses agree to about three digits.
const SIZES = [64, 32, 10];
function activations([w1, b1, w2, b2], x, at) {
  const hidden = new Float64Array(SIZES[1]), out = new Float64Array(SIZES[2]);
  for (let j = 0; j < 32; j++) {
    let s = b1[j];
    for (let k = 0; k < 64; k++) s += w1[64 * j + k] * x[64 * at + k];
    hidden[j] = Math.max(s, 0);
  }
  for (let j = 0; j < 10; j++) {
    let s = b2[j];
    for (let k = 0; k < 32; k++) s += w2[32 * j + k] * hidden[k];
    out[j] = s;
  }
  return [hidden, out];
}
const logSum = (z) => {
  const top = Math.max(...z);
  return top + Math.log(z.reduce((s, v) => s + Math.exp(v - top), 0));
};
export function* train({ pixels, y, pixels_out, y_out, weights, batches }, rate, momenta) {
  const [x, x_out] = [pixels, pixels_out].map((a) => py.sub(py.div(a, 16), 0.3));
  const net = weights.map((w) => w.data.slice()), speed = net.map((w) => new Float64Array(w.length)), loss = [],
    accuracy = [], rates = [], n = batches.shape[0], bs = batches.shape[1];
  for (let i = 0; i < n; i++) {
    const grads = net.map((w) => new Float64Array(w.length)), [g1, c1, g2, c2] = grads;
    for (const at of batches.data.subarray(i * bs, i * bs + bs)) {
      const [hidden, z] = activations(net, x.data, at), sum = logSum(z), back = new Float64Array(32);
      for (let j = 0; j < 10; j++) {
        const d = (Math.exp(z[j] - sum) - (j === y.data[at])) / bs;
        c2[j] += d;
        for (let k = 0; k < 32; k++) { g2[32 * j + k] += d * hidden[k]; back[k] += d * net[2][32 * j + k]; }
      }
      for (let j = 0; j < 32; j++)
        if (hidden[j] > 0) {
          c1[j] += back[j];
          for (let k = 0; k < 64; k++) g1[64 * j + k] += back[j] * x.data[64 * at + k];
        }
    }
    const lr = rate(i / n), m = momenta(i / n);
    rates.push(lr);
    net.forEach((w, l) => {
      for (let k = 0; k < w.length; k++) w[k] -= lr * (speed[l][k] = m * speed[l][k] + grads[l][k]);
    });
    let mean = 0;
    for (let at = 0; at < y.size; at++) {
      const [, z] = activations(net, x.data, at);
      mean += (logSum(z) - z[y.data[at]]) / y.size;
    }
    loss.push(mean);
    accuracy.push(NaN);
    if (i % 30 === 29 || i === n - 1) {
      let right = 0;
      for (let at = 0; at < y_out.size; at++) {
        const [, z] = activations(net, x_out.data, at);
        right += z.indexOf(Math.max(...z)) === y_out.data[at];
      }
      accuracy[i] = right / y_out.size;
      yield { lr: np.array(rates), loss: np.array(loss), accuracy: np.array(accuracy), length: loss.length };
    }
  }
}
export const methods = (e, tell) => ({
  run() { // a stretch at a time, so that the curve grows
    if (e._busy) return null;
    e._busy = true;
    const before = e.runs.slice(-1), of = e.both, way = train(e.kit, e.schedule, e.momenta);
    const on = () => {
      const { value, done } = way.next();
      if (done) e._busy = false; else e.runs = [...before, { of, history: value }];
      call(e, "refresh");
      tell();
      if (!done) setTimeout(on);
    };
    setTimeout(on);
    return null;
  },
  show_runs(kind) { [e.runs, e._left] = [[...e.kit.asked.get(kind)], new Map()]; return null; }, // made beforehand
});
