// As much of NumPy as pictures need, for what is translated (widgets/translate). Arrays are `ND`; keywords of a call
// come last, as one `Kw` (python.js).

class ND { // float64 throughout; `type` says what a number of it is: f, i, B (a byte) or b (true or false)
  constructor(data, shape, type = "f") {
    this.data = data;
    this.shape = shape;
    this.type = type;
  }
  get size() { return this.data.length; }
  get ndim() { return this.shape.length; }
  get T() {
    const [n, m] = this.shape;
    return this.ndim < 2 ?
        this
      : new ND(
          Float64Array.from(this.data, (_, i) => this.data[(i % n) * m + Math.floor(i / n)]),
          [m, n],
          this.type,
        );
  }
  get dtype() { return { B: np.uint8, f: np.float64, i: np.int64, b: py.bool }[this.type]; }
  get iloc() { return this; }
  item(i) { return this.type === "b" ? this.data[i] !== 0 : this.data[i]; }
  row(i) {
    const n = this.data.length / this.shape[0];
    return this.ndim === 1 ?
        this.item(i)
      : new ND(this.data.subarray(i * n, i * n + n), this.shape.slice(1), this.type);
  }
  *[Symbol.iterator]() { for (let i = 0; i < this.shape[0]; i++) yield this.row(i); }
}
const isND = (v) => v instanceof ND, count = (shape) => shape.reduce((a, b) => a * b, 1);
const isNum = (v) => typeof v === "number" || typeof v === "boolean";
function array(v, type) {
  if (isND(v))
    return type && type !== v.type ?
        new ND(type === "i" || type === "B" ? v.data.map(Math.trunc) : v.data.slice(), v.shape, type)
      : v;
  if (isNum(v)) return new ND(Float64Array.of(v), [], type ?? (typeof v === "boolean" ? "b" : "f"));
  const parts = [...v].map((u) => (u instanceof Object ? array(u) : u));
  if (!parts.length) return new ND(new Float64Array(0), [0], type);
  if (isND(parts[0])) return np.stack(parts, 0, type);
  return new ND(Float64Array.from(parts), [parts.length], type ?? (typeof parts[0] === "boolean" ? "b" : "f"));
}
const plain = (a) => (a.ndim ? a : a.item(0)); // an array without axes is a number
function shapes(...all) {
  const n = Math.max(...all.map((s) => s.length)), out = [];
  for (let k = 1; k <= n; k++) {
    const sides = all.map((s) => s[s.length - k] ?? 1), side = sides.find((v) => v !== 1) ?? 1;
    if (sides.some((v) => v !== 1 && v !== side))
      throw new PyError("ValueError", `shapes ${all.map((s) => `(${s})`).join(" and ")} do not fit`);
    out.unshift(side);
  }
  return out;
}
function spread(a, shape) {
  if (a.ndim === shape.length && a.shape.every((v, i) => v === shape[i])) return a;
  const out = new Float64Array(count(shape)),
    steps = shape.map((_, i) => {
      const k = i - (shape.length - a.ndim);
      return k < 0 || a.shape[k] === 1 ? 0 : count(a.shape.slice(k + 1));
    });
  for (let i = 0; i < out.length; i++) {
    let at = 0, rest = i;
    for (let k = shape.length - 1; k >= 0; k--) {
      at += (rest % shape[k]) * steps[k];
      rest = Math.floor(rest / shape[k]);
    }
    out[i] = a.data[at];
  }
  return new ND(out, shape, a.type);
}
function zipWith(f, a, b, type) {
  if (isNum(a) && isNum(b)) return type === "b" ? !!f(+a, +b) : f(+a, +b);
  if (isNum(b) && isND(a)) return plain(new ND(a.data.map((v) => f(v, +b)), a.shape, type ?? "f"));
  if (isNum(a) && isND(b)) return plain(new ND(b.data.map((v) => f(+a, v)), b.shape, type ?? "f"));
  [a, b] = [array(a), array(b)];
  if (a.ndim === b.ndim && a.shape.every((v, i) => v === b.shape[i]))
    return plain(new ND(a.data.map((v, i) => f(v, b.data[i])), a.shape, type ?? "f"));
  const shape = shapes(a.shape, b.shape), x = spread(a, shape), y = spread(b, shape);
  return plain(new ND(x.data.map((v, i) => f(v, y.data[i])), shape, type ?? "f"));
}
const mapWith = (f, type) => (a) => {
  if (isNum(a)) return type === "b" ? !!f(+a) : f(+a);
  a = array(a);
  return plain(new ND(a.data.map((v) => +f(v)), a.shape, type ?? "f"));
};
const even = (v) => { // rounds halves to even
  const f = Math.floor(v), d = v - f;
  return d < 0.5 ? f : d > 0.5 ? f + 1 : f % 2 ? f + 1 : f;
};

