// What translated Python rests on (widgets/translate): operators, built-in functions and methods, calls with keywords.
// Numbers, strings, true, false and null are JavaScript's; tuples and lists are arrays, dicts Maps, sets Sets; NumPy's
// arrays are `ND` (numpy.js, which stands in front).

class PyError extends Error { constructor(kind, text) { super(text); this.kind = kind; } }
const fail = (kind) => Object.assign((text = "") => new PyError(kind, String(text)), { kind });

// ── numbers as text, as Python writes them: ties are those of the exact number, and go to the even digit ──
function digitsOf(v, d) { // d significant digits of v > 0, and the power of ten
  const [m, e] = v.toExponential(60).split("e"), all = m.replace(".", ""), tail = all.slice(d);
  let n = BigInt(all.slice(0, d)), power = +e;
  const half = tail[0] > "5" || (tail[0] === "5" && (/[1-9]/.test(tail.slice(1)) || n % 2n === 1n));
  if (half) n += 1n;
  let text = String(n);
  if (text.length > d) { text = text.slice(0, d); power++; }
  return [text, power];
}
function fixed(v, d) {
  const power = v === 0 ? 0 : Math.floor(Math.log10(v)), places = power + d + 1;
  if (v >= 1e21) return BigInt(v) + (d ? `.${"0".repeat(d)}` : "");
  if (v === 0) return v.toFixed(d);
  const t = v.toFixed(Math.min(100, d + 60)), cut = t.indexOf(".") + d + (d ? 1 : 0),
    tail = t.slice(cut).replace(".", "");
  if (places < -5 || !/^50*$/.test(tail)) return v.toFixed(d);
  const head = t.slice(0, cut); // a tie
  return +head.at(-1) % 2 ? v.toFixed(d) : head;
}
function general(v, d) {
  if (v === 0) return "0";
  const [text, power] = digitsOf(v, Math.max(d, 1));
  const bare = (s) => (s.includes(".") ? s.replace(/\.?0+$/, "") : s);
  if (power < -4 || power >= Math.max(d, 1))
    return (
      bare(`${text[0]}.${text.slice(1)}`).replace(/\.$/, "") +
      `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`
    );
  return bare(
    power < 0 ? `0.${"0".repeat(-power - 1)}${text}` : `${text.slice(0, power + 1)}.${text.slice(power + 1)}`,
  ).replace(/\.$/, "");
}
function text(v) {
  if (v === null || v === undefined) return "None";
  if (typeof v === "boolean") return v ? "True" : "False";
  if (typeof v === "number") {
    if (!Number.isFinite(v)) return Number.isNaN(v) ? "nan" : v > 0 ? "inf" : "-inf";
    const a = Math.abs(v);
    return a && (a < 1e-4 || a >= 1e16) ? v.toExponential().replace(/e([+-])(\d)$/, "e$10$2") : String(v);
  }
  if (v instanceof PyError || v instanceof Error) return v.message;
  if (Array.isArray(v)) return `(${v.map(repr).join(", ")}${v.length === 1 ? "," : ""})`;
  if (isND(v)) return `[${[...v].map(text).join(" ")}]`;
  return v.text !== undefined ? v.text : String(v);
}
const repr = (v) => (typeof v === "string" ? `'${v}'` : text(v));
function format(v, spec, asRepr) {
  if (isND(v) && !v.ndim) v = v.item(0);
  if (!spec) return asRepr ? repr(v) : text(v);
  if (typeof v === "boolean") v = +v;
  const [, sign, comma, dot, kind] =
    spec.match(/^([+ ]?)(,?)(?:\.(\d+))?([a-z%]?)$/) ??
    (() => { throw new PyError("ValueError", `format '${spec}' is not in the page`); })();
  if (typeof v === "string") return v;
  let a = Math.abs(kind === "%" ? 100 * v : v), out;
  const minus = v < 0 || Object.is(v, -0);
  if (!Number.isFinite(a)) out = Number.isNaN(a) ? "nan" : "inf";
  else if (kind === "f" || kind === "%") out = fixed(a, +(dot ?? 6));
  else if (kind === "g") out = general(a, +(dot ?? 6));
  else if (kind === "e") {
    const [t, p] = a ? digitsOf(a, +(dot ?? 6) + 1) : ["0".repeat(+(dot ?? 6) + 1), 0];
    out = `${t[0]}.${t.slice(1)}e${p < 0 ? "-" : "+"}${String(Math.abs(p)).padStart(2, "0")}`;
  } else out = text(a);
  if (comma) out = out.replace(/^\d+/, (n) => n.replace(/\B(?=(\d{3})+$)/g, ","));
  return (minus ? "-" : sign) + out + (kind === "%" ? "%" : "");
}
function round(v, n) {
  if (isND(v)) return mapWith((u) => round(u, n ?? 0))(v);
  if (!Number.isFinite(v)) return v;
  if (n === undefined || n === null) return even(v);
  if (n < 0) return even(v / 10 ** -n) * 10 ** -n;
  return Math.sign(v) * +fixed(Math.abs(v), Math.min(n, 40));
}

