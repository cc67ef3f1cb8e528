// "Fill from": a HAR file is read here, and all of it that a draft needs no part
// of stays here: pictures, scripts, styles.
import { announce } from "./announce.js";

const longest = 100_000; // characters of an answer that may matter

export function fillFromFiles(form) {
  const input = form.querySelector("[data-recording]");
  const area = form.elements["fill.text"];
  if (!input || !area) return;
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    area.value = slim(await file.text());
    input.value = "";
    announce(file.name + " was read. Press Fill in the form.");
    form.querySelector("button[value='fill']").focus();
  });
}

// slim is a HAR without what no draft is made of; any other text stays as it is.
export function slim(text) {
  let har;
  try {
    har = JSON.parse(text);
  } catch {
    return text;
  }
  if (!Array.isArray(har?.log?.entries)) return text;
  const entries = har.log.entries.map(({ request = {}, response = {} }) => {
    const { method, url, headers, cookies, postData } = request;
    const { mimeType = "", text: body = "", encoding } = response.content ?? {};
    const matters = /json|xml|html/.test(mimeType) && body.length <= longest;
    return {
      request: { method, url, headers, cookies, postData },
      response: { status: response.status, headers: response.headers, cookies: response.cookies, content: { mimeType, encoding, text: matters ? body : "" } },
    };
  });
  return JSON.stringify({ log: { entries } });
}
