/// <reference path="./platform-messaging-types.d.ts" />
/// <reference path="./platform-store-sql.d.ts" />
declare module 'platform:handlers/event-handler@1.0.0' {
  /**
   * Applies an event. See `platform:messaging/handler`.
   */
  export function handle(event: Event, tx: Transaction): void;
  export type Event = import('platform:messaging/types@1.0.0').Event;
  export type Disposition = import('platform:messaging/types@1.0.0').Disposition;
  export type Transaction = import('platform:store/sql@1.0.0').Transaction;
}
