// What the pages do: they ask the API for what they show, and send it what the
// visitor decides. Text from the API becomes text here, never markup, and
// prices are handled as the digits that they came in.

const main = document.querySelector('main');
const here = location.pathname + location.search;

const PAGE_ITEMS = 24;
const REQUEST_TIMEOUT_MS = 30_000;
const POLL_MS = 1_000;
// What one component has just learned, another one learns within moments.
const LATECOMER_ATTEMPTS = 8;
const LATECOMER_WAIT_MS = 250;
const ANNOUNCED_SECONDS = [60, 30, 10];

const pages = {
  browse: browsePage,
  ticket: ticketPage,
  sell: sellPage,
  orders: ordersPage,
  order: orderPage,
  signin: accountPage('/api/users/signin'),
  signup: accountPage('/api/users/signup'),
  notfound: () => {},
};

/** An answer that is not a success; status 0 when there was none. */
class Refusal extends Error {
  constructor(status, problems, retryAfter) {
    super(problems.map((problem) => problem.message).join('. '));
    this.status = status;
    this.problems = problems;
    this.retryAfter = retryAfter;
  }
}

async function start() {
  const user = await currentUser();
  document.querySelectorAll('[data-session]').forEach((element) => {
    element.hidden = (element.dataset.session === 'in') !== (user !== null);
  });
  document.querySelector('[data-user]').textContent = user?.email ?? '';
  document.querySelectorAll('nav a').forEach((link) => {
    if (link.pathname === location.pathname) link.setAttribute('aria-current', 'page');
  });
  document.querySelector('[data-sign-out]').addEventListener('click', () => attempt(signOut));
  // A page that the browser kept may be of somebody who has signed out since.
  addEventListener('pageshow', async (event) => {
    if (event.persisted && (await currentUser())?.id !== user?.id) location.reload();
  });
  showNotice();
  await pages[main.dataset.page](user);
}

async function currentUser() {
  return (await api('GET', '/api/users/currentuser')).data.currentUser;
}

async function signOut() {
  await api('POST', '/api/users/signout', {});
  leaveFor('/', 'You are signed out.');
}

// The pages

async function browsePage(user) {
  const query = new URLSearchParams(location.search).get('q') ?? '';
  element('#q').value = query;
  const found = await listing('/api/tickets', 'ticket', { q: query }, (item, ticket) => {
    fillStub(item, `/tickets/${ticket.id}`, ticket, ticket.userId === user?.id && 'Yours');
  });
  if (found > 0) return;
  element('[data-status]').textContent = query
    ? `No ticket for sale has “${query}” in its title.`
    : 'No tickets are for sale at the moment.';
}

async function ordersPage(user) {
  requireUser(user);
  const found = await listing('/api/orders', 'order', {}, (item, order, headers) => {
    fillStub(item, `/orders/${order.id}`, order.ticket, shortState(order, serverClock(headers)));
  });
  if (found === 0) element('[data-status]').textContent = 'You have not ordered anything yet.';
}

async function ticketPage(user) {
  const path = `/api${location.pathname}`;
  const { data: ticket, headers } = await api('GET', path);
  title(ticket.title);
  fillTicket(ticket);
  const mine = ticket.userId === user?.id;
  const order = ticket.orderId && user && !mine ? await orderIfMine(ticket.orderId) : null;
  const part = ticketPart(ticket, { user, mine, order });
  showPart(part);
  show('ready');
  if (part === 'ordered') element('[data-order]').href = `/orders/${order.id}`;
  if (part === 'visitor') element('[data-sign-in]').href = withNext('/signin', here);
  if (part === 'buy') offerToBuy(ticket);
  if (part === 'edit') offerToEdit(path, ticket, headers.get('etag'));
}

function ticketPart(ticket, { user, mine, order }) {
  if (ticket.orderId) return mine ? 'held' : order ? 'ordered' : 'reserved';
  if (mine) return 'edit';
  return user ? 'buy' : 'visitor';
}

function offerToBuy(ticket) {
  const problem = element('[data-problem]');
  onClick(element('[data-buy]'), async () => {
    problem.textContent = '';
    try {
      const { data: order } = await patiently(() => api('POST', '/api/orders', { ticketId: ticket.id }));
      leaveFor(`/orders/${order.id}`);
    } catch (refusal) {
      if (refusal.status === 401) return signInFirst();
      problem.textContent = describe(refusal);
    }
  });
}

