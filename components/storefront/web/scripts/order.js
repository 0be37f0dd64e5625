// The page of one order, which changes as time goes by.

import { api, retryWhileNotFound } from './api.js';
import { onClick, onSubmit, runOrShowFailure, showProblems } from './forms.js';
import { requireUser } from './navigation.js';
import { element, fillTicket, money, setTitle, showPart, shownPart, showView } from './view.js';

const POLL_MS = 1_000;
const TICK_MS = 200;
const URGENT_SECONDS = 10;
/** A screen reader announces the time left at these moments. */
const ANNOUNCED_SECONDS = [60, 30, 10];

export async function orderPage(user) {
  requireUser(user);
  const path = `/api${location.pathname}`;
  const form = element('[data-pay]');
  const view = { order: null, clock: null, isCancelling: false, isPaying: false, poll: null, announced: new Set() };

  const refresh = async () => {
    clearTimeout(view.poll);
    const { data: order, headers } = await api('GET', path);
    view.clock ??= serverClock(headers);
    // Responses may arrive out of order.
    if (!view.order || order.version >= view.order.version) view.order = order;
    drawOrder(view);
    if (changesSoon(view)) view.poll = setTimeout(() => runOrShowFailure(poll), POLL_MS);
  };
  const poll = async () => {
    try {
      await refresh();
    } catch (error) {
      if (!error.isTemporary) throw error;
      view.poll = setTimeout(() => runOrShowFailure(poll), POLL_MS);
    }
  };

  onSubmit(form, async ({ token }) => {
    view.isPaying = true;
    try {
      await retryWhileNotFound(() => api('POST', '/api/payments', { orderId: view.order.id, token }));
    } catch (error) {
      view.isPaying = false;
      await refresh();
      throw error;
    }
    await refresh();
  });
  onClick(element('[data-cancel]'), async () => {
    try {
      await api('DELETE', path);
      view.isCancelling = true;
    } catch (error) {
      showProblems(form, error);
    }
    await refresh();
  });

  await refresh();
  setTitle(view.order.ticket.title);
  fillTicket(view.order.ticket);
  element('[data-amount]').textContent = `Pay ${money(view.order.ticket.price)}`;
  element('[data-ticket]').href = `/tickets/${view.order.ticket.id}`;
  showView('ready');
  setInterval(() => tick(view, poll), TICK_MS);
  document.addEventListener('visibilitychange', () => document.hidden || runOrShowFailure(poll));
}

/** Whether the order is about to change without an action of the user. */
function changesSoon(view) {
  const { status } = view.order;
  const isOverdue = view.clock.secondsLeft(view.order) <= 0;
  return status === 'awaiting:payment' || (status === 'created' && (view.isPaying || isOverdue));
}

function drawOrder(view) {
  const { part, state } = orderState(view);
  const line = element('[data-state]');
  if (line.textContent !== state) line.textContent = state;
  const hadFocus = shownPart()?.contains(document.activeElement);
  const hasChanged = showPart(part);
  // The focused element is hidden now, so the line about the state gets the focus.
  if (hasChanged && hadFocus) line.focus();
}

/** The part of the page to show, and the text about the state of the order. */
function orderState(view) {
  const { status } = view.order;
  if (status === 'complete') return { part: 'complete', state: 'Paid. The ticket is yours.' };
  if (status === 'cancelled') {
    const reason = view.isCancelling
      ? 'You cancelled this order.'
      : 'This order was not paid in time, or was cancelled.';
    return { part: 'over', state: `${reason} You are not charged.` };
  }
  if (status === 'awaiting:payment' || view.isPaying) {
    return { part: 'wait', state: 'The payment is being processed…' };
  }
  if (view.clock.secondsLeft(view.order) <= 0) {
    return { part: 'over', state: 'The time to pay is over. The ticket goes back on sale.' };
  }
  return { part: 'pay', state: 'The ticket is reserved for you.' };
}

/** Updates the countdown. */
function tick(view, poll) {
  const { order, clock } = view;
  if (order.status !== 'created' || view.isPaying) return;
  const left = Math.max(0, clock.secondsLeft(order));
  const timer = element('[data-timer]');
  const text = minutes(left);
  if (timer.textContent !== text) timer.textContent = text;
  timer.classList.toggle('urgent', left <= URGENT_SECONDS);
  if (ANNOUNCED_SECONDS.includes(left) && !view.announced.has(left)) {
    view.announced.add(left);
    element('[data-announcement]').textContent = `${left} seconds left to pay`;
  }
  if (left === 0 && !view.announced.has(0)) {
    view.announced.add(0);
    element('[data-announcement]').textContent = '';
    drawOrder(view);
    runOrShowFailure(poll);
  }
}

/** The clock of the server, from the `Date` header. The clock of this machine may be wrong. */
export function serverClock(headers) {
  const date = Date.parse(headers.get('date') ?? '');
  const ahead = date - Date.now();
  // The header has whole seconds, so a small difference means nothing.
  const offset = Math.abs(ahead) > 2_000 ? ahead : 0;
  return { secondsLeft: (order) => Math.ceil((Date.parse(order.expiresAt) - Date.now() - offset) / 1_000) };
}

/** The state of an order in the list of orders. */
export function shortState(order, clock) {
  if (order.status === 'created') return clock.secondsLeft(order) > 0 ? 'To be paid' : 'Time over';
  return { complete: 'Paid', cancelled: 'Cancelled', 'awaiting:payment': 'Payment under way' }[order.status];
}

/** Formats seconds as `m:ss`. */
function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
