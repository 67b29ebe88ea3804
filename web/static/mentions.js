// People are proposed after an @ in a comment, a question or an answer: a combobox whose list stands below the field.
// The field is a combobox only while its list is open; else it is the field of several lines that it always was.
// Without scripts, and where nobody is found, an id is typed.
"use strict";
const TYPED = /(?:^|[^A-Za-z0-9_.@+-])@([\p{L}\p{N}_.+-]{2,60})$/u;
all("textarea[data-mentions]").forEach((field, number) => {
  const place = document.createElement("div"), list = document.createElement("ul"), said = document.createElement("p");
  let timer = null, call = null, people = [], chosen = 0, closed = null;
  place.className = "mention-place";
  list.id = `mentions-${number}`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", field.dataset.listName);
  list.hidden = true;
  said.className = "sr";
  said.setAttribute("role", "status");
  place.append(list, said);
  field.after(place);
  field.setAttribute("aria-autocomplete", "list");

  const typed = () => (field.selectionStart === field.selectionEnd ? TYPED.exec(field.value.slice(0, field.selectionStart)) : null);
  const open = () => !list.hidden;
  function close() {
    clearTimeout(timer);
    call?.abort();
    list.hidden = true;
    said.textContent = "";
    for (const name of ["role", "aria-expanded", "aria-haspopup", "aria-controls", "aria-activedescendant"]) field.removeAttribute(name);
  }
  function mark(at) {
    chosen = (at + people.length) % people.length;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
    field.setAttribute("aria-activedescendant", list.children[chosen].id);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  }
  function show(found) {
    people = found;
    if (!people.length) { close(); return; }
    list.replaceChildren(...people.map((person, index) => {
      const item = document.createElement("li"), name = document.createElement("strong"), id = document.createElement("span");
      item.id = `${list.id}-${index}`;
      item.setAttribute("role", "option");
      name.textContent = person.name || person.id;
      id.textContent = `@${person.id}`;
      item.append(name, " ", id);
      if (person.note) {
        const note = document.createElement("span");
        note.className = "sub";
        note.textContent = person.note;
        item.append(" ", note);
      }
      item.addEventListener("click", () => take(index));
      return item;
    }));
    list.hidden = false;
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-expanded", "true");
    field.setAttribute("aria-haspopup", "listbox");
    field.setAttribute("aria-controls", list.id);
    mark(0);
    said.textContent = people.length === 1 ? field.dataset.foundOne : field.dataset.foundMany.replace("{count}", people.length);
  }
  function take(index) {
    const found = typed();
    if (!found) return;
    const end = field.selectionStart, person = people[index];
    close();
    field.focus();
    field.setRangeText(`${person.id} `, end - found[1].length, end, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  async function look(text) {
    call?.abort();
    call = new AbortController();
    try {
      const answer = await fetch(`${field.dataset.mentions}?${new URLSearchParams({ q: text })}`, { headers: { Accept: "application/json" }, signal: call.signal });
      if (!answer.ok || answer.redirected) { close(); return; }
      const { people: found } = await answer.json();
      if (typed()?.[1] === text && document.activeElement === field) show(found);
    } catch (error) { if (error.name !== "AbortError") close(); }
  }
  field.addEventListener("input", () => {
    const found = typed();
    if (!found) { closed = null; close(); return; }
    const at = found.index + found[0].indexOf("@");
    if (closed === at) return; // it was closed for this one
    closed = null;
    clearTimeout(timer);
    timer = setTimeout(() => look(found[1]), 150);
  });
  field.addEventListener("keydown", (event) => {
    if (!open() || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = new Map([
      ["ArrowDown", () => mark(chosen + 1)],
      ["ArrowUp", () => mark(chosen - 1)],
      ["Enter", () => take(chosen)],
      ["Tab", () => take(chosen)],
      ["Escape", () => { const found = typed(); closed = found ? found.index + found[0].indexOf("@") : null; close(); }],
    ]).get(event.key);
    if (!act || event.shiftKey) { if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") close(); return; }
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  field.addEventListener("blur", close);
});
