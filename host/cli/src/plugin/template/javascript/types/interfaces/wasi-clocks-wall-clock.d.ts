declare module 'wasi:clocks/wall-clock@0.2.0' {
  /**
   * Returns the time since the Unix epoch. It may step back when somebody
   * sets the clock.
   */
  export function now(): Datetime;
  export function resolution(): Datetime;
  export interface Datetime {
    seconds: bigint,
    nanoseconds: number,
  }
}
