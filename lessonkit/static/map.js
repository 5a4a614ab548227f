// A map of many points, wholly in the page: it zooms, pans, points, picks and labels without asking the kernel
// (widgets/pointmap).
// Columns of numbers travel once, by name, two bytes a number. Points come in the order of their importance.

const HALF = 14,
  PICK = 14,
  FINGER = 24,
  NEAREST_ZOOM = 64,
  EASE_MOST = 20_000,
  LEVELS = 16,
  BAR = [140, 40]; // px: the corner with the buttons is kept free of labels
const GAP = 9,
  AIR = [36, 22]; // px of air around a label: a map with fewer names is read, not deciphered
const SIZES = [
  [0.01, 1.7],
  [0.06, 1.3],
  [0.3, 1],
  [1, 0.8],
]; // share of the points, the most important first, and how wide they are
const OUTLINED = 6_000,
  BANDS = 5,
  GRID = 96; // points up to which each has a rim; steps of the ground's tint, and its cells a side

// Each label's own zoom: from there on it is shown, whatever the place, so it never overlaps another and never comes
// and goes.
// A label gives way to those before it in every zoom in which both would be there and touch (as in Been et al. 2006).
function labelZooms(x, y, wide, n, high) {
  const zooms = new Float64Array(n),
    rows = new Map();
  let widest = 0;
  for (let i = 0; i < n; i++) widest = Math.max(widest, wide[i]);
  for (let i = 0; i < n; i++) {
    let zoom = 1;
    const row = Math.floor(y[i] / high);
    for (let r = row - 1; r <= row + 1; r++) {
      for (const j of rows.get(r) ?? []) {
        const dx = x[j] - x[i],
          far = Math.abs(dx),
          tall = Math.abs(y[j] - y[i]),
          room = dx >= 0 ? wide[i] : wide[j];
        if (far >= room || tall >= high) continue;
        const apart = Math.min(room / far, high / tall); // Infinity where they stand on one place
        if (apart > zooms[j] && apart > zoom) zoom = apart;
      }
    }
    zooms[i] = zoom;
    if (zoom < NEAREST_ZOOM) {
      if (!rows.has(row)) rows.set(row, []);
      rows.get(row).push(i);
    }
  }
  return zooms;
}

// The frame of the figure: it draws what it is told.
const SOLID = `<!doctype html><meta charset=utf-8><style>body{margin:0}</style><div id=f></div>
<script src="LIBRARY"></script>
<script>
  addEventListener("message", (e) => {
    const f = JSON.parse(e.data.figure), size = { autosize: true, width: innerWidth, height: innerHeight };
    Object.assign(f.layout, size, { paper_bgcolor: "rgba(0,0,0,0)", font: { color: e.data.fg, size: 13 } });
    Plotly.react("f", f.data, f.layout, { displaylogo: false, responsive: true });
  });
  parent.postMessage("lk-solid", "*");
</script>`;

