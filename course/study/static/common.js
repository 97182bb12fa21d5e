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
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  node.append(...shown.map((child) => typeof child === "string" ? showDirection(child) : child));
  return node;
}

// Signs that turn the direction of text written out, as `course.text.show_direction` does.
const showDirection = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g,
  (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase()}⟩`);

// A DOM id that no other widget on the page has; for labels, radio groups and aria-describedby.
const newId = () => `pt-${Math.random().toString(36).slice(2, 10)}`;

// A live region: it must be on the page before its text changes, or a screen reader stays silent.
const statusLine = (className = "") => h("div", { class: `pt-status ${className}`, role: "status", tabindex: "-1" });

function button(label, onclick, more = "") {
  return h("button", { type: "button", class: `pt-button ${more}`, onclick }, label);
}

// ---- reading numbers -------------------------------------------------------------------------------------

// What a learner types as a number: 1,000 and 1 000 and 1e3, 1.5×10^-3, −5, ≈7.4, 1/8, 0,693, 12 tokens, 10k, and 50 %
// (0.5, or 50 where the unit is % or points). Returns null when it cannot be read, else {value, said, other}: `said` is
// how it was read, unless that is plain to see, and `other` the second reading of 1,234 and 10.000, where one separator
// before three digits may mean thousands or decimals. `value` is the English reading.
function readNumber(text, unit = "") {
  const clean = plainDigits(text).toLowerCase().trim();
  const [start, sign] = clean.match(/^(?:(?:[≈≃≅~∼=]|(?:about|around|roughly|approximately|approx\.?|circa|ca\.?)(?![a-z]))\s*)?([+-]?)\s*/);
  const found = withoutUnit(clean.slice(start.length), unit);
  const read = found && readFraction(found.rest);
  if (!read) return null;
  const whole = (value) => value === undefined ? undefined : (sign === "-" ? -value : value) * found.times / found.per;
  const [value, other] = [whole(read.value), whole(read.other)];
  if (!Number.isFinite(value)) return null;
  const plain = /^[+-]?(\d+|\d*\.\d+|[1-9]\d{0,2}(,\d{3})+)$/.test(sign + found.rest) && found.plain;
  return { value, other, said: plain ? "" : `${written(value)} ${found.per === 1 ? unit : ""}`.trim() };
}

// A value with all its digits: 1234567.5, 0.00003125.
function written(value) {
  const [digits, power] = Number(value.toPrecision(15)).toString().split("e");
  return power === undefined || Math.abs(power) > 15 ? digits + (power ? `e${power}` : "") : value.toFixed(20).replace(/\.?0+$/, "");
}

// Digits of any script as 0 to 9, every minus as -, every space as one, and powers of ten as e. A raised ² is no 2.
function plainDigits(text) {
  const digit = (char) => {
    const wide = char.normalize("NFKC"); // full-width and mathematical digits
    if (/\d/.test(wide)) return wide;
    let n = 0; // every other script has its ten digits in a row
    while (n < 9 && /\p{Nd}/u.test(String.fromCodePoint(char.codePointAt(0) - n - 1))) n++;
    return String(n);
  };
  const power = (_, ten, sign, digits) => `${ten}^${sign === "⁻" ? "-" : ""}${digits.normalize("NFKC")}`;
  return text
    .replace(/\p{Cf}/gu, "").replace(/[\p{Zs}\s]/gu, " ").replace(/[\uff01-\uff0f\uff1a-\uff5e]/g, (char) => char.normalize("NFKC"))
    .replace(/\p{Nd}/gu, digit).replace(/[\u2010-\u2015\u2212\ufe63]/g, "-").replace(/٫/g, ".").replace(/٬/g, "'").replace(/٪/g, "%")
    .replace(/[¼½¾⅐-⅞]/g, (char) => ` ${char.normalize("NFKC")} `).replace(/[⁄∕÷]/g, "/")
    .replace(/(10)([⁺⁻]?)([⁰¹²³⁴-⁹]+)/g, power)
    .replace(/\s*[×·∙⋅*x]\s*10\s*(?:\^|\*\*)\s*\(?\s*([+-]?\d+)\s*\)?/gi, "e$1")
    .replace(/(^|[^\d.,])10\s*(?:\^|\*\*)\s*\(?\s*([+-]?\d+)\s*\)?/g, "$11e$2");
}

const PERCENT = ["%", "percent", "per cent", "pct"];
const DOLLAR = ["$", "us$", "usd", "dollar"];
const UNITS = {
  $: DOLLAR, dollar: DOLLAR, "%": PERCENT, gb: ["gb", "gigabyte"],
  point: ["point", "percentage point", "percent point", "%-point", "pp", ...PERCENT],
  "token per second": ["token per second", "token/second", "token/s", "tok/s"],
};
const TIMES = { k: 1e3, thousand: 1e3, million: 1e6, billion: 1e9 };

// The text without its unit: {rest, times, per, plain}, or null where it names another one.
function withoutUnit(text, unit) {
  const singular = (words) => words.trim().toLowerCase().replace(/([a-z]{2,})s(?![a-z])/g, "$1").replace(/\s*\/\s*/g, "/");
  const name = singular(unit);
  const names = name ? UNITS[name] ?? [name] : [];
  const parts = text.match(/^([^\d.,+-]*?)\s*((?:[.,]?\d)(?:.*\d)?[.]?)\s*([^\d]*)$/);
  if (!parts) return null;
  const front = singular(parts[1]);
  const [, size, behind] = singular(parts[3]).match(/^((?:k|thousand|million|billion)(?![a-z]))?\s*(.*)$/);
  const share = !name && PERCENT.includes(behind);
  const known = (word) => !word || names.includes(word);
  if (!known(front) || !(known(behind) || share) || (front && behind)) return null;
  const plain = !size && !share && (name === "%" || !PERCENT.includes(behind));
  return { rest: parts[2], times: TIMES[size] ?? 1, per: share ? 100 : 1, plain };
}

// a or a/b, with unit and sign taken off: {value, other}, or null.
function readFraction(text) {
  const parts = text.split("/").map((part) => readDecimal(part.trim()));
  if (parts.length > 2 || parts.includes(null)) return null;
  const [above, below] = parts;
  if (!below) return above;
  const doubtful = above.other !== undefined || below.other !== undefined;
  const other = doubtful ? (above.other ?? above.value) / (below.other ?? below.value) : undefined;
  return below.value === 0 ? null : { value: above.value / below.value, other };
}

// Digits with separators, and perhaps an exponent: {value, other}, or null.
function readDecimal(text) {
  const [, digits, power = ""] = text.match(/^([\d.,'’_ ]+)(e[+-]?\d+)?$/) ?? [null, ""];
  const as = (plain) => {
    const value = Number(plain + power);
    return !Number.isFinite(value) || (value === 0 && /[1-9]/.test(plain)) ? null : value;
  };
  const reading = (plain, other) => {
    const value = as(plain);
    return value === null ? null : { value, other: other ? as(other) ?? undefined : undefined };
  };
  if (/^(\d+\.?\d*|\.\d+)$/.test(digits)) return reading(digits, /^[1-9]\d{0,2}\.\d{3}$/.test(digits) && digits.replace(".", ""));
  if (/^[1-9]\d{0,2},\d{3}$/.test(digits)) return reading(digits.replace(",", ""), digits.replace(",", "."));
  if (/^\d*,\d+$/.test(digits)) return reading(digits.replace(",", ".")); // no group of thousands begins with 0 or has four digits
  const grouped = [
    /^([1-9]\d{0,2}(?:,\d{3})+)(?:\.(\d*))?$/, /^([1-9]\d{0,2}(?:\.\d{3})+)(?:,(\d+))?$/, // 1,234.5 and 1.234,5
    /^([1-9]\d{0,2}(?: \d{3})+)(?:[.,](\d+))?$/, /^([1-9]\d{0,2}(?:['’]\d{3})+)(?:[.,](\d+))?$/, /^([1-9]\d{0,2}(?:_\d{3})+)(?:\.(\d+))?$/,
    /^([1-9]\d?(?:,\d\d)+,\d{3})(?:\.(\d*))?$/, // lakhs and crores
  ].map((form) => digits.match(form)).find(Boolean);
  return grouped ? reading(`${grouped[1].replace(/\D/g, "")}.${grouped[2] ?? ""}`) : null;
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
