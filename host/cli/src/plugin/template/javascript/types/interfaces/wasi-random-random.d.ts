declare module 'wasi:random/random@0.2.0' {
  /**
   * Returns cryptographically secure bytes.
   */
  export function getRandomBytes(len: bigint): Uint8Array;
  export function getRandomU64(): bigint;
}
