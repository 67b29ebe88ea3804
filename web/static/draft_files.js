// The files of a new request: uploaded as soon as they are chosen, one after the other, each with its progress. They are
// kept with the form by the server, so the form is sent without them. Without scripts they are sent with the form.
"use strict";
for (const box of all("[data-draft-files]")) {
  const form = box.closest("form"), input = one("input[type=file]", box), list = one("[data-uploads]", box), said = one("[data-said]", box);
  const text = (name, values = {}) => Object.entries(values).reduce((line, [key, value]) => line.replace(`{${key}}`, value), box.dataset[name]);
  const waiting = [];
  let running = null, sender = null;

  // The address names the form from its first file on, so that a reload finds them again.
  const remember = () => {
    const here = new URL(location.href);
    if (here.pathname === new URL(form.action).pathname && here.searchParams.get("draft") !== form.elements.key.value) {
      here.searchParams.delete("copy");
      here.searchParams.set("draft", form.elements.key.value);
      history.replaceState(history.state, "", here);
    }
  };
  const fields = (more) => {
    const body = new FormData();
    body.set("csrf_token", form.elements.csrf_token.value);
    body.set("key", form.elements.key.value);
    for (const [name, value] of Object.entries(more)) body.set(name, value);
    return body;
  };
  const show = (page) => {
    const fresh = one("[data-chosen]", page);
    if (!fresh) return false;
    one("[data-chosen]", box).replaceWith(document.importNode(fresh, true));
    input.disabled = one("[data-chosen]", box).dataset.left === "0";
    return true;
  };
  const parsed = (answer) => new DOMParser().parseFromString(answer, "text/html");

  const next = () => {
    if (running) return;
    running = waiting.shift() ?? null;
    if (running) { upload(running); return; }
    if (!sender) return;
    const button = sender;
    sender = null;
    if (!one(".wrong", list)) form.requestSubmit(button);
  };
  const fail = (line, why) => {
    line.item.classList.add("wrong");
    line.bar.hidden = true;
    line.note.textContent = why;
    line.again.hidden = false;
    said.textContent = `${line.file.name}: ${why}`;
  };
  function upload(line) {
    const call = new XMLHttpRequest();
    line.item.classList.remove("wrong");
    line.note.textContent = "";
    line.again.hidden = true;
    line.bar.hidden = false;
    line.call = call;
    const end = (why) => { running = null; if (why) fail(line, why); next(); };
    call.upload.addEventListener("progress", (sent) => { if (sent.lengthComputable) line.bar.value = (100 * sent.loaded) / sent.total; });
    call.addEventListener("load", () => {
      const page = parsed(call.responseText);
      if (call.status < 400 && show(page)) {
        line.item.remove();
        said.textContent = text("added", { name: line.file.name });
        remember();
        end();
      } else end(one("[role=alert]", page)?.textContent.trim().replace(/\s+/g, " ") || text("failed"));
    });
    call.addEventListener("error", () => end(text("failed")));
    call.addEventListener("abort", () => { line.item.remove(); end(); });
    call.open("POST", box.dataset.draftFiles);
    call.setRequestHeader("Accept", "text/html");
    call.send(fields({ file: line.file }));
  }
  function choose(file) {
    const item = one("template", box).content.firstElementChild.cloneNode(true);
    const line = { file, item, bar: one("progress", item), note: one("[data-note]", item), again: one("[data-again]", item), call: null };
    one("[data-name]", item).textContent = file.name;
    for (const name of all("[data-of]", item)) name.textContent = ` ${file.name}`;
    line.bar.setAttribute("aria-label", text("progress", { name: file.name }));
    line.again.addEventListener("click", () => { waiting.push(line); input.focus(); next(); });
    one("[data-give-up]", item).addEventListener("click", () => {
      const at = waiting.indexOf(line);
      if (at >= 0) waiting.splice(at, 1);
      if (running === line) line.call.abort(); else item.remove();
      input.focus();
    });
    list.append(item);
    if (file.size > Number(box.dataset.most)) { fail(line, text("tooLarge")); line.again.hidden = true; return; }
    waiting.push(line);
  }
  input.addEventListener("change", () => {
    for (const file of [...input.files]) choose(file);
    input.value = "";
    next();
  });
  box.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-remove]");
    if (!button) return;
    event.preventDefault();
    const name = one(".file-name", button.closest("li")).textContent;
    let answer = null;
    try { answer = await fetch(box.dataset.draftFiles, { method: "POST", headers: { Accept: "text/html" }, body: fields({ step: button.value }) }); } catch { /* said below */ }
    const gone = Boolean(answer?.ok) && show(parsed(await answer.text()));
    said.textContent = gone ? text("removed", { name }) : text("failed");
    if (gone) input.focus();
  });
  // Sent while files are on their way: it waits for them. One that could not be uploaded keeps the form here.
  form.addEventListener("submit", (event) => {
    const wrong = one(".wrong", list);
    if (!running && !waiting.length && !wrong) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (wrong) { one("button:not([hidden])", wrong)?.focus(); said.textContent = text("unfinished"); return; }
    sender = event.submitter;
    said.textContent = text("wait");
  });
}
