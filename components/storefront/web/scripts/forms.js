// Forms, buttons, and the messages about failures.

import { ApiError } from './api.js';
import { goToSignIn, LEAVING } from './navigation.js';
import { element, setTitle, showView } from './view.js';

/** Sends a form with `send` when it is submitted, and shows the problems at its fields. */
export function onSubmit(form, send) {
  onEvent(form, 'submit', async () => {
    showProblems(form, null);
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (error) {
      if (error.status === 401) return goToSignIn();
      showProblems(form, error);
    }
  });
}

export function onClick(button, act) {
  onEvent(button, 'click', () => runOrShowFailure(act));
}

/** Handles the events of one type. It ignores an event while it handles another one. */
function onEvent(target, type, act) {
  let isBusy = false;
  target.addEventListener(type, async (event) => {
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    target.setAttribute('aria-busy', 'true');
    try {
      await act();
    } finally {
      isBusy = false;
      target.removeAttribute('aria-busy');
    }
  });
}

/** Shows each problem at its field, and a problem without a field above the button. */
export function showProblems(form, error) {
  if (error && !(error instanceof ApiError)) throw error;
  form.querySelectorAll('[data-error]').forEach((place) => {
    const field = place.dataset.error;
    const problems = (error?.problems ?? []).filter((problem) => fieldOf(form, problem) === field);
    place.textContent = problems.map((problem) => sentence(problem.message)).join(' ');
    if (field) form.elements[field].setAttribute('aria-invalid', String(problems.length > 0));
  });
  if (error?.retryAfter) element('[data-error=""]', form).textContent = describe(error);
  form.querySelector('[aria-invalid="true"]')?.focus();
}

/** The field of the form that has the problem, or '' if the form has no such field. */
function fieldOf(form, { field = '' }) {
  return field && form.querySelector(`[data-error="${CSS.escape(field)}"]`) ? field : '';
}

/** Runs an action. If it fails, the page shows the failure instead of its content. */
export async function runOrShowFailure(act) {
  try {
    return await act();
  } catch (failure) {
    if (failure === LEAVING) return;
    // The page of another user's order looks as if the order did not exist.
    if (failure.status === 404 || failure.status === 401) {
      setTitle('Not found');
      showView('missing');
    } else {
      element('[data-failure]').textContent = describe(failure);
      showView('failed');
    }
    if (!(failure instanceof ApiError)) console.error(failure);
  }
}

/** The message about a failure, for the user. */
export function describe(failure) {
  if (!(failure instanceof ApiError)) return 'Something went wrong on this page. Load it again.';
  const text = failure.problems.map((problem) => sentence(problem.message)).join(' ');
  return failure.retryAfter ? `${text} Try again in ${failure.retryAfter} s.` : text;
}

function sentence(text) {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(upper) ? upper : `${upper}.`;
}
