// The editor of drafts: what is changed is saved by itself, and what is found about it arrives beside. Everything else
// is the page itself: each answer is the whole page, of which the parts that have changed are put in place.
"use strict";
(() => {
  const editor = one("[data-editor]");
  if (!editor) return;
  const base = editor.dataset.editor, stackKey = `placet:undo:${base}`;
  const form = () => one("[data-editor-form]");
  let timer = null, running = Promise.resolve(), dirty = false, analysis = null, known = null, choosing = null;

  const stack = () => { try { return JSON.parse(sessionStorage.getItem(stackKey) ?? "[]"); } catch { return []; } };
  const keep = (all_) => {
    try { sessionStorage.setItem(stackKey, JSON.stringify(all_.slice(-50))); } catch { /* full: nothing can be undone */ }
    const button = one("[data-undo-edit]");
    if (button) button.hidden = all_.length === 0;
  };
  const says = (name) => { const place = one("[data-saved]"); if (place) place.textContent = place.dataset[name] ?? ""; };
  const swap = (selector, page) => {
    const fresh = one(selector, page), old = one(selector);
    if (fresh && old) old.replaceWith(document.importNode(fresh, true));
  };

  // Put what an answer shows in place; the form is left alone while it is typed in, unless other fields belong to it.
  function put(page, { whole }) {
    const fresh = one("[data-editor]", page);
    if (!fresh) {
      const problem = one("main", page);
      if (problem) { one("#main").replaceChildren(...document.importNode(problem, true).childNodes); }
      return false;
    }
    const top = one(".canvas").scrollTop, left = one(".canvas").scrollLeft;
    for (const selector of ["#editor-head", "#editor-outline", "#editor-canvas", "#editor-told"]) swap(selector, page);
    one(".canvas").scrollTo(left, top);
    editor.dataset.revision = fresh.dataset.revision;
    const names = (root) => all("[data-editor-form] [name]", root).map((f) => `${f.name}=${f.type === "hidden" || f.tagName === "BUTTON" ? f.value : ""}`).filter((n) => !n.startsWith("revision") && !n.startsWith("csrf")).join();
    if (whole || names(document) !== names(page)) {
      const focused = document.activeElement?.id;
      swap("#edit", page);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
    for (const field of all("input[name=revision]:not([data-fixed])")) field.value = fresh.dataset.revision;
    one("[data-focus]")?.focus();
    const done = one("[data-undo-edit]");
    if (done) done.hidden = stack().length === 0;
    mark();
    document.dispatchEvent(new CustomEvent("draft-changed"));
    return true;
  }

  async function send(body, { whole, undoing = false }) {
    says("saving");
    const answer = await fetch(base, { method: "POST", body, headers: { Accept: "text/html", "X-Placet-Part": "editor" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const back = one("[data-back]", page)?.dataset;
    if (back && !undoing) keep([...stack(), { back: back.back, revision: back.backRevision }]);
    const well = put(page, { whole });
    says(well && !one("[data-conflict]") ? "saved" : "unsaved");
    if (well) look();
  }

  // One change after the other: each is about the revision that the one before has led to.
  function queue(work) {
    running = running.then(work).catch(() => says("unsaved"));
    return running;
  }
  function save(op = "save", more = {}, whole = op !== "save") {
    clearTimeout(timer);
    dirty = false;
    return queue(() => {
      const body = new FormData(form());
      body.set("op", op);
      for (const [name, value] of Object.entries(more)) body.set(name, value);
      return send(body, { whole });
    });
  }
  const flush = () => (dirty ? save() : running);
  editor.flushed = flush;  // for what works on the draft beside the form

  document.addEventListener("input", (event) => {
    if (!event.target.closest("[data-editor-form]") || event.target.id === "new-target") return;
    dirty = true;
    says("unsaved");
    clearTimeout(timer);
    timer = setTimeout(() => save(), 500);
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-editor-form]") && event.target.name?.endsWith(".~")) save("save", {}, true);
  });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
  document.addEventListener("submit", async (event) => {
    const sent = event.target;
    if (sent.method !== "post" || sent.getAttribute("action") !== base) return;
    event.preventDefault();
    delete sent.dataset.sent;
    const op = event.submitter?.value ?? "save";
    if (sent.matches("[data-editor-form]")) { await save(op, {}, true); return; }
    await flush();
    queue(() => {
      const body = new FormData(sent);
      body.set("op", op);
      return send(body, { whole: true });
    });
  });

  // Choosing a part, in the outline or in the drawing.
  // What is typed while the part is fetched is saved first; of two parts that are chosen, the last one is shown.
  async function choose(address, { push = true } = {}) {
    choosing?.abort();
    const mine = choosing = new AbortController();
    let text;
    do {
      await flush();
      const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: mine.signal });
      text = await answer.text();
    } while (dirty);
    put(new DOMParser().parseFromString(text, "text/html"), { whole: true });
    if (push) history.pushState(null, "", address);
  }
  const left = (error) => { if (error.name !== "AbortError") throw error; };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-choose-at], [data-choose], .finding a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const inDrawing = link.hasAttribute("data-choose"), name = link.dataset.choose, at = link.dataset.chooseAt;
    choose(link.getAttribute("href")).then(() => {
      if (inDrawing) one(`[data-choose="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
      else if (at) one(`[data-choose-at="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
      else one("#edit-title")?.focus();
    }).catch(left);
  });
  addEventListener("popstate", () => choose(location.href, { push: false }).catch(left));

  // Undoing, from the last change to the first one of this tab.
  function undo() {
    const all_ = stack(), last = all_.pop();
    if (!last) return;
    keep(all_);
    flush().then(() => queue(() => {
      const body = new FormData(form());
      for (const [name, value] of Object.entries({ op: "undo", back: last.back, revision: last.revision })) body.set(name, value);
      return send(body, { whole: true, undoing: true });
    }));
  }
  document.addEventListener("click", (event) => { if (event.target.closest("[data-undo-edit]")) undo(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.matches("input, textarea")) { event.preventDefault(); undo(); }
  });

  // Moving a step in the drawing.
  const move = (node, dx, dy) => save("place", { node, dx: String(Math.round(dx)), dy: String(Math.round(dy)) }, false);
  document.addEventListener("keydown", (event) => {
    const link = event.target.closest?.("[data-choose]");
    const by = { ArrowLeft: [-20, 0], ArrowRight: [20, 0], ArrowUp: [0, -20], ArrowDown: [0, 20] }[event.key];
    if (!link || !by || !event.altKey || !form()) return;
    event.preventDefault();
    const name = link.dataset.choose;
    move(name, ...by).then(() => one(`[data-choose="${CSS.escape(name)}"]`)?.focus({ preventScroll: true }));
  });
  let drag = null;
  document.addEventListener("pointerdown", (event) => {
    const link = event.target.closest?.("[data-choose]");
    if (!link || event.button || event.pointerType !== "mouse") return;
    event.stopPropagation();
    drag = { link, x: event.clientX, y: event.clientY, moved: false };
  }, true);
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (Math.hypot(dx, dy) > 4) drag.moved = true;
    const scale = drag.link.ownerSVGElement.viewBox.baseVal.width / drag.link.ownerSVGElement.getBoundingClientRect().width;
    if (drag.moved) drag.link.setAttribute("transform", `translate(${dx * scale} ${dy * scale})`);
    drag.by = [dx * scale, dy * scale];
  });
  document.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    if (!done?.moved) return;
    addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); }, { capture: true, once: true });
    setTimeout(() => move(done.link.dataset.choose, ...done.by), 0);
  });
  document.addEventListener("dragstart", (event) => { if (event.target.closest?.("[data-choose]")) event.preventDefault(); });

  // What is found about the draft: an analysis that is out of date is given up.
  async function look() {
    if (known === editor.dataset.revision) { mark(); return; }
    analysis?.abort();
    analysis = new AbortController();
    const place = one("#findings"), revision = editor.dataset.revision, { signal } = analysis;
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${place.dataset.findings}?revision=${revision}`, { headers: { Accept: "text/html" }, signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const report = one("[data-report]", page) ?? one("[role=alert]", page);
      if (signal.aborted || !report) return;
      one("#findings").replaceChildren(document.importNode(report, true));
      known = revision;
      one("#findings").setAttribute("aria-busy", "false");
      mark();
    } catch (error) { if (error.name !== "AbortError") place.setAttribute("aria-busy", "false"); }
  }
  function mark() {
    const here = one("[data-editor-form] [name=at]")?.value, box = one("#here-findings");
    for (const link of all("[data-choose], [data-choose-at]")) link.classList.remove("has-error", "has-warning");
    const mine = [];
    for (const item of all("[data-report] .finding")) {
      const { at, severity } = item.dataset, name = at.startsWith("node:") ? at.slice(5) : null;
      for (const link of [one(`[data-choose-at="${CSS.escape(at)}"]`), name && one(`[data-choose="${CSS.escape(name)}"]`)])
        link?.classList.add(`has-${severity}`);
      if (at === here) mine.push(item.cloneNode(true));
    }
    if (box) {
      box.replaceChildren();
      if (mine.length) { const list = document.createElement("ul"); list.className = "finding-list"; list.append(...mine); box.append(list); }
    }
  }
  keep(stack());
  look();
})();
