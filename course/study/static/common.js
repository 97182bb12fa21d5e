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

// What a learner types as a number: 1,000 and 1 000 and 1e3, 1.5×10^-3, −5, ≈7.4, 1/8, 1½, 0,693, 12 tokens, 10k, and 50 %
// (0.5, or 50 where the unit is % or points). Returns null when it cannot be read, else {value, said, other}: `said` is
// how it was read, unless that is plain to see, and `other` a second reading. 1,234 and 10.000 have one, where a separator
// before three digits may mean thousands or decimals (`value` is the English reading), and 0.15 where % or points are asked.
function readNumber(text, unit = "") {
  const clean = plainDigits(text).toLowerCase().trim();
  const [start, sign] = clean.match(/^(?:(?:[≈≃≅~∼=]|(?:about|around|roughly|approximately|approx\.?|circa|ca\.?)(?![a-z]))\s*)?([+-]|(?:minus|negative) |)\s*/);
  const found = withoutUnit(clean.slice(start.length), unit);
  const read = found && readFraction(found.rest);
  if (!read) return null;
  const whole = (value) => value === undefined ? undefined : (/[-mn]/.test(sign) ? -value : value) * found.times / found.per;
  const value = whole(read.value);
  const other = whole(read.other) ?? (found.share && value && Math.abs(value) < 1 ? 100 * value : undefined);
  if (!Number.isFinite(value)) return null;
  const plain = /^[+-]?(\d+|\d*\.\d+|[1-9]\d{0,2}(,\d{3})+)$/.test(sign.trim() + found.rest) && found.plain;
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
    .replace(/\s*(?:[×·∙⋅*x]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*[({]?\s*([+-]?\d+)\s*[)}]?/gi, "e$1")
    .replace(/(^|[^\d.,])10\s*(?:\^|\*\*)\s*[({]?\s*([+-]?\d+)\s*[)}]?/g, "$11e$2")
    .replace(/(\d[.]?)\s+e\s*(?=[+-]?\d)/gi, "$1e").replace(/ +/g, " ");
}

const PERCENT = ["%", "percent", "per cent", "pct"];
const DOLLAR = ["$", "us$", "usd", "dollar", "us dollar"];
const UNITS = {
  $: DOLLAR, dollar: DOLLAR, "%": PERCENT, gb: ["gb", "gigabyte"],
  point: ["point", "percentage point", "percentage-point", "percent point", "%-point", "pp", "pt", ...PERCENT],
  token: ["token", "tok"], "token per second": ["token per second", "token per sec", "token/second", "token/s", "tok/s", "tps"],
};
const TIMES = { k: 1e3, thousand: 1e3, million: 1e6, billion: 1e9 };

// The text without its unit, or null where it names another one: {rest, times, per, plain, share}; `share` says that a part
// of 1 may stand where % or points are asked.
function withoutUnit(text, unit) {
  const singular = (words) => words.trim().toLowerCase().replace(/([a-z]{2,})s(?![a-z])/g, "$1").replace(/\s*\/\s*/g, "/");
  const name = singular(unit);
  const names = name ? UNITS[name] ?? [name] : [];
  const parts = text.match(/^([^\d.,+-]*?)\s*((?:[.,]?\d)(?:.*\d)?[.]?)\s*([^\d]*)$/);
  if (!parts) return null;
  const front = singular(parts[1]);
  const [, size, behind] = singular(parts[3]).match(/^((?:k|thousand|million|billion)(?![a-z]))?\s*(.*?)[.]?$/);
  const share = !name && PERCENT.includes(behind);
  const known = (word) => !word || names.includes(word);
  if (!known(front) || !(known(behind) || share)) return null;
  const plain = !size && !share && (name === "%" || !PERCENT.includes(behind));
  return { rest: parts[2], times: TIMES[size] ?? 1, per: share ? 100 : 1, plain, share: ["%", "point"].includes(name) && !front && !behind };
}

// a or a/b or 1 1/2, with unit and sign taken off: {value, other}, or null.
function readFraction(text) {
  const mixed = text.match(/^(\d+) ([1-9]\d?) ?\/ ?(\d+)$/)?.slice(1).map(Number);
  if (mixed && mixed[1] < mixed[2]) return { value: mixed[0] + mixed[1] / mixed[2] };
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
  const place = overDecades(data.x) ? Math.log : (x) => x;
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
function overDecades(x) {
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

// ---- what waits in the browser -----------------------------------------------------------------------------

// Entries that no kernel has confirmed yet: {value, at, over} by id, under one key of localStorage each; `over` is what was
// on the disk when it was made, as far as the page knew. Another page, another tab and whoever uses this browser may write
// there too, so nothing is believed but its form.
function browserStore(kind, ids) {
  const key = (id) => `post-training-hands-on/${kind}/${id}`;
  const read = (id) => {
    try {
      const entry = JSON.parse(localStorage.getItem(key(id)));
      const sound = entry && typeof entry.value === "object" && entry.value && !Array.isArray(entry.value) && Number.isFinite(entry.at);
      return sound ? entry : null;
    } catch { return null; }
  };
  return {
    works() {
      try {
        localStorage.setItem(key(""), "");
        localStorage.removeItem(key(""));
        return true;
      } catch { return false; }
    },
    all: () => ids.map((id) => [id, read(id)]).filter(([, entry]) => entry),
    holds: (id, value) => same(read(id)?.value, value),
    put(id, value, over) {
      try { localStorage.setItem(key(id), JSON.stringify({ value, at: Date.now(), over })); } catch {
        try { localStorage.removeItem(key(id)); } catch { /* nothing is kept */ } // an older answer must not come back in its place
      }
    },
    // Only what is settled: another tab may have put a newer answer there.
    remove(id, ...values) {
      const entry = read(id);
      if (entry && values.some((value) => same(entry.value, value))) try { localStorage.removeItem(key(id)); } catch { /* nothing is kept */ }
    },
  };
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// ---- the two models --------------------------------------------------------------------------------------

const SOON = 700; // milliseconds after which an answer that is not confirmed is said to be not saved
const RETRY = 10000; // milliseconds between two requests to try it again
const NO_STORAGE = "This browser does not store your answers, since its storage is full or blocked: they last until you leave this page.";

// Draw a widget into `el` and keep it in step with `model` (anywidget's, or localModel's below).
function mount(model, el, live) {
  const root = h("div", { class: "pt-study" });
  // JupyterLab's one-key commands would delete or convert the cell; saving the notebook still goes through.
  root.addEventListener("keydown", (event) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if (!saves) event.stopPropagation();
  });
  const notice = h("div", { class: "pt-notice", role: "status" });
  el.replaceChildren(...(live ? [root, notice] : [notice, root])); // what comes later must not move the buttons
  nameCharts();
  if (live) hideStandalone(model.get("place"), el);

  const kind = model.get("store");
  const ids = model.get("ids") ?? [];
  const store = browserStore(kind, ids);
  let state = { ...model.get("state") };
  // What this view passes on, {value, at, over} by id: from an earlier session, or, with `by` as well, done in another widget
  // of the page, which has the kernel keep it.
  const handed = {};
  const fresh = new Set(); // ids of answers that were given in this view and are not on the disk yet
  let watched = [];
  let late = true; // whether the last answer is older than SOON
  let timer;

  const settled = (id) => state[id] === undefined || same(state[id], model.get("kept")?.[id]);
  const waits = (id) => live && Boolean(kind) && !settled(id) && !handed[id]?.by;
  // To the kernel, with a mark on what has waited.
  const send = () => {
    const passed = Object.entries(handed).filter(([id, { value }]) => same(state[id], value));
    const marked = passed.map(([id, { value, at, over }]) => [id, { ...value, waited: { at, over } }]);
    model.set("state", { ...state, ...Object.fromEntries(marked) });
    try { model.save_changes(); } catch { /* there is no kernel to hear it */ }
  };
  const take = (id, entry) => {
    handed[id] = entry;
    state = { ...state, [id]: entry.value };
  };
  const study = {
    root,
    live, // whether a kernel listens
    get data() { return model.get("data"); },
    get: (id) => state[id],
    waits, // whether an item is not on the disk yet
    // Another trait of the model, and a call whenever it changes, until the widget is drawn again.
    trait: (name) => model.get(name),
    watch(name, listener) {
      model.on(`change:${name}`, listener);
      watched.push([`change:${name}`, listener]);
    },
    save(id, value) {
      state = { ...state, [id]: value };
      if (kind) {
        store.put(id, value, model.get("kept")?.[id] ?? null);
        fresh.add(id);
        delete handed[id];
      }
      send();
      late = false;
      clearTimeout(timer);
      timer = setTimeout(() => { late = true; paintNotice(); }, SOON);
      window.dispatchEvent(new CustomEvent("pt-saved", { detail: { kind, id, value, from: root } }));
    },
  };

  const paintNotice = () => {
    const stored = (some) => some.every((id) => store.holds(id, state[id]));
    const reason = live || stored([...fresh]) ? model.get("notice") ?? "" : NO_STORAGE;
    const waiting = Object.keys(state).filter(waits);
    const shown = waiting.length > 0 && late;
    const words = !shown ? [reason] : [
      `Not saved yet: ${waiting.length === 1 ? "1 answer" : `${waiting.length} answers`}.`,
      reason || "The kernel is busy, or it has stopped or been restarted. If so, run all cells again (Run > Run All Cells).",
      stored(waiting) ? "Until it is saved, it waits in this browser, and it is tried again."
        : "This browser does not store it, since its storage is full or blocked, so it is lost when you leave this page.",
    ];
    const text = words.filter(Boolean).join(" ");
    if (notice.textContent !== text) notice.textContent = text;
    notice.classList.toggle("pt-is-wrong", shown);
    for (const item of root.querySelectorAll("[data-item]")) {
      const mark = item.querySelector(":scope > .pt-unsaved");
      if (!(shown && waiting.includes(item.dataset.item))) mark?.remove();
      else if (!mark) item.append(h("div", { class: "pt-unsaved pt-small" }, "Not saved yet."));
    }
  };
  const unwatch = () => { watched.forEach(([event, listener]) => model.off(event, listener)); watched = []; };
  const redraw = () => { unwatch(); root.replaceChildren(); draw(study); paintNotice(); };
  const confirm = () => {
    for (const id of live && kind ? ids : []) {
      if (!settled(id)) continue;
      store.remove(id, state[id], handed[id]?.value);
      fresh.delete(id);
      delete handed[id];
    }
    paintNotice();
  };
  const onState = () => {
    const told = unmarked(model.get("state"));
    for (const id of ids) if (fresh.has(id) || handed[id]?.by) told[id] = state[id]; // the kernel has yet to hear of it
    if (Object.keys({ ...told, ...state }).every((id) => same(told[id], state[id]))) return; // it is our own change
    state = told;
    redraw();
    confirm();
  };
  const onElsewhere = ({ detail: { kind: where, id, value, from } }) => {
    if (from === root || !kind || where !== kind || !ids.includes(id) || same(state[id], value)) return;
    fresh.delete(id);
    take(id, { value, at: Date.now(), over: model.get("kept")?.[id] ?? null, by: from });
    redraw();
  };
  model.on("change:state", onState);
  model.on("change:kept", confirm);
  model.on("change:data", redraw);
  model.on("change:notice", paintNotice);
  window.addEventListener("pt-saved", onElsewhere);

  const left = live && kind ? store.all().filter(([id, { value }]) => !same(value, model.get("kept")?.[id])) : [];
  left.forEach(([id, entry]) => take(id, entry)); // what an earlier session left in the browser
  if (left.length) send();
  redraw();
  confirm();
  const retry = live && setInterval(() => {
    if (!Object.keys(state).some(waits)) return;
    send();
    try { model.send({ retry: true }); } catch { /* there is no kernel to hear it */ }
  }, RETRY);
  return () => {
    unwatch();
    clearTimeout(timer);
    clearInterval(retry);
    window.removeEventListener("pt-saved", onElsewhere);
    model.off("change:state", onState);
    model.off("change:kept", confirm);
    model.off("change:data", redraw);
    model.off("change:notice", paintNotice);
  };
}

// A state without the marks of what has waited: Python has not answered yet, or another view of the widget sent it.
function unmarked(state) {
  return Object.fromEntries(Object.entries(state).map(([id, value]) => {
    if (typeof value !== "object" || value === null || !("waited" in value)) return [id, value];
    const { waited, ...rest } = value;
    return [id, rest];
  }));
}

// The stand-alone face's model: the same methods, kept in localStorage. `state` is what the page was stored with.
function localModel({ store, data, ids, state }, words = "") {
  const kept = browserStore(store, ids);
  const waiting = Object.fromEntries(kept.all().map(([id, { value }]) => [id, value]));
  const notice = ids.length ? (kept.works() ? words : NO_STORAGE) : "";
  const values = { store, data, ids, state: { ...state, ...waiting }, kept: state, notice };
  return { get: (name) => values[name], set(name, value) { values[name] = value; }, save_changes() {}, on() {}, off() {} };
}

const NO_KERNEL = "This cell has not run since the notebook was opened. What you do here waits in this browser and is saved when "
  + "you run the cell.";

// Replace the static face by the stand-alone one, wherever the page shows this widget and no script has drawn it yet.
// In JupyterLab the live view comes just before it, as an output of its own: while that lives, this one hides, and
// where it is dead (the notebook was opened anew), this one takes its place.
function standalone(place, content) {
  for (const el of document.querySelectorAll(`.${place}:not([data-drawn])`)) {
    el.setAttribute("data-drawn", "");
    const own = el.closest(".jp-OutputArea-child");
    const view = own?.previousElementSibling;
    if (!view) {
      if (!document.querySelector(`[data-live="${place}"]`)) mount(localModel(content), el, false);
      continue;
    }
    let drawn = false;
    const look = (patient) => {
      const lives = view.querySelector(".pt-study") !== null;
      const dead = /^\s*Error displaying widget/.test(view.textContent);
      const pending = patient && !dead && /^\s*Loading widget/.test(view.textContent);
      own.style.display = lives || pending ? "none" : "";
      view.style.display = dead || (drawn && /^\s*Loading widget/.test(view.textContent)) ? "none" : "";
      if (lives || pending || drawn) return;
      drawn = true;
      mount(localModel(content, own.closest(".jp-NotebookPanel") ? NO_KERNEL : ""), el, false); // an exported page has no cells to run
      look(false);
    };
    new MutationObserver(() => look(true)).observe(view, { childList: true, subtree: true });
    setTimeout(look, 3000, false); // a page without any kernel says "Loading widget..." for ever
    look(true);
  }
}

// Outside JupyterLab, Colab or VS Code say, the two outputs do not know each other: the live one hides the other.
function hideStandalone(place, el) {
  el.setAttribute("data-live", place);
  for (const other of document.querySelectorAll(`.${place}`)) if (!other.closest(".jp-OutputArea-child")) other.replaceChildren();
}

// Gives plotly's charts, also those drawn later, the name that course.plots put into them.
function nameCharts() {
  if (document.body.dataset.ptCharts) return;
  document.body.dataset.ptCharts = "named";
  const name = () => {
    for (const chart of document.querySelectorAll(".js-plotly-plot:not([role])")) {
      const words = chart.layout?.meta?.alt;
      if (typeof words !== "string") continue;
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label", words);
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  name();
}
