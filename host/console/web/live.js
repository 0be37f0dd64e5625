// Keeps the content of a page up to date. The host tells when it has changed.

import { localTimes } from "./time.js";

export function keepUpToDate(state) {
  if (!state) return;
  const source = new EventSource("/console/changes");
  source.onopen = () => { state.textContent = "This page follows the host."; };
  source.onerror = () => { state.textContent = "The host does not answer. The page shows what it was."; };
  source.onmessage = refresh;
  document.addEventListener("visibilitychange", refresh);
}

let isBusy = false;

async function refresh() {
  if (isBusy || document.hidden || isInUse()) return;
  isBusy = true;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("[data-content]");
    const now = document.querySelector("[data-content]");
    if (!next || !now || isInUse()) return;
    localTimes(next);
    now.replaceWith(next);
  } catch {
    // The stream of changes tells that the host does not answer.
  } finally {
    isBusy = false;
  }
}

// Whoever reads by keyboard, fills a field or marks text keeps the page as it is.
function isInUse() {
  const content = document.querySelector("[data-content]");
  const selection = document.getSelection();
  return content?.contains(document.activeElement) || (selection && !selection.isCollapsed);
}
