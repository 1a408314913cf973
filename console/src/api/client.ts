// Requests to the API, with the types of its OpenAPI document.

import { forgetKey, key } from "./key";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
const PREFIX = "/api/v1";
const MAY_NOT = "this key may";
type Full<P extends string> = `${typeof PREFIX}${P}`;
type Short<P> = P extends Full<infer S> ? S : never;
type Got<P> = Full<P & string> extends keyof paths ? paths[Full<P & string>] : never;
type Json<R> = R extends { content: { "application/json": infer A } } ? A : never;
type OkOf<M> = M extends { responses: infer R }
  ? 200 extends keyof R
    ? Json<R[200]>
    : 202 extends keyof R
      ? Json<R[202]>
      : never
  : never;
type QueryOf<M> = M extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;

/** The paths that answer GET, without their prefix, such as `/data`. */
export type GetPath = {
  [P in keyof paths]: paths[P] extends { get: unknown } ? Short<P> : never;
}[keyof paths];
export type AnswerOf<P extends GetPath> = Got<P> extends { get: infer M } ? OkOf<M> : never;
export type QueryFor<P extends GetPath> = Got<P> extends { get: infer M } ? QueryOf<M> : never;
type Value = string | number | boolean | null | undefined;

/** What the API refused, in its own words. `status` 0: it could not be reached. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly address: string,
  ) {
    super(message);
  }
}

/** A path with its parts and its parameters; those that are null are left out. */
export function addressOf(
  path: string,
  query: Record<string, Value> = {},
  parts: Record<string, string | number> = {},
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(parts[name] ?? "")),
  );
  const given = Object.entries(query).filter(([, value]) => value != null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return PREFIX + filled + (text ? `?${text}` : "");
}

/** The answer of an address as JSON. Throws `Refused`. */
export async function read<A>(address: string, signal?: AbortSignal): Promise<A> {
  return (await (await send(address, { signal: signal ?? null })).json()) as A;
}

/** Throws `Refused`. */
export async function command<A>(
  method: "POST" | "DELETE" | "PUT",
  address: string,
  body?: unknown,
): Promise<A> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const response = await send(address, init);
  return (response.status === 204 ? null : await response.json()) as A;
}

/** The response, if it is a good one. Throws `Refused`. */
export async function send(address: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("x-api-key", key() ?? "");
  // A standby may lack what an event has told just now.
  headers.set("cache-control", "no-cache");
  let response: Response;
  try {
    response = await fetch(address, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refused(0, "The server cannot be reached.", address);
  }
  if (response.ok) return response;
  const said = await words(response);
  // A key that may not do this is no wrong key.
  const isWrong = response.status === 403 && !said.startsWith(MAY_NOT);
  if (response.status === 401 || isWrong) askForKey();
  throw new Refused(response.status, said, address);
}

async function words(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

const asking = new Set<() => void>();

/** Call `listener` when the key turns out to be wrong. Returns how to stop. */
export function onWrongKey(listener: () => void): () => void {
  asking.add(listener);
  return () => asking.delete(listener);
}

function askForKey(): void {
  forgetKey();
  for (const listener of asking) listener();
}
