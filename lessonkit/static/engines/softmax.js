// Lesson 02 in the page: what each class of one answer contributes (lessonkit/losses.py, `per_class`).
const softplus = (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
export function contributions(x, y, mode, temperature) {
  const z = [...x].map((v) => v / temperature), truth = [...y], top = Math.max(...z);
  const sum = top + Math.log(z.reduce((s, v) => s + Math.exp(v - top), 0));
  const p = z.map((v) =>
    mode === "softmax" ? Math.exp(v - sum)
    : v >= 0 ? 1 / (1 + Math.exp(-v))
    : Math.exp(v) / (1 + Math.exp(v)),
  );
  const loss = z.map((v, i) => (mode === "softmax" ? (truth[i] ? sum - v : 0) : softplus(v) - truth[i] * v));
  return { p: np.array(p), loss: np.array(loss), grad: np.array(p.map((v, i) => (v - truth[i]) / temperature)) };
}
