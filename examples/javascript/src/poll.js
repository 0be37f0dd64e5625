// A poll. Each vote is a row of the plugin's own database and an event, in one commit.

import { query, Transaction } from 'platform:store/sql@1.0.0';

const CHOICES = ['tabs', 'spaces'];

/** The host calls `handle` for each request that matches a route in plugin.toml. */
export const requestHandler = {
  handle(request) {
    try {
      return request.method === 'POST' ? vote(request.params[0][1]) : json(200, votes());
    } catch (error) {
      return refusal(error);
    }
  },
};

/** The host calls `handle` for each event of a subject in plugin.toml, and commits the transaction afterwards. */
export const eventHandler = {
  handle(event, tx) {
    tx.execute('UPDATE votes SET heard = 1 WHERE id = $1', [text(new TextDecoder().decode(event.payload))]);
  },
};

function vote(choice) {
  if (!CHOICES.includes(choice)) {
    return json(404, { error: `vote for ${CHOICES.join(' or ')}` });
  }
  const id = crypto.randomUUID();
  const tx = Transaction.begin();
  tx.execute('INSERT INTO votes (id, choice, cast_ms) VALUES ($1, $2, $3)', [
    text(id),
    text(choice),
    { tag: 'integer', val: BigInt(Date.now()) },
  ]);
  tx.publish('poll.voted', new TextEncoder().encode(id));
  Transaction.commit(tx);
  console.log(`a vote for ${choice}`);
  return json(200, { vote: choice });
}

function votes() {
  const { rows } = query('SELECT choice, count(*), sum(heard) FROM votes GROUP BY choice', []);
  // A value says its type: { tag: 'text', val: 'tabs' }, { tag: 'integer', val: 1n }.
  const counts = new Map(rows.map(([choice, cast, heard]) => [choice.val, counted(cast, heard)]));
  return Object.fromEntries(CHOICES.map((choice) => [choice, counts.get(choice) ?? { cast: 0, heard: 0 }]));
}

function counted(cast, heard) {
  return { cast: Number(cast.val), heard: Number(heard.val) };
}

function text(val) {
  return { tag: 'text', val };
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
