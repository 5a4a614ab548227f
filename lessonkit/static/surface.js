// What every surface needs: the theme it stands on, its width, and how the reader's acts reach the kernel. This text
// stands in front of the others (widgets/canvas, `module`): a widget's module comes as one text, so it cannot import
// another file.

const media = (query) => matchMedia(`(${query})`);

// Dark or light is what is really painted behind the element, whoever painted it.
function isDark(el) {
  for (let e = el; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (c.length >= 3 && (c[3] ?? 1) > 0.5) return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] < 128;
  }
  return media("prefers-color-scheme: dark").matches;
}

// A list of things to undo: listeners, observers, timers.
function scope() {
  const undo = [];
  return {
    listen(target, event, f, options) {
      target.addEventListener(event, f, options);
      undo.push(() => target.removeEventListener(event, f, options));
    },
    hear(model, event, f) { model.on(event, f); undo.push(() => model.off(event, f)); },
    defer(f) { undo.push(f); },
    end() { while (undo.length) undo.pop()(); },
  };
}

// Calls `ask` when the page's theme, the system's colors, or the width of `el` changes.
function follow(life, el, ask, resized = () => {}) {
  let timer = 0, width = el.clientWidth;
  const later = () => { // a theme's style sheet may arrive after its name
    ask();
    clearTimeout(timer);
    timer = setTimeout(ask, 400);
  };
  const themes = new MutationObserver(later);
  for (const e of [document.documentElement, document.body]) themes.observe(e, { attributes: true });
  for (const query of ["prefers-color-scheme: dark", "forced-colors: active"])
    life.listen(media(query), "change", later);
  const size = new ResizeObserver(() => {
    if (Math.abs(el.clientWidth - width) < 1) return;
    width = el.clientWidth;
    ask();
    resized(width);
  });
  size.observe(el);
  life.defer(() => {
    clearTimeout(timer);
    themes.disconnect();
    size.disconnect();
  });
}

// The picture of a model. It travels as one text and one run of bytes, to whose places the text points; a recorded page
// has it whole.
const unpacked = new WeakMap();
function sceneOf(model) {
  const sent = model.get("_scene");
  if (!sent?.json && !sent?.items) return sent;
  if (!unpacked.has(sent)) {
    const scene = sent.json === undefined ? sent : JSON.parse(sent.json), tables = scene.tables ?? [],
      names = tables.map(String);
    for (const it of scene.items) {
      if (typeof it.colors === "number") [it.palette, it.colors] = [names[it.colors], tables[it.colors]];
      for (const k in it)
        if (it[k]?.n !== undefined) it[k] = new DataView(sent.bytes.buffer, sent.bytes.byteOffset + it[k].at, it[k].n);
    }
    unpacked.set(sent, scene);
  }
  return unpacked.get(sent);
}

// How acts reach the kernel. `move` is for what comes in floods (drag, hover, a slider): the widget protocol keeps one
// such message in flight and only the newest waiting. `send` is for what must not be lost (click, key, button, the end
// of a drag).
function actor(model) {
  let n = 0, at = 0, newest = null;
  return {
    move(what) {
      const now = performance.now();
      // another thing is moved while the last one's message may still wait, which this one would replace
      if (newest?.kind === "set" && newest.name !== what.name && now - at < 1000) model.send(newest);
      at = now;
      newest = what;
      model.set("_moved", { ...what, n: ++n });
      model.save_changes();
    },
    send(what, buffers) {
      at = performance.now();
      if (what.kind === "drop" && newest?.kind === "drag") { // a drag that still waits would come after the drop
        newest = null;
        model.set("_moved", {});
        model.save_changes();
      }
      model.send(what, undefined, buffers);
    },
    width(w) {
      if (w > 0 && Math.abs(w - (model.get("_width") || 0)) >= 2) {
        model.set("_width", Math.round(w));
        model.save_changes();
      }
    },
    get last() { return at; },
  };
}

function make(tag, className, parent, attributes = {}) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  parent?.append(e);
  return e;
}
