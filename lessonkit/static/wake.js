// An explorer in its saved page: what the kit takes from tables and fonts, what Python wrote down, and how it wakes.

// ── what the kit takes from tables and fonts: the page brings them ──
const brought = { inks: {}, cividis: [], signed: [], spread: [], advances: [{}, {}] };
const rgb = (code) => [1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16) / 255);
const byte = (v) => Math.round(255 * Math.min(Math.max(v, 0), 1)).toString(16).padStart(2, "0");
const hex = (c) => `#${c.map(byte).join("")}`;
const light = (code) => {
  const c = rgb(code).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
};
const away = (a, b) => Math.max(a, b) / Math.min(a, b);
py.ink = (name) => {
  const known = brought.inks[name.replace(/^class(\d+)/, (_, n) => `class${n % 8}`)];
  if (known) return known;
  if (name.startsWith("on:")) {
    const under = py.ink(name.slice(3)).slice(0, 2).map((c) => light(c.slice(0, 7)));
    return [...under.map((v) => (away(1.05, v) >= away(0.05, v) ? "#ffffff" : "#000000")), ""];
  }
  const m = name.match(/^(cividis|signed):(-?[\d.]+)$/);
  if (!m) throw new PyError("ValueError", `ink=${name} does not exist`);
  return [...brought[m[1]][Math.min(Math.max(even(255 * (m[1] === "cividis" ? +m[2] : (+m[2] + 1) / 2)), 0), 255)], ""];
};
const ramps = new Map();
py.ramp = (name, n = 256, strength = 1) => {
  const key = `${name} ${n} ${strength}`,
    mix = (c, page) => hex(rgb(c).map((v, i) => strength * v + (1 - strength) * rgb(page)[i]));
  const at = (i) => brought[name][Math.min(255, Math.floor((256 * i) / Math.max(1, n - 1)))];
  const shade = (_, i) => at(i).map((c, k) => mix(c, k ? "#111418" : "#ffffff"));
  if (!ramps.has(key)) ramps.set(key, Array.from({ length: n }, shade));
  return ramps.get(key);
};
py._advance = (letter, bold) => brought.advances[+bold][letter] ?? 0.7;
const named = new WeakMap();
py._name_of = (codes) => {
  if (!named.has(codes.data)) named.set(codes.data, `image ${Math.random()}`);
  return named.get(codes.data);
};
const bytesOf = new WeakMap();
NDM.tobytes = (a) => {
  if (!bytesOf.has(a.data))
    bytesOf.set(a.data, new DataView((a.type === "B" ? Uint8Array : Float32Array).from(a.data).buffer));
  return bytesOf.get(a.data);
};

// What Python wrote down of its values (packing.packed).
const SPECIAL = {
  f: (v) => ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[v],
  map: (v) => new Map(v.map(([a, b]) => [revive(a), revive(b)])), set: (v) => new Set(v.map(revive)),
  obj: (v) => Object.fromEntries(Object.entries(v).map(([k, u]) => [k, revive(u)])), engine: (v) => engine[v],
};
SPECIAL.nd = ({ b64, shape, type, sent }) => {
  const raw = Uint8Array.from(atob(b64), (c) => c.charCodeAt(0)),
    sorts = { uint8: Uint8Array, float32: Float32Array, float64: Float64Array };
  return new ND(Float64Array.from(new sorts[sent](raw.buffer)), shape, type);
};
SPECIAL.frame = (v) => {
  const columns = revive(v), n = Object.values(columns)[0].size;
  return Object.assign(columns, { length: n });
};
function revive(v) {
  if (Array.isArray(v)) return v.map(revive);
  if (v === null || typeof v !== "object") return v;
  const [[kind, of]] = Object.entries(v);
  return SPECIAL[kind.slice(1)](of);
}
py.revive = revive;
const bare = (v) =>
  v instanceof Map ? Object.fromEntries([...v].map(([k, u]) => [k, bare(u)]))
  : Array.isArray(v) ? v.map(bare)
  : v;

