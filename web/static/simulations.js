// Simulations where the browser runs scripts: they are watched as they run, and their form is checked as one types.
"use strict";

// --- watching: the server sends words; when it has ended, the page is read again and put in place -----------------
// A stream that breaks off is opened again by the browser, which names the last event that it got; so nothing is told
// twice. Where the server refuses it, for example while it starts, the page is read again until it answers.
const AGAIN = 3000;  // milliseconds

function watch(box) {
  if (!box?.dataset.simulation || !("EventSource" in window)) return;
  const stream = new EventSource(box.dataset.simulation);
  const text = one("[data-progress-text]", box), bar = one("[data-progress]", box), found = one("[data-found]", box);
  let reading = false;
  const renew = async () => {
    if (reading) return;
    reading = true;
    let fresh = null;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#simulation");
    } catch { /* the server is away; it is asked again */ }
    reading = false;
    if (!fresh) {
      if (stream.readyState === EventSource.CLOSED) lost();
      return;
    }
    stream.close();
    box.replaceWith(fresh);
    if (fresh.dataset.simulation) setTimeout(() => watch(fresh), 2000);
    else document.dispatchEvent(new CustomEvent("simulation-ended"));
  };
  const lost = () => {
    text.textContent = text.dataset.lost;
    setTimeout(renew, AGAIN);
  };
  stream.addEventListener("progress", (event) => {
    const told = JSON.parse(event.data);
    text.textContent = told.text;
    if (told.max > 0) { bar.max = told.max; bar.value = Math.min(told.value, told.max); }
  });
  stream.addEventListener("branch", (event) => {
    const told = JSON.parse(event.data), item = document.createElement("li");
    text.textContent = told.text;
    item.textContent = told.line;
    found.append(item);
  });
  stream.addEventListener("rows", renew);
  stream.addEventListener("ended", renew);
  stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) lost(); });
  addEventListener("pagehide", () => stream.close());
}
watch(one("#simulation"));

// --- the form: what is wrong stands beside its field, a moment after one has stopped typing -------------------------
for (const form of all("form[data-checked]")) {
  let timer = null, call = null;
  const touched = new Set();
  const check = async () => {
    call?.abort();
    call = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    body.set("step", "check");
    let answer;
    try { answer = await fetch(form.action, { method: "POST", body, signal: call.signal, headers: { Accept: "text/html" } }); } catch { return; }
    const checked = new DOMParser().parseFromString(await answer.text(), "text/html");
    const effort = one("[data-effort]", form), now = checked.querySelector("[data-effort]");
    if (effort && now && effort.textContent !== now.textContent) effort.replaceChildren(...now.children);
    for (const name of touched) {
      const field = form.elements.namedItem(name);
      if (!field?.closest) continue;
      const fresh = checked.getElementById(field.id), box = field.closest(".field");
      if (!fresh || !box) continue;
      const wrong = fresh.closest(".field")?.querySelector(".error");
      one(".error", box)?.remove();
      box.classList.toggle("wrong", Boolean(wrong));
      for (const attribute of ["aria-invalid", "aria-describedby"]) {
        const value = fresh.getAttribute(attribute);
        if (value === null) field.removeAttribute(attribute); else field.setAttribute(attribute, value);
      }
      if (wrong) box.append(wrong);
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.name) touched.add(event.target.name);
    clearTimeout(timer);
    timer = setTimeout(check, 400);
  });
}