// ── truth, equality, order ──
function truthOf(a) {
  if (a.size !== 1) throw new PyError("ValueError", "the truth of an array is not clear");
  return a.data[0] !== 0;
}
const truth = (v) =>
  v === null || v === undefined ? false
  : isNum(v) ? v !== 0 && v !== false
  : typeof v === "string" || Array.isArray(v) ? v.length > 0
  : v instanceof Map || v instanceof Set ? v.size > 0
  : isND(v) ? truthOf(v)
  : true;
function same(a, b) {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((v, i) => same(v, b[i]));
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([k, v]) => b.has(k) && same(v, b.get(k)));
  if (a instanceof Set && b instanceof Set) return a.size === b.size && [...a].every((v) => b.has(v));
  if (isND(a) && isND(b)) return same(a.shape, b.shape) && a.data.every((v, i) => v === b.data[i]);
  if (isNum(a) && isNum(b)) return +a === +b;
  return a === b;
}
const order = (a, b) => {
  if (Array.isArray(a)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const c = order(a[i], b[i]);
      if (c) return c;
    }
    return a.length - b.length;
  }
  return a < b ? -1 : a > b ? 1 : 0;
};
const compare = (f, g) => (a, b) =>
  isND(a) || isND(b) ? zipWith(f, a, b, "b")
  : isNum(a) && isNum(b) ? !!f(+a, +b)
  : g(a, b);
const sets = (a, b, f) => new Set([...a].filter(f).concat(b ?? []));
const asSet = (v) => v instanceof Set || v instanceof Map;

