// Regions marked data-live="agent connection" follow the relay's events: when
// something of that kind changes, the page's own address is fetched again and
// the region is replaced by its newer self.
import { showTimes } from "./times.js";

const settle = 250; // ms: a burst of events is one fetch

export function keepLive() {
  const regions = [...document.querySelectorAll("[data-live][id]")];
  if (regions.length === 0) return;
  const kinds = new Set(regions.flatMap((region) => region.dataset.live.split(" ")));
  const address = regions.find((region) => region.dataset.liveFrom)?.dataset.liveFrom ?? location.href;
  follow(kinds, () => refresh(address, regions.map((region) => region.id)));
}

// follow calls changed() soon after an event of one of the kinds, and after a
// sync: the stream begins with one, and sends another if events were missed.
export function follow(kinds, changed) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, settle);
  };
  const events = new EventSource("/api/v1/events");
  for (const kind of ["sync", ...kinds]) events.addEventListener(kind, soon);
  // A page that is kept for "Back" must not hold the stream.
  window.addEventListener("pagehide", () => events.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

export async function refresh(address, ids) {
  const page = await fetchPage(address);
  if (!page) return;
  for (const id of ids) {
    const now = document.getElementById(id);
    const next = page.getElementById(id);
    if (!now || !next || now.contains(document.activeElement)) continue;
    showTimes(next);
    if (now.innerHTML !== next.innerHTML) now.replaceChildren(...next.childNodes);
  }
}

async function fetchPage(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null; // the relay is away; the stream's return asks again
  }
}
