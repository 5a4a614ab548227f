// Paints a scene (a display list made in Python, widgets/scene) and turns pointer, touch and keys into acts in the
// data's numbers. It needs nothing of the page it stands in: any front end that runs anywidget will do, and so does a
// stub model.

const f32 = (v) => new Float32Array(v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength));
const u8 = (v) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
const FONTS = {
  mono: '"DejaVu Sans Mono", Menlo, Consolas, monospace',
  sans: 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif',
};
const GEOMETRY = { rects: ["xywh", 4], marks: ["xy", 2], text: ["xy", 2], line: ["xy", 2], area: ["xy", 2] };
const EASE_MS = 180, EASY_MS = 6, MANY = 3000, TARGET = 24;

// ── numbers and pixels ──
const axis = (log) => (log ? [Math.log10, (v) => 10 ** v] : [(v) => v, (v) => v]);
function toData(panel, px, py) {
  if (!panel) return [px, py];
  const [l, t, w, h] = panel.box, out = [];
  for (const [u, ends, log] of [[(px - l) / w, panel.x, panel.xlog], [1 - (py - t) / h, panel.y, panel.ylog]]) {
    const [f, back] = axis(log);
    out.push(back(f(ends[0]) + u * (f(ends[1]) - f(ends[0]))));
  }
  return out;
}
function toPx(panel, x, y) {
  if (!panel) return [x, y];
  const [l, t, w, h] = panel.box, [fx] = axis(panel.xlog), [fy] = axis(panel.ylog);
  return [
    l + (w * (fx(x) - fx(panel.x[0]))) / (fx(panel.x[1]) - fx(panel.x[0])),
    t + h * (1 - (fy(y) - fy(panel.y[0])) / (fy(panel.y[1]) - fy(panel.y[0]))),
  ];
}

