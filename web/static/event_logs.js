// Event logs where the browser runs scripts: a preview is put below the form, whose file stays; a log is watched as it is read.
"use strict";

for (const form of all("form[data-event-log]"))
  form.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || button?.value !== "preview") return;
    event.preventDefault();
    const place = one("[data-map]", form), body = new FormData(form, button);
    place.setAttribute("aria-busy", "true");
    button.disabled = true;
    let answer = null;
    try { answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } }); } catch { /* as without scripts */ }
    button.disabled = false;
    delete form.dataset.sent;
    place.removeAttribute("aria-busy");
    const page = answer && new DOMParser().parseFromString(await answer.text(), "text/html"), fresh = page?.querySelector("[data-map]");
    if (!fresh) { form.submit(); return; } // it is looked at without scripts, and says what is wrong
    place.replaceWith(fresh);
    one("[data-first-step]", form)?.toggleAttribute("hidden", Boolean(fresh.querySelector("select")));
    const name = page.querySelector("#name");
    if (!form.elements.name.value) form.elements.name.value = name?.value ?? "";
    (one("[role=alert]", fresh) ?? fresh).focus();
  });

const AGAIN = 2000; // milliseconds
function watchLog(place) {
  if (!place?.hasAttribute("data-running")) return;
  setTimeout(async () => {
    let fresh = null;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#log");
    } catch { /* the server is away; it is asked again */ }
    if (fresh && !fresh.hasAttribute("data-running")) place.replaceWith(fresh);
    else watchLog(place);
  }, AGAIN);
}
watchLog(one("#log"));