const insidePath = (path, x, y) => {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [xi, yi] = path[i],
      [xj, yj] = path[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
};

// A round stamp: how much of each pixel a dot of this width covers, 0 to 255; and where its rim lies, which parts it
// from its neighbors.
function stampOf(side, rim) {
  const n = Math.ceil(side + 2 * rim) + 1,
    mask = new Uint8Array(n * n),
    edge = new Uint8Array(n * n),
    mid = n / 2,
    r = side / 2;
  const cover = (x, y, r) => 255 * Math.min(1, Math.max(0, r + 0.5 - Math.hypot(x + 0.5 - mid, y + 0.5 - mid)));
  for (let y = 0; y < n; y++)
    for (let x = 0; x < n; x++) {
      mask[y * n + x] = cover(x, y, r);
      edge[y * n + x] = rim ? cover(x, y, r + rim) : 0;
    }
  return { n, mask, edge };
}

// How crowded the map is, place by place: counts in cells, made smooth, as steps from 0 to BANDS.
function ground(x, y, n, w, h) {
  const rows = Math.max(8, Math.round((GRID * h) / w)),
    counts = new Float32Array(GRID * rows),
    soft = new Float32Array(GRID * rows);
  for (let i = 0; i < n; i++) {
    const c = Math.floor((x[i] / w) * GRID),
      r = Math.floor((y[i] / h) * rows);
    if (c >= 0 && r >= 0 && c < GRID && r < rows) counts[r * GRID + c]++;
  }
  for (let pass = 0; pass < 3; pass++)
    for (const [from, to, step, many, other, leap] of [
      [counts, soft, 1, GRID, rows, GRID],
      [soft, counts, GRID, rows, GRID, 1],
    ])
      for (let line = 0; line < other; line++)
        for (let i = 0; i < many; i++) {
          let v = 0;
          for (let d = -3; d <= 3; d++) {
            const j = i + d;
            if (j >= 0 && j < many) v += from[line * leap + j * step];
          }
          to[line * leap + i * step] = v / 7;
        }
  const most = counts.reduce((a, b) => Math.max(a, b), 1e-9);
  return { rows, steps: counts.map((v) => Math.round(BANDS * 8 * Math.sqrt(v / most)) / 8) };
}

const stores = new WeakMap(); // model: the columns that have come
function storeOf(model) {
  if (!stores.has(model)) stores.set(model, new Map());
  return stores.get(model);
}

guests.push(({ model, stage, act, life, ask, calm, scaleOf }) => {
  const store = storeOf(model),
    view = { zoom: 1, x: 0, y: 0 },
    fingers = new Map(),
    mine = { chosen: null };
  let it = null,
    waiting = null,
    map = null,
    tool = "move",
    hand = null,
    lasso = null,
    over = -1,
    told = 0,
    sent = "",
    jumped = 0,
    byReader = false,
    shownLabels = [],
    table = null,
    layerOf = null,
    asked = "";

  const root = make("div", "lk-map", stage, { role: "group", "aria-label": "map" });
  const tip = make("div", "lk-tip", root, { "aria-hidden": "true" }),
    bar = make("div", "lk-map-bar", root);
  tip.hidden = root.hidden = true;
  const button = (text, label, f) => {
    const b = Object.assign(
      make("button", "lk-button lk-icon", bar, { type: "button", "aria-label": label, title: label }),
      { textContent: text },
    );
    life.listen(b, "click", f);
    return b;
  };
  const middle = () => [it.box[2] / 2, it.box[3] / 2];
  button("+", "come closer", () => zoomAt(1.6, ...middle(), true));
  button("−", "go back", () => zoomAt(1 / 1.6, ...middle(), true));
  button("⤢", "the whole map", () => {
    Object.assign(view, { zoom: 1, x: 0, y: 0 });
    moved();
  });
  const loop = button("◌", "choose by a loop", () => {
    tool = tool === "loop" ? "move" : "loop";
    loop.setAttribute("aria-pressed", String(tool === "loop"));
    touchRule();
  });
  loop.setAttribute("aria-pressed", "false");
  const names = ["x", "y"].map((axis, i) => {
    const input = make("input", "lk-axis", stage, {
      type: "text",
      maxlength: 80,
      "aria-label": `name of the axis ${axis === "x" ? "across" : "up"}`,
      title: "type a name for this axis",
    });
    life.listen(input, "keydown", (e) => {
      e.stopPropagation();
      if (e.key === "Enter") input.blur();
      if (e.key === "Escape") {
        input.value = it.names[i].text;
        input.blur();
      }
    });
    life.listen(input, "change", () => act.send({ kind: "rename", axis: i, text: input.value }));
    return input;
  });

  // ── what has come ──
  const columns = (o) =>
    [o.ax[0], o.ay[0], o.fill, o.norm?.[0], o.titles, o.wide, o.cut, o.near, o.far].filter(Boolean);
  const blob = (name) => store.get(name) ?? model.get("_images")?.[name];
  let figure = null,
    solid = null;
  life.hear(model, "msg:custom", (message, buffers) => {
    if (message?.figure !== undefined) {
      figure = message.figure;
      turn();
    }
    if (!message?.blobs) return;
    message.blobs.forEach((name, i) => store.set(name, buffers[i]));
    if (waiting) settle(waiting);
    if (figure && message.blobs.includes("plotly")) turn();
  });
  function turn() {
    // a figure of three components, in a frame of its own; its library comes when it is first needed
    if (!figure) {
      solid?.remove();
      solid = null;
      return;
    }
    const library = blob("plotly");
    if (!library) {
      act.send({ kind: "need", names: ["plotly"] });
      return;
    }
    if (!solid) {
      solid = make("iframe", "lk-solid", null, { title: "three components, a figure that can be turned" });
      stage.after(solid);
      const url = URL.createObjectURL(new Blob([library], { type: "text/javascript" }));
      life.defer(() => URL.revokeObjectURL(url));
      solid.srcdoc = SOLID.replace("LIBRARY", url);
    }
    show();
  }
  life.listen(window, "message", (e) => {
    if (solid && e.source === solid.contentWindow && e.data === "lk-solid") show();
  });
  const show = () => solid.contentWindow?.postMessage({ figure, fg: isDark(stage) ? "#f0f0f0" : "#1a1a1a" }, "*");
  life.defer(() => solid?.remove());
  function settle(o) {
    const lacking = columns(o).filter((name) => !blob(name));
    waiting = lacking.length ? o : null;
    if (!lacking.length) {
      adopt(o);
      return;
    }
    if (String(lacking) !== asked) {
      asked = String(lacking);
      act.send({ kind: "need", names: lacking });
    }
  }
  const u16 = (v) => new Uint16Array(v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength));
  const unpacked = new Map();
  const once = (key, f) => {
    if (!unpacked.has(key)) {
      if (unpacked.size > 40) unpacked.clear();
      unpacked.set(key, f());
    }
    return unpacked.get(key);
  };
  const column = ([name, lo, hi, top]) =>
    once(name, () =>
      Float64Array.from(top === 255 ? u8(blob(name)) : u16(blob(name)), (v) => lo + (v * (hi - lo)) / top),
    );
  function adopt(o) {
    const before = map,
      same = (a, b) => String(a) === String(b);
    const key = [o.ax, o.ay, o.norm, o.wide, o.box, o.x, o.y].join();
    if (!map || map.key !== key) {
      const dx = column(o.ax),
        dy = column(o.ay),
        n = dx.length,
        [, , w, h] = o.box;
      map = { key, n, x: new Float64Array(n), y: new Float64Array(n), level: new Uint8Array(n), from: null };
      for (let i = 0; i < n; i++) {
        map.x[i] = ((dx[i] - o.x[0]) / (o.x[1] - o.x[0])) * w;
        map.y[i] = h - ((dy[i] - o.y[0]) / (o.y[1] - o.y[0])) * h;
      }
      const norm = o.norm && column(o.norm),
        shown = norm ? dx.map((v, i) => Math.hypot(v, dy[i]) / Math.exp(norm[i] / 2)) : null;
      // faded is what this map shows less of than of others
      const best = shown ? shown.slice().sort()[Math.floor(0.95 * (n - 1))] || 1 : 1;
      for (let i = 0; i < n; i++)
        map.level[i] = shown ? Math.round((LEVELS - 1) * Math.min(1, shown[i] / best)) : LEVELS - 1;
      map.wide = o.wide ? once(o.wide, () => Float64Array.from(u16(blob(o.wide)), (v) => v / 8)) : [];
      map.zooms = labelZooms(
        map.x,
        map.y,
        Float64Array.from(map.wide, (v) => v + AIR[0]),
        map.wide.length,
        HALF + 2 + AIR[1],
      );
      map.ground = n >= 60 ? ground(map.x, map.y, n, w, h) : null;
      if (before && before.n === n && n <= EASE_MOST && !calm() && same(before.box, o.box)) {
        map.from = [before.x, before.y];
        map.began = performance.now();
      }
      map.box = o.box;
    }
    it = o;
    const fill = blob(o.fill);
    map.fill = new Uint8Array(fill.buffer, fill.byteOffset, fill.byteLength);
    map.titles = once(o.titles, () => new TextDecoder().decode(blob(o.titles)).split("\n"));
    map.cut = o.cut ? new Uint8Array(blob(o.cut).buffer, blob(o.cut).byteOffset, blob(o.cut).byteLength) : null;
    table = null;
    if (o.to && o.to[0] > jumped) {
      // the kernel has set the window
      jumped = o.to[0];
      byReader = false;
      const [, x0, x1, y0, y1] = o.to,
        [, , w, h] = o.box,
        px = (v) => ((v - o.x[0]) / (o.x[1] - o.x[0])) * w,
        py = (v) => h - ((v - o.y[0]) / (o.y[1] - o.y[0])) * h;
      view.zoom = Math.min(w / (px(x1) - px(x0)), h / (py(y0) - py(y1)));
      view.x = w / 2 - (view.zoom * (px(x0) + px(x1))) / 2;
      view.y = h / 2 - (view.zoom * (py(y0) + py(y1))) / 2;
    }
    clamp();
    place();
    ask();
    tellSoon();
  }
  function place() {
    const s = scaleOf(),
      [l, t, w, h] = it.box;
    root.hidden = false;
    const touch = root.style.touchAction;
    root.style.cssText = `left:${l * s}px;top:${t * s}px;width:${w * s}px;height:${h * s}px;touch-action:${touch}`;
    touchRule();
    const hint = stage.querySelector(".lk-hint"); // it speaks of the map
    if (hint)
      Object.assign(hint.style, {
        left: `${(l + w / 2) * s}px`,
        top: `${(t + h) * s - 76}px`,
        maxWidth: `${(w - 24) * s}px`,
      });
    names.forEach((input, i) => {
      const {
        box: [x, y, wide],
        text,
        fixed,
      } = it.names[i];
      input.style.cssText = `left:${x * s}px;top:${y * s}px;width:${wide * s}px`;
      if (document.activeElement !== input && input.value !== text) input.value = text;
      input.readOnly = !!fixed;
      input.title = fixed ? text : "type a name for this axis";
    });
  }
  const touchRule = () => {
    root.style.touchAction = tool === "loop" || view.zoom > 1 ? "none" : "pan-y";
    root.style.cursor = tool === "loop" ? "crosshair" : "grab";
  };

  // ── the view ──
  function clamp() {
    const [, , w, h] = it.box;
    view.zoom = Math.min(Math.max(view.zoom, 1), NEAREST_ZOOM);
    view.x = Math.min(0, Math.max(w - w * view.zoom, view.x));
    view.y = Math.min(0, Math.max(h - h * view.zoom, view.y));
  }
  function moved() {
    byReader = true;
    clamp();
    touchRule();
    tip.hidden = true;
    ask();
    tellSoon();
  }
  function tell() {
    // the kernel knows which part is in sight
    const [, , w, h] = it.box,
      x = (px) => it.x[0] + (((px - view.x) / view.zoom) * (it.x[1] - it.x[0])) / w,
      y = (py) => it.y[1] - (((py - view.y) / view.zoom) * (it.y[1] - it.y[0])) / h;
    const now = [x(0), x(w), y(h), y(0)];
    const labels = shownLabels.map((l) => l.i),
      news = `${now} ${labels} ${model.get("_drawn")}`;
    if (it.near || map.from || news === sent) return;
    sent = news;
    act.send({ kind: "window", window: byReader ? now : null, labels }); // what code has set is not written back
    byReader = false;
  }
  const tellSoon = () => {
    clearTimeout(told);
    told = setTimeout(tell, 250);
  };
  life.defer(() => clearTimeout(told));
  function zoomAt(factor, px, py) {
    const to = Math.min(Math.max(view.zoom * factor, 1), NEAREST_ZOOM),
      f = to / view.zoom;
    view.x = px - f * (px - view.x);
    view.y = py - f * (py - view.y);
    view.zoom = to;
    moved();
  }
  const X = (i) => map.x[i] * view.zoom + view.x,
    Y = (i) => map.y[i] * view.zoom + view.y;

  // ── what the reader does ──
  const at = (e) => {
    const b = root.getBoundingClientRect(),
      s = scaleOf();
    return [(e.clientX - b.left) / s, (e.clientY - b.top) / s];
  };
  function nearestTo(px, py, reach) {
    let best = -1,
      d2 = reach * reach;
    for (let i = 0; i < it.n; i++) {
      const dx = X(i) - px,
        dy = Y(i) - py,
        d = dx * dx + dy * dy;
      if (d < d2) {
        d2 = d;
        best = i;
      }
    }
    return best;
  }
  function point(i, px, py) {
    root.style.cursor = tool === "loop" ? "crosshair" : i >= 0 ? "pointer" : "grab";
    if (i === over) return;
    over = i;
    tip.hidden = i < 0 || !map.titles[i];
    if (!tip.hidden) {
      tip.textContent = map.titles[i];
      const s = scaleOf(),
        right = px > it.box[2] / 2;
      const side = right ? `right:${(it.box[2] - X(i) + 10) * s}px` : `left:${(X(i) + 10) * s}px`;
      tip.style.cssText = `${side};top:${(Y(i) - 12) * s}px`;
    }
    act.move({ kind: "point", row: i });
    ask();
  }
  function pick(i, add) {
    if (it.near) {
      // no kernel: the neighbors came along
      mine.chosen = i < 0 ? [] : [i];
      const voice = stage.parentElement?.querySelector(".lk-narration");
      const near = i < 0 ? [] : links(i),
        told = near.length
          ? `Nearest in the full space: ${near
              .slice(0, 3)
              .map(([, j]) => nameOf(j))
              .join(", ")}`
          : `This page holds the neighbors of the first ${nears().length / it.k} points alone; the lesson finds all`;
      if (voice) voice.textContent = i < 0 ? model.get("_text").split(" Chosen:")[0] : `Chosen: ${nameOf(i)}. ${told}.`;
      ask();
    } else act.send({ kind: "pick", row: i, add });
  }
  const nears = () =>
    once(it.near, () => {
      const v = blob(it.near);
      return it.long ? new Uint32Array(v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength)) : u16(v);
    });
  const links = (i) => [...nears().subarray(i * it.k, (i + 1) * it.k)].map((j) => [i, j]);
  const others = () =>
    once(
      it.far,
      () =>
        new Map(
          new TextDecoder()
            .decode(blob(it.far))
            .split("\n")
            .map((line) => [parseInt(line, 10), line.slice(line.indexOf(" ") + 1)]),
        ),
    );
  const nameOf = (i) => map.titles[i] ?? (it.far && others().get(i)) ?? `point ${i + 1}`;
  life.listen(root, "pointerdown", (e) => {
    if (e.button || e.target.closest("button")) return;
    stage.focus({ preventScroll: true });
    e.preventDefault();
    const p = at(e);
    fingers.set(e.pointerId, p);
    root.setPointerCapture(e.pointerId);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()];
      hand = { pinch: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, mid: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
      lasso = null;
      return;
    }
    if (tool === "loop" || e.shiftKey) {
      lasso = [p];
      hand = null;
    } else hand = { start: p, x: view.x, y: view.y, moved: false };
  });
  life.listen(root, "pointermove", (e) => {
    if (!it) return;
    const p = at(e);
    if (fingers.has(e.pointerId)) fingers.set(e.pointerId, p);
    if (hand?.pinch && fingers.size === 2) {
      const [a, b] = [...fingers.values()],
        d = Math.hypot(a[0] - b[0], a[1] - b[1]) || 1,
        mid = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      view.x += mid[0] - hand.mid[0];
      view.y += mid[1] - hand.mid[1];
      zoomAt(d / hand.pinch, ...mid);
      Object.assign(hand, { pinch: d, mid });
    } else if (lasso) {
      lasso.push(p);
      ask();
    } else if (hand?.start) {
      if (!hand.moved && Math.hypot(p[0] - hand.start[0], p[1] - hand.start[1]) < 4) return;
      hand.moved = true;
      view.x = hand.x + p[0] - hand.start[0];
      view.y = hand.y + p[1] - hand.start[1];
      moved();
    } else if (e.pointerType !== "touch" && !e.target.closest("button")) point(nearestTo(...p, PICK), ...p);
  });
  const release = (e) => {
    if (!fingers.delete(e.pointerId)) return;
    const was = hand,
      path = lasso;
    hand = lasso = null;
    if (e.type === "pointercancel" || was?.pinch) return;
    if (path) {
      const rows = [];
      if (path.length > 3) for (let i = 0; i < it.n; i++) if (insidePath(path, X(i), Y(i))) rows.push(i);
      if (it.near) mine.chosen = rows;
      else act.send({ kind: "lasso", rows });
      if (tool === "loop") loop.click();
      ask();
    } else if (was && !was.moved)
      pick(nearestTo(...at(e), e.pointerType === "touch" ? FINGER : PICK), e.ctrlKey || e.metaKey);
  };
  life.listen(root, "pointerup", release);
  life.listen(root, "pointercancel", release);
  life.listen(root, "pointerleave", () => it && !hand && !lasso && point(-1));
  life.listen(root, "dblclick", (e) => {
    if (!e.target.closest("button")) zoomAt(2, ...at(e));
  });
  life.listen(
    root,
    "wheel",
    (e) => {
      // the page scrolls past a map that nobody holds
      if (!it || (!e.ctrlKey && !stage.contains(document.activeElement))) return;
      e.preventDefault();
      zoomAt(Math.exp(-Math.min(Math.max(e.deltaY, -60), 60) / 120), ...at(e)); // a notch is half as near again
    },
    { passive: false },
  );
  life.listen(stage, "keydown", (e) => {
    const by = { "+": 1.6, "=": 1.6, "-": 1 / 1.6, 0: 0 }[e.key];
    if (by === undefined || !it || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    const i = it.chosen[0],
      to = i === undefined ? middle() : [X(i), Y(i)];
    if (by) zoomAt(by, ...to);
    else {
      view.zoom = 1;
      moved();
    }
  });

  // ── the picture ──
  function colors(ink, dark, panel) {
    const key = `${it.inks.map(ink)} ${panel}`;
    if (table?.key === key) return table;
    const back = rgba(panel),
      out = new Uint32Array(256 * LEVELS * 2);
    it.inks.forEach((id, k) => {
      const c = rgba(ink(id) ?? panel);
      for (let v = 0; v < LEVELS; v++)
        for (const dim of [0, 1])
          out[(k * LEVELS + v) * 2 + dim] = mix(back, c, (dim ? 0.3 : 0.36) + ((dim ? 0.3 : 0.64) * v) / (LEVELS - 1));
    });
    return (table = { key, out, back });
  }
  const mix = (a, b, u) => {
    let c = 0;
    for (const s of [0, 8, 16]) c |= Math.round(((a >> s) & 255) * (1 - u) + ((b >> s) & 255) * u) << s;
    return (c | (255 << 24)) >>> 0;
  };
  function tint(g, ink) {
    // the more crowded, the deeper: like the heights on a map
    const { rows, steps } = map.ground,
      color = rgba(ink),
      key = `${map.key} ${color}`;
    if (map.tinted?.key !== key) {
      const made = new OffscreenCanvas(GRID, rows),
        pen = made.getContext("2d"),
        img = new ImageData(GRID, rows),
        px = new Uint32Array(img.data.buffer);
      steps.forEach((v, i) => {
        px[i] = ((color & 0xffffff) | (Math.round(11 * v) << 24)) >>> 0;
      });
      pen.putImageData(img, 0, 0);
      map.tinted = { key, made };
    }
    g.imageSmoothingEnabled = true;
    g.globalAlpha = view.zoom ** -0.7; // from near, all is crowded
    g.drawImage(map.tinted.made, view.x, view.y, it.box[2] * view.zoom, it.box[3] * view.zoom);
    g.globalAlpha = 1;
  }
  const sizeOf = (i) => {
    const share = (i + 0.5) / map.n;
    return it.size * SIZES.find(([upTo]) => share <= upTo)[1];
  };
  function dots(g, dpr, look, bright) {
    const [, , w, h] = it.box,
      W = Math.round(w * dpr),
      H = Math.round(h * dpr),
      grown = dpr * Math.min(1.6, view.zoom ** 0.25),
      rim = map.n <= OUTLINED ? dpr : 0;
    const ends = SIZES.map(([upTo]) => upTo * map.n),
      stamps = SIZES.map(([, by]) => {
        const side = it.size * by * grown;
        return side > 1.5 ? stampOf(side, rim) : { n: 1, mask: [255], edge: [0] };
      });
    if (layerOf?.width !== W || layerOf?.height !== H) {
      layerOf = new OffscreenCanvas(W, H);
      layerOf.pen = layerOf.getContext("2d");
      layerOf.img = new ImageData(W, H);
      layerOf.px = new Uint32Array(layerOf.img.data.buffer);
    }
    const { px, img, pen } = layerOf,
      { fill, level, x, y } = map,
      { zoom } = view,
      inks = look.out,
      { back } = look;
    px.fill(0);
    const put = (i, dim, { n, mask, edge }) => {
      const half = n / 2,
        x0 = Math.round((x[i] * zoom + view.x) * dpr - half),
        y0 = Math.round((y[i] * zoom + view.y) * dpr - half);
      if (x0 <= -n || y0 <= -n || x0 >= W || y0 >= H) return;
      const c = inks[(fill[i] * LEVELS + level[i]) * 2 + dim],
        from = Math.max(0, -x0),
        to = Math.min(n, W - x0),
        low = Math.min(n, H - y0);
      for (let yy = Math.max(0, -y0); yy < low; yy++) {
        let m = yy * n + from,
          p = (y0 + yy) * W + x0 + from;
        for (let xx = from; xx < to; xx++, m++, p++) {
          const k = mask[m];
          if (k === 255) px[p] = c;
          else if (rim && edge[m] > 127) px[p] = k ? mix(back, c, k / 255) : back;
          else if (k > 127 || (k && !px[p])) px[p] = ((c & 0xffffff) | (k << 24)) >>> 0;
        }
      }
    };
    const dim = bright.length ? 1 : 0,
      stampAt = (i) => stamps[ends.findIndex((end) => i + 0.5 <= end)];
    for (let k = SIZES.length - 1, i = it.n - 1; k >= 0; k--)
      for (const first = k ? Math.ceil(ends[k - 1] - 0.5) : 0; i >= first; i--) put(i, dim, stamps[k]);
    for (const i of bright) if (i < map.n) put(i, 0, stampAt(i));
    pen.putImageData(img, 0, 0);
    g.drawImage(layerOf, 0, 0, w, h);
  }
  const words = (i) => {
    const k = map.cut?.[i] ?? 255;
    return k < 255 ? map.titles[i].slice(0, k) + "…" : (map.titles[i] ?? (it.far && others().get(i)));
  };
  function labels(g, ink, chosen, near, lit) {
    const [, , w, h] = it.box,
      drawn = [],
      taken = [],
      from = near.length ? chosen[0] : undefined,
      { zoom } = view,
      limit = Math.min(it.n, map.wide.length);
    const cross = (b, o) => b[0] < o[0] + o[2] && o[0] < b[0] + b[2] && b[1] < o[1] + o[3] && o[1] < b[1] + b[3];
    const touches = (b) => taken.some((o) => cross(b, o));
    g.font = `12px ${FONTS.sans}`;
    g.textBaseline = "middle";
    g.textAlign = "left";
    const above = [...new Set([...chosen.slice(0, 12), ...near, ...lit.slice(0, 24)])];
    const spots = above.map((i) => [X(i) - 8, Y(i) - 8, 16, 16]);
    for (const i of above) {
      // what was asked for comes first, where there is room
      const x = X(i),
        y = Y(i),
        text = words(i) ?? "",
        wide = map.wide[i] ?? g.measureText(text).width + 8;
      if (x < 0 || y < 0 || x > w || y > h || !text) continue;
      // off the line that leads to it
      const away = from !== undefined && i !== from ? [x - X(from), y - Y(from)] : [1, 0];
      const places = [
        [x + 13, y - 8, 1, 0],
        [x - 13 - wide, y - 8, -1, 0],
        [x - wide / 2, y - 27, 0, -1],
        [x - wide / 2, y + 11, 0, 1],
      ];
      const towards = ([, , u, v]) => Math.round((1000 * (u * away[0] + v * away[1])) / (Math.hypot(...away) || 1));
      const free = places
        .sort((p, q) => towards(q) - towards(p))
        .map(([l, t]) => [l, t, wide, 16])
        .filter((o) => o[0] >= 0 && o[0] + wide <= w && o[1] >= 0 && o[1] + 16 <= h && !touches(o));
      const b = free.find((o) => !spots.some((s) => cross(o, s))) ?? free[0]; // where it can, on none of the others
      if (!b) continue;
      taken.push(b);
      drawn.push([i, b, text, true]);
    }
    if (!map.from) {
      const has = new Set(above);
      for (let i = 0; i < limit; i++) {
        if (map.zooms[i] > zoom || has.has(i)) continue;
        const x = X(i),
          y = Y(i);
        if (x < 0 || y < 8 || y > h - 8 || x + GAP + map.wide[i] > w) continue;
        const b = [x + GAP, y - 8, map.wide[i], 16],
          whole = [x - 8, y - 8, map.wide[i] + GAP + 8, 16]; // with its dot
        if ((x + GAP + map.wide[i] > w - BAR[0] && y + 8 > h - BAR[1]) || (taken.length && touches(whole))) continue;
        drawn.push([i, b, words(i), false]);
      }
    }
    const back = ink(it.panel),
      quiet = chosen.length || lit.length;
    g.strokeStyle = ink(quiet ? it.muted : it.fg);
    g.lineWidth = 1.25;
    for (const [i, , , strong] of drawn)
      if (!strong) { // which dot a label belongs to
        g.beginPath();
        g.arc(X(i), Y(i), sizeOf(i) / 2 + 2, 0, 7);
        g.stroke();
      }
    g.strokeStyle = back; // a rim of the ground's color, so that a name reads on whatever lies beneath
    g.lineJoin = "round";
    g.lineWidth = 4;
    for (const strong of [false, true]) {
      g.fillStyle = ink(strong || !quiet ? it.fg : it.muted);
      g.font = `${strong ? "bold " : ""}12px ${FONTS.sans}`;
      for (const [, [x, y, wide], text, s] of drawn)
        if (s === strong)
          for (const draw of ["strokeText", "fillText"])
            strong ? g[draw](text, x, y + 8.5, wide) : g[draw](text, x, y + 8.5);
    }
    shownLabels = drawn.map(([i, b]) => ({ i, name: map.titles[i], box: b }));
  }
  function paint(g, o, _, ink, dark, dpr) {
    if (!it || !map) return;
    const began = performance.now(),
      [l, t, w, h] = it.box,
      chosen = mine.chosen ?? it.chosen,
      pairs = mine.chosen ? (mine.chosen.length === 1 ? links(mine.chosen[0]) : []) : it.links,
      near = pairs.map(([, j]) => j);
    const goal = [map.x, map.y];
    if (map.from) {
      // on its way from the last pair of components, or the last epoch
      const u = Math.min(1, (performance.now() - map.began) / EASE_MS),
        v = 1 - (1 - u) ** 3;
      if (u >= 1) map.from = null;
      else [map.x, map.y] = goal.map((to, k) => to.map((b, i) => map.from[k][i] + v * (b - map.from[k][i])));
    }
    g.save();
    g.translate(l, t);
    g.beginPath();
    g.rect(0, 0, w, h);
    g.clip();
    const zero = [
      ((0 - it.x[0]) / (it.x[1] - it.x[0])) * w * view.zoom + view.x,
      (h - ((0 - it.y[0]) / (it.y[1] - it.y[0])) * h) * view.zoom + view.y,
    ];
    if (map.ground && !map.from) tint(g, ink(it.focus));
    g.strokeStyle = ink(it.line);
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(zero[0], 0);
    g.lineTo(zero[0], h);
    g.moveTo(0, zero[1]);
    g.lineTo(w, zero[1]);
    g.stroke();
    dots(g, dpr, colors(ink, dark, ink(it.panel)), [...it.lit, ...near, ...chosen]);
    for (const [color, wide] of [
      [it.panel, 5],
      [it.focus, 2],
    ]) {
      // the lines lie on the points, with a rim of their own
      g.strokeStyle = ink(color);
      g.lineWidth = wide;
      g.lineCap = "round";
      for (const [i, j] of pairs) {
        g.beginPath();
        g.moveTo(X(i), Y(i));
        g.lineTo(X(j), Y(j));
        g.stroke();
      }
    }
    const ring = (i, r, width) => {
      g.lineWidth = width;
      g.beginPath();
      g.arc(X(i), Y(i), r, 0, 7);
      g.stroke();
    };
    const dot = (i, r, width) => {
      g.fillStyle = ink(it.inks[map.fill[i]]) ?? ink(it.panel);
      g.beginPath();
      g.arc(X(i), Y(i), r, 0, 7);
      g.fill();
      g.strokeStyle = ink(it.panel);
      ring(i, r + width / 2 + 1, 2);
      g.strokeStyle = ink(it.focus);
      ring(i, r, width);
    };
    for (const i of near) dot(i, sizeOf(i) / 2 + 2.5, 2);
    g.strokeStyle = ink(it.focus);
    if (chosen.length > 40) for (const i of chosen.slice(0, 400)) ring(i, sizeOf(i) / 2 + 2, 1);
    else for (const i of chosen) dot(i, sizeOf(i) / 2 + 5, 3);
    if (over >= 0 && over < it.n) {
      g.strokeStyle = ink(it.fg);
      ring(over, sizeOf(over) / 2 + 4, 2);
    }
    labels(g, ink, chosen, near, it.lit);
    if (lasso) {
      g.strokeStyle = ink(it.focus);
      g.lineWidth = 2;
      g.setLineDash([5, 3]);
      g.beginPath();
      lasso.forEach(([x, y], k) => (k ? g.lineTo(x, y) : g.moveTo(x, y)));
      g.closePath();
      g.stroke();
      g.setLineDash([]);
    }
    g.restore();
    [map.x, map.y] = goal;
    root.dataset.ms = (performance.now() - began).toFixed(2);
    root.dataset.zoom = view.zoom.toFixed(3);
    root.dataset.labels = shownLabels.length;
    root.labels = shownLabels;
    if (map.from) requestAnimationFrame(ask);
  }
  life.defer(() => {
    root.remove();
    names.forEach((e) => e.remove());
  });
  return {
    kind: "map",
    paint,
    take(scene) {
      const o = scene.items.find((i) => i.kind === "map");
      if (o) settle(o);
      else {
        root.hidden = true;
        it = null;
      }
      names.forEach((e) => (e.hidden = !o));
    },
    place() {
      if (it) place();
    },
  };
});

// A text to type, told when the reader stops.
builders.words = (spec, box, act, life) => {
  make("span", "lk-name", box).textContent = spec.label;
  const input = make("input", "", box, { type: "search", "aria-label": spec.label, placeholder: spec.hint });
  let timer = 0;
  const tell = () => {
    clearTimeout(timer);
    timer = 0;
    act.send({ kind: "set", name: spec.name, value: input.value });
  };
  life.listen(input, "input", () => {
    clearTimeout(timer);
    timer = setTimeout(tell, 200);
  });
  life.listen(input, "change", () => timer && tell());
  life.defer(() => clearTimeout(timer));
  return {
    show([v]) {
      if (document.activeElement !== input) input.value = v;
    },
  };
};