// ── places in a sequence ──
class Slice {
  constructor(a, b, c) { Object.assign(this, { a, b, c }); }
  get all() { return this.a === null && this.b === null && this.c === null; }
  of(n) {
    const c = this.c ?? 1,
      fit = (v, other) =>
        v === null || v === undefined ?
          other
        : Math.min(Math.max(v < 0 ? v + n : v, c < 0 ? -1 : 0), c < 0 ? n - 1 : n);
    const a = fit(this.a, c < 0 ? n - 1 : 0), b = fit(this.b, c < 0 ? -1 : n), out = [];
    for (let i = a; c < 0 ? i > b : i < b; i += c) out.push(i);
    return out;
  }
}
class At extends Array {} // several indices at once
function places(a, index) { // [flat places, shape] of what an index takes from an array
  const list = index instanceof At ? [...index] : [index], axes = [];
  if (list.length === 1 && isND(list[0]) && list[0].type === "b" && list[0].ndim === a.ndim) {
    const out = [];
    list[0].data.forEach((v, i) => v && out.push(i));
    return [out, [out.length]];
  }
  let k = 0;
  const whole = (v) =>
    isND(v) || Array.isArray(v) ?
      ((u) => (u.type === "b" ? [...np.flatnonzero(u).data] : [...u.data]))(array(v))
    : null;
  const many = list.map(whole), paired = many.filter(Boolean).length > 1;
  for (let j = 0; j < list.length; j++) {
    const v = list[j];
    if (v === null) { axes.push({ at: [0], step: 0, keep: true }); continue; }
    const n = a.shape[k], step = count(a.shape.slice(k + 1));
    k++;
    if (v instanceof Slice) axes.push({ at: v.of(n), step, keep: true });
    else if (many[j]) axes.push({ at: many[j].map((i) => (i < 0 ? i + n : i)), step, keep: true, pair: paired });
    else {
      if (v >= n || v < -n) throw new PyError("IndexError", `index ${v} is out of range`);
      axes.push({ at: [v < 0 ? v + n : v], step, keep: false });
    }
  }
  for (; k < a.ndim; k++)
    axes.push({ at: [...Array(a.shape[k]).keys()], step: count(a.shape.slice(k + 1)), keep: true });
  const joined = axes.filter((x) => x.pair);
  if (joined.length) {
    const at = joined[0].at.map((_, i) => joined.reduce((s, x) => s + x.at[i] * x.step, 0)),
      first = axes.indexOf(joined[0]);
    axes.splice(first, 1, { at, step: 1, keep: true });
    for (const x of joined.slice(1)) axes.splice(axes.indexOf(x), 1);
  }
  let flat = [0];
  for (const x of axes) flat = flat.flatMap((s) => x.at.map((i) => s + i * x.step));
  return [flat, axes.filter((x) => x.keep).map((x) => x.at.length)];
}
function get(o, i) {
  if (o instanceof Map) { if (!o.has(i)) throw new PyError("KeyError", repr(i)); return o.get(i); }
  if (typeof o === "string" || Array.isArray(o)) {
    if (i instanceof Slice) {
      const at = i.of(o.length).map((k) => o[k]);
      return typeof o === "string" ? at.join("") : at;
    }
    const k = +i < 0 ? +i + o.length : +i;
    if (!(k in Object(o))) throw new PyError("IndexError", `index ${i} is out of range`);
    return o[k];
  }
  if (typeof i === "number" && o.ndim === 1) {
    const v = o.data[i < 0 ? i + o.size : i];
    if (v === undefined) throw new PyError("IndexError", `index ${i} is out of range`);
    return o.type === "b" ? v !== 0 : v;
  }
  if (i instanceof Slice && (i.c ?? 1) === 1) {
    const at = i.of(o.shape[0]), n = o.size / (o.shape[0] || 1);
    return new ND(
      o.data.subarray((at[0] ?? 0) * n, (at[0] ?? 0) * n + at.length * n), [at.length, ...o.shape.slice(1)], o.type,
    );
  }
  if (
    i instanceof At && i.length === 2 && o.ndim === 2 && i[0] instanceof Slice && i[0].all && typeof i[1] === "number"
  ) {
    const [n, m] = o.shape, out = new Float64Array(n);
    for (let k = 0, j = i[1] < 0 ? i[1] + m : i[1]; k < n; k++, j += m) out[k] = o.data[j];
    return new ND(out, [n], o.type);
  }
  const [at, shape] = places(o, i);
  return plain(new ND(Float64Array.from(at, (k) => o.data[k]), shape, o.type));
}
function put(o, i, v) {
  if (o instanceof Map) o.set(i, v);
  else if (Array.isArray(o)) o[i < 0 ? i + o.length : i] = v;
  else {
    const [at, shape] = places(o, i), from = isNum(v) ? null : spread(array(v), shape).data;
    at.forEach((k, j) => { o.data[k] = from ? from[j] : v; });
  }
}

