// Draws a deck; course/study/flashcards.py says what `data` and the entries of the state look like.

function draw(study) {
  const { data } = study;
  if (!data.cards.length) {
    study.root.append(h("p", { class: "pt-deck-note" }, data.note));
    return;
  }
  const byId = new Map(data.cards.map((card) => [card.id, card]));
  let order = [...byId.keys()];
  let seed = data.seed;
  let list = order; // what is gone through now: all cards, or those not yet known when the filter was set
  let at = 0;
  let turned = false;
  let answered = null; // the card that was graded last
  const known = (id) => Boolean(study.get(id)?.known);
  const unknown = () => order.filter((id) => !known(id));

  // ---- the parts, made once; show() fills them ---------------------------------------------------------------
  const where = h("span", { class: "pt-where" });
  const tally = h("span", { class: "pt-small" });
  const filter = h("input", { type: "checkbox", onchange: () => start(filter.checked ? unknown() : order) });
  const spoken = h("div", { class: "pt-spoken", role: "status" });
  const card = h("div", { class: "pt-card", role: "button", tabindex: "0", onclick: (event) => event.target.closest("a") || turn() });
  const turner = button("Show answer", () => turn(), "pt-primary");
  const back = button("←", () => go(at - 1));
  const next = button("→", () => go(at + 1));
  back.setAttribute("aria-label", "Previous card");
  next.setAttribute("aria-label", "Next card");
  const notYet = button("Not yet", () => grade(false));
  const yes = button("Known", () => grade(true));
  const printed = statusLine("pt-small");
  const back_on = statusLine("pt-small"); // when the card that was graded last comes back
  const end = h("div", { class: "pt-end", tabindex: "-1" });
  const deck = h("div", { class: "pt-deck", role: "group", "aria-roledescription": "flashcards", "aria-label": data.title, onkeydown: onKey },
    h("div", { class: "pt-row pt-deck-head" }, back, where, next, tally, h("label", { class: "pt-filter pt-small" }, filter, "Only those not yet known")),
    card, end,
    h("div", { class: "pt-row" }, turner, h("span", { class: "pt-gap" }),
      h("span", { class: "pt-row", role: "group", "aria-label": "Did you know it?" }, notYet, yes)), back_on,
    h("div", { class: "pt-row pt-deck-foot" },
      data.cards.length > 1 && button("Shuffle", shuffle),
      data.print_page && button("Print flashcards", print),
      h("span", { class: "pt-small" }, "Space turns, ← → move, 1 not yet, 2 known."), printed),
    spoken);
  study.root.append(deck);
  show();
  study.watch("due_text", () => { back_on.textContent = study.trait("due_text")?.[answered] ?? ""; });

  // ---- what the learner can do -------------------------------------------------------------------------------
  // A face as text, for a label: formulas as their LaTeX, and a space where one block ends.
  function words(face) {
    const text = card.querySelector(`${face} .pt-face-text`).cloneNode(true);
    for (const formula of text.querySelectorAll("math")) formula.replaceWith(formula.getAttribute("alttext"));
    for (const block of text.querySelectorAll("p, li, pre, br")) block.after(" ");
    return text.textContent.replace(/\s+/g, " ").trim();
  }

  function turn() {
    turned = !turned;
    paintTurned();
    spoken.textContent = turned ? `Answer: ${words(".pt-back")}` : "Question again.";
  }

  function go(position) {
    at = Math.max(0, Math.min(position, list.length));
    turned = false;
    show();
    (at < list.length ? card : end).focus({ preventScroll: true });
    spoken.textContent = at < list.length ? `${where.textContent}. Question: ${words(".pt-front")}` : end.textContent;
  }

  function start(ids) {
    list = ids;
    go(0);
  }

  function grade(isKnown) {
    const id = list[at];
    answered = id;
    study.save(id, { known: isKnown, rating: isKnown ? "known" : "not yet", at: Date.now() });
    go(at + 1);
  }

  function shuffle() {
    seed += 1;
    order = shuffled(order, seed);
    start(filter.checked ? unknown() : order);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, input, a");
    if ((event.key === " " || event.key === "Enter") && !onButton && at < list.length) turn();
    else if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft") go(at - 1);
    else if (event.key === "1" && turned) grade(false);
    else if (event.key === "2" && turned) grade(true);
    else return;
    event.preventDefault();
  }

  function print() {
    const url = URL.createObjectURL(new Blob([data.print_page], { type: "text/html" }));
    const page = location.protocol === "vscode-webview:" ? null : window.open(url); // VS Code cannot print a webview
    if (!page) h("a", { href: url, download: "flashcards.html" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    printed.replaceChildren(page ? "The cards are in a new window. Print on both sides, and each answer is on the back of its question." : "The cards were sent to you as a file to print.",
      ...(study.live ? [" If you see neither, run ", h("code", {}, data.print_call), " and open that file."] : []));
  }

  // ---- drawing -----------------------------------------------------------------------------------------------
  function show() {
    const done = at >= list.length;
    card.hidden = done;
    end.hidden = !done;
    back.disabled = at === 0;
    next.disabled = done;
    turner.disabled = done;
    where.textContent = done ? (list.length ? "End of the deck" : "No card left") : `Card ${at + 1} of ${list.length}`;
    tally.textContent = `${order.length - unknown().length} of ${order.length} known`;
    if (done) paintEnd();
    else {
      const { front_html, back_html } = byId.get(list[at]);
      // New elements and not new text: turning back would show the next answer for a moment.
      card.replaceChildren(h("div", { class: "pt-turning" },
        h("div", { class: "pt-face pt-front" }, h("div", { class: "pt-small" }, "Question"), h("div", { class: "pt-face-text", html: front_html })),
        h("div", { class: "pt-face pt-back" }, h("div", { class: "pt-small" }, "Answer to: ", h("span", { html: front_html })), h("div", { class: "pt-face-text", html: back_html }))));
    }
    paintTurned();
  }

  function paintTurned() {
    const [front, behind] = card.querySelectorAll(".pt-face");
    card.classList.toggle("pt-turned", turned);
    turner.textContent = turned ? "Show question" : "Show answer";
    notYet.disabled = yes.disabled = !turned;
    turner.classList.toggle("pt-primary", !turned);
    yes.classList.toggle("pt-primary", turned);
    if (!front) return;
    front.inert = turned; // a hidden face would be read aloud, and give the answer away
    behind.inert = !turned;
    card.setAttribute("aria-expanded", String(turned));
    card.setAttribute("aria-label", turned ? `Answer: ${words(".pt-back")}` : `Question: ${words(".pt-front")}`);
  }

  function paintEnd() {
    const left = unknown();
    const counts = left.length ? `${order.length - left.length} of ${order.length} known, ${left.length} not yet.` : `All ${order.length} known.`;
    end.replaceChildren(h("p", {}, `You are through. ${counts}`), h("div", { class: "pt-row" },
      left.length > 0 && button(`Go through the ${left.length} not yet known`, () => { filter.checked = true; start(unknown()); }, "pt-primary"),
      button("From the start", () => { filter.checked = false; start(order); })));
  }
}

// Fisher and Yates, with mulberry32 as the source of numbers: the same order for the same seed.
function shuffled(items, seed) {
  let a = seed >>> 0;
  const random = () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
