declare module 'wasi:logging/logging@0.1.0-draft' {
  /**
   * Writes one line to the host's log, under the component's name. The host
   * cuts a line after 8 KiB. It counts the lines above its limits for one
   * invocation and for one second, and leaves them out. Characters that are
   * not printable become escapes.
   */
  export function log(level: Level, context: string, message: string): void;
  /**
   * # Variants
   * 
   * ## `"trace"`
   * 
   * ## `"debug"`
   * 
   * ## `"info"`
   * 
   * ## `"warn"`
   * 
   * ## `"error"`
   * 
   * ## `"critical"`
   */
  export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';
}
