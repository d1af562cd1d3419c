// The payment password by our own keys: six dots, the order of the keys fixed. The digits stand in the field only until
// they are sent, and are gone when the sheet closes or the page is left.
import { say } from "./say.js";

const DIGITS = 6;

const isBusy = (pin) => pin.getAttribute("aria-busy") === "true";
const setBusy = (pin, busy) => pin.setAttribute("aria-busy", busy);

// Whether somebody's day of birth could be written so: a year of two digits in any order, or one of four and a month.
function isDate(digits) {
  const [a, b, c] = digits.match(/../g).map(Number);
  const days = (month) => [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month] ?? 0;
  const isDay = (month, day) => day >= 1 && day <= days(month);
  const isYear = (century) => century === 19 || century === 20;
  return isDay(b, c) || isDay(b, a) || isDay(a, b) || (isYear(a) && days(c) > 0) || (isYear(b) && days(a) > 0);
}

// The first that a thief would try, as the server judges them too: one digit, a run, a repeated part, a date, the phone's end.
function isWeak(digits, phoneEnd) {
  const steps = (by) => [...digits].every((digit, i) => i === 0 || digit - digits[i - 1] === by);
  const repeats = (length) => digits === digits.slice(0, length).repeat(DIGITS / length);
  return digits === phoneEnd || isDate(digits) || steps(1) || steps(-1) || [1, 2, 3].some(repeats);
}

// One set of dots and keys over one field, or over two that must agree.
function pad(pin) {
  const fields = [...pin.querySelectorAll("input")];
  const dots = [...pin.querySelectorAll(".dots i")];
  const prompt = pin.querySelector("[data-prompt]");
  const note = pin.querySelector("[data-note]");
  const form = pin.closest("form");
  const firstPrompt = prompt.textContent;
  const field = fields[0];
  let first = null; // What was entered the first time, when it is asked for twice.

  for (const input of fields) {
    // Text, so that no browser offers to keep it; it is invisible and masked all the same.
    input.type = "text";
    input.required = false;
    input.setAttribute("inputmode", "none");
  }

  const draw = () => {
    const count = field.value.length;
    dots.forEach((dot, i) => {
      dot.classList.toggle("on", i < count);
      dot.classList.toggle("at", i === Math.min(count, DIGITS - 1));
    });
  };
  const tell = (text) => {
    note.textContent = text;
    note.classList.toggle("bad", text !== "");
    // What the page said before does not hold any more.
    document.querySelector(".refused")?.remove();
  };
  const clear = () => {
    first = null;
    for (const input of fields) input.value = "";
    prompt.textContent = firstPrompt;
    draw();
  };
  const changed = () => {
    field.value = field.value.replace(/\D/g, "").slice(0, DIGITS);
    draw();
    if (field.value.length < DIGITS || isBusy(pin)) return;
    if (fields.length === 2) {
      if (first === null) {
        if (isWeak(field.value, pin.dataset.phoneEnd)) {
          clear();
          tell(pin.dataset.weak);
          return;
        }
        first = field.value;
        field.value = "";
        prompt.textContent = pin.dataset.again;
        tell("");
        draw();
        return;
      }
      const agree = first === field.value;
      if (!agree) {
        clear();
        tell(pin.dataset.differ);
        return;
      }
      fields[1].value = field.value;
    }
    form.requestSubmit();
  };
  field.addEventListener("input", changed);

  const keys = document.createElement("div");
  keys.className = "keys";
  for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "", "0", "⌫"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    if (key === "") {
      button.className = "blank";
      button.disabled = true;
      button.setAttribute("aria-hidden", "true");
    } else if (key === "⌫") {
      button.className = "rub";
      button.setAttribute("aria-label", say("删除", "Delete"));
    } else {
      button.dataset.key = key;
    }
    // Taken on press, not release, so that quick fingers lose nothing; focus stays where it is.
    button.addEventListener("pointerdown", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      field.value = key === "⌫" ? field.value.slice(0, -1) : field.value + key;
      changed();
    });
    keys.append(button);
  }
  pin.append(keys);

  // Enter on half a password sends nothing. Otherwise it is under way, until careful.js says that it is not.
  form.addEventListener("submit", (event) => {
    if (field.value.length === DIGITS || form.elements.passkey?.value) {
      setBusy(pin, true);
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  addEventListener("pagehide", clear);
  pin.addEventListener("koudai:clear", () => {
    setBusy(pin, false);
    clear();
  });
  draw();
  return { field, clear };
}

for (const pin of document.querySelectorAll("[data-pin]")) {
  const { field, clear } = pad(pin);
  const sheet = pin.closest("[data-sheet]");
  if (!sheet?.showModal) {
    field.focus({ preventScroll: true });
    continue;
  }

  // The sheet: shut until the page's button opens it.
  const form = sheet.closest("form");
  const opener = form.querySelector("[data-open]");
  sheet.close();
  opener.type = "button";
  opener.addEventListener("click", () => {
    if (!form.reportValidity()) return;
    for (const mirror of sheet.querySelectorAll("[data-mirror]")) mirror.textContent = chosen(form, mirror.dataset.mirror);
    sheet.classList.add("up");
    sheet.showModal();
    field.focus({ preventScroll: true });
  });
  sheet.addEventListener("cancel", (event) => { if (isBusy(pin)) event.preventDefault(); });
  sheet.addEventListener("close", () => {
    sheet.classList.remove("up");
    clear();
  });
  sheet.querySelector("[data-close]").addEventListener("click", () => { if (!isBusy(pin)) sheet.close(); });
  // Keys typed on a keyboard land in the field wherever the focus is.
  sheet.addEventListener("keydown", (event) => {
    if (/^\d$/.test(event.key) && document.activeElement !== field) field.focus({ preventScroll: true });
  });

  // A swipe down, or a tap beside the sheet, cancels.
  let from = null;
  sheet.addEventListener("touchstart", (event) => { from = sheet.scrollTop === 0 ? event.touches[0].clientY : null; }, { passive: true });
  sheet.addEventListener("touchend", (event) => {
    if (from !== null && event.changedTouches[0].clientY - from > 80 && !isBusy(pin)) sheet.close();
    from = null;
  }, { passive: true });
  sheet.addEventListener("click", (event) => { if (event.target === sheet && !isBusy(pin)) sheet.close(); });
}

// The label of the chosen option, or what was typed.
function chosen(form, name) {
  const field = form.elements[name];
  const option = field instanceof RadioNodeList ? [...field].find((input) => input.checked) : field;
  if (option?.type !== "radio") return sum(option?.value ?? "");
  return option.labels[0].querySelector("b").textContent;
}

// An amount as it was typed, written as everywhere else: 100 is 100.00, and 12345.6 is 12,345.60.
function sum(typed) {
  const [yuan, fen = ""] = typed.split(".");
  const whole = yuan.replace(/^0+(?=\d)/, "");
  return `${whole.length < 5 ? whole : whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${fen.padEnd(2, "0")}`;
}
