// Lesson 01 in the page: a line's loss, its gradient, and the path of the four optimizers (lessonkit/sgd.py).
export const line = ([a, b], x) => py.add(py.mul(a, x), b);
export function mse([a, b], x, y) {
  let sum = 0;
  for (let i = 0; i < x.size; i++) sum += (a * x.data[i] + b - y.data[i]) ** 2;
  return sum / x.size;
}
const RULES = { // (gradient, what was remembered, momentum) → direction
  SGD: (g) => g,
  momentum: (g, was, m) => (was.sum = m * (was.sum ?? 0) + g),
  RMSProp: (g, was) => g / (Math.sqrt((was.square = 0.99 * (was.square ?? 0) + 0.01 * g * g)) + 1e-8),
  Adam(g, was, m) {
    was.t = (was.t ?? 0) + 1;
    was.mean = m * (was.mean ?? 0) + (1 - m) * g;
    was.square = 0.999 * (was.square ?? 0) + 0.001 * g * g;
    return was.mean / (1 - m ** was.t) / (Math.sqrt(was.square / (1 - 0.999 ** was.t)) + 1e-8);
  },
};
export const SGD = "SGD";
export const Momentum = "momentum";
export const RMSProp = "RMSProp";
export const Adam = "Adam";
export function descend(x, y, rule, options) {
  const { lr, start, n, momentum = 0.9, betas = [momentum] } = options.of;
  let p = [...start];
  const path = [p], memory = [{}, {}];
  for (let k = 0; k < n; k++) {
    let ga = 0, gb = 0;
    for (let i = 0; i < x.size; i++) { const r = p[0] * x.data[i] + p[1] - y.data[i]; ga += r * x.data[i]; gb += r; }
    p = [ga, gb].map((g, i) => p[i] - lr * RULES[rule]((2 * g) / x.size, memory[i], betas[0]));
    if (!p.every((v) => Math.abs(v) < 1e12)) break;
    path.push(p);
  }
  return { params: np.stack(path), losses: np.array(path.map((q) => mse(q, x, y))) };
}
export function largest_stable_lr(x, momentum = 0) {
  const a = np.mean(py.mul(x, x)), b = np.mean(x); // 2 (1 + momentum) over the larger eigenvalue of 2 [[a, b], [b, 1]]
  return (2 * (1 + momentum)) / (a + 1 + Math.sqrt((a - 1) ** 2 + 4 * b * b));
}
export function loss_surface(x, y, slopes, intercepts) { // the mean of (a x + b − y)², multiplied out
  const mean = (f) => { let s = 0; for (let i = 0; i < x.size; i++) s += f(x.data[i], y.data[i]); return s / x.size; };
  const [xx, x1, xy, y1, yy] = [(u) => u * u, (u) => u, (u, v) => u * v, (u, v) => v, (u, v) => v * v].map(mean),
    w = slopes.size;
  const loss = (a, b) => a * a * xx + 2 * a * b * x1 + b * b - 2 * a * xy - 2 * b * y1 + yy;
  return new ND(
    Float64Array.from({ length: w * intercepts.size }, (_, i) =>
      loss(slopes.data[i % w], intercepts.data[Math.floor(i / w)]),
    ),
    [intercepts.size, w],
  );
}
