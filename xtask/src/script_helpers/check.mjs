// Checks the helpers of the template in JavaScript, with a store in place of the host's.

import assert from 'node:assert/strict';
import * as config from './config.mjs';
import * as sql from './sql.mjs';
import { Refusal, all, events, fromSql, json, routes, settings, timers, toSql, transaction } from './ticketing.mjs';

const { done } = sql;
const failing = (payload) => Object.assign(new Error('store'), { payload });
console.error = () => {};

const requests = routes({
  'POST /things/{name}': (request) => {
    transaction((tx) => {
      tx.execute('INSERT', request.params.name, request.json().count);
      tx.publish('thing.made', { name: request.params.name });
    });
    return json({ made: true }, 201);
  },
  'GET /things/{name}': ({ params }) => {
    if (params.name === 'refused') {
      throw new Refusal(409, 'Taken', 'name');
    }
    throw params.name === 'conflict' ? failing({ tag: 'conflict' }) : new Error('a fault');
  },
});

function ask(method, name, body = '', route = '/things/{name}') {
  const bytes = new TextEncoder().encode(body);
  const answer = requests.handle({ id: 'r', method, route, params: [['name', name]], path: '/', headers: [], body: bytes });
  return [answer.status, JSON.parse(new TextDecoder().decode(answer.body))];
}

assert.deepEqual(ask('POST', 'a', '{"count": 3}'), [201, { made: true }]);
assert.deepEqual(done, [
  'begin',
  ['INSERT', [{ tag: 'text', val: 'a' }, { tag: 'integer', val: 3n }]],
  ['thing.made', '{"name":"a"}'],
  'commit',
]);
done.length = 0;
assert.equal(ask('POST', 'a', '{')[0], 400);
assert.deepEqual(done, ['begin', 'rollback']);
assert.deepEqual(ask('GET', 'refused'), [409, { errors: [{ message: 'Taken', field: 'name' }] }]);
assert.equal(ask('GET', 'conflict')[0], 503);
assert.deepEqual(ask('GET', 'fault'), [500, { errors: [{ message: 'Something went wrong' }] }]);
assert.equal(ask('GET', 'a', '', '/elsewhere')[0], 404);

let attempts = 0;
assert.throws(() => transaction(() => { attempts += 1; throw failing({ tag: 'conflict' }); }));
assert.equal(attempts, 5);

const heard = [];
const handler = events({ 'thing.made': (value) => heard.push(value.name.length) });
function deliver(subject, payload) {
  try {
    handler.handle({ id: 'e', subject, payload: new TextEncoder().encode(payload) }, {});
    return 'ok';
  } catch (error) {
    return error.tag;
  }
}
assert.equal(deliver('thing.made', '{"name":"a"}'), 'ok');
assert.deepEqual(heard, [1]);
assert.equal(deliver('thing.made', 'no JSON'), 'reject');
assert.equal(deliver('thing.other', '1'), 'reject');
assert.equal(deliver('thing.made', '{}'), 'retry');
timers((key, value, tx, attempt) => heard.push([key, value, attempt])).handle({ key: 'k', payload: new Uint8Array() }, 1, {});
assert.deepEqual(heard[1], ['k', null, 1]);

for (const value of [null, 3, -1.5, 'text', 2n ** 60n, new Uint8Array([1])]) {
  assert.deepEqual(fromSql(toSql(value)), value);
}
assert.deepEqual(toSql(true), { tag: 'integer', val: 1n });
assert.deepEqual(all('SELECT'), [{ who: 'a', said: 2 }]);
Object.assign(config.values, { open: 'true', many: '3', names: 'a, b,' });
assert.deepEqual([settings.boolean('open'), settings.integer('many'), settings.list('names')], [true, 3, ['a', 'b']]);
assert.throws(() => settings.text('absent'));
console.log('checked');
