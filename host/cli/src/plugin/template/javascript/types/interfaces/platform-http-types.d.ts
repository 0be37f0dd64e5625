declare module 'platform:http/types@1.0.0' {
  /**
   * The user who is signed in. The host has verified the signature and the
   * expiry of the session, and that the session is not revoked.
   */
  export interface Principal {
    /**
     * The identifier that the component passed to `identity.issue`.
     */
    id: string,
    email: string,
  }
  /**
   * A name in lower case and a value. Names may repeat.
   */
  export type Field = [string, string];
  export interface Request {
    /**
     * Unique for each request. The host's log line and the header
     * `x-request-id` of the answer have the same value.
     */
    id: string,
    /**
     * In upper case; one of the methods that the route declares.
     */
    method: string,
    /**
     * The pattern of the manifest that matches the path, such as
     * `/api/things/{id}`.
     */
    route: string,
    /**
     * The segments that the pattern names, percent-decoded, in the order
     * of the pattern. The host answers 404 itself if one of them is not
     * UTF-8 or contains U+0000.
     */
    params: Array<Field>,
    /**
     * The path as the caller sent it.
     */
    path: string,
    /**
     * The text after `?`, as the caller sent it.
     */
    query?: string,
    /**
     * The host leaves out values that are not UTF-8. It also leaves out
     * credentials: `authorization` and `cookie` never reach a component.
     */
    headers: Array<Field>,
    /**
     * Empty when there is none.
     */
    body: Uint8Array,
    /**
     * None when nobody is signed in, and for a plugin without the entry
     * `visitor` in its policy.
     */
    principal?: Principal,
  }
  export interface Response {
    /**
     * 200 to 599. Any other value is the component's fault and becomes
     * 500.
     */
    status: number,
    /**
     * Headers of the connection (`connection`, `transfer-encoding`,
     * `content-length`, ...) belong to the host, which leaves them out. At
     * most 100 headers, of 64 KiB together; more, or a name or value that
     * HTTP does not allow, is the component's fault and becomes 500.
     * 
     * The host leaves out `set-cookie` of a session, unless it issued the
     * session for this request. Without the entry `same_origin` in the
     * plugin's policy it also leaves out all cookies and the headers that
     * act on more than this answer, and puts the page into a sandbox.
     * 
     * `x-ask-again-ms` tells the host that this answer may change in a
     * moment, because an event that the component needs is still on its
     * way. The host repeats the same request, with growing pauses, until
     * an answer has no such header or until that number of milliseconds
     * (at most 2,000) has passed. The caller gets the last answer,
     * without the header. The request must have had no effect.
     * 
     * On a route with `idempotent = true`, the host stores the answer to a
     * request with an `Idempotency-Key`, without its cookies, and gives it
     * to repetitions. It stores no answer with a status from 500 on, with
     * 429, with `x-ask-again-ms`, or of more than 64 KiB. If the call has
     * committed a transaction, repetitions then get 409, unless the answer
     * has `x-repeatable: true`: the component can apply the request again.
     */
    headers: Array<Field>,
    /**
     * At most `limits.response_bytes`. A larger body is the component's
     * fault and becomes 500.
     */
    body: Uint8Array,
  }
}
