// Draws an exercise: the verdict on the attempt, then hints one by one and the solution last.
// course/study/exercises.py says what `data` and the entry of the state look like.

const BAR = { right: "pt-is-right", wrong: "pt-is-wrong", error: "pt-is-wrong" };
const SIGN = { right: "✓ ", wrong: "✗ ", error: "✗ " };

function draw(study) {
  const { data, root } = study;
  const saved = () => {
    const { hints, solution } = study.get(data.id) ?? {};
    return { hints: Number.isInteger(hints) && hints > 0 ? hints : 0, solution: Boolean(solution) };
  };
  const attempted = data.kind !== "not attempted";
  const task = h("div", { class: "pt-prompt", html: data.task_html });
  const help = h("div", { class: "pt-after" });

  root.append(
    h("section", { class: "pt-question", "data-item": data.id, "aria-label": `Exercise: ${data.title}` },
      h("div", { class: "pt-small pt-kicker" }, data.solved_before ? "Exercise · you have solved it before" : "Exercise"),
      h("div", { class: "pt-prompt" }, h("strong", {}, data.title)),
      attempted ? h("details", {}, h("summary", {}, "The task"), task) : task,
      attempted ? verdict(data) : h("p", { class: "pt-small" }, `${data.message} Write your code, then run the cell again.`),
      help));

  const paint = (focus) => {
    const { hints, solution } = saved();
    const open = data.hints_html.slice(0, hints).map((hint, i) => h("div", { class: "pt-says", tabindex: "-1" },
      h("div", { class: "pt-heading" }, `Hint ${i + 1}`), h("div", { html: hint })));
    if (solution) {
      open.push(h("div", { class: "pt-says", tabindex: "-1" },
        h("div", { class: "pt-heading" }, "One solution"), h("pre", {}, h("code", {}, data.solution))));
    }
    help.replaceChildren(...open, ...nextStep(hints, solution));
    if (focus && open.length) open.at(-1).focus();
  };
  // Focus goes to what has just opened, so that a screen reader reads it; the button is the next stop.
  const step = (change) => () => { study.save(data.id, { ...saved(), ...change }); paint(true); };
  const nextStep = (hints, solution) => {
    if (solution) return [];
    if (data.kind === "right") return [button("Compare with our solution", step({ solution: true }))];
    const n = data.hints_html.length;
    if (hints >= n) return [button("Show the solution", step({ solution: true }))];
    return [h("div", { class: "pt-row" },
      button(hints ? "Next hint" : "Show a hint", step({ hints: hints + 1 })),
      h("span", { class: "pt-small" }, `${hints} of ${n} open, then the solution`))];
  };
  paint(false);
}

function verdict(data) {
  const rows = data.rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, h("pre", {}, value))]);
  return h("div", { class: `pt-says pt-verdict ${BAR[data.kind]}`, role: "status" },
    h("p", {}, h("strong", {}, SIGN[data.kind] + data.message)),
    data.mistake_html && h("div", { class: "pt-mistake", html: data.mistake_html }),
    data.why_html && h("div", { html: data.why_html }),
    rows.length > 0 && details(data.mistake_html ? "See it on the smallest case" : "", h("dl", { class: "pt-case" }, rows),
      data.where && h("p", {}, data.where)),
    data.trace && h("details", {}, h("summary", {}, "Your lines of the traceback"), h("pre", {}, data.trace)),
    data.note && h("p", {}, data.note));
}

// A hint that fits says more than the numbers, so these then wait behind a click.
function details(summary, ...children) {
  return summary ? h("details", {}, h("summary", {}, summary), children) : h("div", {}, children);
}