function folded(f, first, type) { // a fold over all numbers, or along an axis
  return (a, ...args) => {
    const { axis = args[0], initial } = { ...opts(args) };
    a = array(a);
    const start = initial ?? first,
      end = (list) => {
        if (!list.length && start === undefined) throw new PyError("ValueError", "an empty array has none");
        const v = f(list, start);
        return type === "b" ? !!v : v;
      };
    if (axis === undefined || axis === null) return end(a.data);
    const k = axis < 0 ? axis + a.ndim : axis, n = a.shape[k], step = count(a.shape.slice(k + 1)),
      shape = a.shape.filter((_, i) => i !== k), out = new Float64Array(count(shape));
    for (let i = 0; i < out.length; i++) {
      const from = Math.floor(i / step) * step * n + (i % step);
      out[i] = end(Array.from({ length: n }, (_, j) => a.data[from + j * step]));
    }
    return plain(new ND(out, shape, type ?? a.type));
  };
}
const total = (list) => { let s = 0; for (const v of list) s += v; return s; };
const folds = {
  min: folded((l, s) => l.reduce((a, b) => (a < b || a !== a ? a : b), s ?? l[0])),
  max: folded((l, s) => l.reduce((a, b) => (a > b || a !== a ? a : b), s ?? l[0])),
  sum: folded(total, 0),
  mean: folded((l) => total(l) / l.length, 0),
  all: folded((l) => l.every(Boolean), true, "b"),
  any: folded((l) => l.some(Boolean), false, "b"),
  prod: folded((l) => l.reduce((a, b) => a * b, 1), 1),
};
const NDM = {
  ...folds,
  tolist: (a) =>
    a.ndim === 1 ? [...a]
    : a.ndim ? [...a].map((r) => NDM.tolist(r))
    : a.item(0),
  ravel: (a) => new ND(a.data, [a.size], a.type),
  copy: (a) => new ND(a.data.slice(), a.shape, a.type),
  item: (a) => a.item(0),
  to_numpy: (a) => a,
  reshape: (a, ...to) => {
    const s = Array.isArray(to[0]) ? [...to[0]] : to, open = s.indexOf(-1);
    if (open >= 0) s[open] = a.size / -count(s);
    return new ND(a.data, s, a.type);
  },
  astype: (a, t) => array(a, np.kindOf(t)),
  clip: (a, lo, hi) => np.clip(a, lo, hi),
  argmax: (a) => a.data.indexOf(Math.max(...a.data)),
  argmin: (a) => a.data.indexOf(Math.min(...a.data)),
  round: (a, n) => round(a, n),
  tobytes: (a) => a,
};

const made =
  (v) =>
  (...args) => {
    const o = opts(args), shape = isNum(args[0]) ? [args[0]] : [...args[0]], n = count(shape);
    return new ND(new Float64Array(n).fill(v), shape, np.kindOf(o.dtype ?? args[1]));
  };
