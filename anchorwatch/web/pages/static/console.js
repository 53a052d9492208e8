// Keeps a page fresh, and lets it be driven by keys. Without it every page works; nothing here is needed to read one.
"use strict";
const state = document.getElementById("state");
const wantsNews = document.body.dataset.live === "yes";
let stream = null, timer = 0, again = 0, spent = 0, since = new Date(), shown = "";

const clock = (at) => at.toISOString().slice(11, 16);
const say = (text, kind) => { if (state && text !== shown) { shown = state.textContent = text; state.className = `state ${kind}`; } };
const spans = [["y", 31536000], ["d", 86400], ["h", 3600], ["min", 60]];
function span(seconds) {
  for (let i = 0; i < spans.length; i++) {
    const [unit, size] = spans[i];
    if (seconds < size) continue;
    const count = Math.floor(seconds / size), finer = spans[i + 1], rest = seconds % size;
    return count < 3 && finer && rest >= finer[1] ? `${count} ${unit} ${Math.floor(rest / finer[1])} ${finer[0]}` : `${count} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}
function age() {
  for (const one of document.querySelectorAll("time[data-age]")) {
    const past = (Date.now() - Date.parse(one.dateTime)) / 1000;
    if (past >= 0) one.textContent = span(past);
  }
}

// Only what is marked as live is put anew, and never where somebody types or has opened something.
function isBusy(part) {
  const at = document.activeElement;
  return (part.contains(at) && at.matches("input, textarea, select")) || part.querySelector("details[open], .touched") !== null;
}
async function refresh() {
  clearTimeout(timer); timer = 0;
  if (document.hidden) return;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live][id]")) {
      const other = fresh.getElementById(part.id);
      if (other && other.innerHTML !== part.innerHTML && !isBusy(part)) {
        const places = [...part.querySelectorAll(".scroll")].map((one) => one.scrollTop), row = rows().indexOf(document.querySelector("tr.at"));
        part.replaceChildren(...other.childNodes);
        [...part.querySelectorAll(".scroll")].forEach((one, i) => { one.scrollTop = places[i] || 0; });
        if (row >= 0) rows()[row]?.classList.add("at");
      }
    }
    since = new Date(); say("live", "live");
    if (wantsNews && !stream) soon(15000); // nobody tells us: look now and then
  } catch { say(`stale since ${clock(since)}`, "stale"); soon(15000); }
  spent = performance.now() - began;
}
function soon(wait) { if (!timer) timer = setTimeout(refresh, wait); }
function changed(event) {
  let what = "";
  try { what = JSON.parse(event.data).what; } catch { /* another version's word: look all the same */ }
  const quiet = Date.now() - since > 4000;
  // Verdicts of a large estate change all the time: a tab then costs about a hundredth of what a server can do.
  soon(quiet ? 100 : what === "verdicts" ? Math.max(2000, 100 * spent) : 1000);
  clearTimeout(again); again = setTimeout(refresh, Math.max(1800, what === "verdicts" ? 100 * spent : 0));
}
function listen() {
  stream?.close();
  stream = new EventSource("/api/v1/events");
  stream.addEventListener("changed", changed);
  stream.onopen = () => say("live", "live");
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) { stream = null; soon(15000); setTimeout(() => { if (!stream && !document.hidden) listen(); }, 60000); } else say(`stale since ${clock(since)}`, "stale"); };
}
function attend() {
  if (document.hidden) { stream?.close(); stream = null; clearTimeout(again); } else { refresh(); listen(); }
}

const rows = () => [...document.querySelectorAll("tbody tr")].filter((row) => row.querySelector("a") && row.offsetParent);
function move(by) {
  const all = rows(), at = all.findIndex((row) => row.classList.contains("at")), next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  if (!next) return;
  all[at]?.classList.remove("at"); next.classList.add("at"); next.scrollIntoView({ block: "nearest" }); next.querySelector("a").focus({ preventScroll: true });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const help = document.getElementById("help");
  const acts = { "/": () => document.getElementById("q")?.focus(), j: () => move(1), k: () => move(-1), "?": () => (help.open ? help.close() : help.showModal()) };
  if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
});
document.addEventListener("input", (event) => { if (event.target.form) event.target.form.classList.add("touched"); });
setInterval(() => { if (!document.hidden) age(); }, 20000);
if (wantsNews) { document.addEventListener("visibilitychange", attend); say("live", "live"); if (!document.hidden) listen(); }
