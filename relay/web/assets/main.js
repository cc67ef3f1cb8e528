// What a page gains where scripts run. Every page works without.
import { watchTimes } from "./times.js";
import { offerCopies } from "./copy.js";
import { keepLive } from "./live.js";
import { askFirst } from "./confirm.js";
import { enhanceForm } from "./form.js";
import { runTestsInPlace } from "./test.js";
import { sendInPlace } from "./send.js";
import { keepAgentsLive } from "./agents.js";
import { followLogs } from "./log.js";
import { walkPicks, markStops } from "./pick.js";

document.documentElement.classList.add("scripted");
watchTimes();
offerCopies();
askFirst();
keepLive();
const form = document.getElementById("connection-form");
if (form) {
  enhanceForm(form);
  keepAgentsLive(form);
}
runTestsInPlace();
walkPicks();
markStops(document);
sendInPlace();
followLogs();
// Browsers leave autofocus alone where the address leads to a part of the page, and
// take the focus away once they have gone there.
if (location.hash) addEventListener("load", () => document.querySelector("[aria-invalid][autofocus]")?.focus());
