// Draws a quiz; course/study/quiz.py says what `data` and the entries of the state look like.

const HOW = {
  single: "Choose one",
  several: "Choose all that apply",
  numeric: "Give a number",
  short: "Write first, then compare",
};
const SHORTEST = 12; // characters of an answer in words
const GRADES = [["Again", "I missed it"], ["Hard", "partly there"], ["Good", "the points are there"], ["Easy", "without effort"]];

// What was kept for an earlier form of the question (another type under the same id) is no answer to this one.
function kept(study, question) {
  const saved = study.get(question.id);
  const fits = question.options ? Array.isArray(saved?.chosen) : typeof saved?.text === "string";
  return fits ? saved : {};
}

// ---- what an answer is worth: {done, right}, and for choices and numbers what to say ------------------------

function grade(question, saved) {
  if (question.type === "short") return { done: Boolean(saved.shown && GRADES[saved.grade - 1]), right: [3, 4].includes(saved.grade) };
  if (!saved.checked) return { done: false, right: false };
  if (question.type === "numeric") return gradeNumber(question, readNumber(saved.text, question.unit)?.value);
  const chosen = question.options.filter((option) => saved.chosen.includes(option.key));
  const wanted = question.options.filter((option) => option.right);
  const hits = chosen.filter((option) => option.right).length;
  if (!chosen.length) return { done: false, right: false }; // its options were reworded since
  return { done: true, right: hits === wanted.length && hits === chosen.length, hits, chosen, wanted };
}

function gradeNumber(question, value) {
  if (value === undefined) return { done: false, right: false };
  const away = (target) => Math.abs(value - target);
  const within = (target) => away(target) <= question.tolerance + 1e-9 * Math.max(1, Math.abs(target));
  const nearest = question.near.filter((near) => within(near.value)).sort((a, b) => away(a.value) - away(b.value))[0];
  return { done: true, right: within(question.answer), near: nearest };
}

// ---- drawing -----------------------------------------------------------------------------------------------

function draw(study) {
  const { questions } = study.data;
  const score = statusLine("pt-score");
  const tally = () => {
    const verdicts = questions.map((question) => grade(question, kept(study, question)));
    const done = verdicts.filter((verdict) => verdict.done).length;
    const right = verdicts.filter((verdict) => verdict.right).length;
    const open = questions.length - done;
    score.textContent = done === 0 ? "" : `${right} of ${questions.length} right${open ? `, ${open} still to answer` : ""}.`;
  };
  study.root.append(...questions.map((question, i) => drawQuestion(study, question, i, questions.length, tally)));
  if (questions.length > 1) study.root.append(score);
  tally();
}

function drawQuestion(study, question, i, n, tally) {
  const body = h("div", { class: "pt-body" });
  const status = statusLine(); // outlives a redraw, so that its new text is read aloud
  const after = h("div", { class: "pt-after" });
  const parts = { question, body, status, after, saved: () => kept(study, question) };
  const paint = PAINT[question.type];
  parts.save = (value) => { study.save(question.id, value); tally(); };
  parts.repaint = () => { parts.say(""); paint(parts); };
  parts.say = (verdict, ...children) => {
    status.className = `pt-status ${verdict ? `pt-says pt-is-${verdict}` : ""}`;
    status.replaceChildren(...children);
  };
  paint(parts);
  const where = n > 1 ? `Question ${i + 1} of ${n}` : "Question";
  return h("section", { class: "pt-question", "aria-label": where, "data-item": question.id },
    h("div", { class: "pt-small pt-kicker" }, `${where} · ${HOW[question.type]}`), body,
    ...(question.type === "short" ? [after, status] : [status, after]));
}

const PAINT = { single: paintChoice, several: paintChoice, numeric: paintNumber, short: paintShort };

