// Follows the log of a plugin. Lines are text, whatever is in them.

const MAX_LINES = 1000;

export function followLog(list) {
  if (!list) return;
  const state = document.querySelector("[data-log-state]");
  const source = new EventSource(list.dataset.log);
  // The stream begins with the lines that the page has, also after a broken connection.
  const seen = new Set();
  list.replaceChildren();
  source.onopen = () => { state.textContent = "New lines appear here."; };
  source.onerror = () => { state.textContent = "The host does not answer. The page tries again."; };
  source.onmessage = (event) => {
    if (seen.has(event.data)) return;
    seen.add(event.data);
    if (seen.size > MAX_LINES) seen.delete(seen.values().next().value);
    document.querySelector("[data-log-empty]")?.remove();
    add(list, JSON.parse(event.data));
  };
  source.addEventListener("lost", (event) => {
    add(list, { level: "WARN", message: `${JSON.parse(event.data).lost_lines} lines were too fast for this page` });
  });
}

function add(list, { timestamp, level, message, ...fields }) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("p");
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  line.textContent = [timestamp, level, message, ...rest].filter(Boolean).join(" ");
  if (/^[A-Z]+$/.test(level)) line.classList.add(`level-${level}`);
  list.append(line);
  while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}