// An explorer in the page: its class as it was translated, the state it was saved with, `tell` for what the browser is
// to know.
const TOLD = [
  "_scene", "_images", "_values", "_asked", "_controls", "_off", "_chips", "_keys", "_text", "_error", "_alt", "_name",
  "_hint", "_drawn",
];
const short = (v) => +format(v, ".4g");
function wake(make, data, tell) {
  Object.assign(brought, data.tables);
  const e = Object.create(make.prototype), values = revive(data.traits), watched = new Set(data.watch), told = {};
  const does = (name, ...args) => call(e, name, ...args);
  let open = false;
  Object.assign(e, revive(data.state), {
    kit: revive(data.kit), comm: null, _batching: 0, _due: new Set(), _drawn: 0, _asked: new Map(), _images: new Map(),
    _error: "", _width: 0, _open: true,
  });
  const natives = {
    set_trait: (name, v) => { e[name] = v; return null; },
    has_trait: (name) => name in values,
    hold_sync: () => ({}),
    send: () => null,
    work: (job) => make.prototype.work(e, job),
    due: () => true, // there are no threads here
    at_once: () => ({ enter() { e._batching++; }, leave() { if (!--e._batching && e._due.size) does("_settle"); } }),
  };
  for (const [name, f] of Object.entries({ ...natives, ...(engine.methods?.(e, () => tell(news())) ?? {}) }))
    Object.defineProperty(e, name, { value: f });
  for (const name in values) {
    Object.defineProperty(e, name, {
      get: () => values[name],
      set(v) {
        if (data.whole.includes(name) && !Number.isInteger(v))
          throw new PyError("TraitError", `${name}=${text(v)} must be a whole number`);
        for (const [names, check] of make.prototype.$valid)
          if (names.includes(name)) v = check(e, new Map([["trait", { name }], ["value", v]]));
        if (same(values[name], v)) return;
        values[name] = v;
        if (open && watched.has(name)) does("_changed", new Map([["name", name]]));
      },
    });
  }
  // JavaScript has no 1.0: which values are floats in Python is known of the traits
  const code = (v, real) =>
    Array.isArray(v) ? `(${v.map((u) => code(u, real)).join(", ")}${v.length === 1 ? "," : ""})`
    : typeof v !== "number" ? repr(v)
    : real && Number.isInteger(short(v)) ? `${short(v)}.0`
    : text(real ? short(v) : v);
  const usual = revive(data.usual);
  py.written = (_, state) => {
    const given = [...state].filter(([k, v]) => v?.size !== 0 && !(k in usual && same(usual[k], v)));
    const said = given.map(([k, v]) => `${k}=${code(v, data.real.includes(k))}`);
    return `${make.prototype.constructor.__name__}(${said.join(", ")})`;
  };
  does("react", new Set(watched));
  e._list = new Map([...does("controls")].map((c) => [c.name, c]));
  [e._actions, e._questions] = [does("key_map"), [...does("chips")]];
  e._controls = [...e._list.values()].map((c) => call(c, "spec"));
  Object.assign(e, {
    _keys: [...new Set([...e._actions.keys()].map((k) => k.replace(/^Shift\+/, "")))].sort(),
    _chips: e._questions.map((c) => c.short), _hint: e.hint, _alt: e.title, _name: data.name,
  });
  open = true;
  const news = () => {
    const now = {};
    for (const name of TOLD) {
      if (told[name] === e[name]) continue;
      told[name] = e[name];
      now[name] = bare(e[name]);
    }
    return now;
  };
  return {
    explorer: e,
    resize(width) {
      const other = width && width !== e._width;
      e._width = width;
      if (other) does("refresh"); // else what is said of an error stays
      tell(news());
    },
    act(what) { does("_act", new Map(Object.entries(what))); tell(news()); },
  };
}
