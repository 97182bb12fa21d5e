// Draws a prediction: the question with its slider, choices or curve, and later the measurement beside the guess.
// course/study/predict.py says what `data` and the entry of the state look like.

function draw(study) {
  const { data, root } = study;
  root.append(data.measured ? reveal(study) : ask(study));
}

// {guess, seen, late}: seen once the result was shown, late if the guess was made after that.
function keptGuess(study) {
  const { guess, seen, late } = study.get(study.data.id) ?? {};
  return { guess: valid(study.data, guess), seen: Boolean(seen), late: Boolean(late) };
}

// A guess that was kept for an earlier form of the question (other choices, other points) is none.
function valid(data, guess) {
  if (data.type === "choice") return data.choices.includes(guess) ? guess : null;
  if (data.type === "number") return Number.isFinite(guess) ? guess : null;
  return Array.isArray(guess) && guess.length === data.x.length && guess.every(Number.isFinite) ? guess : null;
}

// ---- asking ------------------------------------------------------------------------------------------------

const SEEN = "You have seen the result, so this will not count as a guess.";
const ASK = { number: askNumber, choice: askChoice, curve: askCurve };
const TODO = {
  number: "Move the slider to your guess first.",
  choice: "Choose one first.",
  curve: "Draw your curve first: drag across it, or press Tab and use the arrow keys on each point.",
};

function ask(study) {
  const { data } = study;
  const { guess: committed, seen } = keptGuess(study);
  const [promptId, helpId] = [newId(), newId()];
  const help = h("span", { class: "pt-small", id: helpId }, TODO[data.type]);
  const status = statusLine(committed === null ? "" : "pt-says");
  const after = h("div", { class: "pt-row pt-commit" });
  const part = { data, committed, promptId, value: committed };
  const keep = (guess, focus) => {
    study.save(data.id, { guess, ...(seen && { seen }), ...(seen && guess !== null && { late: true }) });
    const other = ask(study);
    section.replaceWith(other);
    other.querySelector(focus).focus();
  };
  const commit = button("Commit my guess", () => keep(part.value, ".pt-status"));
  commit.disabled = true;
  commit.setAttribute("aria-describedby", helpId);
  part.choose = (value) => {
    part.value = value;
    commit.disabled = false;
    help.textContent = seen ? SEEN : "You can take it back until you have seen the result.";
  };
  const body = ASK[data.type](part);
  if (committed === null) after.append(commit, help);
  else {
    status.append(`Your guess is in: ${inWords(data, committed)}. The cells below answer it.`);
    after.append(button(seen ? "Guess again" : "Take it back", () => keep(null, "input")));
  }
  const section = h("section", { class: "pt-question", "data-item": data.id, "aria-label": "Your guess first" },
    h("div", { class: "pt-small pt-kicker" }, "Your guess first"),
    data.type === "choice" ? null : h("div", { class: "pt-prompt", id: promptId, html: data.prompt_html }),
    body, status, after);
  return section;
}

function inWords(data, guess) {
  if (data.type === "choice") return `“${guess}”`;
  if (data.type === "number") return withUnit(data, guess);
  return `from ${numeral(guess[0], data)} at ${numeral(data.x[0])} to ${numeral(guess.at(-1), data)} at ${numeral(data.x.at(-1))}`;
}

function askNumber({ data, committed, promptId, choose }) {
  const shown = h("div", { class: "pt-guess-value", "aria-hidden": "true" }, committed === null ? "?" : withUnit(data, committed));
  const slider = range(data, committed ?? (data.low + data.high) / 2, {
    class: "pt-slider", disabled: committed !== null, "aria-labelledby": promptId,
  });
  const take = () => {
    slider.setAttribute("aria-valuetext", withUnit(data, slider.valueAsNumber));
    shown.textContent = withUnit(data, slider.valueAsNumber);
    choose(slider.valueAsNumber);
  };
  slider.addEventListener("input", take);
  slider.addEventListener("click", take); // a click on the middle, where it stands already, is a guess too
  return h("div", { class: "pt-number-guess" }, shown, slider,
    h("div", { class: "pt-ends pt-small", "aria-hidden": "true" },
      h("span", {}, withUnit(data, data.low)), h("span", {}, withUnit(data, data.high))));
}

