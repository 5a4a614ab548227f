// The shell of an explorer: what to try, the picture, a few controls, the sentence. `draw` (canvas.js or figure.js)
// fills the picture in.

const SHOW = "Show the answer", NARROW = 600; // px: as in widgets/layout
const STILL = new Set(["question", "chip", "hover", "point", "window", "zoom", "rename", "need", "there?"]);

// The parts of a sentence that were not said before: what a screen reader is told.
function changed(before, now) {
  const parts = (text) => text.split(/(?<=[.;:,])\s+/);
  const old = new Set(parts(before));
  return parts(now).filter((p) => !old.has(p)).join(" ");
}

// Where a scene's words stand, about: left, top, width, height.
function wordsOf(scene) {
  return scene.items.filter((it) => it.kind === "text").flatMap(({ xy, strings, size, align }) => {
    const at = f32(xy), left = { left: 0, center: 0.5, right: 1 }[align];
    return strings.map((s, i) => {
      const w = s ? s.length * size * 0.55 : -1e4; // nothing covers no words
      return [at[2 * i] - left * w, at[2 * i + 1] - size / 2, w, size];
    });
  });
}

function shell(model, el) {
  const life = scope(), act = actor(model);
  el.classList.add("lk-explorer");
  const band = make("div", "lk-band", el, { role: "alert" });
  band.hidden = true;
  const tries = make("div", "lk-try", el, { role: "group", "aria-label": "questions to try" });
  const asking = make("div", "lk-ask", el, { role: "group", "aria-label": "question and answer" });
  const stage = make("div", "lk-stage", el, {
    tabindex: 0, role: "application", "aria-label": model.get("_name") || "picture",
  });
  const hint = make("div", "lk-hint", stage);
  const host = make("div", "lk-controls", el), said = make("div", "lk-narration", el);
  const live = make("div", "lk-said", el, { role: "status", "aria-live": "polite" }),
    error = make("div", "lk-error", el, { role: "alert" });

  // What takes seconds shows that it is worked on: a line above the picture, and, of an answer, the button's words.
  let pictures = 0, pending = false, left = false, chosen = null; // the button pressed for the answer
  const busy = (on) => {
    el.classList.toggle("lk-working", on);
    pending &&= on;
    for (const b of asking.querySelectorAll("button")) {
      b.setAttribute("aria-disabled", String(pending)); // so the focus stays
      b.setAttribute("aria-busy", String(pending && b === chosen));
      b.textContent = pending && b === chosen ? asked().busy || "working …" : b.name;
    }
  };
  for (const name of ["_scene", "_figure"]) life.hear(model, `change:${name}`, () => { pictures++; busy(false); });
  const themed = () => el.classList.toggle("lk-dark", isDark(el)); // the browser's own controls follow
  follow(life, el, themed, () => advise());
  themed();
  const surface = draw(model, stage, act, life), panel = controls(model, host, act, life, () => pictures);

  // ── the sentence; a screen reader hears what changed, at most once a second ──
  let spoken = model.get("_text") ?? "", speaking = 0, first = ""; // what is heard before the news
  const speak = () => {
    const now = model.get("_text") ?? "", news = [first, changed(spoken, now)].filter(Boolean).join(" ");
    [speaking, first, spoken] = [0, "", now];
    if (news) live.textContent = news;
  };
  const soon = () => { speaking ||= setTimeout(speak, panel.playing || surface.busy ? 1000 : 400); };
  const say = (text) => { first = text; soon(); };
  const write = () => { // a line of code stands apart
    const [text, ...code] = (model.get("_text") ?? "").split(/\n(?=Code: )/);
    said.textContent = text;
    if (code.length) said.append(Object.assign(make("code", "lk-code"), { textContent: code.join("\n") }));
  };
  const tell = () => { write(); soon(); };
  const fail = () => {
    error.textContent = model.get("_error") ?? "";
    error.hidden = !error.textContent;
    busy(false);
  };
  life.hear(model, "change:_text", tell);
  life.hear(model, "change:_error", fail);
  write();
  fail();
  life.defer(() => clearTimeout(speaking));

  // ── what to try ──
  // The first press asks, while the picture still shows what it showed; a guess, or a second press, makes the state and
  // gives the answer; the third puts it away. What else the reader does goes on meanwhile.
  const asked = () => model.get("_asked") ?? {};
  function press(i, guess = null) {
    const { i: open, answer } = asked();
    if (pending && open === i) return; // it is worked on
    use();
    if (open !== i) return act.send({ kind: "question", value: i });
    if (answer === undefined) { panel.stop(); panel.keep(); } // it sets a state: nothing may move it on
    pending = answer === undefined;
    left = false;
    chosen = [...asking.querySelectorAll("button")].at(guess ?? -1);
    act.send({ kind: "chip", value: answer === undefined ? i : -1, guess });
  }
  let there = null;
  function chips() {
    const list = model.get("_chips") ?? [];
    tries.hidden = !list.length;
    if (String(list) === String(there)) return question(); // the one that has the focus stays
    there = list;
    tries.replaceChildren();
    make("span", "lk-name", tries).textContent = "Try";
    list.forEach((text, i) => {
      const chip = make("button", "lk-chip", tries, { type: "button" });
      chip.textContent = text;
      chip.onclick = () => press(i);
    });
    const over = make("button", "lk-button lk-icon lk-over", tries, { type: "button", title: "start over" });
    over.ariaLabel = "start over";
    over.textContent = "↺";
    over.onclick = () => { panel.stop(); act.send({ kind: "over" }); };
    question();
  }
  let moves = 0; // since the answer came
  for (const way of ["move", "send"]) { // the first move after an answer leaves the state that it speaks of
    const go = act[way];
    act[way] = (what, ...more) => {
      if (!STILL.has(what.kind)) {
        left ||= pending; // the answer will find another state
        if (asked().answer !== undefined) { moves++; asking.classList.add("lk-past"); }
      }
      go(what, ...more);
    };
  }
  const verdict = ({ guess, right }) =>
    !guess ? [] : guess === right ? [`✓ ${guess}`] : [`✗ Your guess: ${guess}`, `✓ Right: ${right}`];
  let before = asked(); // what was there when the page opened is not told
  function question() {
    const now = asked(), chip = [...tries.querySelectorAll(".lk-chip")];
    const focused = () => asking.contains(el.getRootNode().activeElement), inside = focused();
    chip.forEach((b, i) => b.setAttribute("aria-pressed", String(now.i === i)));
    pending &&= now.i === before.i && now.answer === undefined; // an answer that changes no picture ends it, too
    asking.replaceChildren();
    // an answer told anew, with what its own button has brought, is of now, unless the reader went on meanwhile
    const again = now.i === before.i && before.answer !== undefined;
    if (!again) moves = 0;
    asking.classList.toggle("lk-past", now.answer !== undefined && (left || moves > 1));
    asking.hidden = !now.question;
    if (now.question) {
      make("span", "lk-question", asking).textContent = now.question;
      if (now.answer === undefined) {
        const row = make("span", "lk-guess", asking), guesses = now.guesses ?? [];
        make("span", "lk-word", row).textContent = guesses.length ? "Your guess?" : "Make a guess, then";
        [...guesses, SHOW].forEach((name, k) => {
          const plain = k === guesses.length ? " lk-show" : "";
          const b = make("button", `lk-button${plain}`, row, { type: "button", name });
          b.textContent = name;
          b.onclick = () => { if (asked().answer === undefined) press(now.i, plain ? null : k); };
        });
      } else {
        const rest = make("div", "lk-answer", asking);
        for (const text of verdict(now)) make("span", "lk-verdict", rest).textContent = text;
        make("span", "", rest).textContent = now.answer;
        const name = "the line of code that makes this state";
        const code = now.code && make("code", "lk-code", rest, { tabindex: 0, "aria-label": name });
        if (code) for (const part of now.code.split(/(?<=[(,])/)) code.append(part, make("wbr")); // a line may end
      }
    }
    if (inside && !focused()) chip[now.i ?? before.i]?.focus({ preventScroll: true });
    if (now.answer === undefined) panel.conceal();
    if (now.answer !== undefined && now.answer !== before.answer) {
      say([...verdict(now), now.answer].join(". "));
      if (!now.quiet) panel.reveal();
    } else if (now.question && now.i !== before.i)
      say(`${now.question} Make a guess, then press again for the answer.`);
    before = now;
  }
  life.hear(model, "change:_chips", chips);
  life.hear(model, "change:_asked", question);
  for (const part of [tries, asking]) {
    life.listen(part, "keydown", (e) => {
      if (e.key !== "Escape" || !asked().question) return;
      e.stopPropagation();
      act.send({ kind: "chip", value: -1 });
    });
  }
  chips();

  // ── the hint stands on the picture until it is used ──
  let used = false, crowded = 0, roomy = 0; // the widths of scenes that had no room for it, and that had
  const use = () => {
    if (!used) { used = true; advise(); }
  };
  const advise = () => { // it stands in the panel whose handle it speaks of
    hint.textContent = model.get("_hint") ?? "";
    const drawn = sceneOf(model), scene = used ? null : drawn,
      h = scene?.handles?.find((o) => o.label && o.drag) ?? scene?.handles?.[0];
    const gone = used || (scene?.w && !h), narrow = (stage.clientWidth || NARROW) < NARROW,
      above = narrow || (crowded && crowded === drawn?.w);
    hint.classList.toggle("lk-above", above); // a line of its own, which stays when the hint goes
    if (above !== (hint.nextSibling === stage)) above ? stage.before(hint) : stage.append(hint);
    hint.style.visibility = gone ? "hidden" : "";
    hint.hidden = !hint.textContent || (gone && !above);
    const box = scene?.panels?.[h?.panel]?.box;
    if (!box || gone || hint.hidden || above) return;
    const scale = Math.min(1, (stage.clientWidth || scene.w) / scene.w), half = hint.offsetWidth / 2 + 4;
    const tall = hint.offsetHeight / scale, wide = hint.offsetWidth / scale;
    const within = (v) => Math.min(Math.max(v * scale, half), Math.max(half, scene.w * scale - half)) / scale;
    const small = (o) => o === h || (o.box[2] < 60 && o.box[3] < 60);
    const grips = scene.handles.filter((o) => o.at && small(o)).map((o) => o.box), words = wordsOf(scene);
    const dots = scene.items.filter((o) => o.kind === "marks" && o.xy.byteLength <= 8 * 60).flatMap(({ xy }) => {
      const at = f32(xy);
      return Array.from({ length: at.length / 2 }, (_, i) => [at[2 * i] - 5, at[2 * i + 1] - 5, 10, 10]);
    });
    const bars = scene.items.filter((o) => o.kind === "rects" && o.key?.endsWith("/bars")).flatMap(({ xywh }) => {
      const at = f32(xywh);
      return Array.from({ length: at.length / 4 }, (_, i) => [...at.subarray(4 * i, 4 * i + 4)]);
    });
    const curves = scene.items.filter((o) => o.kind === "line" && o.width >= 2).flatMap(({ xy }) => {
      const at = f32(xy), found = [];
      for (let i = 2; i + 1 < at.length; i += 2) { // a long piece counts all along
        const [x, y, w, b] = [at[i - 2], at[i - 1], at[i] - at[i - 2], at[i + 1] - at[i - 1]];
        const n = Math.min(Math.ceil(Math.hypot(w, b) / 12), 99) || 0;
        for (let k = 0; k < n; k++) found.push([x + (w * k) / n, y + (b * k) / n, 0, 0]);
      }
      return found;
    });
    const covered = (boxes, x, y) =>
      boxes.filter(
        ([l, t, w, b]) => Math.abs(l + w / 2 - x) < (w + wide) / 2 && y < t + b && t < y + tall,
      ).length;
    const places = scene.panels.flatMap((p) => {
      const [l, t, w, b] = p.box, own = p.box === box;
      const beside = [1, -1].map((side) => h.box[0] + h.box[2] / 2 + side * (wide / 2 + 20) - l)
        .filter((v) => v > wide / 2 && v < w - wide / 2); // not over what stands beside its axes
      const xs = [...(own ? beside : []), w / 2, w - wide / 2 - 4, wide / 2 + 4].map((v) => within(l + v));
      const ys = [8, b - tall - 8, (b - tall) / 2].map((v) => t + v);
      const inside = ([x, y]) => x > l - 9 && x < l + w && y > t - 9 && y < t + b; // it would pass for the handle
      if (!own && (b < tall || dots.some(inside))) return [];
      return xs.flatMap((x) =>
        ys.map((y) => [
          covered(grips, x, y) * 3 + covered([...words, ...bars], x, y) + Math.min(covered(dots, x, y), 4) / 4 +
            Math.min(covered(curves, x, y), 8) / 20 + (own ? Math.abs(x - h.box[0] - h.box[2] / 2) / w / 5 : 0.5),
          x, y,
        ]),
      );
    });
    // where it covers least, near its handle if it can; in another panel only if that spares a word
    const [[least, x, y]] = places.sort((a, b) => a[0] - b[0]);
    if (least >= 1 && roomy !== scene.w) { crowded = scene.w; return advise(); } // no place at all: above the picture
    roomy = scene.w; // what stands in the picture stays in it: a line above would move the page
    hint.style.left = `${x * scale}px`;
    hint.style.top = `${y * scale}px`;
  };
  life.hear(model, "change:_hint", advise);
  life.hear(model, "change:_scene", advise);
  life.listen(stage, "pointerdown", use);
  life.listen(host, "click", () => { if (panel.playing) use(); });
  life.listen(stage, "keydown", (e) => { if (e.key !== "Tab" && e.key !== "Shift") use(); });
  advise();

  // ── slow answers show that they are worked on; when the kernel goes, so does the color ──
  let answered = 0, silent = 0, lost = false;
  const tint = (now) => {
    lost = now;
    el.classList.toggle("lk-gone", lost);
    band.hidden = !lost;
    band.textContent = lost ? "The kernel has gone: run this cell again to move the picture." : "";
    if (lost) busy(false);
  };
  const heard = () => {
    answered = performance.now();
    silent = 0;
    busy(false);
    if (lost) tint(false);
  };
  life.hear(model, "change:_drawn", heard);
  life.hear(model, "change:_error", heard);
  life.hear(model, "msg:custom", heard);
  // JupyterLab and Notebook 7 say what they know of the kernel; elsewhere its silence tells. A busy one is waited for.
  const kernel = () => { try { return model.widget_manager?.kernel; } catch { return undefined; } };
  const TICK = 200, SILENCE = 3000;
  const watch = setInterval(() => {
    const k = kernel(), waits = act.last > answered;
    const dead = k === null || k?.isDisposed || k?.status === "dead" || k?.status === "terminating";
    if (waits && performance.now() - act.last > 200 && !lost) busy(true);
    silent = waits && k?.status !== "busy" ? silent + TICK : 0;
    if ((dead || silent > SILENCE) && !lost) tint(true);
  }, TICK);
  life.defer(() => clearInterval(watch));
  life.hear(model, "comm_live_update", () => act.send({ kind: "there?" }));

  // A ring around what the keys move is for who uses keys: a mouse shows by itself where it is.
  const byMouse = (on) => el.classList.toggle("lk-mouse", on);
  life.listen(stage, "pointerdown", () => byMouse(true), true);
  life.listen(stage, "focusout", (e) => { if (!stage.contains(e.relatedTarget)) byMouse(false); });
  life.listen(window, "keydown", () => byMouse(false), true);

  // What is typed into an explorer is the explorer's: Jupyter would cut a cell at "x", and Notebook 7 keeps the arrow
  // keys from every slider. Its rule is an attribute on the focused element itself, set here before it looks.
  life.listen(window, "keydown", (e) => {
    if (el.contains(e.target))
      e.target.toggleAttribute?.(
        "data-lm-suppress-shortcuts",
        !(e.ctrlKey || e.metaKey || e.altKey || (e.shiftKey && e.key === "Enter")),
      );
  }, true);
  return () => life.end();
}

export default { render: ({ model, el }) => shell(model, el) };
