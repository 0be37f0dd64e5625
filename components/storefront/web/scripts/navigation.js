// Navigation between the pages.

import { element } from './view.js';

/** The path and the query of this page. */
export const currentUrl = location.pathname + location.search;

/** Thrown when the browser leaves the page. */
export const LEAVING = new Error('leaving');

/** Leaves for the sign-in page if no user is signed in. */
export function requireUser(user) {
  if (user) return;
  goToSignIn();
  throw LEAVING;
}

/** Leaves for the sign-in page, which leads back to this page. */
export function goToSignIn() {
  location.replace(withNext('/signin', currentUrl));
}

/** The URL of a page that leads to `next` when the user is done. */
export function withNext(path, next) {
  return next === '/' ? path : `${path}?${new URLSearchParams({ next })}`;
}

/** The page to show after signing in. It is always a page of this site. */
export function nextPage() {
  try {
    const next = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
    return next.origin === location.origin ? next.pathname + next.search : '/';
  } catch {
    return '/';
  }
}

/** Leaves for another page, which shows the notice. */
export function goTo(url, notice) {
  if (notice) sessionStorage.setItem('notice', notice);
  location.assign(url);
}

/** Shows the notice that the previous page has left. */
export function showNotice() {
  const notice = sessionStorage.getItem('notice');
  if (!notice) return;
  sessionStorage.removeItem('notice');
  const place = element('[data-notice]', document);
  place.hidden = false;
  place.textContent = notice;
}
