// The rail shows where one is, and which steps have a mistake.

let watching = null;

export function markRail(form) {
  const links = [...form.querySelectorAll(".rail a")];
  const sections = links.map((link) => document.getElementById(link.hash.slice(1)));
  links.forEach((link, i) => {
    const wrong = [...sections[i].querySelectorAll(".error")].some((slot) => slot.textContent);
    link.classList.toggle("has-error", wrong);
    link.querySelector(".unseen")?.remove();
    if (wrong) {
      const word = document.createElement("span");
      word.className = "unseen";
      word.textContent = ", has a mistake";
      link.append(word);
    }
  });
  if (watching) return;
  watching = () => {
    // The step in sight is the last whose top has passed a third of the window.
    const line = window.innerHeight / 3;
    let at = 0;
    sections.forEach((section, i) => { if (section.getBoundingClientRect().top < line) at = i; });
    if (window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 4) at = sections.length - 1;
    links.forEach((link, i) => {
      if (i === at) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
  };
  document.addEventListener("scroll", watching, { passive: true });
  watching();
}
