// Drafts: what was typed into a form stays on this device until it was taken. The browser's storage holds it encrypted;
// the key comes with the page, and the next page of the same person has it again. A form that was sent is noted, and its
// draft is removed by the page that says that it was done: it stays where the session had ended, or nothing answered.
"use strict";
const SENT = "placet:sent", lastSent = sessionStorage.getItem(SENT);
if (lastSent && "done" in document.body.dataset) {
  localStorage.removeItem(lastSent);
  sessionStorage.removeItem(SENT);
}
for (const said of all("[data-kept]")) said.hidden = !lastSent || localStorage.getItem(lastSent) === null;
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  const { draft } = event.target.dataset;
  if (draft) sessionStorage.setItem(SENT, `placet:${draft}`); else sessionStorage.removeItem(SENT);
});
for (const form of all("form[data-draft]")) {
  const { draft, draftKey } = form.dataset;
  if (!draft || !draftKey || !globalThis.crypto?.subtle) continue;
  const place = `placet:${draft}`, bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const textOf = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const key = crypto.subtle.importKey("raw", bytesOf(draftKey), "AES-GCM", false, ["encrypt", "decrypt"]);
  let last = 0;

  async function fill() {
    const kept = localStorage.getItem(place);
    if (!kept) return;
    const sealed = bytesOf(kept), how = { name: "AES-GCM", iv: sealed.subarray(0, 12) };
    const typed = JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt(how, await key, sealed.subarray(12))));
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (!field || !("value" in field) || field.type === "hidden" || (field.value && !("draftWhole" in form.dataset))) continue;
      field.value = value;
      const box = form.closest("details");
      if (box) box.open = true;
    }
    if (sessionStorage.getItem(SENT) === place) sessionStorage.removeItem(SENT); // it is here, to be sent once more
  }

  async function keep() {
    const mine = ++last, typed = [], iv = crypto.getRandomValues(new Uint8Array(12));
    for (const field of form.elements)
      if (field.name && field.value && !["hidden", "checkbox", "file", "submit", "password"].includes(field.type)) typed.push([field.name, field.value]);
    const text = new TextEncoder().encode(JSON.stringify(typed));
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key, text));
    if (mine !== last) return;  // more was typed
    try { localStorage.setItem(place, textOf([...iv, ...sealed])); } catch { /* full: the draft is not kept */ }
  }

  fill().catch(() => localStorage.removeItem(place));
  form.addEventListener("input", keep);
}
