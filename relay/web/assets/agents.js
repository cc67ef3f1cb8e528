// The agent dropdown shows each agent's state as it is now, while the form is open.
import { follow } from "./live.js";
import { clock } from "./times.js";
import { announce } from "./announce.js";

export function keepAgentsLive(form) {
  const select = form.querySelector("[data-agents]");
  if (!select) return;
  let chosen = select.value;
  let awaited = false; // an agent is being installed in another tab
  showSince(select);

  select.addEventListener("change", () => {
    if (select.value !== "install") {
      chosen = select.value;
      return;
    }
    select.value = chosen;
    awaited = true;
    window.open("/agents/new", "_blank", "noopener");
    announce("The installation opens in a new tab. The agent appears here by itself.");
  });
  document.getElementById("agent-install")?.addEventListener("click", () => { awaited = true; });

  follow(["agent"], async () => {
    const known = new Set([...select.options].map((option) => option.value));
    const answer = await fetch("/agents/options?selected=" + encodeURIComponent(select.value)).catch(() => null);
    if (!answer?.ok) return;
    const next = document.createElement("select");
    next.innerHTML = await answer.text(); // our own template, escaped on the server
    showSince(next);
    if (next.innerHTML === select.innerHTML) return;
    const value = select.value;
    select.replaceChildren(...next.children);
    select.value = value;
    const fresh = [...select.options].filter((option) => !known.has(option.value));
    if (awaited && select.value === "" && fresh.length === 1) {
      select.value = chosen = fresh[0].value;
      select.dispatchEvent(new Event("change", { bubbles: true }));
      announce(fresh[0].dataset.name + " is selected");
    }
  });
}

// An option can't hold a <time>: the server's UTC is put into the reader's zone here.
function showSince(select) {
  for (const option of select.querySelectorAll("[data-since]")) {
    option.textContent = option.textContent.replace(/since .*$/, "since " + clock(new Date(option.dataset.since)));
  }
}
