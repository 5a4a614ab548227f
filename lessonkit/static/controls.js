// The controls of an explorer: a few native inputs, each with a name, a value in words and room for a finger. A slider
// counts stops, 0 to n; what a stop means is known to the kernel, which hands out the words. So no value is ever
// written back by the browser.

const words = (spec, i) => {
  const v = spec.log ? 10 ** (spec.lo + spec.step * i) : spec.lo + spec.step * i;
  return String(+v.toPrecision(spec.digits)).replace("-", "−");
};

// What a kernel can be sent at once is limited; a larger picture is made smaller by the browser first.
const LARGEST = 8e6, LONGEST = 2048;
async function smaller(file) {
  const whole = await createImageBitmap(file), by = Math.min(1, LONGEST / Math.max(whole.width, whole.height));
  const off = new OffscreenCanvas(
      Math.max(1, Math.round(whole.width * by)),
      Math.max(1, Math.round(whole.height * by)),
    ),
    g = off.getContext("2d");
  g.imageSmoothingQuality = "high";
  g.fillStyle = "#fff"; // beneath what is transparent
  g.fillRect(0, 0, off.width, off.height);
  g.drawImage(whole, 0, 0, off.width, off.height);
  whole.close();
  return (await off.convertToBlob({ type: "image/jpeg", quality: 0.95 })).arrayBuffer();
}

