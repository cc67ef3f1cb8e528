// The live log of an agent's machines: it begins when somebody asks for it, and
// ends with the page. Nothing of it is kept.
const most = 500; // lines that are shown

export function followLogs() {
  const card = document.querySelector("[data-agent-log]");
  if (!card) return;
  card.hidden = false;
  const [button, level, lines, status] = ["button", "select", "pre", "[role=status]"].map((name) => card.querySelector(name));
  let source = null;
  const say = (text) => { status.textContent = text; };
  const show = (text, kind) => {
    const line = document.createElement("span");
    line.className = kind;
    line.textContent = text + "\n";
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
    lines.append(line);
    while (lines.childElementCount > most) lines.firstElementChild.remove();
    lines.hidden = false;
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  };
  const stop = () => {
    source?.close();
    source = null;
    button.textContent = "Follow";
    button.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    source = new EventSource(`/api/v1/agents/${encodeURIComponent(card.dataset.agentLog)}/logs?level=${level.value}`);
    source.addEventListener("open", () => say("Waiting for lines…"));
    source.addEventListener("error", () => say("The connection to the relay broke; trying again…"));
    source.addEventListener("log", (event) => { say(""); show(lineOf(JSON.parse(event.data)), JSON.parse(event.data).level); });
    source.addEventListener("dropped", (event) => {
      const told = JSON.parse(event.data);
      show(`${told.hostname}: ${told.lines} lines are missing here: more was logged than may travel`, "warn");
    });
    source.addEventListener("off", (event) => say(`${JSON.parse(event.data).hostname} does not share its log. Its site allows it by remoteLogs: true in agent.yaml.`));
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    say("Connecting…");
  };
  button.addEventListener("click", () => {
    if (source) {
      stop();
      say("");
    } else start();
  });
  level.addEventListener("change", () => {
    if (!source) return;
    stop();
    start();
  });
  window.addEventListener("pagehide", stop); // a page that is kept for "Back" must not hold the stream
}

function lineOf(line) {
  const time = new Date(line.time).toLocaleTimeString([], { hour12: false });
  const fields = Object.entries(line.fields ?? {}).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [time, line.level.toUpperCase().padEnd(5), line.hostname, line.logger, line.msg, ...fields].filter(Boolean).join("  ");
}
