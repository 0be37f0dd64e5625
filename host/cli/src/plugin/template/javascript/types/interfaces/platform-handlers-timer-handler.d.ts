/// <reference path="./platform-messaging-types.d.ts" />
/// <reference path="./platform-store-sql.d.ts" />
declare module 'platform:handlers/timer-handler@1.0.0' {
  /**
   * Handles a timer that is due. See `platform:timers/handler`.
   */
  export function handle(timer: Timer, attempt: number, tx: Transaction): void;
  export type Timer = import('platform:store/sql@1.0.0').Timer;
  export type Transaction = import('platform:store/sql@1.0.0').Transaction;
  export type Disposition = import('platform:messaging/types@1.0.0').Disposition;
}
