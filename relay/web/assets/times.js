// Times are relative, with the exact one on hover, in the reader's own zone.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["min", 60]];

export function ago(date, now = Date.now()) {
  const seconds = (date - now) / 1000;
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) {
      return relative.format(Math.trunc(seconds / length), unit === "min" ? "minute" : unit);
    }
  }
  return seconds > 5 ? "in a moment" : "just now";
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
    const text = ago(date);
    if (time.textContent !== text) time.textContent = text;
    const title = exact.format(date);
    if (time.title !== title) time.title = title;
  }
}

export function watchTimes() {
  showTimes();
  setInterval(showTimes, 15000);
}
