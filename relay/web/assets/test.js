// Test: the steps appear as they happen. The server sends each step as the
// markup that it would have put into a whole page.
import { post, showMistakes, clearMistakes } from "./form.js";
import { showTimes } from "./times.js";
import { markStops } from "./pick.js";

export function runTestsInPlace() {
  const place = document.getElementById("test-result");
  if (!place) return;
  let running = false;
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const button = event.submitter;
    const inForm = form.id === "connection-form";
    if (!(inForm && ["test", "compare", "compare-sign-in"].includes(button?.value)) && !form.matches("[data-test]")) return;
    event.preventDefault();
    if (running) return;
    running = true;
    try {
      await run(form, button, place, inForm);
    } finally {
      running = false;
    }
  });
}

async function run(form, button, place, inForm) {
  const said = document.getElementById("said");
  const waiting = document.getElementById("running-template");
  if (said && waiting) said.replaceChildren(waiting.content.cloneNode(true));
  const answer = await post(form, button, "text/event-stream");
  if (!answer) {
    said?.replaceChildren();
    return;
  }
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    said?.replaceChildren();
    if (inForm) await showMistakes(form, answer);
    else location.reload();
    return;
  }
  if (inForm) clearMistakes(form);
  button?.setAttribute("aria-busy", "true");
  const card = document.createElement("div");
  card.className = "card";
  const steps = document.createElement("div");
  steps.className = "test-steps";
  card.append(steps);
  place.replaceChildren(card);
  place.scrollIntoView({ block: "nearest", behavior: "smooth" });
  let finished = false;
  try {
    for await (const { type, data } of events(answer.body)) {
      if (type === "step") putStep(steps, data);
      if (type === "comparison") card.replaceChildren(...fragment(data).childNodes);
      if (type === "place") putPlace(card, data);
      if (type === "said") said?.replaceChildren(...fragment(data).childNodes);
      if (type === "result") {
        card.replaceChildren(...fragment(data).childNodes);
        finished = true;
      }
      showTimes(card);
      markStops(card);
    }
  } catch {
    // told below: a stream that breaks and one that ends early are the same to a reader
  }
  button?.removeAttribute("aria-busy");
  if (!finished) {
    said?.replaceChildren();
    const note = document.createElement("p");
    note.className = "note bad";
    note.textContent = "The connection to the relay was lost before the test had finished. Test again.";
    card.prepend(note);
  }
  place.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function putStep(steps, markup) {
  const step = fragment(markup).firstElementChild;
  const before = steps.querySelector(`[data-step="${step.dataset.step}"]`);
  if (before) before.replaceWith(step);
  else steps.append(step);
}

// putPlace replaces the row of a place that was compared.
function putPlace(card, markup) {
  const row = fragment(markup).querySelector("[data-place]");
  card.querySelector(`[data-place="${row.dataset.place}"]`)?.replaceWith(row);
}

function fragment(markup) {
  const template = document.createElement("template");
  template.innerHTML = markup; // our own templates, escaped on the server
  return template.content;
}

// events reads a text/event-stream (HTML standard, section 9.2.5).
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const event = { type: "message", data: [] };
      for (const line of rest.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) event.type = line.slice(7);
        else if (line.startsWith("data: ")) event.data.push(line.slice(6));
      }
      rest = rest.slice(end + 2);
      yield { type: event.type, data: event.data.join("\n") };
    }
  }
}
