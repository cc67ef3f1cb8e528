// The connection form: rows that come and go without a round trip, mistakes
// shown in place, a question before unsaved changes are lost.
import { announce } from "./announce.js";
import { bindRows } from "./rows.js";
import { markRail } from "./rail.js";
import { fillFromFiles, slim } from "./fill.js";

export function enhanceForm(form) {
  const saved = serialise(form);
  let leaving = false;
  const dirty = () => !leaving && (form.hasAttribute("data-dirty") || serialise(form) !== saved);

  window.addEventListener("beforeunload", (event) => {
    if (dirty()) event.preventDefault();
  });
  form.addEventListener("submit", async (event) => {
    if (event.submitter?.value === "authorize") leaving = true;
    if (event.submitter?.value?.startsWith("fill")) {
      leaving = true; // to the same form, filled in
      form.elements["fill.text"].value = slim(form.elements["fill.text"].value);
    }
    if (event.submitter?.value !== "save") return;
    event.preventDefault();
    const answer = await post(form, event.submitter);
    if (answer?.redirected) {
      leaving = true;
      location.assign(answer.url);
    } else if (answer) {
      await showMistakes(form, answer);
    }
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[value^='set:'], button[value^='pick:']");
    if (!button) return;
    event.preventDefault();
    if (button.value.startsWith("pick:")) {
      const [path, ...values] = button.value.slice(5).split("\n");
      pick(form, path, values.join("\n"), button.dataset.ways?.split("\n") ?? []);
      return;
    }
    const [, path, value] = button.value.match(/^set:([^=]*)=([\s\S]*)$/);
    setField(form, path, value);
  });
  // A field that is being mended is no longer marked as wrong.
  form.addEventListener("input", (event) => clearMistake(form, event.target));
  form.addEventListener("change", (event) => clearMistake(form, event.target));
  bindRows(form);
  fillFromFiles(form);
  markRail(form);
  warnOfTakenName(form);
  document.querySelector("[autofocus]")?.focus();
}

const serialise = (form) => new URLSearchParams(new FormData(form)).toString();

// post sends the form as its button would, and returns the answer; null where
// none came, which has then been said.
export async function post(form, button, accept = "text/html") {
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.set(button.name, button.value);
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: accept } });
    if (!answer.redirected || new URL(answer.url).pathname !== "/sign-in") return answer;
    showProblem("You have been signed out. Nothing was saved; your entries are still here.", "Sign in in another tab, then press the button again.");
    return null;
  } catch {
    showProblem("The relay can’t be reached. Nothing was saved; your entries are still here.");
    return null;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

// showMistakes takes the messages from the page that the server answered with.
export async function showMistakes(form, answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.getElementById("connection-form")) {
    showProblem(page.querySelector("h1")?.textContent ?? "The relay answered " + answer.status,
      ...[...page.querySelectorAll(".oops > p:not(.num)")].map((p) => p.textContent));
    return;
  }
  const problems = page.getElementById("form-errors");
  document.getElementById("form-errors").replaceChildren(...problems.childNodes);
  for (const slot of form.querySelectorAll(".error[id]")) {
    slot.textContent = page.getElementById(slot.id)?.textContent ?? "";
    const field = document.getElementById("f-" + slot.id.slice(2));
    if (!field) continue;
    if (slot.textContent) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  markRail(form);
  const first = form.querySelector("[aria-invalid='true']") ?? document.querySelector("#form-errors .note");
  if (first) {
    first.closest("details")?.setAttribute("open", "");
    if (!first.matches("input, select, textarea")) first.tabIndex = -1;
    first.focus();
  }
}

function clearMistake(form, field) {
  const slot = document.getElementById("e-" + field.name) ?? document.getElementById("e-" + field.id.slice(2));
  if (!slot?.textContent) return;
  slot.textContent = "";
  field.removeAttribute("aria-invalid");
  markRail(form);
}

export function clearMistakes(form) {
  document.getElementById("form-errors").replaceChildren();
  for (const slot of form.querySelectorAll(".error")) slot.textContent = "";
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  markRail(form);
}

function showProblem(title, ...more) {
  const note = document.createElement("div");
  note.className = "note bad";
  note.setAttribute("role", "alert");
  note.tabIndex = -1;
  const text = document.createElement("div");
  const strong = document.createElement("strong");
  strong.textContent = title;
  text.append(strong, " " + more.join(" "));
  note.append(text);
  (document.getElementById("form-errors") ?? document.getElementById("test-result")).replaceChildren(note);
  note.focus();
}

// setField mends one field, as a Fix button or a clicked value asks.
function setField(form, path, value) {
  const [, name, index] = path.match(/^(.*?)(?:\[(\d+)\])?$/);
  const field = form.elements[name];
  if (!field) return;
  if (name === "agentId" && form.elements.mode.value !== "on-premise") setField(form, "mode", "on-premise");
  field.value = index === undefined ? value : withLine(field.value, Number(index), value);
  field.closest?.("details")?.setAttribute("open", "");
  const shown = field instanceof RadioNodeList ? [...field].find((radio) => radio.checked) : field;
  shown.dispatchEvent(new Event("change", { bubbles: true }));
  shown.classList.remove("changed");
  void shown.offsetWidth; // so that the animation starts again
  shown.classList.add("changed");
  shown.focus();
  announce("Set to " + value + ". Press Test to try it.");
}

// pick makes a value of the answer what the ping looks for, and offers the other
// ways to it.
function pick(form, path, values, ways) {
  setField(form, "ping.successValues", values);
  setField(form, "ping.successPath", path);
  document.getElementById("ways")?.remove();
  if (ways.length === 0) return;
  const line = document.createElement("p");
  line.id = "ways";
  line.className = "help";
  line.append("Other ways to it: ");
  for (const way of ways) {
    const button = document.createElement("button");
    button.name = "do";
    button.value = "set:ping.successPath=" + way;
    button.className = "button slim";
    button.textContent = way;
    line.append(button, " ");
  }
  form.elements["ping.successPath"].closest(".field").append(line);
}

// withLine replaces the line of a list of values; blank lines are none.
function withLine(text, index, value) {
  const lines = text.split("\n").filter((line) => line !== "");
  lines[index] = value;
  return lines.join("\n");
}

// A taken name is worth a warning, not an error.
function warnOfTakenName(form) {
  const name = form.elements.name;
  const warning = document.getElementById("name-taken");
  name.addEventListener("change", async () => {
    const query = new URLSearchParams({ name: name.value, id: form.dataset.connection });
    const answer = await fetch("/connections/name?" + query).catch(() => null);
    if (answer?.ok) warning.textContent = await answer.text();
  });
}