function paintChoice({ question, body, after, saved, save, say, repaint, status }) {
  const one = question.type === "single";
  const now = saved();
  const verdict = grade(question, now);
  const name = newId();
  status.id ||= newId();

  const rows = question.options.map((option) => {
    const isChosen = now.chosen?.includes(option.key);
    // The others' feedback would give the answer away; with one choice, its own stands in the status line below.
    const shown = verdict.done && (isChosen ? !one : verdict.right);
    const why = shown && h("div", { class: "pt-why pt-small", id: newId(), html: option.why_html });
    const mark = verdict.done && isChosen
      && h("span", { class: `pt-mark pt-is-${option.right ? "right" : "wrong"}` }, option.right ? "✓ Right" : "✗ Not right");
    const input = h("input", {
      type: one ? "radio" : "checkbox", name, value: option.key, checked: isChosen, disabled: verdict.done,
      "aria-describedby": why ? why.id : status.id, onchange: () => save({ ...saved(), chosen: ticked(), checked: false }),
    });
    return h("div", { class: "pt-option" },
      h("label", {}, input, h("span", { class: "pt-option-text", html: option.text_html }), mark), why);
  });
  const ticked = () => [...body.querySelectorAll("input:checked")].map((input) => input.value);
  const check = () => {
    const chosen = ticked();
    if (!chosen.length) return say("wrong", "Choose an answer first.");
    const tried = { chosen, checked: true, tries: (saved().tries ?? 0) + 1 };
    save({ ...tried, right: grade(question, tried).right });
    repaint();
    status.focus();
  };
  const again = () => {
    save({ ...saved(), chosen: [], checked: false });
    repaint();
    body.querySelector("input").focus();
  };

  const legend = h("legend", {}, h("div", { class: "pt-prompt", html: question.prompt_html }));
  body.replaceChildren(h("fieldset", {}, legend, h("div", { class: "pt-options" }, rows)));
  after.replaceChildren();
  if (!verdict.done) return after.append(button("Check", check, "pt-primary"));
  if (one) say(verdict.right ? "right" : "wrong", ...verdictOf(verdict.right, verdict.chosen[0].why_html));
  else if (verdict.right) say("right", ...verdictOf(true));
  else {
    const missing = verdict.wanted.length - verdict.hits;
    const wrong = verdict.chosen.length - verdict.hits;
    const found = [wrong && `${wrong} of your choices ${wrong === 1 ? "is" : "are"} not right`, missing && `${missing} right one${missing === 1 ? " is" : "s are"} missing`];
    say("wrong", ...verdictOf(false), `${capital(found.filter(Boolean).join(", and "))}.`);
  }
  after.append(...explanation(question, verdict.right), button(verdict.right ? "Answer again" : "Try again", again));
}

function paintNumber({ question, body, after, saved, save, say, repaint, status }) {
  const now = saved();
  const verdict = grade(question, now);
  const [id, help] = [newId(), newId()];
  status.id ||= newId();
  const input = h("input", {
    class: "pt-field pt-number", id, type: "text", inputmode: "decimal", autocomplete: "off", readonly: verdict.done,
    "aria-describedby": `${help} ${status.id}`,
    onchange: () => verdict.done || save({ ...saved(), text: input.value, checked: false }),
    onkeydown: (event) => { if (event.key === "Enter" && !verdict.done) check(); },
  });
  input.value = now.text ?? "";
  let doubted; // the text whose reading was shown before it is graded
  const check = () => {
    const read = readNumber(input.value, question.unit);
    const text = input.value.trim();
    if (!read) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
      return say("wrong", `${text ? `I cannot read “${text}” as a number${question.unit && ` (${question.unit})`}.` : "Write a number first."} `
        + "Write it like 1,000 or 1e3 or 0.25 or 1/4.");
    }
    const { right } = gradeNumber(question, read.value);
    if (!right && read.other !== undefined && doubted !== text) { // not graded by a reading that the learner did not mean
      doubted = text;
      const [value, other] = [written(read.value), written(read.other)];
      return say("noted", `I read “${text}” as ${value}. If you mean ${other}, write it like that; to answer ${value}, press Check again.`);
    }
    save({ text: input.value, checked: true, right, tries: (saved().tries ?? 0) + 1 });
    repaint();
    status.focus();
  };
  const again = () => { save({ ...saved(), text: "", checked: false }); repaint(); body.querySelector("input").focus(); };

  body.replaceChildren(
    h("div", { class: "pt-prompt", html: question.prompt_html }),
    h("div", { class: "pt-row" }, h("label", { for: id }, "Your number"),
      h("span", { class: "pt-row pt-together" }, input, h("span", { id: help }, question.unit))),
  );
  after.replaceChildren();
  if (!verdict.done) return after.append(button("Check", check, "pt-primary"));
  if (verdict.right) say("right", ...verdictOf(true), `It is ${question.answer_text}.`);
  else {
    const { said } = readNumber(now.text, question.unit);
    const how = said && `${verdict.near ? " " : ""}I read “${now.text.trim()}” as ${said}.`;
    say("wrong", ...verdictOf(false, verdict.near?.why_html), how);
  }
  after.append(...explanation(question, verdict.right), button(verdict.right ? "Answer again" : "Try again", again));
}

