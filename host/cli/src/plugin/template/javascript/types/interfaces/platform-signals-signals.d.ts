/// <reference path="./platform-store-sql.d.ts" />
declare module 'platform:signals/signals@1.0.0' {
  /**
   * Notifies a topic when the transaction commits. A topic is a text of 1 to
   * 200 bytes without U+0000. A transaction notifies at most 100 topics, and
   * a further one returns `limit`.
   */
  export function notify(tx: Transaction, topic: string): void;
  export type Transaction = import('platform:store/sql@1.0.0').Transaction;
  export type Error = import('platform:store/sql@1.0.0').Error;
  
  export class Listener implements Disposable {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * Listens to a topic. The listeners of a component on one host are at
    * most 4,096, and those of one call at most 16. A further one returns
    * `limit`.
    */
    static listen(topic: string): Listener;
    /**
    * Waits until the topic is notified, and returns true. Returns true at
    * once if it was notified after `listen` and after the last wait. It may
    * also return true without a notification, for example when the host has
    * connected to its database again and may have missed one.
    * Returns false after `timeout-ms`, which counts as 10,000 if it is
    * more. The time counts for `limits.wall_time_ms`, as all time of a
    * call does.
    * 
    * Only the answer to a request may wait, and only while it has no
    * transaction of its own open. Otherwise the result is `invalid`. A
    * call may wait 200 times. At most four times `limits.concurrency`
    * calls of a component wait on one host. All components together have
    * half as many places as the host runs calls (`http.max_in_flight_requests`)
    * and at most half as many as it has instances (`engine.max_instances`).
    * A call over one of these limits gets `limit` at once and keeps its
    * turn.
    */
    wait(timeoutMs: number): boolean;
    [Symbol.dispose](): void;
  }
}
