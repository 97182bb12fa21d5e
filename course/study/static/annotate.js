// Draws pairs of answers to choose between; course/study/annotate.py says what `data` and the state look like.

const KEPT = ["a", "b", "tie", "skip"];

function draw(study) {
  const { data, root } = study;
  const { pairs, file } = data;
  const again = new Set(); // skipped pairs that are gone through once more
  const value = (pair) => study.get(pair.id) ?? {};
  const choice = (pair) => (KEPT.includes(value(pair).choice) ? value(pair).choice : null);
  const number = (pair) => (Number.isFinite(value(pair).n) ? value(pair).n : 0);
  const latest = () => Math.max(0, ...pairs.map(number));
  const those = (...choices) => pairs.filter((pair) => choices.includes(choice(pair)));
  const isOpen = (pair) => choice(pair) === null || again.has(pair.id);
  let at = pairs.findIndex(isOpen); // the pair that is shown; -1 when all are decided

  // ---- the parts, made once; show() fills them ---------------------------------------------------------------
  const [askId, firstId, secondId] = [newId(), newId(), newId()];
  const where = h("span", { class: "pt-where", id: askId });
  const bar = h("progress", { class: "pt-progress", max: pairs.length, "aria-label": "Pairs decided" });
  const tally = h("span", { class: "pt-small" });
  const [prompt, first, second] = [0, 1, 2].map(() => h("div", { class: "pt-words", dir: "auto" }));
  const one = choose("Answer 1 is better", "1", () => decide("first"));
  const two = choose("Answer 2 is better", "2", () => decide("second"));
  const pair = h("div", { class: "pt-pair", role: "group", "aria-labelledby": askId, tabindex: "-1" },
    h("div", { class: "pt-asked" }, h("div", { class: "pt-heading" }, "Prompt"), prompt),
    h("div", { class: "pt-answers" },
      h("div", { class: "pt-answer", role: "group", "aria-labelledby": firstId }, h("div", { class: "pt-heading", id: firstId }, "Answer 1"), first),
      h("div", { class: "pt-answer", role: "group", "aria-labelledby": secondId }, h("div", { class: "pt-heading", id: secondId }, "Answer 2"), second),
      one, two));
  const end = h("div", { class: "pt-end", tabindex: "-1" });
  const [tie, skip] = [choose("Equally good", "t", () => decide("tie")), choose("Skip", "s", () => decide("skip"))];
  const back = choose("Undo", "u", undo);
  const said = statusLine("pt-small");
  const saved = statusLine("pt-small");
  const download = study.live ? null : standaloneFile();
  root.append(h("section", { class: "pt-annotate", "aria-label": "Which answer is better?", tabindex: "-1", onkeydown: onKey },
    h("div", { class: "pt-row pt-annotate-head" }, h("strong", {}, "Which answer is better?"), h("span", { class: "pt-gap" }), where),
    bar, pair, end,
    h("div", { class: "pt-row" }, tie, skip, h("span", { class: "pt-gap" }), back),
    said,
    h("div", { class: "pt-annotate-foot" },
      h("div", { class: "pt-small" }, "Keys, once you have clicked in this widget: 1 and 2 choose, t equally good, s skip, u undo."),
      h("div", { class: "pt-row" }, tally, saved), download?.node,
      data.left_out && h("div", { class: "pt-small" }, data.left_out))));
  show();
  study.watch("kept", paintSaved);

  // ---- what the learner can do -------------------------------------------------------------------------------
  // A second click on the same place would decide a pair that nobody has read: `detail` counts clicks.
  function choose(label, key, act) {
    return h("button", {
      type: "button", class: "pt-button", "aria-keyshortcuts": key, onclick: (event) => { if (event.detail < 2) act(); },
    }, label, h("kbd", { class: "pt-key", "aria-hidden": "true" }, key));
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea")) return;
    const digit = { Digit1: "1", Digit2: "2" }[event.code]; // where digits need Shift, as on French keyboards
    const act = { 1: () => decide("first"), 2: () => decide("second"), t: () => decide("tie"), s: () => decide("skip"), u: undo }[digit ?? event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    if (!event.repeat) act();
  }

  function decide(what) {
    if (at < 0) return;
    const shown = pairs[at];
    again.delete(shown.id);
    keep(shown, { first: shown.flipped ? "b" : "a", second: shown.flipped ? "a" : "b" }[what] ?? what);
    at = next(at);
    move({ first: "Answer 1 is better.", second: "Answer 2 is better.", tie: "Equally good.", skip: "Skipped." }[what]);
  }

  function undo() {
    const decided = pairs.filter((one) => choice(one) !== null);
    if (!decided.length) return say("There is nothing to undo.");
    const last = decided.reduce((one, other) => (number(other) > number(one) ? other : one));
    const was = { a: last.flipped ? "answer 2" : "answer 1", b: last.flipped ? "answer 1" : "answer 2", tie: "equally good", skip: "skipped" }[choice(last)];
    again.delete(last.id);
    keep(last, null);
    at = pairs.indexOf(last);
    move(`Undone: it was ${was}.`);
  }

  function keep(decided, what) {
    study.save(decided.id, { choice: what, n: latest() + 1 });
  }

  // The next open pair behind this one, else the first that is open.
  function next(from) {
    const later = pairs.findIndex((one, i) => i > from && isOpen(one));
    return later < 0 ? pairs.findIndex(isOpen) : later;
  }

  // Focus leaves the button, so that a key held down decides once; a screen reader reads on from the new pair.
  function move(words) {
    show();
    say(`${words} ${at < 0 ? "All pairs are decided." : `${where.textContent}.`}`);
    (at < 0 ? end : pair).focus({ preventScroll: true });
  }

  function say(words) { said.textContent = words; }

  // ---- drawing -----------------------------------------------------------------------------------------------
  function show() {
    const done = at < 0;
    pair.hidden = done;
    end.hidden = !done;
    for (const one of [tie, skip]) one.disabled = done;
    const decided = those(...KEPT).length;
    back.disabled = decided === 0;
    bar.value = decided;
    bar.textContent = `${decided} of ${pairs.length}`;
    where.textContent = done ? `${pairs.length} of ${pairs.length} decided` : `Pair ${at + 1} of ${pairs.length}`;
    tally.textContent = `${count(those("a", "b").length, "preference")}, ${count(those("tie").length, "tie")}, ${those("skip").length} skipped.`;
    if (done) paintEnd();
    else [prompt, first, second].forEach((node, i) => { node.textContent = [pairs[at].prompt, pairs[at].first, pairs[at].second][i]; });
    download?.paint();
    paintSaved();
  }

  function paintEnd() {
    const skipped = those("skip");
    const where = study.live ? `They are in ${file}.` : "Download them below.";
    end.replaceChildren(h("p", {}, `All pairs are decided: ${tally.textContent} ${those("a", "b").length ? where : ""}`),
      skipped.length ? h("div", { class: "pt-row" }, button(`Show the ${skipped.length} skipped again`, () => {
        skipped.forEach((one) => again.add(one.id));
        at = next(-1);
        move("Back to what was skipped.");
      })) : "");
  }

  function paintSaved() {
    if (!study.live) return;
    if (pairs.some((one) => study.waits(one.id))) saved.textContent = "";
    else saved.textContent = those(...KEPT).length ? `Saved in ${file}.` : `They will be saved in ${file}.`;
  }

  // Without a kernel the choices live in the browser, and leave it as a file.
  function standaloneFile() {
    const link = button("", () => {
      const url = URL.createObjectURL(new Blob([lines()], { type: "application/jsonl" }));
      h("a", { href: url, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    });
    const text = h("textarea", { class: "pt-field", rows: "4", readonly: true, "aria-label": `The lines of ${file}` });
    const copied = h("details", {}, h("summary", { class: "pt-small" }, "If no download starts, copy the lines"), text);
    return {
      node: h("div", {}, h("div", { class: "pt-row" }, link, h("span", { class: "pt-small" }, `There is no kernel here: your choices stay in this browser, and nothing reaches a notebook. To train on them, download the file and put it at ${data.path}, in the folder from which lesson 11 runs.`)), copied),
      paint() {
        const n = those("a", "b").length;
        link.textContent = `Download ${file} (${count(n, "preference")})`;
        link.disabled = n === 0;
        text.value = lines();
      },
    };
  }

  // The columns that TRL reads, in the order in which the choices were made.
  function lines() {
    return those("a", "b").sort((one, other) => number(one) - number(other)).map((one) => {
      const isFirst = (choice(one) === "b") === one.flipped;
      const [chosen, rejected] = isFirst ? [one.first, one.second] : [one.second, one.first];
      return `${JSON.stringify({ prompt: one.prompt, chosen, rejected })}\n`;
    }).join("");
  }
}

const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
