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
  return () => model.off("change", update);
}

export default { render };
