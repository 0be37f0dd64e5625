// The script of all pages. It loads data from the API, shows it, and sends the
// actions of the user to the API.

import { api, currentUser, make } from './api.js';
import { onSubmit, runOrShowFailure } from './forms.js';
import { fillItem, showList } from './list.js';
import { goTo, nextPage, requireUser, showNotice, withNext } from './navigation.js';
import { orderPage, serverClock, shortState } from './order.js';
import { ticketPage } from './ticket.js';
import { element, main, showView } from './view.js';

/** The badges of the seller's own tickets. */
const STATUS = { available: 'For sale', reserved: 'Reserved', sold: 'Sold' };

const pages = {
  browse: browsePage,
  ticket: ticketPage,
  sell: sellPage,
  selling: sellingPage,
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

async function sellingPage(user) {
  requireUser(user);
  const count = await showList('/api/tickets', 'ticket', { seller: 'me' }, (item, ticket) => {
    fillItem(item, `/tickets/${ticket.id}`, ticket, STATUS[ticket.status]);
  });
  if (count === 0) element('[data-status]').textContent = 'You have not offered any ticket yet.';
}

function sellPage(user) {
  requireUser(user);
  showView('ready');
  onSubmit(element('[data-form]'), async ({ title, price }) => {
    const { data: ticket } = await make('/api/tickets', { title, price: price.trim() });
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
// A screen reader waits for the content.
main.setAttribute('aria-busy', 'true');
runOrShowFailure(start).finally(() => main.removeAttribute('aria-busy'));