function offerToEdit(path, ticket, etag) {
  const form = element('[data-edit]');
  form.elements.title.value = ticket.title;
  form.elements.price.value = decimal(ticket.price);
  onSubmit(form, async ({ title, price }) => {
    const headers = etag ? { 'if-match': etag } : {};
    await api('PUT', path, { title, price: price.trim() }, headers);
    leaveFor(location.pathname, 'Your ticket is changed.');
  });
}

function sellPage(user) {
  requireUser(user);
  show('ready');
  onSubmit(element('[data-form]'), async ({ title, price }) => {
    const { data: ticket } = await api('POST', '/api/tickets', { title, price: price.trim() });
    leaveFor(`/tickets/${ticket.id}`, 'Your ticket is for sale.');
  });
}

function accountPage(path) {
  return (user) => {
    const next = nextPage();
    if (user) return location.replace(next);
    const other = element('[data-other]');
    other.href = withNext(other.pathname, next);
    show('ready');
    onSubmit(element('[data-form]'), async ({ email, password }) => {
      await api('POST', path, { email: email.trim(), password });
      leaveFor(next);
    });
  };
}

async function orderPage(user) {
  requireUser(user);
  const path = `/api${location.pathname}`;
  const form = element('[data-pay]');
  const view = { order: null, clock: null, cancelling: false, paying: false, poll: null, told: new Set() };

  const refresh = async () => {
    clearTimeout(view.poll);
    const { data: order, headers } = await api('GET', path);
    view.clock ??= serverClock(headers);
    // Answers may overtake each other.
    if (!view.order || order.version >= view.order.version) view.order = order;
    drawOrder(view);
    if (isMoving(view)) view.poll = setTimeout(() => attempt(follow), POLL_MS);
  };
  const follow = async () => {
    try {
      await refresh();
    } catch (refusal) {
      if (!isPassing(refusal)) throw refusal;
      view.poll = setTimeout(() => attempt(follow), POLL_MS);
    }
  };

  onSubmit(form, async ({ token }) => {
    view.paying = true;
    try {
      await patiently(() => api('POST', '/api/payments', { orderId: view.order.id, token }));
    } catch (refusal) {
      view.paying = false;
      await refresh();
      throw refusal;
    }
    await refresh();
  });
  onClick(element('[data-cancel]'), async () => {
    try {
      await api('DELETE', path);
      view.cancelling = true;
    } catch (refusal) {
      showProblems(form, refusal);
    }
    await refresh();
  });

  await refresh();
  title(view.order.ticket.title);
  fillTicket(view.order.ticket);
  element('[data-amount]').textContent = `Pay ${money(view.order.ticket.price)}`;
  element('[data-ticket]').href = `/tickets/${view.order.ticket.id}`;
  show('ready');
  setInterval(() => tick(view, follow), 200);
  document.addEventListener('visibilitychange', () => document.hidden || attempt(follow));
}

// An order, as time goes by

/** Whether the order is about to change without the visitor's doing. */
function isMoving(view) {
  const { status } = view.order;
  return status === 'awaiting:payment' || (status === 'created' && (view.paying || view.clock.left(view.order) <= 0));
}

function drawOrder(view) {
  const { part, state } = orderState(view);
  const line = element('[data-state]');
  if (line.textContent !== state) line.textContent = state;
  const focused = element('[data-part]:not([hidden])', main, true)?.contains(document.activeElement);
  const changed = showPart(part);
  // What had the focus is gone: it goes to what says why.
  if (changed && focused) line.focus();
}

function orderState(view) {
  const { status } = view.order;
  if (status === 'complete') return { part: 'complete', state: 'Paid. The ticket is yours.' };
  if (status === 'cancelled') {
    const reason = view.cancelling ? 'You cancelled this order.' : 'This order was not paid in time, or was cancelled.';
    return { part: 'over', state: `${reason} You are not charged.` };
  }
  if (status === 'awaiting:payment' || view.paying) {
    return { part: 'wait', state: 'The payment is being processed…' };
  }
  if (view.clock.left(view.order) <= 0) {
    return { part: 'over', state: 'The time to pay is over. The ticket goes back on sale.' };
  }
  return { part: 'pay', state: 'The ticket is reserved for you.' };
}

