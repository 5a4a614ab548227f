// Narration: the sentence that says what is on screen, read aloud as it changes, and beside it any error, in words.
function render({ model, el }) {
  const say = document.createElement("div"), err = document.createElement("div");
  say.className = "lk-narration";
  say.setAttribute("role", "status");
  say.setAttribute("aria-live", "polite");
  err.className = "lk-error";
  err.setAttribute("role", "alert");
  el.append(say, err);
  const update = () => {
    say.textContent = model.get("text");
    err.textContent = model.get("error");
    err.hidden = !model.get("error");
  };
  model.on("change", update);
  update();

  // What is typed into an explorer is the explorer's: Jupyter would cut a cell at "x", and Notebook 7 keeps the arrow keys
  // from every slider. Its rule is an attribute on the focused element itself, set here before it looks.
  const keep = (e) => {
    const mine = el.closest(".lk-explorer")?.contains(e.target);
    if (mine) e.target.toggleAttribute("data-lm-suppress-shortcuts", !(e.ctrlKey || e.metaKey || e.altKey || (e.shiftKey && e.key === "Enter")));
  };
  addEventListener("keydown", keep, true);
  return () => {
    removeEventListener("keydown", keep, true);
    model.off("change", update);
  };
}

export default { render };
