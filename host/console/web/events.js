// Shows events as they are published. Payloads are text, whatever is in them.

const MAX_EVENTS = 200;

export function watchEvents(list) {
  if (!list) return;
  const state = document.querySelector("[data-log-state]");
  const source = new EventSource(list.dataset.events);
  source.onerror = () => { state.textContent = "The host does not answer. The page tries again."; };
  source.onmessage = (event) => {
    state.textContent = "The newest event is at the end.";
    add(list, JSON.parse(event.data));
  };
  source.addEventListener("lost", (event) => {
    state.textContent = `${JSON.parse(event.data).lost_events} events were too fast for this page.`;
  });
}

function add(list, { time_ms, subject, source, id, payload, payload_hex, payload_bytes }) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("p");
  const body = payload === undefined ? payload_hex : JSON.stringify(payload);
  line.textContent = `${new Date(time_ms).toISOString()} ${subject} from ${source} ${id} ${body} (${payload_bytes} bytes)`;
  list.append(line);
  while (list.childElementCount > MAX_EVENTS) list.firstElementChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}
