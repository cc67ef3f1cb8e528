// The values of an answer are one stop for the keyboard, and the arrow keys go
// from one to the next: an answer may have hundreds.

export function walkPicks() {
  document.addEventListener("keydown", (event) => {
    const pick = event.target.closest?.("[data-picks] .pick");
    if (!pick) return;
    const all = [...pick.closest("[data-picks]").querySelectorAll(".pick")];
    const at = all.indexOf(pick);
    const next = {
      ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    all[Math.max(0, Math.min(next, all.length - 1))].focus();
  });
  document.addEventListener("focusin", (event) => {
    const pick = event.target.closest?.("[data-picks] .pick");
    if (pick) onlyStop(pick);
  });
}

// markStops leaves one stop in each answer that was shown anew.
export function markStops(root) {
  for (const region of root.querySelectorAll("[data-picks]")) {
    const first = region.querySelector(".pick");
    if (first) onlyStop(first);
  }
}

function onlyStop(pick) {
  for (const other of pick.closest("[data-picks]").querySelectorAll(".pick")) other.tabIndex = other === pick ? 0 : -1;
}