function askChoice({ data, committed, choose }) {
  const name = newId();
  const rows = data.choices.map((choice) => h("div", { class: "pt-option" }, h("label", {},
    h("input", {
      type: "radio", name, value: choice, checked: committed === choice, disabled: committed !== null,
      onchange: () => choose(choice),
    }), h("span", { class: "pt-option-text" }, choice))));
  const legend = h("legend", {}, h("div", { class: "pt-prompt", html: data.prompt_html }));
  return h("fieldset", {}, legend, h("div", { class: "pt-options" }, rows));
}

// Points on a plot. Each is a native slider, for the keyboard and the screen reader, that lies unseen over its point;
// the pointer draws on the plot itself.
function askCurve({ data, committed, promptId, choose }) {
  const values = committed ? [...committed] : data.x.map(() => (data.low + data.high) / 2);
  const plot = frame(data, data.low, data.high, data.x);
  const line = svg("polyline", { class: "pt-line-guess" });
  const dots = data.x.map(() => svg("circle", { class: "pt-dot-guess", r: 6 }));
  plot.node.append(line, ...dots);
  const sliders = data.x.map((x, i) => range(data, values[i], {
    class: "pt-point", disabled: committed !== null, "aria-label": `${data.y_label} at ${data.x_label} ${numeral(x)}`,
    oninput: () => set(i, sliders[i].valueAsNumber),
    onfocus: () => dots[i].classList.add("pt-focused"), onblur: () => dots[i].classList.remove("pt-focused"),
  }));
  const paint = () => {
    line.setAttribute("points", data.x.map((x, i) => `${plot.x(x)},${plot.y(values[i])}`).join(" "));
    dots.forEach((dot, i) => { dot.setAttribute("cx", plot.x(data.x[i])); dot.setAttribute("cy", plot.y(values[i])); });
    sliders.forEach((slider, i) => {
      slider.value = values[i];
      slider.setAttribute("aria-valuetext", numeral(values[i], data));
      slider.style.left = `${100 * plot.x(data.x[i]) / WIDTH}%`;
      slider.style.top = `${100 * plot.y(values[i]) / plot.height}%`;
    });
  };
  const set = (i, value) => { values[i] = Math.min(data.high, Math.max(data.low, value)); paint(); choose([...values]); };
  if (!committed) {
    drawable(plot, data.x.map(plot.x), (i, y) => {
      set(i, tidy(data.low + Math.round((plot.value(y) - data.low) / data.step) * data.step, data.step));
    });
  }
  paint();
  plot.node.setAttribute("aria-hidden", "true"); // the sliders say all that it shows
  return h("div", { class: "pt-plot", role: "group", "aria-labelledby": promptId }, plot.node, sliders);
}

// The pointer takes the nearest point along; where it moves across others, they go to where it passed them.
function drawable({ node, height }, columns, move) {
  const near = 14; // in the drawing's units: how far from a point the pointer still takes it along
  const nearest = (x) => columns.reduce((best, column, i) => (Math.abs(column - x) < Math.abs(columns[best] - x) ? i : best), 0);
  const place = (event) => {
    const box = node.getBoundingClientRect();
    return [(event.clientX - box.left) * WIDTH / box.width, (event.clientY - box.top) * height / box.height];
  };
  let start;
  let last;
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    start = last = place(event);
    move(nearest(start[0]), start[1]);
  });
  node.addEventListener("pointermove", (event) => {
    if (!node.hasPointerCapture(event.pointerId)) return;
    const [[x0, y0], [x, y]] = [last, place(event)];
    columns.forEach((column, i) => {
      if ((column - x0) * (column - x) < 0) move(i, y0 + (y - y0) * (column - x0) / (x - x0));
    });
    const i = nearest(x);
    if (Math.abs(columns[i] - x) <= near || Math.abs(x - start[0]) <= near) move(i, y);
    last = [x, y];
  });
  node.classList.add("pt-drawable");
}

