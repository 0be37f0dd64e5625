// Access to the elements of the document. Text from the API is set as text,
// never as markup. Prices are handled as text, so that no digit is lost.

export const main = document.querySelector('main');

/** The first element below `root` that matches the selector. A missing element is an error. */
export function element(selector, root = main) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`nothing matches ${selector}`);
  return found;
}

export function setTitle(text) {
  document.title = `${text} · Ticketing`;
}

/** Shows the sections of one view of the page: `loading`, `ready`, `missing` or `failed`. */
export function showView(view) {
  main.querySelectorAll('[data-view]').forEach((section) => {
    section.hidden = !section.dataset.view.split(' ').includes(view);
  });
}

/** Shows one part of the page. Returns true if another part was shown before. */
export function showPart(part) {
  const before = shownPart()?.dataset.part;
  main.querySelectorAll('[data-part]').forEach((section) => {
    section.hidden = section.dataset.part !== part;
  });
  return before !== undefined && before !== part;
}

/** The part of the page that is shown, or null. */
export function shownPart() {
  return main.querySelector('[data-part]:not([hidden])');
}

/** Fills in the title and the price of a ticket. */
export function fillTicket(ticket, root = main) {
  element('[data-title]', root).textContent = ticket.title;
  element('[data-price]', root).textContent = money(ticket.price);
}

/** Formats `1234.5` as `$1,234.50`. */
export function money(price) {
  const [whole, cents] = decimal(price).split('.');
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${cents}`;
}

/** Formats `1234.5` as `1234.50`. */
export function decimal(price) {
  const [whole, cents = ''] = price.split('.');
  return `${whole}.${cents.padEnd(2, '0')}`;
}
