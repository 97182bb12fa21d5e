// Draws a question box, suggestions and the answers of several models side by side; course/study/chat.py says what `data`
// and the traits look like. The newest question stands on top, right below the box.

const PATIENCE = 2500; // milliseconds after which an unanswered question is said to wait

function draw(study) {
  const { data, root, live } = study;
  const { names, suggestions } = data;
  const waiting = new Map(); // id -> the question that the kernel has not answered yet
  const shown = new Set(); // ids of what is on the page

  const [titleId, boxId, helpId] = [newId(), newId(), newId()];
  const box = h("input", {
    class: "pt-field pt-chat-box", id: boxId, type: "text", autocomplete: "off", maxlength: 4000, "aria-describedby": helpId,
    readonly: !live, dir: "auto", onkeydown: (event) => { if (event.key === "Enter" && !event.isComposing) send(); },
  });
  const ask = button("Ask", send, "pt-primary");
  ask.disabled = !live;
  const said = statusLine("pt-small");
  const log = h("div", { class: "pt-chat-log", role: "log", "aria-label": "Answers, the newest first", tabindex: "0" });
  root.append(h("section", { class: "pt-chat", "aria-labelledby": titleId },
    h("strong", { id: titleId }, data.title),
    h("div", {}, h("label", { for: boxId, class: "pt-small" }, "Your question"),
      h("div", { class: "pt-row pt-chat-ask" }, box, ask),
      h("div", { class: "pt-small", id: helpId }, live ? "Each question is asked by itself; what was said before is not sent along."
        : "There is no kernel here, so only the suggested questions have answers.")),
    h("div", { class: "pt-row", role: "group", "aria-label": "Suggested questions" },
      suggestions.map(({ question }, i) => button(question, () => suggest(i), "pt-suggestion"))),
    said, log));
  study.watch("exchanges", arrived);
  add({ id: "first", ...suggestions[0] }); // so that one sees at once what will stand there
  paint(study.trait("exchanges") ?? []);

  // ---- asking ----------------------------------------------------------------------------------------------------
  function send() {
    if (!live) return;
    const question = box.value.trim();
    if (!question) {
      said.textContent = "Write a question first, or choose one below.";
      box.focus();
      return;
    }
    box.value = "";
    put(question);
  }

  function suggest(i) {
    if (live) put(suggestions[i].question);
    else add({ id: newId(), ...suggestions[i] });
  }

  function put(question) {
    const id = newId();
    waiting.set(id, question);
    study.save(id, { question });
    wait();
    setTimeout(wait, PATIENCE, true);
  }

  function wait(late = false) {
    if (!waiting.size) said.textContent = "";
    else if (!late) said.textContent = `Asking: ${[...waiting.values()].at(-1)}`;
    else said.textContent = `Still waiting for ${waiting.size === 1 ? "an answer" : `${waiting.size} answers`}. The kernel is busy with a cell, or has stopped; if it has stopped, run all cells again (Run > Run All Cells).`;
  }

  // ---- answers ---------------------------------------------------------------------------------------------------
  function arrived() {
    const exchanges = study.trait("exchanges") ?? [];
    for (const { id, question, answers } of exchanges) {
      // What could not be answered goes back into the box, to be mended there.
      if (waiting.delete(id) && answers.some(({ error }) => error !== undefined) && !box.value) box.value = question;
    }
    paint(exchanges);
    wait();
  }

  function paint(exchanges) {
    for (const exchange of exchanges) if (!shown.has(exchange.id)) add(exchange);
  }

  function add({ id, question, answers }) {
    shown.add(id);
    const askedId = newId();
    log.prepend(h("div", { class: "pt-exchange", role: "group", "aria-labelledby": askedId },
      h("div", { class: "pt-asked pt-words", id: askedId, dir: "auto" }, question),
      h("div", { class: "pt-chat-answers", style: `--models: ${names.length}` }, answers.map((answer, i) => answerOf(names[i], answer)))));
  }

  function answerOf(name, { text, error }) {
    const nameId = newId();
    return h("div", { class: "pt-answer", role: "group", "aria-labelledby": nameId },
      h("div", { class: "pt-heading", id: nameId }, name),
      error === undefined ? h("div", { class: "pt-words", dir: "auto" }, text || h("em", {}, "an empty answer"))
        : h("div", { class: "pt-words pt-says pt-is-wrong" }, `✗ No answer. ${error}`));
  }
}
