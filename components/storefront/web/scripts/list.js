// Paged lists of tickets and orders.

import { api, nextLink } from './api.js';
import { onClick } from './forms.js';
import { element, fillTicket, showView } from './view.js';

const PAGE_ITEMS = 24;
// A page of a search can be empty although the next one is not.
const EMPTY_PAGES = 20;

/** Shows the first page of a list, and a button for more. Returns the number of items shown. */
export async function showList(path, noun, filters, fillItem) {
  const list = element('[data-list]');
  const more = element('[data-more]');
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  query.set('limit', PAGE_ITEMS);
  let next = `${path}?${query}`;

  const loadPage = async (emptyPages = 0) => {
    const { data, headers } = await api('GET', next);
    if (data.length === 0 && nextLink(headers) && emptyPages < EMPTY_PAGES) {
      next = nextLink(headers);
      return loadPage(emptyPages + 1);
    }
    const items = data.map((entry) => {
      const item = element('[data-item]').content.firstElementChild.cloneNode(true);
      fillItem(item, entry, headers);
      return item;
    });
    list.append(...items);
    next = nextLink(headers);
    more.hidden = !next;
    const count = list.children.length;
    element('[data-status]').textContent = `${next ? 'The newest ' : ''}${count} ${noun}${count === 1 ? '' : 's'}`;
    return items[0];
  };

  await loadPage();
  showView('ready');
  onClick(more, async () => {
    const first = await loadPage();
    if (first) element('a', first).focus();
  });
  return list.children.length;
}

/** Fills an item of a list: the link, the ticket, and the badge if there is one. */
export function fillItem(item, url, ticket, badge) {
  element('a', item).href = url;
  fillTicket(ticket, item);
  const place = element('[data-badge]', item);
  place.hidden = !badge;
  place.textContent = badge || '';
}