function range(data, value, attributes) {
  const input = h("input", { type: "range", min: data.low, max: data.high, step: data.step, ...attributes });
  input.value = value;
  return input;
}

// ---- revealing -----------------------------------------------------------------------------------------------

const REVEAL = { number: revealNumber, choice: revealChoice, curve: revealCurve };

function reveal(study) {
  const { data } = study;
  const { guess, seen, late } = keptGuess(study);
  const section = (...children) => h("section", { class: "pt-question", "aria-label": "Your guess and the measurement", "data-item": data.id },
    h("div", { class: "pt-small pt-kicker" }, "Your guess and the measurement"),
    h("div", { class: "pt-prompt", html: data.prompt_html }), ...children);
  if (guess === null && !seen) {
    const folded = section(h("div", { class: "pt-row" }, h("span", {}, "You have not guessed yet. Guess in the cell above, or"),
      button("show the result without a guess", () => {
        study.save(data.id, { guess: null, seen: true });
        const other = reveal(study);
        folded.replaceWith(other);
        other.querySelector(".pt-says").focus();
      })));
    return folded;
  }
  if (!seen) study.save(data.id, { guess, seen: true });
  const { picture, words } = REVEAL[data.type](data, guess, data.measured);
  const before = guess === null ? "No guess was made before this run. " : late ? "This guess was made after the result was seen, so it does not count. " : "";
  return section(h("div", { class: "pt-picture" }, picture), h("div", { class: "pt-says", tabindex: "-1" }, before + words));
}

function revealChoice(data, guess, { choice }) {
  const rows = data.choices.map((one) => h("li", { class: "pt-outcome" }, h("span", { class: "pt-option-text" }, one),
    one === guess && h("span", { class: "pt-tag pt-tag-guess" }, "○ your guess"),
    one === choice && h("span", { class: "pt-tag pt-tag-measured" }, "◆ measured")));
  const words = guess === null ? `It came out as “${choice}”.`
    : guess === choice ? `You guessed “${guess}”, and so it came out.`
      : `You guessed “${guess}”; it came out as “${choice}”.`;
  return { picture: h("ul", { class: "pt-outcomes" }, rows), words };
}

function revealNumber(data, guess, { value }) {
  if (value === null) return { picture: null, words: "The run gave no number (NaN or infinite), so there is nothing to compare." };
  const measured = withUnit(data, value);
  const outside = value < data.low || value > data.high;
  const beyond = outside ? ` It lies outside the scale of ${numeral(data.low, data)} to ${withUnit(data, data.high)} that you were given.` : "";
  const words = guess === null ? `The run gave ${measured}.${beyond}` : `${distance(data, guess, value, measured)}${beyond}`;

  const low = Math.min(data.low, value);
  const high = Math.max(data.high, value);
  const [left, right, y] = [70, WIDTH - 70, 58];
  const at = (number) => left + (right - left) * (number - low) / (high - low);
  const label = (number, dy, text, name) => {
    const x = at(number);
    const anchor = x < left + 90 ? "start" : x > right - 90 ? "end" : "middle";
    return svg("text", { x: anchor === "start" ? x - 8 : anchor === "end" ? x + 8 : x, y: y + dy, "text-anchor": anchor, class: name }, text);
  };
  const drawn = svg("svg", {
    viewBox: guess === null ? `0 36 ${WIDTH} 66` : `0 20 ${WIDTH} 82`, class: "pt-drawing", role: "img",
    "aria-label": `Scale from ${numeral(low, data)} to ${numeral(high, data)}: measured ${measured}${guess === null ? "" : `, your guess ${withUnit(data, guess)}`}`,
  },
    svg("line", { x1: left, x2: right, y1: y, y2: y, class: "pt-axis" }),
    svg("text", { x: left - 14, y: y + 5, "text-anchor": "end" }, numeral(low, data)),
    svg("text", { x: right + 14, y: y + 5 }, numeral(high, data)),
    guess !== null && svg("line", { x1: at(guess), x2: at(value), y1: y, y2: y, class: "pt-gap" }),
    guess !== null && svg("circle", { cx: at(guess), cy: y, r: 8, class: "pt-dot-guess" }),
    guess !== null && label(guess, -20, `your guess: ${withUnit(data, guess)}`),
    svg("path", { d: `M${at(value)} ${y - 7}l7 7l-7 7l-7 -7z`, class: "pt-mark-measured" }),
    label(value, 32, `measured: ${measured}`, "pt-strong"));
  return { picture: drawn, words };
}

