// Keeps a page fresh: when the server says that something changed, the page is fetched again and the parts
// that differ are exchanged. Without this script the page is complete and reloads by itself.
"use strict";
(() => {
  const LEAST = 2000; // milliseconds between two refreshes
  const status = document.getElementById("live");
  let fetchedAt = 0, waiting = null, busy = false, again = false;

  function unit(seconds) {
    const two = (n) => String(n).padStart(2, "0");
    if (seconds < 60) return Math.round(seconds) + " s";
    const minutes = Math.floor(seconds / 60);
    if (seconds < 600) return minutes + " m " + two(Math.floor(seconds % 60)) + " s";
    if (seconds < 3600) return minutes + " m";
    if (seconds < 86400) return Math.floor(seconds / 3600) + " h " + two(Math.floor((seconds % 3600) / 60)) + " m";
    return Math.floor(seconds / 86400) + " d " + Math.floor((seconds % 86400) / 3600) + " h";
  }

  function age() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = unit(Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function say(kind, text) {
    status.className = "live " + kind;
    if (status.textContent !== text) status.textContent = text;
  }

  function place(element) { // how to find the focused element again
    const row = element.closest("[data-key]");
    const part = element.closest("[data-live]");
    return part && { part: part.id, key: row && row.dataset.key, tag: element.tagName, text: element.textContent };
  }

  function refocus(where) {
    const part = document.getElementById(where.part);
    if (!part) return;
    const row = where.key === null ? part : part.querySelector('[data-key="' + CSS.escape(where.key) + '"]');
    for (const one of (row || part).querySelectorAll(where.tag)) {
      if (one.textContent === where.text) { one.focus({ preventScroll: true }); return; }
    }
  }

  function exchange(old, fresh) {
    const known = new Set(Array.from(old.querySelectorAll("[data-key]"), (row) => row.dataset.key));
    const scrolls = Array.from(old.querySelectorAll(".scroll"), (one) => [one.scrollLeft, one.scrollTop]);
    const opened = Array.from(old.querySelectorAll("details[open]"), (one) => one.closest("[data-key]").dataset.key);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll(".scroll").forEach((one, n) => {
      if (scrolls[n]) [one.scrollLeft, one.scrollTop] = scrolls[n];
    });
    for (const row of old.querySelectorAll("tr[data-key]")) {
      if (known.size && !known.has(row.dataset.key)) row.classList.add("fresh");
      if (opened.includes(row.dataset.key)) for (const one of row.querySelectorAll("details")) one.open = true;
    }
    old.dispatchEvent(new CustomEvent("exchanged", { bubbles: true }));
  }

  async function refresh() {
    if (busy || document.hidden) { again = true; return; }
    busy = true;
    again = false;
    try {
      const reply = await fetch(location.href, { headers: { accept: "text/html" } });
      if (reply.status === 401) { location.reload(); return; }
      const text = await reply.text();
      const page = new DOMParser().parseFromString(text, "text/html");
      const focus = document.activeElement && document.activeElement.closest("[data-live]") ? place(document.activeElement) : null;
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        const asked = part.dataset.was;
        if (fresh && fresh.innerHTML !== asked) {
          part.dataset.was = fresh.innerHTML;
          exchange(part, fresh);
        }
      }
      if (focus && document.activeElement === document.body) refocus(focus);
      age();
    } catch (error) {
      again = true; // the stream will say when the server is back
    } finally {
      fetchedAt = Date.now();
      busy = false;
    }
    if (again) soon();
  }

  function soon() {
    if (waiting !== null) return;
    waiting = setTimeout(() => { waiting = null; refresh(); }, Math.max(0, fetchedAt + LEAST - Date.now()));
  }

  // Browsers open few connections to one server: only the tab that one looks at holds a stream.
  let stream = null;

  function leave() {
    if (stream) stream.close();
    stream = null;
  }

  function listen() {
    if (stream || document.hidden) return;
    const mine = stream = new EventSource("/live");
    mine.onopen = () => say("on", "live");
    mine.onerror = () => {
      say("off", "not connected");
      if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      leave();
      setTimeout(listen, 30000);
    };
    mine.addEventListener("changed", soon);
  }

  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else { listen(); if (again) soon(); }
  });
  setInterval(age, 1000);
  listen();
})();