// ── calls, classes, attributes ──
class Kw { constructor(of) { this.of = of; } }
function fn(spec, body) {
  const { p, d = {}, r, k = [], w } = spec, n = p.length;
  const f = (...args) => {
    const named = args.at(-1) instanceof Kw ? { ...args.pop().of } : null;
    if (!named && args.length === n && !r && !w && !k.length) return body(...args);
    const out = args.slice(0, n),
      take = (name) => {
        if (named && name in named) {
          const v = named[name];
          delete named[name];
          return v;
        }
        if (name in d) return d[name]();
        throw new PyError("TypeError", `${name} is missing`);
      };
    if (args.length > n && !r) throw new PyError("TypeError", `takes ${n} arguments, ${args.length} given`);
    for (let i = out.length; i < n; i++) out.push(take(p[i]));
    if (r) out.push(args.slice(n));
    for (const name of k) out.push(take(name));
    if (w) out.push(new Map(Object.entries(named ?? {})));
    else for (const name in named ?? {}) throw new PyError("TypeError", `${name} is no argument`);
    return body(...out);
  };
  return f;
}
const cached = (f) => {
  const known = new Map();
  return (...args) => {
    const key = args.join(" ");
    if (!known.has(key)) known.set(key, f(...args));
    return known.get(key);
  };
};
function cls(name, base, fields, parts) {
  const proto = Object.create(base ? base.prototype : Object.prototype), known = [...(base?.fields ?? []), ...fields];
  const make = (...args) => {
    const o = Object.create(proto);
    if (proto.__init__) { proto.__init__(o, ...args); return o; }
    const named = args.at(-1) instanceof Kw ? args.pop().of : {};
    known.forEach(([field, value], i) => {
      if (i >= args.length && !(field in named) && !value) throw new PyError("TypeError", `${field} is missing`);
      o[field] = i < args.length ? args[i] : field in named ? named[field] : value();
    });
    return o;
  };
  Object.assign(make, { prototype: proto, fields: known });
  Object.defineProperty(proto, "constructor", { value: Object.assign(make, { __name__: name }) });
  proto.$valid = [...(proto.$valid ?? [])];
  for (const [kind, key, value] of parts) {
    if (kind === "get")
      Object.defineProperty(proto, key, {
        get() { return value(this); },
        set(v) { Object.defineProperty(this, key, { value: v, writable: true, configurable: true }); },
        configurable: true,
      });
    else if (kind === "valid") proto.$valid.push([value, proto[key]]);
    else if (kind === "same") proto[key] = proto[value];
    else proto[key] = kind === "static" ? Object.assign((...a) => value(...a), { alone: true }) : value;
  }
  return make;
}
const method = (o, name) => {
  const f = o[name];
  return typeof f !== "function" ? undefined : Object.hasOwn(o, name) || f.alone ? f : (...a) => f(o, ...a);
};
const family = (o) =>
  typeof o === "string" ? STR
  : Array.isArray(o) ? LIST
  : o instanceof Map ? DICT
  : o instanceof Set ? SET
  : isND(o) ? NDM
  : typeof o === "number" || typeof o === "boolean" ? NUM
  : null;
function call(o, name, ...args) {
  const kind = family(o);
  if (kind) {
    if (!kind[name]) throw new PyError("AttributeError", `${name} is not in the page`);
    return kind[name](o, ...args);
  }
  if (o === np || typeof o === "function") {
    if (!o[name]) throw new PyError("AttributeError", `${name} is not in the page`);
    return o[name](...args);
  }
  const f = method(o, name);
  if (!f) throw new PyError("AttributeError", `${o?.constructor?.__name__}.${name} is not in the page`);
  return f(...args);
}
function attr(o, name) {
  if (o instanceof Map || o instanceof Set || typeof o === "string" || Array.isArray(o)) {
    if (name === "shape") return [o.length];
    return (...a) => call(o, name, ...a);
  }
  if (isND(o) && !(name in o)) return (...a) => call(o, name, ...a);
  if (typeof o === "number") return { size: 1, ndim: 0, shape: [], real: o }[name];
  const v = o[name];
  if (v === undefined) throw new PyError("AttributeError", `${name} is not in the page`);
  return typeof v === "function" && o !== np && typeof o !== "function" ? method(o, name) : v;
}
const iter = (v) => (v instanceof Map ? v.keys() : v);
const opts = (args) => (args.at(-1) instanceof Kw ? args.pop().of : {});

