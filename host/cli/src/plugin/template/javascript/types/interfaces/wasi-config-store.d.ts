declare module 'wasi:config/store@0.2.0-rc.1' {
  /**
   * Returns the value of one key of the manifest's `config` table: the
   * value that the operator set, or else the default of the manifest.
   */
  export function get(key: string): string | undefined;
  /**
   * Returns all keys with their values.
   */
  export function getAll(): Array<[string, string]>;
  export type Error = ErrorUpstream | ErrorIo;
  export interface ErrorUpstream {
    tag: 'upstream',
    val: string,
  }
  export interface ErrorIo {
    tag: 'io',
    val: string,
  }
}
