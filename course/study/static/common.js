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

// ---- drawing charts -------------------------------------------------------------------------------------

const WIDTH = 640; // of a drawing, in its own units; the page scales it

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(Boolean));
  return node;
}

// Axes with ticks, and the scales: x(value) and y(value) give places, value(y) goes back.
function frame(data, low, high, xs) {
  const marks = ticks(low, high).map((tick) => [tick, numeral(tick)]);
  const longest = Math.max(...marks.map(([, text]) => text.length));
  const [left, right, top, bottom, height] = [Math.max(40, 14 + 8.5 * longest), WIDTH - 24, 30, 250, 300];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const place = spread(data.x) ? Math.log : (x) => x;
  const x = (value) => left + (right - left) * (place(Math.max(value, first)) - place(first)) / (place(last) - place(first) || 1);
  const y = (value) => bottom - (bottom - top) * (value - low) / (high - low);
  const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "pt-drawing" });
  for (const [tick, text] of marks) {
    node.append(svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "pt-grid" }),
      svg("text", { x: left - 10, y: y(tick) + 5, "text-anchor": "end" }, text));
  }
  node.append(svg("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "pt-axis" }));
  let free = -Infinity;
  for (const tick of data.x) {
    const text = numeral(tick);
    node.append(svg("line", { x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 5, class: "pt-axis" }));
    if (x(tick) - 4.5 * text.length < free) continue; // labels must not run into each other
    node.append(svg("text", { x: x(tick), y: bottom + 22, "text-anchor": "middle" }, text));
    free = x(tick) + 4.5 * text.length + 6;
  }
  node.append(svg("text", { x: 4, y: 16, class: "pt-strong" }, data.y_label),
    svg("text", { x: right, y: height - 6, "text-anchor": "end", class: "pt-strong" }, data.x_label));
  return { node, x, y, height, value: (place) => low + (bottom - place) / (bottom - top) * (high - low) };
}

// Positions such as 1e-4, 1e-3, 1e-2 would fall onto each other on an even axis: they get a logarithmic one.
function spread(x) {
  const gaps = x.slice(1).map((value, i) => value - x[i]);
  return x[0] > 0 && x.length > 2 && Math.max(...gaps) / Math.min(...gaps) >= 8;
}

function ticks(low, high) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((value) => value >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(tidy(i * step, step));
  return found;
}

// Takes off what floating point adds: 0.30000000000000004 on a scale of tenths.
function tidy(value, step) {
  return Number(value.toFixed(Math.min(20, Math.max(0, 2 - Math.floor(Math.log10(step))))));
}

// A number as one reads it: as fine as the scale's step where there is one, else to four digits.
function numeral(value, { step } = {}) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return Number(value.toPrecision(3)).toExponential().replace("e-", "e−").replace("e+", "e");
  const digits = step ? Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))) : Math.max(0, 3 - Math.floor(Math.log10(size || 1)));
  return Number(value.toFixed(digits + (step && !Number.isInteger(value / step) ? 1 : 0)))
    .toLocaleString("en-US", { maximumFractionDigits: 12 }).replace("-", "−");
}

const MONEY = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

function withUnit(data, value) {
  const { unit } = data;
  if (unit === "$") return `${value < 0 ? "−" : ""}$${Math.abs(value).toLocaleString("en-US", Number.isInteger(value) ? {} : MONEY)}`;
  return `${numeral(value, data)}${!unit ? "" : unit === "%" ? "%" : ` ${unit}`}`;
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
  let watched = [];
  const study = {
    root,
    live, // whether a kernel listens
    get data() { return model.get("data"); },
    get: (id) => state[id],
    // Another trait of the model, and a call whenever it changes, until the widget is drawn again.
    trait: (name) => model.get(name),
    watch(name, listener) {
      model.on(`change:${name}`, listener);
      watched.push([`change:${name}`, listener]);
    },
    save(id, value) {
      state = { ...state, [id]: value };
      model.set("state", state);
      model.save_changes();
    },
  };
  const unwatch = () => { watched.forEach(([event, listener]) => model.off(event, listener)); watched = []; };
  const redraw = () => { unwatch(); root.replaceChildren(); draw(study); };
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
    unwatch();
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
  } catch { /* no storage here; said with the first answer, for not every widget has something to keep */ }
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
