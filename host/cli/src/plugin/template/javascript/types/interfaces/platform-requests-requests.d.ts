declare module 'platform:requests/requests@1.0.0' {
  /**
   * Sends a request and waits for the whole response. Requests, events and
   * timers may all do so.
   */
  export function send(request: Request): Response;
  /**
   * A name and a value. Names may repeat. The host gives names in lower case.
   */
  export type Header = [string, string];
  export interface Request {
    /**
     * Such as `GET`. `CONNECT` is `invalid`.
     */
    method: string,
    /**
     * An absolute URL with the scheme `http` or `https` and without a user,
     * of at most 8 KiB. The port may be left out if it is 80 or 443. A
     * fragment is not sent. A plugin has the scheme `http` and no port.
     */
    url: string,
    /**
     * The host sets the headers of the connection itself (`host`,
     * `content-length`, `connection`, `transfer-encoding`, ...) and leaves
     * them out here. It adds `traceparent` if the trace of the call is
     * recorded and there is none.
     */
    headers: Array<Header>,
    /**
     * Empty when there is none.
     */
    body: Uint8Array,
    /**
     * The longest time until the whole response is there. None: as long as
     * the call may take. It is always shorter than the rest of the call's own
     * time: the host leaves a tenth of the rest, at most 500 ms, so that the
     * component can still answer.
     */
    timeoutMs?: number,
  }
  export interface Response {
    /**
     * The status, whatever it is: an error of the destination is a response.
     */
    status: number,
    /**
     * The host leaves out values that are not UTF-8.
     */
    headers: Array<Header>,
    /**
     * The whole body, as the destination sent it. The host does not
     * decompress it.
     */
    body: Uint8Array,
  }
  /**
   * After `timeout`, `unreachable` and a `too-large` response, the destination
   * may have received the request and acted on it.
   */
  export type Error = ErrorDenied | ErrorInTransaction | ErrorInvalid | ErrorTooLarge | ErrorBusy | ErrorTimeout | ErrorUnreachable | ErrorTooDeep;
  /**
   * The policy of the plugin does not allow this destination, or its name
   * resolves to an address that is not public. The text names the command
   * that allows a plugin. Nothing was sent.
   */
  export interface ErrorDenied {
    tag: 'denied',
    val: string,
  }
  /**
   * The call has a transaction open. Nothing was sent.
   */
  export interface ErrorInTransaction {
    tag: 'in-transaction',
  }
  /**
   * The request is not a valid one. Nothing was sent.
   */
  export interface ErrorInvalid {
    tag: 'invalid',
    val: string,
  }
  /**
   * The request or the response is larger than a limit, which the text
   * names.
   */
  export interface ErrorTooLarge {
    tag: 'too-large',
    val: string,
  }
  /**
   * Too many requests of this plugin are under way, or their bodies take
   * too much memory. Nothing was sent, or the response did not fit.
   */
  export interface ErrorBusy {
    tag: 'busy',
    val: string,
  }
  /**
   * The time is over.
   */
  export interface ErrorTimeout {
    tag: 'timeout',
  }
  /**
   * The name does not resolve, no connection could be made, or it broke
   * before the end of the response. Or the host has no plugin of this name.
   */
  export interface ErrorUnreachable {
    tag: 'unreachable',
    val: string,
  }
  /**
   * This call is the last one of a chain of plugins that call each other.
   * Nothing was sent.
   */
  export interface ErrorTooDeep {
    tag: 'too-deep',
  }
}