// Builds `spec` into `box`; returns { show(value), spec }.
const builders = {
  slider(spec, box, act, life) {
    make("span", "lk-name", box).textContent = spec.label;
    const track = make("span", "lk-track", box),
      input = make("input", "", track, { type: "range", min: 0, max: spec.n, step: 1, "aria-label": spec.label }),
      out = make("output", "lk-value", box);
    const mark = () => { // beneath the track, and along all of it that lies beyond
      for (const old of track.querySelectorAll(".lk-mark")) old.remove();
      for (const [at, word] of spec.marks ?? []) {
        const tick = make("span", "lk-mark", track, { style: `--at: ${at}`, "aria-hidden": "true" });
        make("span", "", tick).textContent = word;
      }
    };
    box.classList.toggle("lk-marked", Array.isArray(spec.marks));
    mark();
    let mine = 0, heard = null, timer = 0; // until `mine`, what the reader does counts more than what the kernel says
    const say = (text) => { out.textContent = text; input.setAttribute("aria-valuetext", text); };
    const go = (i) => {
      input.value = i;
      mine = performance.now() + 350;
      say(words(spec, i));
      act.move({ kind: "set", name: spec.name, value: +input.value });
    };
    life.listen(input, "input", () => go(+input.value));
    const hear = () => { // a held key is quicker than the kernel: what is answered to an earlier step sets nothing back
      const [i, text] = heard, left = mine - performance.now();
      clearTimeout(timer);
      if (left > 0) timer = setTimeout(hear, left);
      else input.value = i;
      if (+input.value === i) say(text);
    };
    life.defer(() => clearTimeout(timer));
    return { input, go, mark, free() { mine = 0; }, show(value) { heard = value; hear(); } };
  },
  player(spec, box, act, life, seen) {
    const button = (text, label) =>
      Object.assign(make("button", "lk-button lk-icon", box, { type: "button", "aria-label": label, title: label }), {
        textContent: text,
      });
    const back = button("◂", "one step back"), play = button("▶", "play"), on = button("▸", "one step on");
    const slider = builders.slider(spec, box, act, life);
    let timer = 0, shown = -1;
    const at = () => +slider.input.value;
    const stop = () => {
      clearTimeout(timer);
      timer = 0;
      play.textContent = "▶";
      play.setAttribute("aria-label", "play");
      play.title = "play";
    };
    const tick = (waited = 0) => {
      if (at() >= spec.n || (at() === spec.until && shown !== -1)) return stop();
      if (seen() === shown && waited < 20) { // a slow page skips no step
        timer = setTimeout(tick, 50, waited + 1);
        return;
      }
      shown = seen();
      slider.go(at() + 1);
      timer = setTimeout(tick, spec.interval);
    };
    life.listen(back, "click", () => { stop(); slider.go(Math.max(0, at() - 1)); });
    life.listen(on, "click", () => { stop(); slider.go(Math.min(spec.n, at() + 1)); });
    life.listen(play, "click", () => {
      if (timer) return stop();
      if (at() >= spec.n) slider.go(0);
      play.textContent = "❚❚";
      play.setAttribute("aria-label", "pause");
      play.title = "pause";
      shown = -1;
      timer = setTimeout(tick, 30);
    });
    life.defer(stop);
    return { show: slider.show, stop() { stop(); slider.free(); }, get playing() { return timer !== 0; } };
  },
  toggle(spec, box, act, life) {
    const label = make("label", "lk-check", box), input = make("input", "", label, { type: "checkbox" });
    label.append(spec.label);
    life.listen(input, "change", () => act.send({ kind: "set", name: spec.name, value: input.checked }));
    return { show([v]) { input.checked = v; } };
  },
  choice(spec, box, act, life) {
    make("span", "lk-name", box).textContent = spec.label;
    const input = make("select", "", box, { "aria-label": spec.label });
    for (const word of spec.options) make("option", "", input).textContent = word;
    life.listen(input, "change", () => act.send({ kind: "set", name: spec.name, value: input.selectedIndex }));
    return { show([i]) { input.selectedIndex = i; } };
  },
  field(spec, box, act, life) {
    make("span", "lk-name", box).textContent = spec.label;
    const input = make("input", "", box, {
      type: "number", min: spec.lo, max: spec.hi, step: spec.step, "aria-label": spec.label,
    });
    life.listen(input, "change", () => {
      if (input.value === "") return;
      const near = Math.min(Math.max(+input.value, spec.lo), spec.hi); // what is beyond an end is brought back to it
      input.value = Number.isInteger(spec.step) ? Math.round(near) : near;
      act.send({ kind: "set", name: spec.name, value: +input.value });
    });
    return { show([v]) { if (document.activeElement !== input || +input.value !== v) input.value = v; } };
  },
  words(spec, box, act, life) {
    make("span", "lk-name", box).textContent = spec.label;
    const input = make("input", "", box, {
      type: "text", maxlength: spec.most, spellcheck: "false", autocomplete: "off", "aria-label": spec.label,
    });
    life.listen(input, "change", () => act.send({ kind: "set", name: spec.name, value: input.value }));
    return { show([v]) { if (document.activeElement !== input) input.value = v; } };
  },
  upload(spec, box, act, life) { // by the button, dropped anywhere on the explorer, or pasted while it has the focus
    const button = make("button", "lk-button", box, { type: "button" }),
      input = make("input", "", box, {
        type: "file", accept: spec.accept, hidden: "", tabindex: -1, "aria-hidden": "true",
      });
    button.textContent = spec.label;
    const hand = async (files) => {
      const file = files?.[0];
      if (!file) return;
      const bytes = file.size < LARGEST ? await file.arrayBuffer() : await smaller(file).catch(() => null);
      act.send({ kind: "file", name: spec.name, file: file.name }, bytes ? [bytes] : undefined);
    };
    life.listen(button, "click", () => input.click());
    life.listen(input, "change", () => { hand([...input.files]); input.value = ""; });
    const whole = box.closest(".lk-explorer") ?? box,
      over = (e) => {
        if (e.dataTransfer?.types.includes("Files")) {
          e.preventDefault();
          e.stopPropagation();
          return true;
        }
      };
    life.listen(whole, "dragover", over);
    life.listen(whole, "drop", (e) => { if (over(e)) hand(e.dataTransfer.files); });
    life.listen(whole, "paste", (e) => {
      if (e.clipboardData?.files.length) {
        e.preventDefault();
        hand(e.clipboardData.files);
      }
    });
    return { show() {} };
  },
  button(spec, box, act, life) {
    const button = make("button", spec.idle ? "lk-button lk-main" : "lk-button", box, { type: "button" });
    button.textContent = spec.label;
    life.listen(button, "click", () => act.send({ kind: "press", name: spec.name }));
    return { show() {} };
  },
};

