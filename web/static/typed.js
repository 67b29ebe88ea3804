// Drafts: what was typed into a form stays on this device until it is sent. The browser's storage holds it encrypted;
// the key comes with the page, and the next page of the same person has it again.
"use strict";
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
      if (field && "value" in field && !field.value && field.type !== "hidden") field.value = value;
    }
  }

  async function keep() {
    const mine = ++last, typed = [], iv = crypto.getRandomValues(new Uint8Array(12));
    for (const field of form.elements)
      if (field.name && field.value && !["hidden", "checkbox", "file", "submit"].includes(field.type)) typed.push([field.name, field.value]);
    const text = new TextEncoder().encode(JSON.stringify(typed));
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key, text));
    if (mine !== last) return;  // more was typed, or it was sent
    try { localStorage.setItem(place, textOf([...iv, ...sealed])); } catch { /* full: the draft is not kept */ }
  }

  fill().catch(() => localStorage.removeItem(place));
  form.addEventListener("input", keep);
  document.addEventListener("submit", (event) => {
    if (event.target !== form || event.defaultPrevented) return;
    last++;
    localStorage.removeItem(place);
  });
}
