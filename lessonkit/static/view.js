// CanvasView: a scene alone, without the explorer's shell around it.
export default {
  render({ model, el }) {
    const life = scope();
    el.classList.add("lk-view");
    const stage = make("div", "lk-stage", el, {
      tabindex: 0, role: "application", "aria-label": model.get("_name") || "picture",
    });
    draw(model, stage, actor(model), life);
    return () => life.end();
  },
};
