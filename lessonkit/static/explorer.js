// The shell of an explorer: what to try, the picture, a few controls, the sentence. `draw` (canvas.js or figure.js) fills the picture in.

// The parts of a sentence that were not said before: what a screen reader is told.
function changed(before, now) {
  const parts = (text) => text.split(/(?<=[.;:,])\s+/);
  const old = new Set(parts(before));
  return parts(now).filter((p) => !old.has(p)).join(" ");
}

function shell(model, el) {
  const life = scope(), act = actor(model);
  el.classList.add("lk-explorer");
  const band = make("div", "lk-band", el, { role: "alert" });
  band.hidden = true;
  const tries = make("div", "lk-try", el, { role: "group", "aria-label": "questions to try" }), asked = make("div", "lk-ask", el);
  const stage = make("div", "lk-stage", el, { tabindex: 0, role: "application", "aria-label": model.get("_name") || "picture" });
  const hint = make("div", "lk-hint", stage);
  const host = make("div", "lk-controls", el), said = make("div", "lk-narration", el);
  const live = make("div", "lk-said", el, { role: "status", "aria-live": "polite" }), error = make("div", "lk-error", el, { role: "alert" });

  let pictures = 0;
  life.hear(model, "change:_scene", () => { pictures++; el.classList.remove("lk-working"); });
  life.hear(model, "change:_figure", () => { pictures++; el.classList.remove("lk-working"); });
  const surface = draw(model, stage, act, life), panel = controls(model, host, act, life, () => pictures);

  // ── the sentence; a screen reader hears what changed, at most once a second ──
  let spoken = model.get("_text") ?? "", speaking = 0;
  const speak = () => { speaking = 0; const now = model.get("_text") ?? "", news = changed(spoken, now); if (news) live.textContent = news; spoken = now; };
  const tell = () => {
    said.textContent = model.get("_text") ?? "";
    if (!speaking) speaking = setTimeout(speak, panel.playing || surface.busy ? 1000 : 400);
  };
  const fail = () => { error.textContent = model.get("_error") ?? ""; error.hidden = !error.textContent; el.classList.remove("lk-working"); };
  life.hear(model, "change:_text", tell);
  life.hear(model, "change:_error", fail);
  said.textContent = spoken;
  fail();
  life.defer(() => clearTimeout(speaking));

  // ── what to try: the question first, then the answer ──
  function chips() {
    const list = model.get("_chips") ?? [], now = model.get("_asked") ?? {};
    tries.hidden = !list.length;
    if (tries.childElementCount !== list.length + 1) {
      tries.replaceChildren();
      make("span", "lk-name", tries).textContent = "Try";
      list.forEach((text, i) => {
        const b = make("button", "lk-chip", tries, { type: "button" });
        b.textContent = text;
        b.onclick = () => { use(); panel.stop(); act.send({ kind: "chip", value: (model.get("_asked") ?? {}).i === i ? -1 : i }); };
      });
    }
    [...tries.querySelectorAll("button")].forEach((b, i) => b.setAttribute("aria-pressed", String(now.i === i)));
    asked.replaceChildren();
    asked.hidden = !now.question;
    if (!now.question) return;
    make("span", "lk-question", asked).textContent = now.question;
    const show = make("button", "lk-button", asked, { type: "button" }), rest = make("div", "lk-answer", asked);
    show.textContent = "Show the answer";
    rest.hidden = true;
    make("span", "", rest).textContent = now.answer;
    if (now.code) make("code", "lk-code", rest, { tabindex: 0, "aria-label": "the line of code that makes this state" }).textContent = now.code;
    show.onclick = () => { rest.hidden = false; show.remove(); live.textContent = now.answer; };
  }
  life.hear(model, "change:_chips", chips);
  life.hear(model, "change:_asked", chips);
  chips();

  // ── the hint stands on the picture until it is used ──
  let used = false;
  const use = () => { used = true; hint.hidden = true; };
  const advise = () => { // it stands in the panel whose handle it speaks of
    hint.textContent = model.get("_hint") ?? "";
    const scene = used ? null : sceneOf(model), h = scene?.handles?.find((o) => o.label && o.drag) ?? scene?.handles?.[0];
    hint.hidden = used || !hint.textContent || (scene?.w && !h);
    const box = scene?.panels?.[h?.panel]?.box;
    if (!box || hint.hidden) return;
    const scale = Math.min(1, (stage.clientWidth || scene.w) / scene.w), half = hint.offsetWidth / 2 + 4;
    const tall = hint.offsetHeight / scale, wide = hint.offsetWidth / scale;
    const within = (v) => Math.min(Math.max(v * scale, half), Math.max(half, scene.w * scale - half)) / scale;
    const small = (o) => o === h || (o.box[2] < 60 && o.box[3] < 60);
    const covers = ([x, y]) => scene.handles.filter((o) => o.at && small(o) && Math.abs(o.box[0] + o.box[2] / 2 - x) < (o.box[2] + wide) / 2 && y < o.box[1] + o.box[3] && o.box[1] < y + tall).length;
    const xs = [box[2] / 2, box[2] - wide / 2 - 4, wide / 2 + 4].map((v) => within(box[0] + v)), ys = [8, box[3] - tall - 8, (box[3] - tall) / 2].map((v) => box[1] + v);
    const [[x, y]] = xs.flatMap((x) => ys.map((y) => [x, y])).sort((a, b) => covers(a) - covers(b)); // where it covers least, in the middle if it can
    hint.style.left = `${x * scale}px`;
    hint.style.top = `${y * scale}px`;
  };
  life.hear(model, "change:_hint", advise);
  life.hear(model, "change:_scene", advise);
  life.listen(stage, "pointerdown", use);
  life.listen(stage, "keydown", (e) => { if (e.key !== "Tab" && e.key !== "Shift") use(); });
  advise();

  // ── slow answers show that they are worked on; when the kernel goes, so does the color ──
  let answered = 0, silent = 0, lost = false;
  const tint = (now) => {
    lost = now;
    el.classList.toggle("lk-gone", lost);
    band.hidden = !lost;
    band.textContent = lost ? "The kernel has gone: run this cell again to move the picture." : "";
    if (lost) el.classList.remove("lk-working");
  };
  const heard = () => { answered = performance.now(); silent = 0; el.classList.remove("lk-working"); if (lost) tint(false); };
  life.hear(model, "change:_drawn", heard);
  life.hear(model, "change:_error", heard);
  life.hear(model, "msg:custom", heard);
  // JupyterLab and Notebook 7 say what they know of the kernel; elsewhere its silence tells. A busy one is waited for.
  const kernel = () => { try { return model.widget_manager?.kernel; } catch { return undefined; } };
  const TICK = 200, SILENCE = 3000;
  const watch = setInterval(() => {
    const k = kernel(), waits = act.last > answered;
    const dead = k === null || k?.isDisposed || k?.status === "dead" || k?.status === "terminating";
    if (waits && performance.now() - act.last > 200 && !lost) el.classList.add("lk-working");
    silent = waits && k?.status !== "busy" ? silent + TICK : 0;
    if ((dead || silent > SILENCE) && !lost) tint(true);
  }, TICK);
  life.defer(() => clearInterval(watch));
  life.hear(model, "comm_live_update", () => act.send({ kind: "there?" }));

  // What is typed into an explorer is the explorer's: Jupyter would cut a cell at "x", and Notebook 7 keeps the arrow keys
  // from every slider. Its rule is an attribute on the focused element itself, set here before it looks.
  life.listen(window, "keydown", (e) => {
    if (el.contains(e.target)) e.target.toggleAttribute?.("data-lm-suppress-shortcuts", !(e.ctrlKey || e.metaKey || e.altKey || (e.shiftKey && e.key === "Enter")));
  }, true);
  return () => life.end();
}

export default { render: ({ model, el }) => shell(model, el) };
