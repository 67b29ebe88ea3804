// Trying a draft out beside its drawing. The form and the results are those of the page of its own, to which the link
// leads without scripts; what is typed into the draft is saved first. While a simulation runs, the server sends words,
// and when it has ended the page is read again.
"use strict";
(() => {
  const editor = one("[data-editor]"), panel = one("[data-try]");
  if (!editor || !panel) return;
  const base = panel.dataset.try, said = one("[data-try-said]", panel);
  const places = { "#trial-form": one("[data-try-form]", panel), "#trial": one("[data-try-result]", panel) };
  const AGAIN = 3000;  // milliseconds until a stream that the server has refused is asked for again
  const calls = new Map();  // by kind: a later call of a kind replaces the earlier one
  let stream = null, marked = null;

  async function read(kind, address, options = {}) {
    calls.get(kind)?.abort();
    const mine = new AbortController();
    calls.set(kind, mine);
    panel.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html", "X-Placet-Part": "try" }, signal: mine.signal, ...options });
      return new DOMParser().parseFromString(await answer.text(), "text/html");
    } finally { if (calls.get(kind) === mine) panel.setAttribute("aria-busy", "false"); }
  }
  const trying = (work) => work.catch((error) => { if (error.name !== "AbortError") { said.textContent = said.dataset.lost; said.classList.remove("sr"); } });

  function put(page, selectors) {
    said.classList.add("sr");
    const problem = !one("#trial-form", page) && one("main", page);
    if (problem) { places["#trial"].replaceChildren(...document.importNode(problem, true).childNodes); return; }
    for (const selector of selectors) {
      const fresh = one(selector, page), place = places[selector], focused = document.activeElement;
      if (!fresh) continue;
      const held = place.contains(focused) ? { id: focused.id, value: focused.value } : null;
      place.replaceChildren(document.importNode(fresh, true));
      if (held) ((held.id && document.getElementById(held.id)) || all("button", place).find((button) => button.value === held.value))?.focus({ preventScroll: true });
    }
    compare();
  }
  function compare() {
    const shown = one("[data-trial-revision]", panel), old = shown && one("[data-trial-old]", shown);
    if (old) old.hidden = shown.dataset.trialRevision === editor.dataset.revision;
  }

  function follow() {
    stream?.close();
    const shown = one("[data-events]", panel);
    if (!shown) return;
    const bar = one("[data-trial-progress]", shown), words = one("[data-trial-summary]", shown);
    const again = () => trying(read("trial", shown.dataset.again).then((page) => { put(page, ["#trial"]); show(); }));
    const mine = stream = new EventSource(shown.dataset.events);
    for (const name of ["progress", "branch"])
      mine.addEventListener(name, (event) => {
        const told = JSON.parse(event.data);
        words.textContent = told.text;
        if (told.max > 0) { bar.max = told.max; bar.value = Math.min(told.value, told.max); }
      });
    mine.addEventListener("ended", () => { mine.close(); again(); });
    mine.addEventListener("error", () => { if (mine === stream && mine.readyState === EventSource.CLOSED) setTimeout(again, AGAIN); });
  }
  // Say what has come, and go to what is wrong.
  function show() {
    const wrong = one("[data-focus]", places["#trial-form"]);
    said.textContent = wrong ? "" : one("[data-trial-summary]", panel)?.textContent ?? "";
    if (wrong) wrong.focus();
    else if (!one("[data-events]", panel)) places["#trial"].scrollIntoView({ block: "nearest" });
    follow();
  }

  async function open(address) {
    panel.hidden = false;
    one("#try-title").focus();
    await editor.flushed();
    put(await read("form", address), one("#trial", panel) ? ["#trial-form"] : ["#trial-form", "#trial"]);
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-try-close]")) { panel.hidden = true; one("[data-try-open]")?.focus(); return; }
    const link = event.target.closest("[data-try-open], [data-trial-fill]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    trying(open(link.getAttribute("href")).then(() => { if (link.hasAttribute("data-trial-fill")) one("#trial-form [value=rehearse]")?.focus(); }));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!panel.contains(form)) return;
    event.preventDefault();
    delete form.dataset.sent;
    const body = new URLSearchParams(new FormData(form, event.submitter));
    if (form.matches("[data-trial-cancel]")) { trying(fetch(form.action, { method: "POST", body })); return; }
    stream?.close();
    said.textContent = "";
    trying(editor.flushed().then(() => read("trial", base, { method: "POST", body })).then((page) => {
      put(page, one("#trial-form [data-focus]", page) ? ["#trial-form"] : ["#trial", "#trial-form"]); // what was found stays beside what is wrong
      show();
    }));
  });
  document.addEventListener("draft-changed", compare);
  addEventListener("pagehide", () => stream?.close());

  // The steps that a way passes are marked in the drawing while it is looked at.
  function mark(event) {
    const way = event.target.closest?.("[data-way]") ?? null;
    if (way === marked) return;
    marked = way;
    const nodes = JSON.parse(way?.dataset.way ?? "[]");
    for (const link of all("[data-choose]")) link.classList.toggle("on-way", nodes.includes(link.dataset.choose));
  }
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, mark);
})();