const STR = {
  join: (s, v) => [...v].join(s),
  replace: (s, a, b, n) => (n === undefined ? s.replaceAll(a, b) : s.replace(a, () => b)),
  upper: (s) => s.toUpperCase(),
  lower: (s) => s.toLowerCase(),
  startswith: (s, a) => s.startsWith(a),
  endswith: (s, a) => s.endsWith(a),
  strip: (s) => s.trim(),
  rstrip: (s, c) => (c ? s.replace(new RegExp(`[${c}]+$`), "") : s.trimEnd()),
  lstrip: (s) => s.trimStart(),
  partition: (s, a) => {
    const i = s.indexOf(a);
    return i < 0 ? [s, "", ""] : [s.slice(0, i), a, s.slice(i + a.length)];
  },
  split: (s, a) => s.split(a ?? /\s+/),
  format: (s, ...v) => s.replace(/\{(?::([^}]*))?\}/g, (_, spec) => format(v.shift(), spec ?? "")),
  translate: (s, m) =>
    [...s]
      .map((c) => {
        const to = m.get(c.codePointAt(0));
        return to === undefined ? c : typeof to === "number" ? String.fromCodePoint(to) : to;
      })
      .join(""),
  rfind: (s, a) => s.lastIndexOf(a),
  removeprefix: (s, a) => (s.startsWith(a) ? s.slice(a.length) : s),
  count: (s, a) => s.split(a).length - 1,
  isdigit: (s) => /^\d+$/.test(s),
};
const LIST = {
  append: (a, v) => { a.push(v); return null; },
  extend: (a, v) => { a.push(...v); return null; },
  index: (a, v) => {
    const i = a.findIndex((u) => same(u, v));
    if (i < 0) throw new PyError("ValueError", `${repr(v)} is not there`);
    return i;
  },
  count: (a, v) => a.filter((u) => same(u, v)).length,
  copy: (a) => [...a],
  pop: (a, i) => (i === undefined ? a.pop() : a.splice(i, 1)[0]),
  any: (a) => a.some(truth),
  all: (a) => a.every(truth),
  insert: (a, i, v) => { a.splice(i, 0, v); return null; },
  reverse: (a) => { a.reverse(); return null; },
  sort: (a, ...k) => { a.splice(0, a.length, ...py.sorted(a, ...k)); return null; },
};
const DICT = {
  get: (m, k, other = null) => (m.has(k) ? m.get(k) : other),
  items: (m) => [...m],
  keys: (m) => [...m.keys()],
  values: (m) => [...m.values()],
  copy: (m) => new Map(m),
  clear: (m) => { m.clear(); return null; },
  setdefault: (m, k, v) => {
    if (Array.isArray(k)) k = [...m.keys()].find((u) => same(u, k)) ?? k;
    if (!m.has(k)) m.set(k, v);
    return m.get(k);
  },
  pop: (m, k, other) => {
    const v = m.has(k) ? m.get(k) : other;
    m.delete(k);
    return v;
  },
  update: (m, o) => { for (const [k, v] of o) m.set(k, v); return null; },
};
const SET = {
  add: (s, v) => { s.add(v); return null; }, discard: (s, v) => { s.delete(v); return null; },
  clear: (s) => { s.clear(); return null; },
};
const NUM = {
  item: (v) => v, tolist: (v) => v, astype: (v) => v, max: (v) => v,
  min: (v) => v, sum: (v) => v, all: (v) => v, any: (v) => v,
  is_integer: (v) => Number.isInteger(v), clip: (v, a, b) => np.clip(v, a, b),
};
const slope = (f) => (a, b) => (isNum(a) && isNum(b) ? f(+a, +b) : zipWith(f, a, b));
const py = {
  PyError, ND, fn, cached, cls, call, attr, get, put, truth, format, round, iter, array, same, STR, fail,
  kw: (...parts) => new Kw(Object.assign({}, ...parts.map((m) => (m instanceof Map ? Object.fromEntries(m) : m)))),
  at: (list) => At.from(list),
  slice: (a, b, c) => new Slice(a, b, c),
  missing: (why) => () => { throw new PyError("TypeError", why); },
  above: (owner, self, name, ...args) => Object.getPrototypeOf(owner.prototype)[name](self, ...args),
  unpack: (v, n, star, f) => {
    let u = [...iter(v)];
    if (star >= 0)
      u = [...u.slice(0, star), u.slice(star, u.length - (n - star - 1)), ...u.slice(u.length - (n - star - 1))];
    if (u.length !== n) throw new PyError("ValueError", `${u.length} values for ${n} names`);
    f(u);
    return v;
  },
  enter: (w) => { w.enter?.(); return w; },
  leave: (w) => w.leave?.(),
  caught: (e, kinds) => !kinds.length || kinds.includes("Exception") || kinds.includes(e.kind ?? e.name),
  // operators
  add: (a, b) =>
    (typeof a === "number" && typeof b === "number") || typeof a === "string" ? a + b
    : Array.isArray(a) && Array.isArray(b) ? [...a, ...b]
    : slope((x, y) => x + y)(a, b),
  mul: (a, b) =>
    typeof a === "string" ? a.repeat(Math.max(0, +b))
    : Array.isArray(a) && isNum(b) ? Array(Math.max(0, +b)).fill(a).flat()
    : slope((x, y) => x * y)(a, b),
  sub: (a, b) => (a instanceof Set ? sets(a, null, (v) => !b.has(v)) : slope((x, y) => x - y)(a, b)),
  mod: slope((x, y) => x - y * Math.floor(x / y)),
  floordiv: slope((x, y) => Math.floor(x / y)),
  div: (a, b) => {
    if (isNum(a) && b === 0) throw new PyError("ZeroDivisionError", "division by zero");
    return slope((x, y) => x / y)(a, b);
  },
  pow: slope((x, y) => x ** y),
  and: (a, b) =>
    asSet(a) ? sets(a, null, (v) => (Array.isArray(b) ? b.includes(v) : b.has(v)))
    : typeof a === "number" && typeof b === "number" ? a & b
    : zipWith((x, y) => x && y, a, b, "b"),
  or: (a, b) =>
    a instanceof Map ? new Map([...a, ...b])
    : asSet(a) ? new Set([...a, ...b])
    : typeof a === "number" && typeof b === "number" ? a | b
    : zipWith((x, y) => x || y, a, b, "b"),
  xor: (a, b) =>
    asSet(a) ?
      new Set([...sets(a, null, (v) => !b.has(v)), ...sets(b, null, (v) => !a.has(v))])
    : zipWith((x, y) => x !== y, a, b, "b"),
  neg: (a) => (isNum(a) ? -a : mapWith((v) => -v)(a)),
  pos: (a) => a,
  inv: (a) => mapWith((v) => !v, "b")(a),
  both: (a, b) => (truth(a) ? b() : a),
  either: (a, b) => (truth(a) ? a : b()),
  eq: compare((a, b) => a === b, same),
  ne: compare((a, b) => a !== b, (a, b) => !same(a, b)),
  lt: compare(
    (a, b) => a < b,
    (a, b) => (asSet(a) ? [...a].every((v) => b.has(v)) && a.size < b.size : order(a, b) < 0),
  ),
  gt: compare((a, b) => a > b, (a, b) => order(a, b) > 0),
  le: compare((a, b) => a <= b, (a, b) => (asSet(a) ? [...a].every((v) => b.has(v)) : order(a, b) <= 0)),
  ge: compare((a, b) => a >= b, (a, b) => (asSet(a) ? [...b].every((v) => a.has(v)) : order(a, b) >= 0)),
  has: (a, o) =>
    o instanceof Map || o instanceof Set ? o.has(a)
    : typeof o === "string" ? o.includes(a)
    : [...o].some((v) => same(a, v)),
  lacks: (a, o) => !py.has(a, o),
  is: (a, b) => a === b || (a === undefined && b === null),
  isnt: (a, b) => !py.is(a, b),
  // built-in functions
  len: (v) =>
    v.size !== undefined && !isND(v) ? v.size
    : isND(v) ? v.shape[0]
    : v.length,
  range: (a, b, c = 1) => [...np.arange(a, b, c).data],
  enumerate: (v, from = 0) => [...iter(v)].map((u, i) => [i + (from instanceof Kw ? from.of.start : from), u]),
  zip: (...all) => {
    opts(all);
    const lists = all.map((v) => [...iter(v)]);
    return Array.from({ length: Math.min(...lists.map((l) => l.length)) }, (_, i) => lists.map((l) => l[i]));
  },
  sum: (v, start = 0) => [...iter(v)].reduce((a, b) => py.add(a, b), start),
  map: (f, ...lists) => py.zip(...lists).map((a) => f(...a)),
  list: (v = []) => [...iter(v)],
  tuple: (v = []) => [...iter(v)],
  set: (v = []) => new Set(iter(v)),
  reversed: (v) => [...iter(v)].reverse(),
  dict: (...args) => { const o = opts(args); return new Map([...(args[0] ?? []), ...Object.entries(o)]); },
  str: Object.assign((v = "") => text(v), { is: (v) => typeof v === "string" }),
  repr,
  bool: Object.assign((v) => truth(v), { is: (v) => typeof v === "boolean", kind: "b" }),
  int: Object.assign(
    (v) => Math.trunc(typeof v === "string" ? parseInt(v) : isND(v) ? v.item(0) : +v),
    { is: (v) => Number.isInteger(v) || typeof v === "boolean", kind: "i" },
  ),
  float: Object.assign(
    (v) => {
      const out =
        v === "nan" ? NaN
        : isND(v) ? v.item(0)
        : +v;
      if (out !== out && typeof v === "string" && v !== "nan") throw new PyError("ValueError", `${v} is no number`);
      return out;
    },
    { is: (v) => typeof v === "number", kind: "f" },
  ),
  abs: (v) => np.abs(v),
  any: (v) => [...iter(v)].some(truth),
  all: (v) => [...iter(v)].every(truth),
  ord: (c) => c.codePointAt(0),
  callable: (v) => typeof v === "function",
  type: (v) => (v?.constructor?.__name__ ? v.constructor : { __name__: v?.kind ?? v?.name ?? "object" }),
  next: (v, other) => {
    for (const u of v) return u;
    if (other === undefined) throw new PyError("StopIteration", "");
    return other;
  },
  getattr: (o, name, other) => {
    if (isNum(o) || o === null) return other;
    const v = o[name];
    if (v === undefined && other !== undefined) return other;
    return attr(o, name);
  },
  hasattr: (o, name) => o !== null && o !== undefined && o[name] !== undefined,
  setattr: (o, name, v) => { o[name] = v; return null; },
  ValueError: Object.assign(fail("ValueError"), { is: (e) => e?.kind === "ValueError" }),
  TypeError: fail("TypeError"),
  isinstance: (v, t) =>
    Array.isArray(t) ? t.some((u) => py.isinstance(v, u))
    : t === ND ? isND(v)
    : t === np.integer ? Number.isInteger(v)
    : t === np.floating ? typeof v === "number"
    : t === py.list || t === py.tuple ? Array.isArray(v)
    : t === py.dict ? v instanceof Map
    : t === py.set ? v instanceof Set
    : t.is ? t.is(v)
    : v instanceof Object && typeof t === "function" && v instanceof t,
  sorted: (v, ...k) => {
    const o = opts(k), f = o.key ?? ((u) => u),
      list = [...iter(v)].map((u) => [f(u), u]).sort((a, b) => (o.reverse ? -1 : 1) * order(a[0], b[0]));
    return list.map((p) => p[1]);
  },
  min: (...args) => extreme(args, -1),
  max: (...args) => extreme(args, 1),
};
function extreme(args, way) {
  const o = opts(args), list = args.length === 1 ? [...iter(args[0])] : args, f = o.key ?? ((u) => u);
  if (!list.length) { if ("default" in o) return o.default; throw new PyError("ValueError", "nothing to choose from"); }
  let best = list[0];
  for (const v of list.slice(1)) if (way * order(f(v), f(best)) > 0) best = v;
  return best;
}
