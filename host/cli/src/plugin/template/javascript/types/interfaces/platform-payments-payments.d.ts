declare module 'platform:payments/payments@1.0.0' {
  /**
   * Reserves the money on the card that the token stands for. Returns the
   * provider's id of the authorization.
   */
  export function authorize(key: string, amount: Money, token: string): string;
  /**
   * Takes the whole reserved amount.
   */
  export function capture(key: string, authorization: string): void;
  /**
   * Releases a reservation. After a capture it returns `invalid`.
   */
  export { _void as void };
  function _void(key: string, authorization: string): void;
  /**
   * Gives back the whole captured amount.
   */
  export function refund(key: string, authorization: string): void;
  export interface Money {
    /**
     * In the currency's minor unit (cents).
     */
    amount: bigint,
    /**
     * ISO 4217, in lower case, such as `usd`.
     */
    currency: string,
  }
  export interface Decline {
    /**
     * Such as `card_declined` or `insufficient_funds`.
     */
    code: string,
    /**
     * A text for the payer.
     */
    message: string,
  }
  export type Error = ErrorDeclined | ErrorInvalid | ErrorUnavailable;
  /**
   * The card was refused. This is final for the key.
   */
  export interface ErrorDeclined {
    tag: 'declined',
    val: Decline,
  }
  /**
   * The call is not possible: an unknown token or authorization, a key
   * that was used with other arguments, a wrong amount, or a state that
   * does not allow the call. This is final for the key.
   * 
   * The text begins with `amount:` or `currency:` if no card can be
   * charged this money. Each provider has a smallest amount for each
   * currency, such as 50 cents for `usd`.
   */
  export interface ErrorInvalid {
    tag: 'invalid',
    val: string,
  }
  /**
   * The outcome is unknown: a timeout or a failure of the provider.
   */
  export interface ErrorUnavailable {
    tag: 'unavailable',
    val: string,
  }
}
