// What the server has said, kept by address, asked again when an event says that it changed.

import { useEffect, useMemo, useReducer, useRef } from "preact/hooks";
import {
  addressOf,
  read,
  Refused,
  type AnswerOf,
  type GetPath,
  type QueryFor,
} from "../api/client";

const AT_MOST_EVERY_MS = 1_000;
const WITHOUT_ANSWER_MS = 3_000; // the network went away while it was asked
const MAX_KEPT = 100;

interface Kept {
  data: unknown;
  error: Refused | null;
  /** When the data were true last, in milliseconds. */
  at: number | null;
  asking: boolean;
  askAgain: boolean;
  askedAt: number;
  timer: number | undefined;
  readers: Set<() => void>;
}

export interface Answer<A> {
  data: A | undefined;
  error: Refused | null;
  /** When `data` were true last, in milliseconds; null: never. */
  at: number | null;
  /** GET and its address, for people to copy. */
  address: string;
  again: () => void;
}

const kept = new Map<string, Kept>();

/** The answer of a path; `parts` null: nothing is asked yet. */
export function useAnswer<P extends GetPath>(
  path: P,
  query: QueryFor<P> | Record<string, never> = {},
  parts: Record<string, string | number> | null = {},
): Answer<AnswerOf<P>> {
  const address = parts && addressOf(path, query as Record<string, string>, parts);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!address) return;
    const entry = entryOf(address);
    const reader = () => redraw(0);
    entry.readers.add(reader);
    if (entry.at === null || entry.error) ask(address);
    else askSoon(address);
    return () => {
      entry.readers.delete(reader);
      if (entry.readers.size) return;
      clearTimeout(entry.timer);
      entry.timer = undefined; // else nothing would ever be asked for again
    };
  }, [address]);
  const entry = address ? kept.get(address) : undefined;
  return useMemo(
    () => ({
      data: entry?.data as AnswerOf<P> | undefined,
      error: entry?.error ?? null,
      at: entry?.at ?? null,
      address: address ?? "",
      again: () => address && ask(address),
    }),
    [address, entry?.data, entry?.error, entry?.at],
  );
}

/** An answer that stays in sight until the next one is there, as long as both are of the same. */
export function useKept<A>(answer: Answer<A>, of: string): Answer<A> {
  const last = useRef<{ of: string; answer: Answer<A> } | null>(null);
  if (answer.data !== undefined) last.current = { of, answer };
  if (answer.data !== undefined || answer.error || last.current?.of !== of) return answer;
  return last.current.answer;
}

/** Ask again, soon, for what is shown of these paths, such as `/runs`. */
export function outdate(...starts: string[]): void {
  for (const [address, entry] of kept) {
    const path = address.slice("/api/v1".length);
    if (!starts.some((start) => path.startsWith(start))) continue;
    if (entry.readers.size) askSoon(address);
    else kept.delete(address);
  }
}

export function outdateAll(): void {
  outdate("");
}

function entryOf(address: string): Kept {
  let entry = kept.get(address);
  if (!entry) {
    entry = {
      data: undefined,
      error: null,
      at: null,
      asking: false,
      askAgain: false,
      askedAt: 0,
      timer: undefined,
      readers: new Set(),
    };
    kept.set(address, entry);
    forgetOldest();
  }
  return entry;
}

function forgetOldest(): void {
  for (const [address, entry] of kept) {
    if (kept.size <= MAX_KEPT) return;
    if (!entry.readers.size) kept.delete(address);
  }
}

/** At most once in so long each. */
function askSoon(address: string, every_ms = AT_MOST_EVERY_MS): void {
  const entry = entryOf(address);
  if (entry.timer !== undefined) return;
  const wait = Math.max(0, entry.askedAt + every_ms - Date.now());
  entry.timer = window.setTimeout(() => {
    entry.timer = undefined;
    if (entry.readers.size) ask(address);
  }, wait);
}

async function ask(address: string): Promise<void> {
  const entry = entryOf(address);
  if (entry.asking) {
    entry.askAgain = true;
    return;
  }
  entry.asking = true;
  entry.askedAt = Date.now();
  try {
    entry.data = await read(address);
    entry.error = null;
    entry.at = Date.now();
  } catch (error) {
    entry.error = error instanceof Refused ? error : new Refused(0, String(error), address);
  }
  entry.asking = false;
  for (const reader of [...entry.readers]) reader();
  const isLost = entry.error?.status === 0;
  if (entry.askAgain || isLost) {
    entry.askAgain = false;
    askSoon(address, isLost ? WITHOUT_ANSWER_MS : AT_MOST_EVERY_MS);
  }
}