function tick(view, follow) {
  const { order, clock } = view;
  if (order.status !== 'created' || view.paying) return;
  const left = Math.max(0, clock.left(order));
  const timer = element('[data-timer]');
  const text = minutes(left);
  if (timer.textContent !== text) timer.textContent = text;
  timer.classList.toggle('urgent', left <= 10);
  if (ANNOUNCED_SECONDS.includes(left) && !view.told.has(left)) {
    view.told.add(left);
    element('[data-announcement]').textContent = `${left} seconds left to pay`;
  }
  if (left === 0 && !view.told.has(0)) {
    view.told.add(0);
    element('[data-announcement]').textContent = '';
    drawOrder(view);
    attempt(follow);
  }
}

/** The server's time, as far as its answer tells; this machine's may be wrong. */
function serverClock(headers) {
  const date = Date.parse(headers.get('date') ?? '');
  const ahead = date - Date.now();
  // The header counts whole seconds, so a small difference means nothing.
  const offset = Math.abs(ahead) > 2_000 ? ahead : 0;
  return { left: (order) => Math.ceil((Date.parse(order.expiresAt) - Date.now() - offset) / 1_000) };
}

function shortState(order, clock) {
  if (order.status === 'created') return clock.left(order) > 0 ? 'To be paid' : 'Time over';
  return { complete: 'Paid', cancelled: 'Cancelled', 'awaiting:payment': 'Payment under way' }[order.status];
}

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

// Lists

/** Fills the page's list, a page of the API's at a time. Answers with how many items are there. */
async function listing(path, noun, filters, fill) {
  const list = element('[data-list]');
  const more = element('[data-more]');
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  query.set('limit', PAGE_ITEMS);
  let next = `${path}?${query}`;

  const load = async () => {
    const { data, headers } = await api('GET', next);
    const items = data.map((entry) => {
      const item = element('[data-item]').content.firstElementChild.cloneNode(true);
      fill(item, entry, headers);
      return item;
    });
    list.append(...items);
    next = nextOf(headers.get('link'));
    more.hidden = !next;
    const count = list.children.length;
    element('[data-status]').textContent = `${next ? 'The newest ' : ''}${count} ${noun}${count === 1 ? '' : 's'}`;
    return items[0];
  };

  await load();
  show('ready');
  onClick(more, async () => {
    const first = await load();
    element('a', first).focus();
  });
  return list.children.length;
}

/** The address in a `Link` header with `rel="next"`. */
function nextOf(link) {
  return /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1] ?? null;
}

function fillStub(item, address, ticket, badge) {
  element('a', item).href = address;
  fillTicket(ticket, item);
  const tag = element('[data-badge]', item);
  tag.hidden = !badge;
  tag.textContent = badge || '';
}

function fillTicket(ticket, root = main) {
  element('[data-title]', root).textContent = ticket.title;
  element('[data-price]', root).textContent = money(ticket.price);
}

// Money, as digits

