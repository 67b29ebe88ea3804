// What the pages add where the browser runs scripts: keys, live changes, selection. Everything works without.
"use strict";
document.documentElement.classList.remove("no-js");
Object.freeze(Object.prototype);  // whatever name a value from outside has, no object gets a property by it

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const rows = () => all("[data-row-id]");

// --- focus on what has to be read first, and put away notices that were read -------------------------------------
one("[data-focus]")?.focus();
for (const toast of all("[data-toast]")) setTimeout(() => toast.remove(), 8000);

// --- undoing a decision: the seconds that are left, counted from the moment at which the server made the page ---------
for (const box of all("[data-undo]")) {
  const end = Date.now() + Number(box.dataset.undo) * 1000, left = one("[data-undo-left]", box);
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds > 0) {
      if (seconds <= 120) left.textContent = ` ${left.dataset.text.replace("{seconds}", seconds)}`;
      setTimeout(tick, 500);
    } else if (box.closest(".toast")) box.closest(".toast").remove();
    else for (const button of box.matches("button") ? [box] : all("button", box)) { button.disabled = true; left.textContent = ""; }
  };
  tick();
}

// --- a time zone that the server can write times in ----------------------------------------------------------------
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`placet_zone=${encodeURIComponent(zone)}`))
  document.cookie = `placet_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;

// --- rows by keyboard ------------------------------------------------------------------------------------------------
let current = -1;
function choose(index) {
  const list = rows();
  if (!list.length) return;
  current = Math.max(0, Math.min(index, list.length - 1));
  list.forEach((row, number) => row.classList.toggle("current", number === current));
  const link = one("[data-open-row]", list[current]);
  link?.focus({ preventScroll: true });
  list[current].scrollIntoView({ block: "nearest" });
}
const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
let before = "";
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || one("dialog[open]")) return;
  const key = event.key, list = rows(), row = list[current];
  if (before === "g") {
    before = "";
    const follow = () => {
      const link = all("[data-palette-list] a[data-keys]").find((a) => a.dataset.keys === `g ${key}`);
      if (link) location.assign(link.href);
    };
    if (/^[1-9]$/.test(key)) savedViews().then(follow); else follow();
    event.preventDefault();
    return;
  }
  if (key === "g") { before = "g"; setTimeout(() => { before = ""; }, 1200); return; }
  const act = new Map([
    ["j", () => choose(current + 1)],
    ["k", () => choose(current - 1)],
    ["v", () => {
      const box = one("[data-save-view]");
      if (!box) { location.assign("/views"); return; }
      box.open = true;
      one("#view-name", box).focus();
    }],
    ["?", () => one("#keys").showModal()],
    ["/", () => one("input[type=search][name=q]")?.focus()],
    ["n", () => one("[data-palette-list] a[data-keys=n]")?.click()],
    ["x", () => { const pick = row && one("[data-pick]", row); if (pick) { pick.checked = !pick.checked; count(); } }],
    ["a", () => (row ? one("[data-quick=approve]", row) ?? one("[data-open-row]", row) : one("[data-decision=approve]:not(:disabled)"))?.click()],
    ["u", () => ((row && one("[data-undo-button]", row)) ?? one("[data-undo-button]:not(:disabled)"))?.click()],
    ["r", () => {
      if (row) location.assign(one("[data-open-row]", row).href + "#decide");
      else if (one("[data-decide]")) one("#comment")?.focus();
    }],
  ]).get(key);
  if (act) { event.preventDefault(); act(); }
});

// --- selection -------------------------------------------------------------------------------------------------------
function count() {
  const picked = all("[data-pick]:checked").length, text = one("[data-bulk-count]");
  if (text) text.textContent = picked ? String(picked) : "";
}
one("[data-all]")?.addEventListener("change", (event) => {
  for (const pick of all("[data-pick]")) pick.checked = event.target.checked;
  count();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick]")) count();
  // Of a form whose button is hidden where scripts run, choosing is all that can be done.
  const filters = event.target.matches("select") && event.target.closest("form.filters");
  if (filters && one("button.no-js-only", filters)) filters.requestSubmit();
});

// --- one decision once: a second click does nothing ------------------------------------------------------------------
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 10000);
});
addEventListener("pageshow", (event) => { if (event.persisted) for (const form of all("form[data-sent]")) delete form.dataset.sent; });

// --- files, with their progress --------------------------------------------------------------------------------------
for (const form of all("form[data-upload]"))
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    one("[role=alert]", form.parentElement)?.remove();
    const bar = one("progress", form), call = new XMLHttpRequest();
    bar.hidden = false;
    call.upload.addEventListener("progress", (sent) => { if (sent.lengthComputable) bar.value = (100 * sent.loaded) / sent.total; });
    call.addEventListener("load", () => {
      if (call.status < 400) { location.assign(call.responseURL); location.reload(); return; }
      const answer = new DOMParser().parseFromString(call.responseText, "text/html");
      const said = one("[role=alert]", answer);
      bar.hidden = true;
      delete form.dataset.sent;
      if (said) form.before(said);
      else location.reload();
    });
    call.addEventListener("error", () => { delete form.dataset.sent; bar.hidden = true; form.submit(); });
    call.open("POST", form.action);
    call.send(new FormData(form));
  });

document.addEventListener("change", (event) => {
  const { most, tooLarge } = event.target.dataset;
  if (!most) return;
  const large = [...event.target.files].some((file) => file.size > Number(most));
  event.target.setCustomValidity(large ? tooLarge : "");
  event.target.reportValidity();
  one("[data-said]", event.target.parentElement)?.remove();
  if (!large) return;
  const said = Object.assign(document.createElement("p"), { className: "error", role: "alert", textContent: tooLarge });
  said.dataset.said = "";
  event.target.after(said);
});

// --- the menu of a small screen: Escape and a press beside it close it --------------------------------------------------
const menu = one("details.pages");
document.addEventListener("click", (event) => { if (menu?.open && !menu.contains(event.target)) menu.open = false; });
menu?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  one("summary", menu).focus();
});

// --- more rows of a list ---------------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const add = event.target.closest("[data-add-row]");
  if (add) {
    const box = one("[data-rows]", add.closest("fieldset")), last = all(":scope > [data-row]", box).at(-1);
    const fresh = last.cloneNode(true), number = box.children.length;
    for (const field of all("[name]", fresh)) {
      const old = field.id, described = field.getAttribute("aria-describedby");
      field.name = field.name.replace(/\.\d+\.([^.]+)$/, `.${number}.$1`);
      field.id = `f-${field.name.replaceAll(".", "-")}`;
      field.value = "";
      field.removeAttribute("aria-invalid");
      if (described) field.setAttribute("aria-describedby", described.replaceAll(`${old}-`, `${field.id}-`));
      for (const note of all(`[id^="${old}-"]`, fresh)) note.id = note.id.replace(old, field.id);
      const label = one(`label[for="${old}"]`, fresh);
      if (label) label.htmlFor = field.id;
    }
    for (const said of all("[data-error]", fresh)) said.replaceChildren();
    for (const wrong of all(".wrong", fresh)) wrong.classList.remove("wrong");
    box.append(fresh);
    one("[name]", fresh)?.focus();
  }
  if (event.target.closest("[data-refresh]")) location.reload();
  const opener = event.target.closest("[data-open]");
  if (opener?.dataset.open === "palette") openPalette();
});

// --- the command palette ---------------------------------------------------------------------------------------------
function openPalette() {
  const dialog = one("#palette"), input = one("[data-palette-input]");
  if (dialog.open) return;
  input.value = "";
  narrow();
  dialog.showModal();
  input.focus();
  savedViews().then(narrow);
}
// The saved views are asked for once, when they are first needed: not every page reads them.
let asked = null;
function savedViews() {
  asked ??= fetch("/views", { headers: { Accept: "text/html" } }).then(async (answer) => {
    if (!answer.ok || answer.redirected) return;
    const found = all("[data-view]", new DOMParser().parseFromString(await answer.text(), "text/html"));
    one("[data-views-before]")?.before(...found.map((link, number) => {
      const item = document.createElement("li"), shown = document.createElement("a");
      shown.href = link.getAttribute("href");
      shown.textContent = link.textContent;
      if (number < 9) shown.dataset.keys = `g ${number + 1}`;
      item.append(shown);
      return item;
    }));
  }).catch(() => { asked = null; });
  return asked;
}
function narrow() {
  const text = one("[data-palette-input]").value.trim().toLowerCase();
  let first = true;
  for (const item of all("[data-palette-list] li")) {
    const fits = item.textContent.toLowerCase().includes(text);
    item.hidden = !fits;
    item.classList.toggle("chosen", fits && first);
    if (fits) first = false;
  }
}
one("[data-palette-input]")?.addEventListener("input", narrow);
one("[data-palette-input]")?.addEventListener("keydown", (event) => {
  const shown = all("[data-palette-list] li:not([hidden])"), at = shown.findIndex((item) => item.classList.contains("chosen"));
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = shown[(at + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % shown.length];
    shown.forEach((item) => item.classList.toggle("chosen", item === next));
  } else if (event.key === "Escape") {
    event.preventDefault(); // a search field would only be emptied
    one("#palette").close();
  } else if (event.key === "Enter") {
    event.preventDefault();
    const text = event.target.value.trim();
    const link = shown[at] && one("a", shown[at]);
    location.assign(link ? link.href : `/requests?whose=all&q=${encodeURIComponent(text)}`);
  }
});

// --- printing ---------------------------------------------------------------------------------------------------------
for (const button of all("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// --- panels that are fetched after the page, since they are worked out from the running workflow ----------------------
for (const place of all("[data-panel]")) {
  fetch(one("a", place).href).then(async (answer) => {
    if (!answer.ok) return; // the link stays, and its page says why
    const panel = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(`#${place.dataset.panel}`);
    if (!panel) return;
    const heading = one("h1", panel);
    if (heading) { // within a page that has a title of its own
      const title = document.createElement("h2");
      title.append(...heading.childNodes);
      heading.replaceWith(title);
    }
    panel.classList.replace("card", "foreseen");
    place.replaceWith(panel);
  }).catch(() => {});
}

