// Buttons that copy an id or a command.
import { announce } from "./announce.js";

export function offerCopies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    if (!await copy(button.dataset.copy)) {
      announce("The browser did not allow copying");
      return;
    }
    button.classList.add("done");
    button.title = "Copied";
    announce("Copied");
    setTimeout(() => { button.classList.remove("done"); button.title = ""; }, 1800);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard interface is missing on plain http: select and copy instead.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
