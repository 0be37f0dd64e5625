declare module 'platform:messaging/types@1.0.0' {
  export interface Event {
    /**
     * Unique. A redelivery has the same id.
     */
    id: string,
    subject: string,
    /**
     * The component that published it.
     */
    source: string,
    /**
     * The time of publication, in milliseconds since the Unix epoch.
     */
    timeMs: bigint,
    /**
     * 1 on the first delivery to this component, then 2, 3, ...
     */
    attempt: number,
    payload: Uint8Array,
  }
  /**
   * The fate of an event or timer that was not handled.
   */
  export type Disposition = DispositionRetry | DispositionReject;
  /**
   * Deliver it again, after the given number of milliseconds or, if
   * none is given, after the host's backoff. The host delivers other
   * events meanwhile. After `limits.delivery_attempts` deliveries it
   * becomes a dead letter.
   */
  export interface DispositionRetry {
    tag: 'retry',
    val: bigint | undefined,
  }
  /**
   * It can never be handled. The text says why, and the host keeps at
   * most 2 KiB of it. It becomes a dead letter at once, which raises an
   * alarm.
   */
  export interface DispositionReject {
    tag: 'reject',
    val: string,
  }
}
