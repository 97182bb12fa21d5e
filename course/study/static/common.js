// Shared by all study widgets. Python joins this file with one widget's file, which defines `draw(study)`;
// course/study/widget.py says how. Nothing here is exported or global: both files share one scope.

// ---- making elements -------------------------------------------------------------------------------------

// h("button", {class: "pt-button", onclick: f, disabled: true, "aria-label": "..."}, "text", node, ...)
// `html` is the one way to set markup, and only for fields that Python's to_html made (named *_html).
// Strings among the children become text, so that nobody's words are read as markup.
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "html") node.innerHTML = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// A DOM id that no other widget on the page has; for labels, radio groups and aria-describedby.
const newId = () => `pt-${Math.random().toString(36).slice(2, 10)}`;

// A live region: it must be on the page before its text changes, or a screen reader stays silent.
const statusLine = (className = "") => h("div", { class: `pt-status ${className}`, role: "status", tabindex: "-1" });

function button(label, onclick, more = "") {
  return h("button", { type: "button", class: `pt-button ${more}`, onclick }, label);
}

// ---- reading numbers -------------------------------------------------------------------------------------

// What a learner types as a number: 1,000 and 1 000 and 1e3, −5, 50 % (0.5, or 50 where the unit is %), 12 tokens.
// Returns a number, or null when it cannot be read; 1,5 is not read, for it is 15 to nobody and 1.5 only to some.
function parseNumber(text, unit = "") {
  let rest = text.normalize("NFKC").replace(/[\u2212\u2013]/g, "-").trim().toLowerCase();
  const name = unit.trim().toLowerCase();
  if (name && rest.endsWith(name)) rest = rest.slice(0, -name.length).trim();
  else if (name && rest.startsWith(name)) rest = rest.slice(name.length).trim();
  let scale = 1;
  if (rest.endsWith("%")) [rest, scale] = [rest.slice(0, -1).trim(), 0.01];
  if (/^[+-]?\d{1,3}([, _]\d{3})+(?![\d, _])/.test(rest)) rest = rest.replace(/[, _](?=\d{3})/g, "");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(rest)) return null;
  const value = Number(rest) * scale;
  return Number.isFinite(value) ? value : null;
}

// ---- the two models --------------------------------------------------------------------------------------

// Draw a widget into `el` and keep it in step with `model` (anywidget's, or localModel's below).
function mount(model, el, live) {
  const root = h("div", { class: "pt-study" });
  // JupyterLab's one-key commands would delete or convert the cell; saving the notebook still goes through.
  root.addEventListener("keydown", (event) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if (!saves) event.stopPropagation();
  });
  const notice = h("div", { class: "pt-notice", role: "status" });
  el.replaceChildren(root, notice);

  let state = { ...model.get("state") };
  const study = {
    root,
    live, // whether a kernel listens
    get data() { return model.get("data"); },
    get: (id) => state[id],
    save(id, value) {
      state = { ...state, [id]: value };
      model.set("state", state);
      model.save_changes();
    },
  };
  const redraw = () => { root.replaceChildren(); draw(study); };
  const onState = () => {
    if (JSON.stringify(model.get("state")) === JSON.stringify(state)) return; // it is our own change
    state = { ...model.get("state") };
    redraw();
  };
  const onNotice = () => { notice.textContent = model.get("notice") ?? ""; };
  model.on("change:state", onState);
  model.on("change:data", redraw);
  model.on("change:notice", onNotice);
  redraw();
  onNotice();
  return () => {
    model.off("change:state", onState);
    model.off("change:data", redraw);
    model.off("change:notice", onNotice);
  };
}

// The stand-alone face's model: the same four methods, kept in localStorage under one key for each item.
function localModel(kind, data) {
  const prefix = `post-training-hands-on/${kind}/`;
  const values = { data, state: {}, notice: "" };
  const listeners = {};
  const tell = (name) => (listeners[`change:${name}`] ?? []).forEach((listener) => listener());
  try {
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (!key.startsWith(prefix)) continue;
      try { values.state[key.slice(prefix.length)] = JSON.parse(localStorage.getItem(key)); } catch { /* not ours */ }
    }
  } catch {
    values.notice = "This browser keeps nothing for this page: your answers last until you leave it.";
  }
  return {
    get: (name) => values[name],
    set(name, value) { values[name] = value; },
    save_changes() {
      try {
        for (const [id, value] of Object.entries(values.state)) localStorage.setItem(prefix + id, JSON.stringify(value));
      } catch {
        values.notice = "This browser keeps nothing for this page: your answers last until you leave it.";
        tell("notice");
      }
    },
    on(event, listener) { (listeners[event] ??= []).push(listener); },
    off(event, listener) { listeners[event] = (listeners[event] ?? []).filter((other) => other !== listener); },
  };
}

// Replace the static face by the live one, wherever the page shows this widget and no script has drawn it yet.
function standalone(place, { kind, data }) {
  for (const el of document.querySelectorAll(`.${place}:not([data-drawn])`)) {
    el.setAttribute("data-drawn", "");
    mount(localModel(kind, data), el, false);
  }
}