function distance(data, guess, value, measured) {
  const away = Math.abs(guess - value);
  const said = `You guessed ${withUnit(data, guess)}, and the run gave ${measured}`;
  if (away <= data.step / 2) return `${said}: as close as the slider allows.`;
  return `${said}: your guess was ${withUnit(data, away)} too ${guess > value ? "high" : "low"}.`;
}

function revealCurve(data, guess, measured) {
  const points = measured.x.map((x, i) => [x, measured.y[i]]).filter(([, y]) => y !== null);
  const missing = measured.y.length - points.length;
  const gone = missing ? ` ${missing} of ${measured.y.length} measured values ${missing === 1 ? "is" : "are"} not a finite number and left out.` : "";
  if (!points.length) return { picture: null, words: "The run gave no finite number, so there is nothing to draw." };

  const ys = points.map(([, y]) => y);
  const plot = frame(data, Math.min(data.low, ...ys), Math.max(data.high, ...ys), [...data.x, ...points.map(([x]) => x)]);
  const path = (pairs) => pairs.map(([x, y]) => `${plot.x(x)},${plot.y(y)}`).join(" ");
  plot.node.append(svg("polyline", { points: path(points), class: "pt-line-measured" }));
  if (points.length <= 20) {
    plot.node.append(...points.map(([x, y]) => svg("rect", { x: plot.x(x) - 4, y: plot.y(y) - 4, width: 8, height: 8, class: "pt-mark-measured" })));
  }
  if (guess !== null) {
    const pairs = data.x.map((x, i) => [x, guess[i]]);
    plot.node.append(svg("polyline", { points: path(pairs), class: "pt-line-guess" }),
      ...pairs.map(([x, y]) => svg("circle", { cx: plot.x(x), cy: plot.y(y), r: 6, class: "pt-dot-guess" })));
  }
  const words = (guess === null ? `The run's curve is drawn, from ${numeral(ys[0])} to ${numeral(ys.at(-1))}.` : curveDistance(data, guess, points)) + gone;
  plot.node.setAttribute("role", "img");
  plot.node.setAttribute("aria-label", `${data.y_label} over ${data.x_label}. ${words}`);
  const key = h("div", { class: "pt-row pt-small", "aria-hidden": "true" },
    h("span", { class: "pt-tag pt-tag-measured" }, "■ measured"), guess !== null && h("span", { class: "pt-tag pt-tag-guess" }, "○ your guess"));
  return { picture: h("div", {}, key, h("div", { class: "pt-plot" }, plot.node)), words };
}

// How far apart the curves are at the guess's points, between two measurements along a straight line.
function curveDistance(data, guess, points) {
  const at = (x) => {
    const i = points.findIndex(([other]) => other >= x);
    if (i < 0 || (i === 0 && points[0][0] > x)) return null;
    if (points[i][0] === x) return points[i][1];
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  };
  const gaps = data.x.map((x, i) => ({ x, drawn: guess[i], measured: at(x) })).filter(({ measured }) => measured !== null)
    .map((gap) => ({ ...gap, away: Math.abs(gap.drawn - gap.measured) }));
  if (!gaps.length) return "The run measured none of the points at which you drew, so only your eye can compare.";
  const mean = gaps.reduce((sum, gap) => sum + gap.away, 0) / gaps.length;
  const worst = gaps.reduce((one, other) => (other.away > one.away ? other : one));
  if (worst.away <= data.step / 2) return "Your curve lies on the measured one, as close as the drawing allows.";
  return `On average your curve is ${numeral(tidy(mean, data.step), data)} away from the measured one. The largest gap is at ${data.x_label} `
    + `${numeral(worst.x)}: you drew ${numeral(worst.drawn, data)}, and the run gave ${numeral(worst.measured, data)}.`;
}