// ── painters: (context, item, its geometry, ink by number, dark, device pixels a pixel) ──
const trace = (g, p, close) => {
  g.beginPath();
  let pen = false; // a NaN lifts the pen
  for (let i = 0; i < p.length; i += 2) {
    if (Number.isNaN(p[i + 1])) { pen = false; continue; }
    pen ? g.lineTo(p[i], p[i + 1]) : g.moveTo(p[i], p[i + 1]);
    pen = true;
  }
  if (close) g.closePath();
};
const SHAPE = {
  dot: (g, x, y, r) => g.arc(x, y, r, 0, 7),
  square: (g, x, y, r) => g.rect(x - r, y - r, 2 * r, 2 * r),
  diamond: (g, x, y, r) => {
    g.moveTo(x, y - r);
    g.lineTo(x + r, y);
    g.lineTo(x, y + r);
    g.lineTo(x - r, y);
    g.closePath();
  },
  up: (g, x, y, r) => {
    g.moveTo(x, y - r);
    g.lineTo(x + r, y + r);
    g.lineTo(x - r, y + r);
    g.closePath();
  },
  plus: (g, x, y, r) => {
    const t = r / 3;
    g.rect(x - r, y - t, 2 * r, 2 * t);
    g.rect(x - t, y - r, 2 * t, 2 * r);
  },
  cross: (g, x, y, r) => {
    const t = r / 4;
    for (const s of [1, -1]) {
      g.moveTo(x - r, y - s * (r - t));
      g.lineTo(x - r + t, y - s * r);
      g.lineTo(x + r, y + s * (r - t));
      g.lineTo(x + r - t, y + s * r);
      g.closePath();
    }
  },
};
const rgba = (color) => { // '#rrggbb' as the bytes of a pixel; a system color is painted to find out
  if (!color.startsWith("#")) {
    const g = new OffscreenCanvas(1, 1).getContext("2d");
    g.fillStyle = color;
    g.fillRect(0, 0, 1, 1);
    return new Uint32Array(g.getImageData(0, 0, 1, 1).data.buffer)[0];
  }
  const n = parseInt(color.slice(1, 7), 16);
  return ((255 << 24) | ((n & 255) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
};
const painters = {
  rects(g, it, b, ink) {
    const fill = u8(it.fill), stroke = u8(it.stroke);
    g.lineWidth = it.width;
    for (let i = 0; i < fill.length; i++) {
      const x = b[4 * i], y = b[4 * i + 1], w = b[4 * i + 2], h = b[4 * i + 3], f = ink(fill[i]), s = ink(stroke[i]);
      if (it.radius) { g.beginPath(); g.roundRect(x, y, w, h, it.radius); }
      if (f) { g.fillStyle = f; it.radius ? g.fill() : g.fillRect(x, y, w, h); }
      if (s) { g.strokeStyle = s; it.radius ? g.stroke() : g.strokeRect(x, y, w, h); }
    }
  },
  marks(g, it, p, ink, dark, dpr) {
    const fill = u8(it.fill), stroke = u8(it.stroke), size = typeof it.size === "number" ? null : f32(it.size);
    if (fill.length >= MANY) return cloud(g, it, p, ink, size, fill, dpr);
    g.lineWidth = it.width;
    for (let i = 0; i < fill.length; i++) {
      const f = ink(fill[i]), s = ink(stroke[i]);
      g.beginPath();
      SHAPE[it.shape](g, p[2 * i], p[2 * i + 1], (size ? size[i] : it.size) / 2);
      if (f) { g.fillStyle = f; g.fill(); }
      if (s) { g.strokeStyle = s; g.stroke(); }
    }
  },
  text(g, it, p, ink) {
    const color = u8(it.ink);
    g.font = `${it.weight} ${it.size}px ${FONTS[it.font]}`;
    g.textAlign = it.align;
    g.textBaseline = "middle";
    for (let i = 0; i < it.strings.length; i++) {
      if (!it.strings[i]) continue;
      g.fillStyle = ink(color[i]) ?? "#0000";
      g.fillText(it.strings[i], p[2 * i], p[2 * i + 1]);
    }
  },
  line(g, it, p, ink) {
    g.strokeStyle = ink(it.ink) ?? "#0000";
    g.lineWidth = it.width;
    g.lineJoin = g.lineCap = it.dash.length ? "butt" : "round";
    if (it.dash.length) g.lineJoin = "round";
    g.setLineDash(it.dash);
    trace(g, p);
    g.stroke();
    g.setLineDash([]);
  },
  area(g, it, p, ink) {
    g.fillStyle = ink(it.ink) ?? "#0000";
    trace(g, p, true);
    g.fill();
  },
  image(g, it, images, ink, dark) {
    const key = dark ? "night" : "day";
    g.imageSmoothingEnabled = it.smooth;
    g.drawImage((it.made[key] ??= bitmap(it, images[it.codes], dark)), ...it.xywh);
  },
};

function bitmap(it, data, dark) {
  const codes = u8(data), img = new ImageData(it.cols, it.rows);
  if (codes.length === 4 * it.cols * it.rows) img.data.set(codes);
  else {
    const colors = it.colors.map((pair) => rgba(pair[dark ? 1 : 0])), px = new Uint32Array(img.data.buffer);
    for (let i = 0; i < codes.length; i++) px[i] = colors[codes[i]];
  }
  const off = new OffscreenCanvas(it.cols, it.rows);
  off.getContext("2d").putImageData(img, 0, 0);
  return off;
}

// Many points: squares, written into a buffer of pixels.
function cloud(g, it, p, ink, size, fill, dpr) {
  const [l, t, w, h] = it.clip ?? [0, 0, g.canvas.width / dpr, g.canvas.height / dpr];
  const W = Math.max(1, Math.round(w * dpr)), H = Math.max(1, Math.round(h * dpr)), img = new ImageData(W, H),
    px = new Uint32Array(img.data.buffer);
  const colors = new Map();
  for (let i = 0; i < fill.length; i++) {
    let c = colors.get(fill[i]);
    if (c === undefined) colors.set(fill[i], (c = rgba(ink(fill[i]) ?? "#000000")));
    const side = Math.max(1, Math.round((size ? size[i] : it.size) * dpr)),
      x0 = Math.round((p[2 * i] - l) * dpr - side / 2), y0 = Math.round((p[2 * i + 1] - t) * dpr - side / 2);
    for (let y = Math.max(0, y0); y < Math.min(H, y0 + side); y++)
      for (let x = Math.max(0, x0); x < Math.min(W, x0 + side); x++) px[y * W + x] = c;
  }
  const off = new OffscreenCanvas(W, H);
  off.getContext("2d").putImageData(img, 0, 0);
  g.drawImage(off, l, t, w, h);
}

// Where the parts of a keyed item begin their way to where they are now; null: they are there at once.
function departure(was, it, target, k) {
  if (!was || was.kind !== it.kind) return null;
  if (it.ids) {
    if (!was.ids) return null;
    const from = target.slice(), place = new Map(was.ids.map((id, i) => [id, i]));
    it.ids.forEach((id, i) => {
      const j = place.get(id);
      if (j !== undefined) from.set(was.shown.subarray(k * j, k * j + k), k * i);
    });
    return from;
  }
  const n = was.shown.length;
  if (n === target.length) return was.shown;
  if (it.kind !== "line" || n > target.length || n < k) return null;
  const from = new Float32Array(target.length); // a line that grew: what is new comes out of its end
  from.set(was.shown);
  for (let i = n; i < from.length; i++) from[i] = was.shown[n - k + (i % k)];
  return from;
}

// Kinds of items that keep a state of their own in the page (map.js): functions that make one for a picture.
const guests = [];

// The picture in `stage`; acts go to `act`. Returns what the shell needs of it.
function picture(model, stage, act, life) {
  const canvas = make("canvas", "lk-canvas", stage, { role: "img" });
  const layer = make("div", "lk-handles", stage), frameMark = make("div", "lk-hover", layer);
  frameMark.hidden = true;
  const g = canvas.getContext("2d");
  let scene = null, scale = 1, frames = 0, queued = 0, held = null, look = null, cost = 0, bitmaps = new Map(),
    shown = new Map(), moving = null, arrived = -1e9, handles = new Map(), over = null, done = false;

  const calm = () => held || media("prefers-reduced-motion: reduce").matches;
  function take() {
    const next = sceneOf(model), now = performance.now();
    if (!next?.w) return;
    const same = scene && scene.w === next.w && scene.h === next.h, quick = now - arrived < 220;
    arrived = now;
    scene = next;
    const before = shown;
    shown = new Map();
    moving = null;
    const known = bitmaps;
    bitmaps = new Map();
    for (const it of scene.items) {
      if (it.kind === "image") { // painted once, as long as it is in the picture
        const name = `${it.codes} ${it.rows} ${it.palette}`;
        bitmaps.set(name, (it.made = bitmaps.get(name) ?? known.get(name) ?? {}));
      }
      if (!(it.kind in GEOMETRY)) continue;
      const [name, k] = GEOMETRY[it.kind];
      it.target = f32(it[name]);
      if (!it.key) continue;
      const from = same && !quick && !calm() ? departure(before.get(it.key), it, it.target, k) : null;
      if (from && cost < EASY_MS) { // the first frame has already set out
        it.from = from.slice();
        moving = now - EASE_MS / 8;
      }
      shown.set(it.key, { kind: it.kind, ids: it.ids, shown: it.target });
    }
    for (const guest of own) guest.take(scene);
    place();
    if (quick) ask();
    else paint(); // at once, unless they come in floods
  }

  function paint() {
    cancelAnimationFrame(queued);
    queued = 0;
    const began = performance.now();
    if (!scene || done) return;
    const room = look.room, width = Math.min(scene.w, room || scene.w), dpr = window.devicePixelRatio || 1;
    if (Math.abs(width / scene.w - scale) > 1e-4) {
      scale = width / scene.w;
      place();
    }
    const pw = Math.round(width * dpr), ph = Math.round(scene.h * scale * dpr);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${scene.h * scale}px`;
    if (canvas.width !== pw || canvas.height !== ph) {
      canvas.width = pw;
      canvas.height = ph;
    }
    const t = moving === null ? 1 : Math.min(1, (performance.now() - moving) / EASE_MS), u = 1 - (1 - t) ** 3;
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, pw, ph);
    g.setTransform(scale * dpr, 0, 0, scale * dpr, 0, 0);
    const { dark, forced } = look;
    const ink = (i) => {
      const [light, night, system] = scene.inks[i], c = forced && system ? system : dark ? night : light;
      return c.endsWith("00") && c.length === 9 ? null : c;
    };
    const images = model.get("_images") ?? {};
    for (const it of scene.items) {
      let p = it.target;
      if (it.from && t < 1) {
        p = it.target.slice();
        for (let i = 0; i < p.length; i++) {
          const v = it.from[i] + u * (p[i] - it.from[i]);
          if (v === v) p[i] = v;
        }
      }
      if (it.key && shown.has(it.key)) shown.get(it.key).shown = p;
      if (it.clip) {
        g.save();
        g.beginPath();
        g.rect(...it.clip);
        g.clip();
      }
      (painters[it.kind] ?? own.find((o) => o.kind === it.kind).paint)(
        g, it, it.kind === "image" ? images : p, ink, dark, scale * dpr,
      );
      if (it.clip) g.restore();
    }
    canvas.dataset.theme = dark ? "dark" : "light";
    canvas.dataset.frame = ++frames;
    cost += 0.3 * (performance.now() - began - cost);
    if (t < 1) ask();
    else moving = null;
  }
  // What the page says of theme and width is asked when it changes, not for each frame.
  const regard = () => {
    look = { room: stage.clientWidth, dark: isDark(stage), forced: media("forced-colors: active").matches };
    ask();
  };
  const ask = () => { queued ||= requestAnimationFrame(paint); };

  // What the page may still do with a finger that lands here: it scrolls wherever the handle does not need that
  // direction.
  const touch = (h) =>
    h.drag && h.at && h.step[1] ? (h.step[0] ? "none" : "pan-x")
    : h.zoom || h.drag ? "pan-y"
    : "auto";

  // ── handles: real elements over the canvas, so that cursor, Tab, focus ring, name and target are the browser's ──
  // a ring at the edge would be cut off
  const within = (from, size, all) => Math.max(0, Math.min(from, all * scale - size));
  const boxed = (l, t, w, h) => `left:${l}px;top:${t}px;width:${w}px;height:${h}px`;
  function place() {
    const kept = new Map(), wanted = new Set(scene.handles.map((h) => h.id));
    for (const [id, e] of handles) if (!wanted.has(id)) e.remove();
    let next = layer.firstElementChild;
    for (const h of scene.handles) {
      const e = handles.get(h.id) ?? make("div", "lk-handle", null, { "data-id": h.id }),
        [l, t, w, hh] = h.box.map((v) => v * scale);
      const grow = h.drag || h.click ? Math.max(0, TARGET - w) / 2 : 0,
        tall = h.drag || h.click ? Math.max(0, TARGET - hh) / 2 : 0;
      const wide = w + 2 * grow, high = hh + 2 * tall;
      const spot = boxed(within(l - grow, wide, scene.w), within(t - tall, high, scene.h), wide, high);
      const css = `${spot};cursor:${h.cursor};touch-action:${touch(h)}`;
      if (e.css !== css) e.style.cssText = e.css = css;
      e.handle = h;
      if (next === e)
        next = e.nextElementSibling; // later ones lie on top; one that stays is not touched, or it would lose the focus
      else layer.insertBefore(e, next);
      const names =
        h.label ?
          { tabindex: 0, "aria-label": h.label, role: h.drag && h.at ? "slider" : "button" }
        : { "aria-hidden": "true" };
      if (h.label && h.drag && h.at)
        Object.assign(names, {
          "aria-valuenow": h.step[0] ? h.at[0] : h.at[1],
          "aria-valuetext": h.value || h.at.map((v) => +v.toPrecision(3)).join(", "),
        });
      for (const [k, v] of Object.entries(names)) if (e.getAttribute(k) !== String(v)) e.setAttribute(k, v);
      kept.set(h.id, e);
    }
    handles = kept;
    for (const guest of own) guest.place();
  }

  const at = (e) => {
    const box = canvas.getBoundingClientRect();
    return [(e.clientX - box.left) / scale, (e.clientY - box.top) / scale];
  };
  const panelOf = (h) => (h.panel === null || h.panel === undefined ? null : scene.panels[h.panel]);
  const finger = new Map(); // pointers that are down
  const tell = (kind, h, panel, x, y, loud) => {
    const [dx, dy] = toData(panel, x, y);
    (loud ? act.send : act.move)({ kind, id: h.id, x: dx, y: dy });
  };

  life.listen(layer, "pointerdown", (e) => {
    const el = e.target.closest?.("[data-id]"), h = el?.handle;
    if (!h || e.button) return;
    const [x, y] = at(e), panel = panelOf(h), grip = h.at ? toPx(panel, ...h.at) : null;
    finger.set(e.pointerId, [x, y]);
    if (h.label) el.focus({ preventScroll: true });
    else stage.focus({ preventScroll: true });
    e.preventDefault();
    if (finger.size === 2) { // a pinch: what is under its middle comes closer
      const two = spread(), far = scene.handles.findLast((o) => o.zoom && inside(o, ...two.mid));
      if (far) {
        finish();
        held = { h: far, panel: panelOf(far), pinch: two, zoom: true };
        return;
      }
    }
    if (held) return; // a second finger changes nothing
    held = { h, panel, id: e.pointerId, start: [x, y], by: grip ? [grip[0] - x, grip[1] - y] : [0, 0], moved: false };
    try { el.setPointerCapture(e.pointerId); } catch { /* a pointer that is gone, or was never real */ }
    el.classList.add("lk-held");
    frameMark.hidden = true;
    if (h.drag && !grip && !h.click && e.pointerType !== "touch") { // a finger may want to scroll
      held.moved = true;
      tell("drag", h, panel, x, y, true); // where it began must not be lost, however quick the pull
    }
  });
  const spread = () => {
    const [a, b] = [...finger.values()];
    return { d: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, mid: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  };
  // A mouse drags from the third pixel on. A finger that the page may scroll by must first go the other way.
  const begins = (e, dx, dy) => {
    const way = e.pointerType === "touch" ? touch(held.h) : "none";
    return way === "none" ? Math.hypot(dx, dy) >= 3 : way === "pan-x" ? dy >= 6 && dy > dx : dx >= 6 && dx > dy;
  };
  life.listen(layer, "pointermove", (e) => {
    const [x, y] = at(e);
    if (finger.has(e.pointerId)) finger.set(e.pointerId, [x, y]);
    if (held?.zoom) {
      if (finger.size !== 2) return;
      const now = spread(), factor = now.d / held.pinch.d;
      if (Math.abs(factor - 1) > 0.03) {
        const [dx, dy] = toData(held.panel, ...now.mid);
        act.send({ kind: "zoom", id: held.h.id, x: dx, y: dy, factor });
        held.pinch = now;
      }
    } else if (held?.id === e.pointerId) {
      if (!held.moved && !begins(e, Math.abs(x - held.start[0]), Math.abs(y - held.start[1]))) return;
      if (!held.moved && held.h.drag && !held.h.at) tell("drag", held.h, held.panel, ...held.start, true);
      held.moved = true;
      held.last = [x + held.by[0], y + held.by[1]];
      if (held.h.drag) tell("drag", held.h, held.panel, x + held.by[0], y + held.by[1]);
    } else if (e.pointerType === "mouse" || e.pointerType === "pen") hover(x, y);
  });
  const inside = (h, x, y) => x >= h.box[0] && x < h.box[0] + h.box[2] && y >= h.box[1] && y < h.box[1] + h.box[3];
  function hover(x, y) {
    const h = scene?.handles.findLast((o) => o.hover && inside(o, x, y));
    if (!h) return leave();
    let key = `${h.id}:${Math.round(x)}:${Math.round(y)}`;
    if (h.cells) {
      const [cols, rows] = h.cells, cw = h.box[2] / cols, ch = h.box[3] / rows, c = Math.floor((x - h.box[0]) / cw),
        r = Math.floor((y - h.box[1]) / ch);
      key = `${h.id}:${c}:${r}`;
      frameMark.hidden = false;
      const cell = [h.box[0] + c * cw, h.box[1] + r * ch, cw, ch];
      frameMark.style.cssText = boxed(...cell.map((v) => v * scale));
      [x, y] = [h.box[0] + (c + 0.5) * cw, h.box[1] + (r + 0.5) * ch];
    } else frameMark.hidden = true;
    if (key === over?.key) return;
    if (over && over.h.id !== h.id) leave();
    over = { key, h };
    tell("hover", h, panelOf(h), x, y);
  }
  function leave() {
    frameMark.hidden = true;
    if (over) act.move({ kind: "hover", id: over.h.id, x: null, y: null });
    over = null;
  }
  life.listen(stage, "pointerleave", (e) => { // a finger that was lifted has not left
    if (e.pointerType !== "touch") leave();
  });
  const finish = () => { // a drag that something else ended
    if (held?.last && held.h.drag) tell("drop", held.h, held.panel, ...held.last, true);
  };
  const release = (e) => {
    finger.delete(e.pointerId);
    const was = held;
    if (!was || (!was.zoom && was.id !== e.pointerId) || (was.zoom && finger.size)) return;
    if (e.type === "pointercancel") finish();
    held = null;
    for (const el of layer.querySelectorAll(".lk-held")) el.classList.remove("lk-held");
    if (was.zoom || e.type === "pointercancel") return;
    const [x, y] = at(e);
    const tap = e.pointerType === "touch" && !was.moved;
    if (was.h.drag && (was.moved || (tap && !was.h.at && !was.h.click)))
      tell("drop", was.h, was.panel, x + was.by[0], y + was.by[1], true);
    else if (was.h.click) tell("click", was.h, was.panel, x, y, true);
    else if (tap) hover(x, y);
  };
  life.listen(window, "pointerup", release); // wherever the finger is by then
  life.listen(window, "pointercancel", release);
  life.listen(
    layer,
    "wheel",
    (e) => {
      const h = scene?.handles.findLast((o) => o.zoom && inside(o, ...at(e)));
      if (!h || !e.ctrlKey) return;
      e.preventDefault();
      const [x, y] = toData(panelOf(h), ...at(e));
      act.send({ kind: "zoom", id: h.id, x, y, factor: Math.exp(-e.deltaY / 200) });
    },
    { passive: false },
  );

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const LEAPS = { Home: -Infinity, End: Infinity, PageUp: 10, PageDown: -10 };
  life.listen(stage, "keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const h = e.target.handle, go = ARROWS[e.key], panel = h && panelOf(h);
    frameMark.hidden = true;
    let what = null;
    if (h?.drag && h.at && h.stops?.length && (go || e.key in LEAPS)) { // from one of its stops to the next
      const i = h.step[1] ? 1 : 0, at = h.at[i], n = go ? (go[i] || go[1 - i]) * (e.shiftKey ? 5 : 1) : LEAPS[e.key];
      const below = h.stops.filter((v) => v < at - 1e-9).length, above = h.stops.filter((v) => v <= at + 1e-9).length;
      const to = Math.min(Math.max(n > 0 ? above - 1 + n : below + n, 0), h.stops.length - 1);
      const next = h.at.map((v, k) => (k === i ? h.stops[to] : v));
      what = { kind: "drag", id: h.id, x: next[0], y: next[1] };
      h.at = next;
    } else if (h?.drag && h.at && go && (h.step[0] || h.step[1])) {
      const by = e.shiftKey ? 5 : 1,
        next = h.at.map((v, i) => {
          const d = go[i] || (h.step[i] && !h.step[1 - i] ? go[1 - i] : 0),
            log = panel && (i ? panel.ylog : panel.xlog);
          return log ? v * 10 ** (d * by * h.step[i]) : v + d * by * h.step[i];
        });
      what = { kind: "drag", id: h.id, x: next[0], y: next[1] };
      h.at = next; // a second press before the answer goes on from here
    } else if (h?.click && (e.key === "Enter" || e.key === " ")) {
      const [x, y] = h.at ?? toData(panel, h.box[0] + h.box[2] / 2, h.box[1] + h.box[3] / 2);
      what = { kind: "click", id: h.id, x, y };
    } else if ((model.get("_keys") ?? []).includes(e.key)) what = { kind: "key", key: e.key, shift: e.shiftKey };
    if (!what) return;
    e.preventDefault();
    e.stopPropagation();
    act.send(what);
  });

  const own = guests.map((make) => make({ model, stage, act, life, ask, calm, scaleOf: () => scale }));
  const describe = () => canvas.setAttribute("aria-label", model.get("_alt") || "picture");
  life.hear(model, "change:_alt", describe);
  life.hear(model, "change:_scene", take);
  follow(life, stage, regard, () => act.width(stage.clientWidth));
  life.defer(() => {
    done = true;
    cancelAnimationFrame(queued);
  });
  describe();
  regard();
  take();
  paint();
  act.width(stage.clientWidth);
  return { element: canvas, get busy() { return held !== null; } };
}

const draw = picture;
