// What both drawing surfaces need: the keys typed into one, the theme it stands on, its size. This text stands in front of
// canvas.js and of figure.js (widgets/canvas, `module`): a widget's module comes as one text, so it cannot import another file.

const KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter", " "]);

// Dark or light is what is really painted behind the element, whoever painted it.
function isDark(el) {
  for (let e = el; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (c.length >= 3 && (c[3] ?? 1) > 0.5) return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// The element that is drawn on, in `el`: focusable, its keys told to the kernel.
function surface(tag, kind, model, el) {
  const host = document.createElement(tag);
  host.className = `lk-${kind}`;
  host.tabIndex = 0;
  host.setAttribute("role", "application");
  host.setAttribute("aria-roledescription", "interactive picture: arrow keys move the selection");
  host.addEventListener("keydown", (e) => {
    if (e.target !== host || !KEYS.has(e.key) || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    e.stopPropagation();
    model.send({ key: e.key, shift: e.shiftKey });
  });
  el.classList.add(`lk-${kind}-host`);
  el.append(host);
  return host;
}

// Keeps the picture's words for a screen reader, and calls `ask` when the page's theme or the width of `el` changes; what it returns ends that.
function follow(model, host, el, ask) {
  const describe = () => host.setAttribute("aria-label", model.get("alt") || "");
  model.on("change:alt", describe);
  describe();
  const later = () => { ask(); setTimeout(ask, 400); }; // a theme's style sheet may arrive after its name
  const themes = new MutationObserver(later), system = matchMedia("(prefers-color-scheme: dark)");
  for (const e of [document.documentElement, document.body]) themes.observe(e, { attributes: true });
  system.addEventListener("change", later);
  let width = el.clientWidth;
  const size = new ResizeObserver(() => { if (el.clientWidth !== width) { width = el.clientWidth; ask(); } });
  size.observe(el);
  return () => {
    model.off("change:alt", describe);
    themes.disconnect();
    size.disconnect();
    system.removeEventListener("change", later);
  };
}

