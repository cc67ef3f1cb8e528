// Rows of names and values: headers and secrets.
import { announce } from "./announce.js";

export function bindRows(form) {
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-add], [data-remove], [data-paste]");
    if (!button) return;
    event.preventDefault();
    if (button.dataset.add) add(form, button.dataset.add)?.focus();
    else if ("paste" in button.dataset) paste(form);
    else remove(form, button);
  });
}

function add(form, templateID, name = "", value = "") {
  const list = form.querySelector(templateID === "header-template" ? "[data-pairs=headers]" : "[data-pairs=secrets]");
  list.append(document.getElementById(templateID).content.cloneNode(true));
  number(list);
  const [first, second] = list.lastElementChild.querySelectorAll("input:not([type=hidden])");
  first.value = name;
  second.value = value;
  return first;
}

function remove(form, button) {
  const row = button.closest(".pair");
  const list = row.parentElement;
  const name = row.querySelector("input").value;
  if (row.querySelector("[name='secrets.set']")?.value === "1") {
    // The server keeps what a form leaves out, so a removal is said in so many words.
    const gone = document.createElement("input");
    gone.type = "hidden";
    gone.name = "secrets.removed";
    gone.value = name;
    form.append(gone);
  }
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  number(list);
  (next?.querySelector("input") ?? list.closest(".field").querySelector("[data-add]")).focus();
  announce((name || "The row") + " was removed");
}

function paste(form) {
  const area = form.elements["headers.paste"];
  let added = 0;
  const left = [];
  for (const line of area.value.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const at = line.indexOf(":");
    if (at < 1) {
      left.push(line);
      continue;
    }
    add(form, "header-template", line.slice(0, at).trim(), line.slice(at + 1).trim());
    added++;
  }
  area.value = left.join("\n");
  announce(added + " headers added" + (left.length ? "; the lines without a colon are left" : ""));
  if (left.length === 0) area.closest("details").open = false;
}

// number gives rows the indices by which the server speaks of them.
function number(list) {
  [...list.querySelectorAll(".pair")].forEach((row, index) => {
    for (const element of row.querySelectorAll("[id], [aria-describedby], [value*=':']")) {
      for (const attribute of ["id", "aria-describedby", "value"]) {
        const text = element.getAttribute(attribute);
        if (text && element.tagName !== "INPUT" || text && attribute !== "value") {
          element.setAttribute(attribute, text.replace(/(\.|:)-?\d+(?=\.|$)/, "$1" + index));
        }
      }
    }
  });
}