const like = (v) => (a) => new ND(new Float64Array(array(a).size).fill(v), array(a).shape, array(a).type);
const np = {
  inf: Infinity,
  nan: NaN,
  pi: Math.PI,
  uint8: { kind: "B" },
  float32: { kind: "f", single: true },
  float64: { kind: "f" },
  int64: { kind: "i" },
  integer: { kind: "i" },
  floating: { kind: "f" },
  ndarray: ND,
  kindOf: (t) => (t === undefined || t === null ? undefined : t.kind),
  array: (v, ...a) => {
    const t = np.kindOf(opts(a).dtype ?? a[0]), out = array(v, t);
    return out === v ? NDM.copy(out) : out;
  },
  asarray: (v, ...a) => {
    const t = opts(a).dtype ?? a[0], out = array(v, np.kindOf(t));
    return t?.single ? new ND(out.data.map(Math.fround), out.shape, "f") : out;
  },
  ascontiguousarray: (v) => array(v),
  fromiter: (v, t) => array([...v], np.kindOf(t)),
  zeros: made(0),
  ones: made(1),
  empty: made(0),
  zeros_like: like(0),
  ones_like: like(1),
  empty_like: like(0),
  full: (shape, v, t) => NDM.copy(spread(array(v, np.kindOf(t)), isNum(shape) ? [shape] : [...shape])),
  full_like: (a, v) => like(v)(a),
  arange: (a, b, c = 1) => {
    if (b === undefined) [a, b] = [0, a];
    return new ND(
      Float64Array.from({ length: Math.max(0, Math.ceil((b - a) / c)) }, (_, i) => a + i * c),
      [Math.max(0, Math.ceil((b - a) / c))], "i",
    );
  },
  linspace: (a, b, n = 50) =>
    new ND(
      Float64Array.from({ length: n }, (_, i) => i === n - 1 && n > 1 ? b : a + (n > 1 ? i * ((b - a) / (n - 1)) : 0)),
      [n],
    ),
  stack: (list, ax, type) => {
    const all = [...list].map((v) => array(v)), axis = ax instanceof Kw ? ax.of.axis : (ax ?? 0), s = all[0].shape,
      k = axis < 0 ? axis + s.length + 1 : axis, step = count(s.slice(k)),
      out = new Float64Array(all.length * all[0].size);
    all.forEach((a, j) => {
      if (!same(a.shape, s)) throw new PyError("ValueError", "arrays of different shapes");
      for (let i = 0; i < a.size; i++)
        out[Math.floor(i / step) * step * all.length + j * step + (i % step)] = a.data[i];
    });
    return new ND(out, [...s.slice(0, k), all.length, ...s.slice(k)], type ?? all[0].type);
  },
  concatenate: (list, ax) => {
    const all = [...list].map((v) => array(v)), axis = ax instanceof Kw ? ax.of.axis : (ax ?? 0);
    const bits = all.filter((a) => a.size || all.length === 1), first = bits[0] ?? all[0], s = [...first.shape],
      outer = count(s.slice(0, axis)), out = [];
    s[axis] = total(bits.map((a) => a.shape[axis]));
    for (let i = 0; i < outer; i++)
      for (const a of bits) {
        const n = a.size / outer;
        for (let j = 0; j < n; j++) out.push(a.data[i * n + j]);
      }
    return new ND(Float64Array.from(out), s, first.type);
  },
  append: (a, b) => {
    a = array(a);
    b = array(b);
    return new ND(Float64Array.of(...a.data, ...b.data), [a.size + b.size], a.type);
  },
  where: (c, a, b) => {
    [c, a, b] = [array(c), array(a), array(b)];
    const s = shapes(c.shape, a.shape, b.shape), [x, y, z] = [spread(c, s), spread(a, s), spread(b, s)];
    return plain(new ND(x.data.map((v, i) => (v ? y : z).data[i]), s, a.type));
  },
  clip: (v, lo, hi) => {
    const low = lo === null ? v : zipWith((a, b) => (a < b ? b : a), v, lo),
      out = hi === null ? low : zipWith((a, b) => (a > b ? b : a), low, hi);
    if (isND(out) && isND(v)) out.type = v.type;
    return out;
  },
  maximum: (a, b) => zipWith((x, y) => (x !== x || y !== y ? NaN : Math.max(x, y)), a, b),
  minimum: (a, b) => zipWith((x, y) => (x !== x || y !== y ? NaN : Math.min(x, y)), a, b),
  argsort: (a) => {
    a = array(a);
    const at = [...a.data.keys()].sort((i, j) => a.data[i] - a.data[j] || i - j);
    return array(at, "i");
  },
  sort: (a) => new ND(array(a).data.slice().sort(), array(a).shape, array(a).type),
  unique: (a) => array([...new Set(np.sort(a).data)]),
  flatnonzero: (a) => {
    const out = [];
    array(a).data.forEach((v, i) => v && out.push(i));
    return array(out, "i");
  },
  nonzero: (a) => {
    a = array(a);
    const at = [...np.flatnonzero(a).data];
    return a.shape.map((n, k) => array(at.map((i) => Math.floor(i / count(a.shape.slice(k + 1))) % n), "i"));
  },
  searchsorted: (a, v, side) => {
    a = array(a).data;
    const right = (side instanceof Kw ? side.of.side : side) === "right";
    return mapWith((u) => {
      let n = 0;
      while (n < a.length && (right ? a[n] <= u : a[n] < u)) n++;
      return n;
    }, "i")(v);
  },
  broadcast_to: (v, s) => spread(array(v), isNum(s) ? [s] : [...s]),
  broadcast_arrays: (...all) => {
    const a = all.map((v) => array(v)), s = shapes(...a.map((v) => v.shape));
    return a.map((v) => spread(v, s));
  },
  diff: (a, ...k) => {
    a = array(a);
    const { axis = -1, prepend } = opts(k);
    if (prepend !== undefined) a = np.append(prepend, a);
    const x = axis < 0 ? axis + a.ndim : axis, n = a.shape[x],
      at = (s) => get(a, At.from([...Array(x).fill(new Slice(null, null)), s]));
    return n < 1 ? a : py.sub(at(new Slice(1, null)), at(new Slice(0, n - 1)));
  },
  cumsum: (a) => {
    let s = 0;
    a = array(a);
    return new ND(a.data.map((v) => (s += v)), a.shape, a.type);
  },
  dot: (a, b) => total(array(a).data.map((v, i) => v * array(b).data[i])),
  ptp: (a) => folds.max(a) - folds.min(a),
  ndim: (a) => (isNum(a) || typeof a === "string" ? 0 : array(a).ndim),
  size: (a) => array(a).size,
  isfinite: mapWith(Number.isFinite, "b"),
  isnan: mapWith(Number.isNaN, "b"),
  isclose: (a, b, ...k) => {
    const { rtol = 1e-5, atol = 1e-8 } = opts(k);
    return zipWith((x, y) => x === y || Math.abs(x - y) <= atol + rtol * Math.abs(y), a, b, "b");
  },
  nan_to_num: (a, ...k) => {
    const o = opts(k);
    return mapWith((v) =>
      v !== v ? (o.nan ?? 0)
      : v === Infinity ? (o.posinf ?? Number.MAX_VALUE)
      : v === -Infinity ? (o.neginf ?? -Number.MAX_VALUE)
      : v,
    )(a);
  },
  errstate: () => ({}),
  allclose: (a, b) => truth(folds.all(np.isclose(a, b))),
  nanmin: (a, ...k) => folds.min(array(array(a).data.filter((v) => v === v)), ...k),
  nanmax: (a, ...k) => folds.max(array(array(a).data.filter((v) => v === v)), ...k),
  rint: mapWith(even),
  around: round,
  array_equal: (a, b) => same(array(a), array(b)),
  ...folds,
  ...Object.fromEntries(
    ["log10", "sqrt", "exp", "log", "floor", "ceil", "abs", "sign", "cos", "sin", "tanh", "log1p", "log2"]
      .map((n) => [n, mapWith(Math[n])]),
  ),
};
