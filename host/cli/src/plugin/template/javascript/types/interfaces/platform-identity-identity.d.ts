/// <reference path="./platform-http-types.d.ts" />
declare module 'platform:identity/identity@1.0.0' {
  /**
   * Hashes a password with argon2id and a fresh salt. The result is a PHC
   * string, which the component stores. A password has at most 1,024 bytes.
   */
  export function hashPassword(password: string): string;
  /**
   * Returns whether the password belongs to the hash.
   * 
   * Pass none as the hash when the account does not exist. The call then
   * takes as long as for an account that exists, and returns false. The
   * host counts failed attempts for each client address, on the account (any
   * string that names it, compared without regard to case) and on all
   * accounts. Above the limit it refuses every attempt of the address with
   * `throttled`, whether the password is right or wrong. Failures of others
   * lock nobody out. It does not count successes.
   * 
   * What it costs: one hash, tens of milliseconds of a processor. New
   * passwords and checks wait in two queues, so neither stops the other. A
   * full queue is `unavailable`.
   */
  export function verifyPassword(account: string, password: string, hash: string | undefined): boolean;
  /**
   * Starts a session for the principal. Returns the value for the header
   * `set-cookie` of the answer.
   */
  export function issue(principal: Principal): string;
  /**
   * Revokes the session of the current request, for every component and
   * for good. Returns the value for a header `set-cookie` that removes the
   * cookie. Without a session it only returns that value.
   */
  export function revoke(): string;
  export type Principal = import('platform:http/types@1.0.0').Principal;
  export type Error = ErrorThrottled | ErrorLimit | ErrorUnavailable;
  /**
   * There were too many failed attempts. Try again after this number of
   * seconds.
   */
  export interface ErrorThrottled {
    tag: 'throttled',
    val: number,
  }
  /**
   * The input exceeds a limit, which the text names.
   */
  export interface ErrorLimit {
    tag: 'limit',
    val: string,
  }
  /**
   * The host is too busy or cannot store the change.
   */
  export interface ErrorUnavailable {
    tag: 'unavailable',
    val: string,
  }
}
