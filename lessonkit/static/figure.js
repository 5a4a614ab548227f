// FigureView: draws a plotly figure and tells the kernel what the mouse and keyboard do with it. Plotly's library comes from the kernel,
// by a message, when the first figure of a page asks for it; all others share it. Nothing is fetched from a network.

const KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter", " "]);
const PAGE = Symbol.for("lessonkit.plotly"); // one library a page: the promise of it, whoever asked
const PATIENCE = 20000; // ms until another figure asks again, should the first one's kernel have gone

// Dark or light is what is really painted behind the element, whoever painted it (as in canvas.js).
function isDark(el) {
  for (let e = el; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (c.length >= 3 && (c[3] ?? 1) > 0.5) return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// ── the library ──
async function evaluate(packed) {
  const bytes = new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
  const source = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" })), other = globalThis.Plotly;
  try { await import(url); } finally { URL.revokeObjectURL(url); }
  const mine = globalThis.Plotly;
  if (other) globalThis.Plotly = other; // a page's own, older one stays what it was
  return mine;
}

function library(model) {
  const page = (globalThis[PAGE] ??= {});
  if (!page.ready) {
    // Before version 3 it knows no arrays in base64.
    if (parseInt(globalThis.Plotly?.version) >= 3) return (page.ready = Promise.resolve(globalThis.Plotly));
    page.ready = new Promise((yes, no) => Object.assign(page, { yes, no }));
  }
  if (!page.done && !(performance.now() - page.asked < PATIENCE)) {
    page.asked = performance.now();
    const heard = (message, buffers) => {
      if (message?.plotly === undefined) return;
      model.off("msg:custom", heard);
      if (page.done) return;
      page.done = true;
      if (message.error) { delete globalThis[PAGE]; page.no(new Error(message.error)); } // the next figure may ask again
      else evaluate(buffers[0]).then(page.yes, page.no);
    };
    model.on("msg:custom", heard);
    model.send({ want: "plotly" });
  }
  return page.ready;
}

function render({ model, el }) {
  el.classList.add("lk-figure-host");
  const host = document.createElement("div");
  host.className = "lk-figure";
  host.tabIndex = 0;
  host.setAttribute("role", "application");
  host.setAttribute("aria-roledescription", "interactive chart: arrow keys move the selection");
  el.append(host);
  let Plotly = null, frame = 0, queued = 0, drawing = false, stale = false, gone = false;

  const height = () => { host.style.height = `${model.get("height")}px`; };

  async function draw() {
    queued = 0;
    if (!Plotly || gone || !model.get("figure")) return;
    if (drawing) { stale = true; return; }
    drawing = true;
    const { inks, ...themes } = model.get("theme"), dark = isDark(el);
    let text = model.get("figure");
    if (dark) text = text.replace(/"(#[0-9a-fA-F]{6,8})"/g, (all, color) => `"${inks[color.toLowerCase()] ?? color}"`);
    const { data, layout, frames } = JSON.parse(text);
    const room = el.clientWidth, wide = layout.width ?? model.get("width");
    const full = { uirevision: "kept", ...layout, template: themes[dark ? "dark" : "light"], width: room ? Math.min(wide, room) : wide, height: model.get("height") };
    try {
      await Plotly.react(host, data, full, { displayModeBar: false, doubleClick: "reset", plotGlPixelRatio: 1 });
      if (!frame) listen();
      host.dataset.theme = dark ? "dark" : "light";
      host.dataset.frame = ++frame;
    } catch (e) { complain(e); }
    drawing = false;
    if (stale) { stale = false; ask(); }
  }
  const ask = () => { queued ||= requestAnimationFrame(draw); };
  const describe = () => host.setAttribute("aria-label", model.get("alt") || "");
  const complain = (e) => { if (!gone) host.textContent = `The chart could not be drawn: ${e.message ?? e}`; };

  // ── mouse ──
  let n = 0;
  const tell = (trait, what) => { model.set(trait, { ...what, n: ++n }); model.save_changes(); };
  const plain = (v) => (typeof v === "bigint" ? Number(v) : v ?? null);
  const point = (p) => ({ curve: p.curveNumber, name: p.data.name ?? "", i: p.pointNumber ?? p.pointIndex ?? null, x: plain(p.x), y: plain(p.y), z: plain(p.z) });
  function listen() {
    host.on("plotly_click", (e) => tell("clicked", point(e.points[0])));
    host.on("plotly_hover", (e) => tell("hovered", point(e.points[0])));
    host.on("plotly_unhover", () => tell("hovered", {}));
    host.on("plotly_selected", (e) => e && tell("selected", { points: e.points.map((p) => [p.curveNumber, p.pointNumber]), range: e.range ?? null }));
    host.on("plotly_deselect", () => tell("selected", { points: [], range: null }));
  }
  host.addEventListener("pointerdown", () => host.focus({ preventScroll: true }));

  // ── keyboard ──
  host.addEventListener("keydown", (e) => {
    if (e.target !== host || !KEYS.has(e.key) || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    e.stopPropagation();
    model.send({ key: e.key, shift: e.shiftKey });
  });

  // ── theme and size ──
  const later = () => { ask(); setTimeout(ask, 400); }; // a theme's style sheet may arrive after its name
  const themes = new MutationObserver(later);
  for (const e of [document.documentElement, document.body]) themes.observe(e, { attributes: true });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", later);
  let width = el.clientWidth;
  const size = new ResizeObserver(() => { if (el.clientWidth !== width) { width = el.clientWidth; ask(); } });
  size.observe(el);

  model.on("change:figure", ask);
  model.on("change:alt", describe);
  model.on("change:height", height);
  describe();
  height();
  const load = () => library(model).then((p) => { Plotly = p; ask(); }, complain);
  load();
  const again = setTimeout(() => Plotly || load(), PATIENCE + 500);
  return () => {
    gone = true;
    clearTimeout(again);
    cancelAnimationFrame(queued);
    themes.disconnect();
    size.disconnect();
    system.removeEventListener("change", later);
    model.off("change:figure", ask);
    model.off("change:alt", describe);
    model.off("change:height", height);
    if (frame) Plotly.purge(host);
  };
}

export default { render };
