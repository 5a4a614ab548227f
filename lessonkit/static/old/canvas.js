// CanvasView: paints a scene (a display list made in Python, widgets/scene.py) and tells the kernel what the mouse and keyboard do.
// It needs nothing of the page it stands in: any front end that runs anywidget will do, and so does a stub model in a saved page.

const f32 = (v) => new Float32Array(v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength));
const u8 = (v) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
const FONTS = {
  mono: '"DejaVu Sans Mono", Menlo, Consolas, monospace',
  sans: 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif',
};

const painters = {
  rects(g, it, ink) {
    const b = f32(it.xywh), fill = u8(it.fill), stroke = u8(it.stroke);
    g.lineWidth = it.width;
    for (let i = 0; i < fill.length; i++) {
      const [x, y, w, h] = b.subarray(4 * i, 4 * i + 4);
      if (fill[i]) { g.fillStyle = ink(fill[i]); g.fillRect(x, y, w, h); }
      if (stroke[i]) { g.strokeStyle = ink(stroke[i]); g.strokeRect(x, y, w, h); }
    }
  },
  text(g, it, ink) {
    const p = f32(it.xy), color = u8(it.ink);
    g.font = `${it.weight} ${it.size}px ${FONTS[it.font]}`;
    g.textAlign = it.align;
    g.textBaseline = "middle";
    for (let i = 0; i < it.strings.length; i++) {
      if (!it.strings[i]) continue;
      g.fillStyle = ink(color[i]);
      g.fillText(it.strings[i], p[2 * i], p[2 * i + 1], it.max_width ?? undefined);
    }
  },
  line(g, it, ink) {
    const p = f32(it.xy);
    g.strokeStyle = ink(it.ink);
    g.lineWidth = it.width;
    g.setLineDash(it.dash);
    g.beginPath();
    let pen = false; // a NaN lifts the pen
    for (let i = 0; i < p.length; i += 2) {
      if (Number.isNaN(p[i + 1])) { pen = false; continue; }
      pen ? g.lineTo(p[i], p[i + 1]) : g.moveTo(p[i], p[i + 1]);
      pen = true;
    }
    g.stroke();
    g.setLineDash([]);
  },
  image(g, it, ink, dark) {
    const [x, y, w, h] = it.xywh, codes = u8(it.codes);
    const abgr = it.palette.map((pair) => {
      const n = parseInt(pair[dark ? 1 : 0].slice(1, 7), 16);
      return (255 << 24) | ((n & 255) << 16) | (n & 0xff00) | (n >> 16);
    });
    const img = new ImageData(it.cols, it.rows), px = new Uint32Array(img.data.buffer);
    for (let i = 0; i < codes.length; i++) px[i] = abgr[codes[i]];
    const off = new OffscreenCanvas(it.cols, it.rows);
    off.getContext("2d").putImageData(img, 0, 0);
    g.imageSmoothingEnabled = false;
    g.drawImage(off, x, y, w, h);
  },
};

function render({ model, el }) {
  const canvas = surface("canvas", "canvas", model, el);
  const mark = document.createElement("div");
  mark.className = "lk-hover";
  mark.hidden = true;
  el.append(mark);
  const g = canvas.getContext("2d");
  let scene = null, scale = 1, frame = 0, queued = 0, over = null;

  function paint() {
    queued = 0;
    scene = model.get("scene");
    if (!scene?.w) return;
    const width = Math.min(scene.w, el.clientWidth || scene.w), dpr = window.devicePixelRatio || 1;
    scale = width / scene.w;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${scene.h * scale}px`;
    const pw = Math.round(width * dpr), ph = Math.round(scene.h * scale * dpr);
    if (canvas.width !== pw || canvas.height !== ph) { canvas.width = pw; canvas.height = ph; }
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, canvas.width, canvas.height);
    g.setTransform(scale * dpr, 0, 0, scale * dpr, 0, 0);
    const dark = isDark(el), ink = (i) => scene.inks[i][dark ? 1 : 0];
    for (const it of scene.items) painters[it.kind](g, it, ink, dark);
    canvas.dataset.theme = dark ? "dark" : "light";
    canvas.dataset.frame = ++frame;
  }
  const ask = () => { queued ||= requestAnimationFrame(paint); };

  // ── mouse ──
  const at = (e) => {
    const box = canvas.getBoundingClientRect();
    const x = (e.clientX - box.left) / scale, y = (e.clientY - box.top) / scale;
    for (const a of scene?.grids ?? []) {
      const col = Math.floor((x - a.x) / a.cw), row = Math.floor((y - a.y) / a.ch);
      if (col >= 0 && col < a.cols && row >= 0 && row < a.rows) return { grid: a.name, row, col, a };
    }
    return null;
  };
  const send = (kind, hit) => {
    model.set("pointer", { kind, grid: hit.grid, row: hit.row, col: hit.col });
    model.save_changes(); // the widget protocol keeps one such message in flight and only the newest waiting
  };
  canvas.addEventListener("pointermove", (e) => {
    const hit = at(e), kind = e.buttons & 1 ? "drag" : "hover", key = hit && `${kind}:${hit.grid}:${hit.row}:${hit.col}`;
    if (key === over) return;
    over = key;
    mark.hidden = !hit;
    if (!hit) return;
    const { a, row, col } = hit;
    mark.style.cssText = `left:${canvas.offsetLeft + (a.x + col * a.cw) * scale}px;top:${canvas.offsetTop + (a.y + row * a.ch) * scale}px;` +
      `width:${a.cw * scale}px;height:${a.ch * scale}px`;
    send(kind, hit);
  });
  canvas.addEventListener("pointerleave", () => { over = null; mark.hidden = true; });
  canvas.addEventListener("click", (e) => {
    canvas.focus({ preventScroll: true });
    const hit = at(e);
    if (hit) send("click", hit);
  });

  const unfollow = follow(model, canvas, el, ask);
  model.on("change:scene", ask);
  paint();
  return () => {
    cancelAnimationFrame(queued);
    unfollow();
    model.off("change:scene", ask);
  };
}

export default { render };
