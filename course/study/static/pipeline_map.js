// Draws the pipeline map: boxes that are tabs, arrows between them, and the chosen stage below.

// The wide layout is a grid of 34 parts: boxes 6 wide, gaps 1. The reward model (third) stands in a second row,
// for its scores feed two stages. x is in parts, y in em; the boxes are 7.5 em high, the rows 3 em apart.
const WIDE = [[0, 0], [7, 0], [14, 10.5], [14, 0], [21, 0], [28, 0]];
const ARROWS = [
  [[6, 3.75], [7, 3.75]],
  [[13, 3.75], [14, 3.75]],
  [[20, 3.75], [21, 3.75]],
  [[27, 3.75], [28, 3.75]],
  [[10, 7.5], [10, 14.25], [14, 14.25]],
  [[17, 10.5], [17, 7.5]],
  [[20, 14.25], [24, 14.25], [24, 7.5]],
];
const LABELS = [["its responses", 9.7, 11, "end"], ["scores", 17.3, 9.4, "start"], ["scores, for RLHF", 24.3, 11, "start"]];

function draw({ root, data }) {
  const tabs = data.stages.map((stage, i) => {
    const [x, y] = WIDE[i];
    return h("button", {
      type: "button", class: "pt-stage", role: "tab", id: newId(), style: `--x: ${x}; --y: ${y}`,
      onclick: () => open(i), onkeydown: (event) => move(event, i),
    }, h("span", { class: "pt-stage-name" }, `${i + 1} ${stage.name}`), h("span", { class: "pt-small" }, stage.reads));
  });
  const panel = h("div", { class: "pt-panel", role: "tabpanel", id: newId(), tabindex: "0" });
  root.append(h("div", { class: "pt-map" },
    h("div", { class: "pt-diagram", role: "tablist", "aria-label": "Stages of the pipeline" }, drawArrows(), tabs),
    panel, h("div", { class: "pt-small" }, `Notebooks around the stages: ${data.around}.`)));
  open(0);

  function open(chosen) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === chosen));
      tab.setAttribute("aria-controls", panel.id);
      tab.tabIndex = i === chosen ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", tabs[chosen].id);
    panel.replaceChildren(...drawStage(data.stages[chosen], chosen));
  }

  function move(event, i) {
    const last = tabs.length - 1;
    const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const chosen = (to + tabs.length) % tabs.length;
    open(chosen);
    tabs[chosen].focus();
  }
}

function drawStage(stage, i) {
  const part = (name, ...content) => h("div", { class: "pt-part" }, h("div", { class: "pt-heading" }, name), ...content);
  return [
    h("div", { class: "pt-title", role: "heading", "aria-level": "3" }, `${i + 1} · ${stage.name}`),
    h("div", { class: "pt-in-out" },
      part("What goes in", h("div", { html: stage.in_html })),
      part("What comes out", h("div", { html: stage.out_html }))),
    part("Why", h("div", { html: stage.why_html })),
    part("One record", h("pre", {}, h("code", {}, stage.record))),
    part("What known models did", h("dl", {}, stage.known.map((known) =>
      [h("dt", {}, known.model), h("dd", { html: known.text_html })]).flat())),
    h("div", { class: "pt-small" }, `Notebooks: ${stage.notebooks}.`),
  ];
}

function drawArrows() {
  const make = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const at = (parts) => `${(parts / 34) * 100}%`;
  const head = newId();
  const marker = make("marker", { id: head, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
    make("path", { d: "M0 0 8 4 0 8z", fill: "currentColor" }));
  const lines = ARROWS.flatMap((points) => points.slice(1).map(([x, y], i) => make("line", {
    x1: at(points[i][0]), y1: `${points[i][1]}em`, x2: at(x), y2: `${y}em`, stroke: "currentColor", "stroke-width": 1.5,
    ...(i === points.length - 2 ? { "marker-end": `url(#${head})` } : {}),
  })));
  const words = LABELS.map(([text, x, y, anchor]) => make("text", { x: at(x), y: `${y}em`, "text-anchor": anchor, fill: "currentColor" },
    make("tspan", {}, text)));
  return make("svg", { class: "pt-arrows", "aria-hidden": "true" }, make("defs", {}, marker), ...lines, ...words);
}