function paintShort({ question, body, after, saved, save, say, repaint }) {
  const now = saved();
  const [id, help] = [newId(), newId()];
  let timer;
  const keep = () => { clearTimeout(timer); if (!saved().shown) save({ ...saved(), text: area.value }); };
  const area = h("textarea", {
    class: "pt-field", id, rows: "4", readonly: Boolean(now.shown), "aria-describedby": help, onchange: keep,
    oninput: () => {
      reveal.disabled = !written();
      clearTimeout(timer);
      timer = setTimeout(keep, 600);
    },
  });
  area.value = now.text ?? "";
  const written = () => area.value.trim().length >= SHORTEST; // one letter is no answer to compare with
  const reveal = button("Show the model answer", () => {
    clearTimeout(timer);
    save({ text: area.value, shown: true, grade: null });
    repaint();
    after.querySelector(".pt-model").focus();
  }, "pt-primary");
  reveal.disabled = !written();
  body.replaceChildren(h("div", { class: "pt-prompt", html: question.prompt_html }), h("label", { for: id }, "Your answer"), area);
  if (!now.shown) {
    const why = h("span", { class: "pt-small", id: help }, "The model answer opens once you have written your own, in a few words.");
    return after.replaceChildren(h("div", { class: "pt-row" }, reveal, why));
  }

  const grades = GRADES.map(([grade, meaning], k) => h("button", {
    type: "button", class: "pt-button", "aria-pressed": String(now.grade === k + 1),
    onclick: () => { save({ ...saved(), grade: k + 1 }); repaint(); after.querySelectorAll(".pt-grades button")[k].focus(); },
  }, grade, h("span", { class: "pt-small" }, ` ${meaning}`)));
  after.replaceChildren(
    h("div", { class: "pt-model pt-says", role: "region", "aria-label": "Model answer", tabindex: "-1" },
      h("div", { class: "pt-heading" }, "Model answer"),
      h("div", { html: question.answer_html }),
      h("div", { class: "pt-heading" }, "Points to look for in yours"),
      h("ul", {}, question.rubric_html.map((point) => h("li", { html: point })))),
    h("div", { class: "pt-small", id: help }, "How did your answer compare?"),
    h("div", { class: "pt-row pt-grades", role: "group", "aria-labelledby": help }, grades),
    button("Answer again", () => {
      save({ text: "", shown: false, grade: null });
      repaint();
      body.querySelector("textarea").focus();
    }),
  );
  const graded = GRADES[now.grade - 1];
  if (graded) say("noted", `Noted: ${graded[0]}.`);
}

function verdictOf(right, why_html) {
  return [h("strong", {}, right ? "✓ Correct. " : "✗ Not quite. "), h("span", { html: why_html ?? "" })];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function explanation(question, open) {
  if (!question.explanation_html) return [];
  const text = h("div", { html: question.explanation_html });
  if (open) return [h("div", { class: "pt-explanation" }, text)];
  return [h("details", { class: "pt-explanation" }, h("summary", {}, "Show the explanation"), text)];
}
