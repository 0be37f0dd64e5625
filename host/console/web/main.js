// The pages work without scripts. The scripts add the local time, progress, and the log.

import { localTimes } from "./time.js";
import { watchUpload } from "./upload.js";
import { followLog } from "./log.js";
import "./slider.js";
import { watchEvents } from "./events.js";
import { keepUpToDate } from "./live.js";

localTimes(document);
watchUpload(document.querySelector("[data-upload]"));
followLog(document.querySelector("[data-log]"));
keepUpToDate(document.querySelector("[data-live]"));
watchEvents(document.querySelector("[data-events]"));

// A form is sent once, also after two clicks.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.ariaBusy === "true") {
    event.preventDefault();
    return;
  }
  form.ariaBusy = "true";
});

// The browser keeps the page in memory when its user goes on.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.ariaBusy = null;
});
