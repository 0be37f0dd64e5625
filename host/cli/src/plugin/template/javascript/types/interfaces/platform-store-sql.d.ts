declare module 'platform:store/sql@1.0.0' {
  /**
   * Runs one statement that reads, outside of any transaction, on a
   * snapshot with everything that was committed before the call. It takes at
   * most `limits.transaction_ms`.
   */
  export function query(statement: string, parameters: Array<Value>): Rows;
  /**
   * Runs one statement in a transaction of its own. Returns the number of
   * changed rows. When it returns, the change is durable.
   */
  export function execute(statement: string, parameters: Array<Value>): bigint;
  export type Value = ValueNull | ValueInteger | ValueReal | ValueText | ValueBlob;
  export interface ValueNull {
    tag: 'null',
  }
  export interface ValueInteger {
    tag: 'integer',
    val: bigint,
  }
  export interface ValueReal {
    tag: 'real',
    val: number,
  }
  export interface ValueText {
    tag: 'text',
    val: string,
  }
  export interface ValueBlob {
    tag: 'blob',
    val: Uint8Array,
  }
  /**
   * The result of a query. Every row has one value for each column.
   */
  export interface Rows {
    columns: Array<string>,
    rows: Array<Array<Value>>,
  }
  /**
   * # Variants
   * 
   * ## `"unique"`
   * 
   * ## `"foreign-key"`
   * 
   * ## `"not-null"`
   * 
   * ## `"check"`
   */
  export type ConstraintKind = 'unique' | 'foreign-key' | 'not-null' | 'check';
  export interface Violation {
    kind: ConstraintKind,
    /**
     * The violated constraint, as far as the engine names it:
     * `table.column` for `unique` (several joined by `, `) and
     * `not-null`, the constraint's name for `check`, empty for
     * `foreign-key`.
     */
    target: string,
  }
  export type Error = ErrorConflict | ErrorConstraint | ErrorTimeout | ErrorLimit | ErrorInvalid | ErrorUnavailable;
  /**
   * Another transaction interfered, or the host ended this one because
   * one of its changes held others up. Nothing was done: begin again.
   */
  export interface ErrorConflict {
    tag: 'conflict',
  }
  /**
   * A constraint of the schema refused the statement. The transaction
   * goes on as if the statement had not been executed.
   */
  export interface ErrorConstraint {
    tag: 'constraint',
    val: Violation,
  }
  /**
   * The statement, or the wait for the database, took too long.
   */
  export interface ErrorTimeout {
    tag: 'timeout',
  }
  /**
   * The call exceeds a limit, which the text names with its unit: rows
   * or bytes of a result, bytes of a statement, parameters, events or
   * timers for each transaction.
   */
  export interface ErrorLimit {
    tag: 'limit',
    val: string,
  }
  /**
   * The statement is not accepted here. The text says why.
   */
  export interface ErrorInvalid {
    tag: 'invalid',
    val: string,
  }
  /**
   * The database cannot be reached or has failed. The outcome of a
   * commit is unknown.
   */
  export interface ErrorUnavailable {
    tag: 'unavailable',
    val: string,
  }
  /**
   * A timer to set. See `platform:timers`.
   */
  export interface Timer {
    /**
     * At most 200 bytes, unique among the component's timers.
     */
    key: string,
    /**
     * The time at which it is due, in milliseconds since the Unix epoch.
     * A timer whose time has passed is due at once.
     */
    dueMs: bigint,
    /**
     * The handler gets it back when the timer fires. At most 64 KiB.
     */
    payload: Uint8Array,
  }
  
  export class Transaction implements Disposable {
    /**
     * This type does not have a public constructor.
     */
    private constructor();
    /**
    * Waits for earlier transactions. Returns `timeout` when that takes
    * too long.
    */
    static begin(): Transaction;
    query(statement: string, parameters: Array<Value>): Rows;
    execute(statement: string, parameters: Array<Value>): bigint;
    /**
    * Publishes an event when the transaction commits. The manifest's
    * `messaging.publishes` must contain the subject. The payload has at
    * most `limits.event_bytes`, or 16 KiB less than the largest message
    * of NATS where that is smaller. A larger payload returns `limit`.
    * Events of one component reach the bus in the order of their
    * commits. Returns the event's id.
    */
    publish(subject: string, payload: Uint8Array): string;
    /**
    * Sets a timer when the transaction commits. It replaces a timer with
    * the same key.
    */
    schedule(timer: Timer): void;
    /**
    * Removes a timer when the transaction commits. Returns whether there
    * was one.
    */
    cancelTimer(key: string): boolean;
    /**
    * When it returns without an error, all changes are durable.
    */
    static commit(tx: Transaction): void;
    static rollback(tx: Transaction): void;
    [Symbol.dispose](): void;
  }
}
