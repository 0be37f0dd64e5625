// The script of all pages. It loads data from the API, shows it, and sends the
// actions of the user to the API.

import { api, currentUser, findOwnOrder, retryWhileNotFound } from './api.js';
import { describe, onClick, onSubmit, runOrShowFailure } from './forms.js';
import { fillItem, showList } from './list.js';
import { currentUrl, goTo, goToSignIn, nextPage, requireUser, showNotice, withNext } from './navigation.js';
import { orderPage, serverClock, shortState } from './order.js';
import { decimal, element, fillTicket, main, setTitle, showPart, showView } from './view.js';

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

async function start() {
  const user = await currentUser();
  document.querySelectorAll('[data-session]').forEach((element) => {
    element.hidden = (element.dataset.session === 'in') !== (user !== null);
  });
  document.querySelector('[data-user]').textContent = user?.email ?? '';
  document.querySelectorAll('nav a').forEach((link) => {
    if (link.pathname === location.pathname) link.setAttribute('aria-current', 'page');
  });
  document.querySelector('[data-sign-out]').addEventListener('click', () => runOrShowFailure(signOut));
  // The browser may restore a page of a user who has signed out since.
  addEventListener('pageshow', async (event) => {
    if (event.persisted && (await currentUser())?.id !== user?.id) location.reload();
  });
  showNotice();
  await pages[main.dataset.page](user);
}

async function signOut() {
  await api('POST', '/api/users/signout', {});
  goTo('/', 'You are signed out.');
}

async function browsePage(user) {
  const query = new URLSearchParams(location.search).get('q') ?? '';
  element('#q').value = query;
  const count = await showList('/api/tickets', 'ticket', { q: query }, (item, ticket) => {
    fillItem(item, `/tickets/${ticket.id}`, ticket, ticket.userId === user?.id && 'Yours');
  });
  if (count > 0) return;
  element('[data-status]').textContent = query
    ? `No ticket for sale has “${query}” in its title.`
    : 'No tickets are for sale at the moment.';
}

async function ordersPage(user) {
  requireUser(user);
  const count = await showList('/api/orders', 'order', {}, (item, order, headers) => {
    fillItem(item, `/orders/${order.id}`, order.ticket, shortState(order, serverClock(headers)));
  });
  if (count === 0) element('[data-status]').textContent = 'You have not ordered anything yet.';
}

async function ticketPage(user) {
  const path = `/api${location.pathname}`;
  const { data: ticket, headers } = await api('GET', path);
  setTitle(ticket.title);
  fillTicket(ticket);
  const isSeller = ticket.userId === user?.id;
  const order = ticket.orderId && user && !isSeller ? await findOwnOrder(ticket.orderId) : null;
  const part = ticketPart(ticket, { user, isSeller, order });
  showPart(part);
  showView('ready');
  if (part === 'ordered') element('[data-order]').href = `/orders/${order.id}`;
  if (part === 'visitor') element('[data-sign-in]').href = withNext('/signin', currentUrl);
  if (part === 'buy') enableBuying(ticket);
  if (part === 'edit') enableEditing(path, ticket, headers.get('etag'));
}

/** The part of the ticket page for this user. */
function ticketPart(ticket, { user, isSeller, order }) {
  if (ticket.orderId) return isSeller ? 'held' : order ? 'ordered' : 'reserved';
  if (isSeller) return 'edit';
  return user ? 'buy' : 'visitor';
}

function enableBuying(ticket) {
  const problem = element('[data-problem]');
  onClick(element('[data-buy]'), async () => {
    problem.textContent = '';
    try {
      const { data: order } = await retryWhileNotFound(() => api('POST', '/api/orders', { ticketId: ticket.id }));
      goTo(`/orders/${order.id}`);
    } catch (error) {
      if (error.status === 401) return goToSignIn();
      problem.textContent = describe(error);
    }
  });
}

function enableEditing(path, ticket, etag) {
  const form = element('[data-edit]');
  form.elements.title.value = ticket.title;
  form.elements.price.value = decimal(ticket.price);
  onSubmit(form, async ({ title, price }) => {
    const headers = etag ? { 'if-match': etag } : {};
    await api('PUT', path, { title, price: price.trim() }, headers);
    goTo(location.pathname, 'Your ticket is changed.');
  });
}

function sellPage(user) {
  requireUser(user);
  showView('ready');
  onSubmit(element('[data-form]'), async ({ title, price }) => {
    const { data: ticket } = await api('POST', '/api/tickets', { title, price: price.trim() });
    goTo(`/tickets/${ticket.id}`, 'Your ticket is for sale.');
  });
}

/** The sign-in page or the sign-up page. `path` is the path of the API. */
function accountPage(path) {
  return (user) => {
    const next = nextPage();
    if (user) return location.replace(next);
    const other = element('[data-other]');
    other.href = withNext(other.pathname, next);
    showView('ready');
    onSubmit(element('[data-form]'), async ({ email, password }) => {
      await api('POST', path, { email: email.trim(), password });
      goTo(next);
    });
  };
}

element('[data-reload]').addEventListener('click', () => location.reload());
runOrShowFailure(start);