// --- forecasts in lists, which are worked out after the page was sent --------------------------------------------------
const foreseen = all("[data-forecast]");
if (foreseen.length) {
  const asked = new URLSearchParams([...new Set(foreseen.map((link) => link.dataset.forecast))].slice(0, 50).map((id) => ["request", id]));
  fetch(`/live/forecasts?${asked}`, { headers: { Accept: "application/json" } }).then(async (answer) => {
    if (!answer.ok) return; // the links stay, and their pages say why
    const lines = new Map(Object.entries((await answer.json()).lines));
    for (const link of foreseen) link.textContent = lines.get(link.dataset.forecast) ?? link.textContent;
  }).catch(() => {});
}

// --- the drawing of a process: its size, and moving about in it -------------------------------------------------------
// A draft that cannot be drawn has none; another one takes its place with each change, so both are looked up each time.
for (const drawing of all("[data-drawing]")) {
  const canvasOf = () => one(".canvas", drawing), svgOf = () => one(".canvas svg", drawing);
  const offer = () => { one("[data-zoom]", drawing).hidden = !svgOf(); };
  let size = 1;
  const zoom = (by) => {
    const svg = svgOf();
    if (!svg) return;
    const { width, height } = svg.viewBox.baseVal;
    canvasOf().classList.toggle("whole", by === 0);
    size = by === 0 ? 1 : Math.min(4, Math.max(0.25, size * by));
    svg.setAttribute("width", String(Math.round(width * size)));
    svg.setAttribute("height", String(Math.round(height * size)));
  };
  offer();
  document.addEventListener("draft-changed", offer);
  for (const button of all("[data-zoom-by]", drawing)) button.addEventListener("click", () => zoom(Number(button.dataset.zoomBy)));
  drawing.addEventListener("keydown", (event) => {
    const by = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || !event.target.closest(".canvas")) return;
    event.preventDefault();
    zoom(by);
  });
  let from = null;
  drawing.addEventListener("pointerdown", (event) => {
    const canvas = event.target.closest(".canvas");
    if (!canvas || event.pointerType !== "mouse" || event.button) return; // fingers scroll by themselves
    from = { canvas, x: event.clientX + canvas.scrollLeft, y: event.clientY + canvas.scrollTop };
    canvas.setPointerCapture(event.pointerId);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (from) from.canvas.scrollTo(from.x - event.clientX, from.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => { from = null; });
  one(".canvas svg .now", drawing)?.scrollIntoView({ block: "nearest", inline: "center" });
  scrollTo(0, 0);
}

// --- live: the server tells that something has changed; nothing moves until the reader asks for it -------------------
if (document.body.dataset.csrf && "EventSource" in window) {
  const fresh = one("#fresh")?.dataset ?? {}, live = new EventSource(fresh.live ?? "/live");
  let first = fresh.mark ?? null;
  live.addEventListener("changed", async (event) => {
    const { mark, badge, breaches } = JSON.parse(event.data), count = one("#badge"), before = count?.firstChild.textContent;
    if (count) count.firstChild.textContent = badge;
    for (const missed of all("[data-breaches]")) { missed.hidden = !breaches; missed.firstChild.textContent = breaches; }
    first ??= mark;
    const box = one("#fresh");
    // Where nothing is shown nothing moves, unless somebody is typing.
    const came = badge !== "0" && badge !== before && one("[data-nothing]");
    if (came && !typing(document.activeElement) && !one("dialog[open]")) { location.reload(); return; }
    if (!box || mark === first) return;
    const shown = rows().map((row) => row.dataset.rowId);
    const query = new URLSearchParams(shown.map((id) => ["task", id]));
    const answer = await fetch(`/live/rows?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { closed } = await answer.json();
    for (const row of rows()) {
      const gone = closed.includes(row.dataset.rowId), word = one("[data-gone-word]", row);
      row.classList.toggle("gone", gone);
      if (!gone) word?.remove();
      else if (!word) {
        const said = Object.assign(document.createElement("span"), { className: "sr", textContent: ` (${box.dataset.gone})` });
        said.dataset.goneWord = "";
        one("[data-open-row]", row).append(said);
      }
    }
    const text = one("[data-fresh-text]");
    text.textContent = text.dataset.one;
    box.hidden = false;
  });
  addEventListener("pagehide", () => live.close());
}
