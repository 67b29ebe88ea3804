// Fields that are checked as one types, in the words that the server has for it (web/forms/checks.py). What cannot be
// told here is left to the server: nothing is refused here that would be accepted there. Without scripts the browser's own
// checks and those of the server stay.
"use strict";
{
  const PAUSE = 600; // ms without a key before something is called wrong; what is right again is told at once
  const LEFT = 200; // ms after a field was left
  const each = (selector, root) => [...root.querySelectorAll(selector)];
  const checkOf = (box) => JSON.parse(box.dataset.check);
  const filled = (field) => (field.type === "checkbox" ? field.checked : field.value.trim() !== "");
  const anyFilled = (box) => each("[name]", box).some(filled);

  // --- numbers, as web/forms/reading.py reads them, compared exactly ---------------------------------------------------
  const GROUPED = /^-?[1-9]\d{0,2}(?:(?:\.\d{3})+,\d{1,100}|(?:,\d{3})+\.\d{1,100}|(?:\.\d{3}){2,}|(?:,\d{3}){2,})$/;
  const withoutSpaces = (text) => text.replace(/[\u00a0\u202f ]/g, "");
  // What is a thousand to one reader and a fraction to another; with the reader's own sign it is a fraction.
  const uncertain = (text, sign) => /^-?[1-9]\d{0,2}[.,]\d{3}$/.test(text) && !text.includes(sign);
  const plainNumber = (text) => {
    let plain = withoutSpaces(text);
    if (GROUPED.test(plain)) plain = plain.replaceAll(plain.match(/[.,]/)[0], "");
    if (plain.split(",").length === 2 && !plain.includes(".")) plain = plain.replace(",", ".");
    return /^-?\d{1,100}(\.\d{1,100})?$/.test(plain) ? plain : null;
  };
  const compare = (a, b, exact) => {
    if (!exact || /e/i.test(a + b)) return Number(a) - Number(b);
    const places = Math.max(...[a, b].map((text) => (text.split(".")[1] ?? "").length));
    const [x, y] = [a, b].map((text) => {
      const [units, fraction = ""] = text.split(".");
      return BigInt(units + fraction.padEnd(places, "0"));
    });
    return x < y ? -1 : x > y ? 1 : 0;
  };
  function numberFault(text, check) {
    const { says, kind, sign } = check, plain = plainNumber(text);
    if (uncertain(withoutSpaces(text), sign)) {
      const digits = withoutSpaces(text).replace(/[.,]/, "");
      return says.uncertain.replace("{text}", text).replace("{whole}", digits).replace("{fraction}", `${digits.slice(0, -3)}${sign}${digits.slice(-3)}`);
    }
    if (plain === null) return kind === "number" && /^-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d{1,3})?$/.test(text) ? null : says.kind;
    if (kind === "whole" && plain.includes(".")) return says.kind;
    const [units, fraction = ""] = plain.replace("-", "").split(".");
    const whole = units.replace(/^0+/, ""), written = (whole + fraction).replace(/^0+/, "");
    if (kind === "whole" && check.exact && BigInt.asIntN(64, BigInt(plain)) !== BigInt(plain)) return says.large;
    if (kind === "number" && plain.length > 114) return says.kind;
    if (kind === "number" && Math.max(written.length, whole.length, fraction.length) > 38) return check.exact ? says.digits : says.kind;
    if (check.scale !== undefined && fraction.replace(/0+$/, "").length > check.scale) return says.scale;
    if (check.minimum !== undefined && compare(plain, check.minimum, check.exact) < 0) return says.minimum;
    if (check.maximum !== undefined && compare(plain, check.maximum, check.exact) > 0) return says.maximum;
    if (check.above !== undefined && compare(plain, check.above, check.exact) <= 0) return says.above;
    if (check.below !== undefined && compare(plain, check.below, check.exact) >= 0) return says.below;
    if (/^[1-9]\d{0,14}$/.test(check.multiple ?? "") && /^-?\d{1,15}$/.test(plain) && Number(plain) % Number(check.multiple) !== 0)
      return says.multiple;
    return null;
  }

  // --- texts: how long, and whether the automaton of the pattern comes to its end, anywhere in the text ----------------
  const holds = ([ranges, negated, also], char) =>
    ranges.some(([low, high]) => low <= char && char <= high) !== negated || also.some((other) => holds(other, char));
  function fits({ states, entry, accept }, text) {
    const chars = Array.from(text, (char) => char.codePointAt(0));
    const closure = (from, at) => {
      const seen = new Set(), pending = [...from];
      while (pending.length) {
        const number = pending.pop();
        if (seen.has(number)) continue;
        seen.add(number);
        const [next, test] = states[number];
        if (test === null || (test === "^" && at === 0) || (test === "$" && at === chars.length)) pending.push(...next);
      }
      return seen;
    };
    let moved = [];
    for (let at = 0; at <= chars.length; at += 1) {
      const current = closure([...moved, entry], at);
      if (current.has(accept)) return true;
      moved = [...current].flatMap((number) => {
        const [next, test] = states[number];
        return Array.isArray(test) && holds(test, chars[at]) ? next : [];
      });
    }
    return false;
  }
  const countFault = (count, { says, shortest, longest }) => {
    const said = shortest !== undefined && count < shortest ? says.shortest : longest !== undefined && count > longest ? says.longest : null;
    return said?.replace("{count}", count) ?? null;
  };
  const textFault = (text, check) =>
    countFault([...text].length, check) ?? (check.pattern && !fits(check.pattern, text) ? check.says.pattern : null);

  // --- days and moments, which the browser writes as ISO -----------------------------------------------------------------
  function dayFault(text, { says, kind, minimum, maximum }) {
    const value = kind === "moment" && text.length === 16 ? `${text}:00` : text;
    if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d.*)?$/.test(value)) return says.kind;
    if (minimum !== undefined && value < minimum) return says.minimum;
    return maximum !== undefined && value > maximum ? says.maximum : null;
  }

  function linesFault(text, check) {
    const lines = text.split("\n").map((line) => line.trim()).filter(Boolean), many = countFault(lines.length, check);
    if (many || !check.item) return many;
    for (const [index, line] of lines.entries()) {
      const said = FAULT.get(check.item.kind)(line, check.item);
      if (said) return check.says.entry.replace("{number}", index + 1).replace("{said}", said);
    }
    return null;
  }
  const FAULT = new Map([["text", textFault], ["number", numberFault], ["whole", numberFault], ["day", dayFault], ["moment", dayFault], ["lines", linesFault]]);

  // What is wrong with a field, or with a box of fields; null where nothing is.
  function faultOf(box) {
    const check = checkOf(box);
    if (box.matches("fieldset")) {
      const count = check.kind === "rows" ? each(":scope > [data-rows] > [data-row]", box).filter(anyFilled).length : each("[name]", box).filter(filled).length;
      if (!count) return check.required && within(box) ? check.says.required : null;
      return check.kind === "group" ? null : countFault(count, check);
    }
    if (box.validity.badInput) return check.says.kind;
    const text = box.value.replaceAll("\r\n", "\n").trim();
    if (!text) return check.required && within(box) ? check.says.required : null;
    return FAULT.get(check.kind)?.(text, check) ?? null;
  }
  // Whether a part is asked for: where everything of a row or of a group is empty, it is left out as a whole.
  const scopeOf = (box) => box.parentElement.closest("[data-row], fieldset[data-check]");
  function within(box) {
    for (let scope = scopeOf(box); scope; scope = scopeOf(scope)) if (!anyFilled(scope)) return false;
    return true;
  }

  for (const form of each("form[data-checked]", document)) {
    const boxes = () => each("[data-check]", form).filter((box) => !box.disabled);
    const slotOf = (box) => document.getElementById(`${box.id}-error`);
    const timers = new Map(), touched = new Set();
    form.noValidate = true;
    for (const field of boxes()) field.removeAttribute("maxlength"); // what is pasted is not cut off in silence

    function tell(box, said) {
      const slot = slotOf(box);
      box.closest(box.matches("fieldset") ? "fieldset" : ".field")?.classList.toggle("wrong", said !== null);
      if (said === null) box.removeAttribute("aria-invalid"); else box.setAttribute("aria-invalid", "true");
      if (!slot || slot.textContent === (said ?? "")) return;
      slot.replaceChildren();
      if (said === null) return;
      const text = document.createElement("span"), icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
      text.textContent = said;
      use.setAttribute("href", form.dataset.checked);
      for (const [name, value] of Object.entries({ class: "icon", "aria-hidden": "true", width: "13", height: "13" })) icon.setAttribute(name, value);
      icon.append(use);
      slot.append(icon, text);
    }
    const isWrong = (box) => Boolean(slotOf(box)?.textContent);
    // The box of an entry, and the boxes around it, of which each other part that was called wrong may be right now.
    function around(target) {
      const found = [];
      for (let box = target.closest("[data-check]"); box && form.contains(box); box = box.parentElement.closest("[data-check]")) found.push(box);
      const scope = scopeOf(target);
      return [...found, ...(scope ? each("[data-check]", scope).filter((box) => !found.includes(box) && isWrong(box)) : [])];
    }
    const settle = (target) => {
      clearTimeout(timers.get(target));
      for (const box of around(target)) if (touched.has(box) || isWrong(box)) tell(box, faultOf(box));
    };
    const asksComment = (target) => target.id === "comment" && isWrong(target) && target.value.trim() !== "";

    form.addEventListener("input", ({ target }) => {
      if (asksComment(target)) tell(target, null);
      for (const box of around(target)) {
        touched.add(box);
        if (isWrong(box) && faultOf(box) === null) tell(box, null);
      }
      clearTimeout(timers.get(target));
      timers.set(target, setTimeout(() => settle(target), PAUSE));
    });
    // A little later, and not where a button gets the focus: what is being pressed must not move away from under the hand.
    form.addEventListener("focusout", ({ target, relatedTarget }) => {
      if (!target.name || relatedTarget?.matches("button")) return;
      clearTimeout(timers.get(target));
      timers.set(target, setTimeout(() => settle(target), LEFT));
    });

    form.addEventListener("submit", (event) => {
      const button = event.submitter, decision = button?.dataset.decision, comment = form.elements.comment;
      if (button?.formNoValidate && !decision) return;
      for (const timer of timers.values()) clearTimeout(timer); // what is sent is judged here, for this decision, and not a little later
      timers.clear();
      const asked = boxes().filter((box) => (box.name || box.id).match(/^(f-)?form[.-]/));
      // A stage's form is an approval's; whoever decides otherwise may fill it in.
      const left = decision && decision !== "approve" && !asked.some((box) => (box.name ? filled(box) : anyFilled(box))) ? asked : [];
      const wrong = [];
      for (const box of boxes()) {
        const said = left.includes(box) ? null : faultOf(box);
        tell(box, said);
        if (said) wrong.push(box);
      }
      const needs = button?.dataset.needsComment;
      if (comment && !comment.disabled && decision) {
        const said = needs && !comment.value.trim() ? needs : null;
        tell(comment, said);
        if (said) wrong.push(comment);
      }
      if (!wrong.length) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      (wrong[0].matches("fieldset") ? wrong[0].querySelector("[name], button") : wrong[0])?.focus();
    });
  }
}
