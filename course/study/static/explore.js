// Draws sliders and what a function gives for them; course/study/explore.py says what `data` looks like. The results of
// all settings came along, so that moving a slider only looks them up.

const LINES = ["pt-line-measured", "pt-line-guess", "pt-line-third"];

function draw({ data, root }) {
  const { sliders, results, chart } = data;
  const at = sliders.map((slider) => slider.start); // the value that each slider stands on, by its place
  const numbers = results.filter(({ kind }) => kind === "number");
  const lines = results.filter(({ kind }) => kind !== "curve");
  const curves = results.filter(({ kind }) => kind === "curve");
  const barred = chart ? [] : numbers.filter(({ unit, values }) => unit === numbers[0].unit && values.every((value) => value >= 0));

  const inputs = sliders.map(drawSlider);
  const table = h("dl", { class: "pt-results" });
  const picture = h("div", { class: "pt-plot" });
  const spoken = h("div", { class: "pt-spoken", role: "status" });
  const titleId = newId();
  root.append(h("section", { class: "pt-explore", "aria-labelledby": titleId },
    h("strong", { id: titleId }, data.title),
    data.about_html && h("div", { html: data.about_html }),
    h("div", { class: "pt-sliders" }, inputs.map(({ node }) => node)),
    h("div", { class: "pt-row" }, button("Back to the start", () => {
      sliders.forEach((slider, i) => { at[i] = slider.start; });
      inputs.forEach((input) => input.paint());
      paint();
      speak();
    })),
    lines.length > 0 && table,
    chart && h("div", {}, curves.length > 1 && legend(curves), picture), spoken));
  paint();

  // ---- sliders -------------------------------------------------------------------------------------------------
  function drawSlider(slider, i) {
    const { values, usual } = slider;
    const last = values.length - 1;
    const [id, help] = [newId(), newId()];
    const input = h("input", { class: "pt-slider", id, type: "range", min: 0, max: last, step: 1, "aria-describedby": help, onchange: speak });
    const now = h("span", { class: "pt-now", "aria-hidden": "true" });
    const place = (value) => `calc(8px + (100% - 16px) * ${position(values, value) / last})`; // the thumb is 16 px wide
    const band = usual && h("div", { class: "pt-usual", "aria-hidden": "true" },
      h("div", { class: "pt-usual-band", style: `left: ${place(usual[0])}; right: calc(100% - ${place(usual[1])})` }));
    input.addEventListener("input", () => { at[i] = input.valueAsNumber; show(); paint(); });
    const show = () => {
      input.value = at[i];
      now.textContent = withUnit(slider, values[at[i]]);
      input.setAttribute("aria-valuetext", [now.textContent, standing(slider, values[at[i]])].filter(Boolean).join(", "));
    };
    show();
    const node = h("div", { class: "pt-setting" },
      h("div", { class: "pt-row pt-setting-head" }, h("label", { for: id }, slider.label), now),
      input, band,
      h("div", { class: "pt-ends pt-small", "aria-hidden": "true" }, h("span", {}, withUnit(slider, values[0])),
        usual && h("span", {}, `usual: ${span(slider)}`), h("span", {}, withUnit(slider, values[last]))),
      h("div", { class: "pt-small", id: help }, usual && h("span", { class: "pt-unseen" }, `Usual: ${span(slider)}. `),
        slider.does_html && h("span", { html: slider.does_html })));
    return { node, paint: show };
  }

  // ---- results -------------------------------------------------------------------------------------------------
  function paint() {
    const row = sliders.reduce((index, slider, i) => index * slider.values.length + at[i], 0);
    const longest = Math.max(...barred.map(({ values }) => values[row]));
    table.replaceChildren(...lines.flatMap((result) => [
      h("dt", {}, result.name),
      h("dd", {}, h("span", { class: "pt-result" }, said(result, row)),
        barred.length > 1 && barred.includes(result)
          && h("div", { class: "pt-bar", "aria-hidden": "true", style: `width: ${longest ? 100 * result.values[row] / longest : 0}%` })),
    ]));
    if (chart) picture.replaceChildren(drawCurves(row));
  }

  function said({ kind, values, unit }, row) {
    if (kind === "text") return values[row];
    return values[row] === null ? "no number" : withUnit({ unit }, values[row]);
  }

  // Said once the slider rests: each step of it would be too much to listen to.
  function speak() {
    clearTimeout(speak.timer);
    speak.timer = setTimeout(() => {
      const found = lines.length ? [...table.querySelectorAll("dt")].map((name) => `${name.textContent}: ${name.nextSibling.textContent}`)
        : [picture.firstChild.getAttribute("aria-label")];
      spoken.textContent = `${found.join("; ")}.`;
    }, 500);
  }

  function drawCurves(row) {
    const { x, low, high } = chart;
    const marks = overDecades(x) ? x : ticks(x[0], x.at(-1));
    const plot = frame({ ...chart, x: marks }, low, high, x);
    curves.forEach(({ values }, i) => {
      let pen = "M";
      const path = values[row].map((y, k) => {
        if (y === null) { pen = "M"; return ""; }
        const step = `${pen}${plot.x(x[k])} ${plot.y(y)}`;
        pen = "L";
        return step;
      });
      plot.node.append(svg("path", { d: path.join(""), class: LINES[i] }));
    });
    const words = curves.map(({ name, values }) => {
      const ys = values[row].filter((y) => y !== null);
      return ys.length ? `${name} goes from ${numeral(ys[0])} to ${numeral(ys.at(-1))}, between ${numeral(Math.min(...ys))} and ${numeral(Math.max(...ys))}`
        : `${name} has no finite value`;
    });
    plot.node.setAttribute("role", "img");
    plot.node.setAttribute("aria-label", `${chart.y_label} over ${chart.x_label}: ${words.join("; ")}`);
    return plot.node;
  }
}

function legend(curves) {
  return h("div", { class: "pt-row pt-small", "aria-hidden": "true" }, curves.map(({ name }, i) =>
    h("span", { class: "pt-row pt-legend" }, svg("svg", { width: 34, height: 10, class: "pt-drawing" }, svg("path", { d: "M1 5H33", class: LINES[i] })), name)));
}

function span(slider) {
  return `${withUnit(slider, slider.usual[0])} to ${withUnit(slider, slider.usual[1])}`;
}

function standing({ usual }, value) {
  if (!usual) return "";
  return value < usual[0] ? "below the usual range" : value > usual[1] ? "above the usual range" : "within the usual range";
}

// Where a value lies among the slider's values, in steps; between two of them, in proportion.
function position(values, value) {
  const i = values.findIndex((other) => other >= value);
  if (i < 0) return values.length - 1;
  return i === 0 ? 0 : i - (values[i] - value) / (values[i] - values[i - 1]);
}
