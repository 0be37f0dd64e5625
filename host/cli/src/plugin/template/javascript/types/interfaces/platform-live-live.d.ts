/// <reference path="./platform-store-sql.d.ts" />
declare module 'platform:live/live@1.0.0' {
  /**
   * Sends an event to the listeners of a channel when the transaction commits.
   * 
   * The event's name has up to 64 letters, digits or characters of `-_.:/`. An
   * empty name stands for `message`. The name `reset` belongs to the host. The
   * data is a text of at most 64 KiB without U+0000. Line breaks in it reach
   * the client as line feeds. A transaction sends at most 100 events with
   * together at most 1 MiB of data.
   * 
   * A longer name or text, or a further event, returns `limit`, and any other
   * name or text `invalid`. The events count for the component's quota on
   * disk.
   */
  export function notify(tx: Transaction, channel: string, event: string, data: string): void;
  export type Transaction = import('platform:store/sql@1.0.0').Transaction;
  export type Error = import('platform:store/sql@1.0.0').Error;
}
