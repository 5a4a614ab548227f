// FigureView: draws a plotly figure and tells the kernel what the mouse and keyboard do with it. Plotly's library comes from the kernel,
// by a message, when the first figure of a page asks for it; all others share it. Nothing is fetched from a network.

const PAGE = Symbol.for("lessonkit.plotly"); // one library a page: the promise of it, whoever asked
const PATIENCE = 20000; // ms until another figure asks again, should the first one's kernel have gone

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
  const host = surface("div", "figure", model, el);
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

  const unfollow = follow(model, host, el, ask);
  model.on("change:figure", ask);
  model.on("change:height", height);
  height();
  const load = () => library(model).then((p) => { Plotly = p; ask(); }, complain);
  load();
  const again = setTimeout(() => Plotly || load(), PATIENCE + 500);
  return () => {
    gone = true;
    clearTimeout(again);
    cancelAnimationFrame(queued);
    unfollow();
    model.off("change:figure", ask);
    model.off("change:height", height);
    if (frame) Plotly.purge(host);
  };
}

export default { render };
