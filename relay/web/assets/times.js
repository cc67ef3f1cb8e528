// Times are relative, with the exact one on hover, in the reader's own zone.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

// The words are those of functions.go, so that nothing jumps when a page opens.
export function ago(date, now = Date.now()) {
  const seconds = Math.abs(date - now) / 1000;
  const format = date <= now ? (text) => text + " ago" : (text) => "in " + text;
  if (seconds < 60) return date <= now ? "just now" : "in a moment";
  if (seconds < 3600) return format(Math.floor(seconds / 60) + " min");
  if (seconds < 86400) return format(Math.floor(seconds / 3600) + " h");
  const days = Math.floor(seconds / 86400);
  return format(days + (days === 1 ? " day" : " days"));
}

// clock is 09:12 today, and the day before that on other days.
export function clock(date) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return time;
  return date.toLocaleDateString([], { day: "numeric", month: "short" }) + " " + time;
}

export function showTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const text = time.classList.contains("clock") ? clock(date) : ago(date);
    if (time.textContent !== text) time.textContent = text;
    const title = exact.format(date);
    if (time.title !== title) time.title = title;
  }
}

export function watchTimes() {
  showTimes();
  setInterval(showTimes, 15000);
}
