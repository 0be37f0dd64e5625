// The client of the HTTP API.

const REQUEST_TIMEOUT_MS = 30_000;
// An event from one component reaches another one within moments. Until then
// the other component answers 404.
const NOT_FOUND_ATTEMPTS = 8;
const NOT_FOUND_DELAY_MS = 250;

/** A failed API request. The status is 0 if there was no response. */
export class ApiError extends Error {
  constructor(status, problems, retryAfter, data) {
    super(problems.map((problem) => problem.message).join('. '));
    this.status = status;
    this.problems = problems;
    this.retryAfter = retryAfter;
    this.data = data;
  }

  /** Whether the same request may succeed a little later. */
  get isTemporary() {
    return this.status === 0 || this.status >= 500;
  }
}

/** Sends a request, and returns the parsed body and the headers. */
export async function api(method, path, body, headers = {}) {
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }), ...headers },
      body: body && JSON.stringify(body),
      cache: 'no-store',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    throw new ApiError(0, [{ message: 'The marketplace does not answer. Check the connection and try again' }]);
  }
  const data = parse(text);
  if (response.ok) return { data, headers: response.headers };
  const problems = data?.errors ?? [{ message: 'The marketplace gave an answer that makes no sense' }];
  throw new ApiError(response.status, problems, response.headers.get('retry-after'), data);
}

/** The keys of requests whose answer did not arrive. */
const openKeys = new Map();

/** Makes something with a POST. A request that is repeated after a temporary failure has the same key, so it makes nothing twice. */
export async function make(path, body) {
  const request = JSON.stringify([path, body]);
  const key = openKeys.get(request) ?? newKey();
  openKeys.set(request, key);
  try {
    const answer = await api('POST', path, body, { 'idempotency-key': key });
    openKeys.delete(request);
    return answer;
  } catch (error) {
    if (!error.isTemporary) openKeys.delete(request);
    throw error;
  }
}

/** `crypto.randomUUID` exists only on pages that came over TLS. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Parses JSON. A price stays the text that the server sent. */
function parse(text) {
  try {
    return JSON.parse(text, (key, value, context) =>
      key === 'price' && typeof value === 'number' ? (context?.source ?? String(value)) : value,
    );
  } catch {
    return null;
  }
}

/** Repeats a request for a short time while the answer is 404. */
export async function retryWhileNotFound(request) {
  for (let attempts = NOT_FOUND_ATTEMPTS; ; attempts -= 1) {
    try {
      return await request();
    } catch (error) {
      if (error.status !== 404 || attempts <= 1) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, NOT_FOUND_DELAY_MS));
  }
}

/** The signed-in user, or null. */
export async function currentUser() {
  return (await api('GET', '/api/users/currentuser')).data.currentUser;
}

/** The order, or null if it is not an order of the signed-in user. */
export async function findOwnOrder(id) {
  try {
    return (await api('GET', `/api/orders/${id}`)).data;
  } catch (error) {
    if (error.status === 401 || error.status === 404) return null;
    throw error;
  }
}

/** The URL in a `Link` header with `rel="next"`, or null. */
export function nextLink(headers) {
  return /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers.get('link') ?? '')?.[1] ?? null;
}
