// "Send a request": the answer appears below the form, which keeps what was typed.

export function sendInPlace() {
  const form = document.getElementById("send-form");
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const wrong = page.getElementById("e-send-path");
      document.getElementById("e-send-path").textContent = wrong?.textContent ?? "";
      const next = page.getElementById("answer");
      if (next) show([...next.childNodes]);
      else tell(page.querySelector("h1")?.textContent ?? "The relay answered " + answer.status);
    } catch {
      tell("The relay can’t be reached.");
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

function show(nodes) {
  const place = document.getElementById("answer");
  place.replaceChildren(...nodes);
  place.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function tell(text) {
  const note = document.createElement("p");
  note.className = "note bad after";
  note.textContent = text;
  show([note]);
}