/** `1234.5` as `$1,234.50`. */
function money(price) {
  const [whole, cents] = decimal(price).split('.');
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${cents}`;
}

/** `1234.5` as `1234.50`. */
function decimal(price) {
  const [whole, cents = ''] = price.split('.');
  return `${whole}.${cents.padEnd(2, '0')}`;
}

// Forms and buttons

function onSubmit(form, send) {
  once(form, 'submit', async () => {
    showProblems(form, null);
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (refusal) {
      if (refusal.status === 401) return signInFirst();
      showProblems(form, refusal);
    }
  });
}

function onClick(button, act) {
  once(button, 'click', () => attempt(act));
}

/** Acts on an event, and not again while it does. */
function once(target, type, act) {
  let busy = false;
  target.addEventListener(type, async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    target.setAttribute('aria-busy', 'true');
    try {
      await act();
    } finally {
      busy = false;
      target.removeAttribute('aria-busy');
    }
  });
}

/** Each problem beside its field; what no field is to blame for, above the button. */
function showProblems(form, refusal) {
  if (refusal && !(refusal instanceof Refusal)) throw refusal;
  form.querySelectorAll('[data-error]').forEach((place) => {
    const field = place.dataset.error;
    const own = (refusal?.problems ?? []).filter((problem) => placeOf(form, problem) === field);
    place.textContent = own.map((problem) => sentence(problem.message)).join(' ');
    if (field) form.elements[field].setAttribute('aria-invalid', String(own.length > 0));
  });
  if (refusal?.retryAfter) element('[data-error=""]', form).textContent = describe(refusal);
  form.querySelector('[aria-invalid="true"]')?.focus();
}

function placeOf(form, { field = '' }) {
  return field && form.querySelector(`[data-error="${CSS.escape(field)}"]`) ? field : '';
}

// The API

async function api(method, path, body, headers = {}) {
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
    throw new Refusal(0, [{ message: 'The marketplace does not answer. Check the connection and try again' }]);
  }
  const data = parse(text);
  if (response.ok) return { data, headers: response.headers };
  const problems = data?.errors ?? [{ message: 'The marketplace gave an answer that makes no sense' }];
  throw new Refusal(response.status, problems, response.headers.get('retry-after'));
}

/** JSON, with prices as the text that they were sent as. */
function parse(text) {
  try {
    return JSON.parse(text, (key, value, context) =>
      key === 'price' && typeof value === 'number' ? (context?.source ?? String(value)) : value,
    );
  } catch {
    return null;
  }
}

/** Calls again for a while where the answer is that there is no such thing yet. */
async function patiently(call) {
  for (let left = LATECOMER_ATTEMPTS; ; left -= 1) {
    try {
      return await call();
    } catch (refusal) {
      if (refusal.status !== 404 || left <= 1) throw refusal;
    }
    await new Promise((resolve) => setTimeout(resolve, LATECOMER_WAIT_MS));
  }
}

async function orderIfMine(id) {
  try {
    return (await api('GET', `/api/orders/${id}`)).data;
  } catch (refusal) {
    if (refusal.status === 401 || refusal.status === 404) return null;
    throw refusal;
  }
}

/** Whether the same request may succeed a little later. */
function isPassing(refusal) {
  return refusal.status === 0 || refusal.status >= 500;
}

/** Does it, and shows what went wrong in the place of the page. */
async function attempt(act) {
  try {
    return await act();
  } catch (failure) {
    if (failure === LEAVING) return;
    // What is another's is none of this visitor's business: it is as if it were not there.
    if (failure.status === 404 || failure.status === 401) {
      title('Not found');
      show('missing');
    } else {
      element('[data-failure]').textContent = describe(failure);
      show('failed');
    }
    if (!(failure instanceof Refusal)) console.error(failure);
  }
}

function describe(failure) {
  if (!(failure instanceof Refusal)) return 'Something went wrong on this page. Load it again.';
  const text = failure.problems.map((problem) => sentence(problem.message)).join(' ');
  return failure.retryAfter ? `${text} Try again in ${failure.retryAfter} s.` : text;
}

function sentence(text) {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(upper) ? upper : `${upper}.`;
}

// From page to page

/** Thrown where the page is about to be left. */
const LEAVING = new Error('leaving');

function requireUser(user) {
  if (user) return;
  signInFirst();
  throw LEAVING;
}

function signInFirst() {
  location.replace(withNext('/signin', here));
}

function withNext(path, next) {
  return next === '/' ? path : `${path}?${new URLSearchParams({ next })}`;
}

/** Where to go after signing in: a page of this site, whatever the address says. */
function nextPage() {
  try {
    const next = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
    return next.origin === location.origin ? next.pathname + next.search : '/';
  } catch {
    return '/';
  }
}

/** Leaves for another page, which shows the notice. */
function leaveFor(address, notice) {
  if (notice) sessionStorage.setItem('notice', notice);
  location.assign(address);
}

function showNotice() {
  const notice = sessionStorage.getItem('notice');
  if (!notice) return;
  sessionStorage.removeItem('notice');
  const place = element('[data-notice]', document);
  place.hidden = false;
  place.textContent = notice;
}

// The document

function element(selector, root = main, optional = false) {
  const found = root.querySelector(selector);
  if (!found && !optional) throw new Error(`nothing matches ${selector}`);
  return found;
}

function title(text) {
  document.title = `${text} · Ticketing`;
}

function show(view) {
  main.querySelectorAll('[data-view]').forEach((section) => {
    section.hidden = !section.dataset.view.split(' ').includes(view);
  });
}

/** Shows one of the page's parts. Answers whether another one was shown before. */
function showPart(part) {
  const before = element('[data-part]:not([hidden])', main, true)?.dataset.part;
  main.querySelectorAll('[data-part]').forEach((section) => {
    section.hidden = section.dataset.part !== part;
  });
  return before !== undefined && before !== part;
}

element('[data-reload]').addEventListener('click', () => location.reload());
attempt(start);
