// A poll. The votes are rows of the plugin's own database.

import { execute, query } from 'platform:store/sql@1.0.0';

const CHOICES = ['tabs', 'spaces'];

/** The interface platform:http/handler. The host calls `handle` for each request that matches a route in plugin.toml. */
export const handler = {
  handle(request) {
    try {
      return request.method === 'POST' ? vote(request.params[0][1]) : json(200, votes());
    } catch (error) {
      return refusal(error);
    }
  },
};

function vote(choice) {
  if (!CHOICES.includes(choice)) {
    return json(404, { error: `vote for ${CHOICES.join(' or ')}` });
  }
  execute(
    'INSERT INTO votes (choice, number) VALUES ($1, 1) ON CONFLICT (choice) DO UPDATE SET number = votes.number + 1',
    [{ tag: 'text', val: choice }],
  );
  return json(200, votes());
}

function votes() {
  const { rows } = query('SELECT choice, number FROM votes', []);
  // A value says its type: { tag: 'text', val: 'tabs' }, { tag: 'integer', val: 1n }.
  const numbers = new Map(rows.map(([choice, number]) => [choice.val, Number(number.val)]));
  return Object.fromEntries(CHOICES.map((choice) => [choice, numbers.get(choice) ?? 0]));
}

/** An error of the store is thrown, with the variant of platform:store/sql.error as its payload. */
function refusal(error) {
  switch (error.payload?.tag) {
    case 'conflict':
    case 'timeout':
      return json(503, { error: 'try again' });
    default:
      return json(500, { error: error.payload?.tag ?? String(error) });
  }
}

function json(status, value) {
  return {
    status,
    headers: [['content-type', 'application/json']],
    body: new TextEncoder().encode(`${JSON.stringify(value)}\n`),
  };
}