// All controls of the model in `host`, three in sight and the rest under “more”. `seen` counts the pictures that have
// arrived. Returns whether a player runs (`playing`), a way to end that (`stop`), and `keep`, `reveal` and `conceal`.
function controls(model, host, act, life, seen) {
  let own = scope(), built = new Map(), open = false, ours = false, kept = {}; // ours: opened for an answer
  function build() {
    const held = [...built].find(([, c]) => c.box.contains(host.getRootNode().activeElement))?.[0];
    own.end();
    host.replaceChildren();
    built = new Map();
    const specs = model.get("_controls") ?? [], row = make("div", "lk-row", host);
    let more = null;
    specs.forEach((spec, i) => {
      if (i === 3) {
        const fold = make("details", "lk-more", host);
        fold.open = open;
        make("summary", "", fold).textContent = "more";
        own.listen(fold, "toggle", () => { open = fold.open; });
        own.listen(fold, "focusin", () => { ours = false; }); // the reader's from now on
        more = make("div", "lk-row", fold);
      }
      const box = make("div", `lk-control lk-${spec.kind === "button" ? "press" : spec.kind}`, more ?? row);
      built.set(
        spec.name,
        Object.defineProperties(builders[spec.kind](spec, box, act, own, seen), {
          box: { value: box },
          spec: { value: spec },
        }),
      );
    });
    host.hidden = !specs.length;
    show();
    built.get(held)?.box.querySelector("input, select, button")?.focus({ preventScroll: true }); // others came or went
  }
  function show() {
    const values = model.get("_values") ?? {}, off = new Set(model.get("_off") ?? []);
    for (const [name, control] of built) {
      if (values[name]) control.show(values[name]);
      if (off.has(name) === control.box.classList.contains("lk-off")) continue;
      const held = off.has(name) && control.box.contains(host.getRootNode().activeElement);
      if (held) (host.parentNode.querySelector(".lk-stage") ?? host).focus({ preventScroll: true }); // never lost
      for (const e of control.box.querySelectorAll("input, select, button")) e.disabled = off.has(name);
      control.box.classList.toggle("lk-off", off.has(name));
      if (control.spec.idle) control.box.title = off.has(name) ? control.spec.idle : "";
    }
  }
  // Other ends of the same controls: they stay, and with them the one in the reader's hand.
  function again() {
    const now = model.get("_controls") ?? [], old = [...built.values()];
    const same = (a, b) =>
      ["kind", "name", "label"].every((k) => a[k] === b[k]) && String(a.options) === String(b.options);
    if (now.length !== old.length || !old.every((c, i) => same(c.spec, now[i]))) return build();
    old.forEach((c, i) => {
      Object.assign(c.spec, now[i]);
      c.mark?.();
      for (const e of c.box.querySelectorAll("input[type=range]")) e.max = c.spec.n;
      for (const e of c.box.querySelectorAll("input[type=number]"))
        Object.assign(e, { min: c.spec.lo, max: c.spec.hi, step: c.spec.step });
    });
    show();
  }
  life.hear(model, "change:_controls", again);
  life.hear(model, "change:_values", show);
  life.hear(model, "change:_off", show);
  life.defer(() => own.end());
  build();
  return {
    get playing() { return [...built.values()].some((c) => c.playing); },
    stop() { for (const c of built.values()) c.stop?.(); },
    keep() { kept = { values: { ...model.get("_values") }, off: new Set(model.get("_off")) }; },
    reveal() { // what stands under “more” comes in sight if it has changed since `keep`, or does something only now
      const now = model.get("_values") ?? {}, off = new Set(model.get("_off")), fold = host.querySelector("details");
      const other = (name) => kept.off.has(name) || String(kept.values[name]) !== String(now[name]);
      const news = ([name, c]) => fold.contains(c.box) && !off.has(name) && other(name);
      if (fold && !fold.open && kept.off && [...built].some(news)) fold.open = ours = true;
    },
    conceal() { // “more” closes again if an answer opened it and the reader has not been there since
      const fold = host.querySelector("details");
      if (fold && ours) fold.open = ours = false;
    },
  };
}
