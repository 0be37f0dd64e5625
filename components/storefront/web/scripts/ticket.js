// The page of one ticket. A buyer reserves it, and its seller edits or withdraws it.

import { api, findOwnOrder, make, retryWhileNotFound } from './api.js';
import { describe, onClick, onSubmit } from './forms.js';
import { currentUrl, goTo, goToSignIn, withNext } from './navigation.js';
import { decimal, element, fillTicket, money, setTitle, showPart, showView } from './view.js';

export async function ticketPage(user) {
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
  if (part === 'edit') {
    enableEditing(path, ticket, headers.get('etag'));
    enableWithdrawing(path);
  }
}

/** The part of the page for this user. */
function ticketPart(ticket, { user, isSeller, order }) {
  if (ticket.status !== 'available') {
    if (order) return 'ordered';
    return isSeller ? `own-${ticket.status}` : ticket.status;
  }
  if (isSeller) return 'edit';
  return user ? 'buy' : 'visitor';
}

/** The order names the version that the page shows. If the ticket has changed, the buyer is asked again. */
function enableBuying(ticket) {
  let seen = ticket;
  const button = element('[data-buy]');
  withProblem(button, async () => {
    for (;;) {
      try {
        const wanted = { ticketId: seen.id, version: seen.version };
        const { data: order } = await retryWhileNotFound(() => make('/api/orders', wanted));
        return goTo(`/orders/${order.id}`);
      } catch (error) {
        const current = error.status === 412 && error.data?.ticket;
        if (!current || current.version === seen.version) throw error;
        const changes = changesOf(seen, current);
        seen = current;
        // The ticket was reserved and released, which makes no difference to the buyer.
        if (!changes) continue;
        setTitle(seen.title);
        fillTicket(seen);
        button.textContent = `Reserve for ${money(seen.price)}`;
        return `The seller has changed this ticket. ${changes}`;
      }
    }
  });
}

/** What a buyer must know about the change of a ticket, or ''. */
function changesOf(before, now) {
  const changes = [];
  const price = [money(now.price), money(before.price)];
  if (price[0] !== price[1]) changes.push(`The price is now ${price[0]}, was ${price[1]}.`);
  if (now.title !== before.title) changes.push(`The title is now “${now.title}”, was “${before.title}”.`);
  return changes.join(' ');
}

function enableEditing(path, ticket, etag) {
  const form = element('[data-edit]');
  form.elements.title.value = ticket.title;
  form.elements.price.value = decimal(ticket.price);
  onSubmit(form, async ({ title, price }) => {
    const headers = etag ? { 'if-match': etag } : {};
    try {
      await api('PUT', path, { title, price: price.trim() }, headers);
    } catch (error) {
      // An order holds the ticket. The page then says whether it is reserved or sold.
      if (error.status === 400 && error.problems.every((problem) => !problem.field)) return location.reload();
      throw error;
    }
    goTo(location.pathname, 'Your ticket is changed.');
  });
}

function enableWithdrawing(path) {
  withProblem(element('[data-withdraw]'), async () => {
    await api('DELETE', path);
    goTo('/selling', 'Your ticket is withdrawn.');
  });
}

/** Runs an action when the button is clicked. The page shows its failure, or the text that it returns. */
function withProblem(button, act) {
  const problem = element('[data-problem]');
  onClick(button, async () => {
    problem.textContent = '';
    try {
      problem.textContent = (await act()) ?? '';
    } catch (error) {
      if (error.status === 401) return goToSignIn();
      problem.textContent = describe(error);
    }
  });
}
