/// <reference path="./platform-http-types.d.ts" />
declare module 'platform:handlers/request-handler@1.0.0' {
  /**
   * Answers a request. See `platform:http/handler`.
   */
  export function handle(request: Request): Response;
  export type Request = import('platform:http/types@1.0.0').Request;
  export type Response = import('platform:http/types@1.0.0').Response;
}
