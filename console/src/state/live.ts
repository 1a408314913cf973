// The events of the server, read by `fetch`, so that the key stands in no address.

import { send } from "../api/client";
import { outdate, outdateAll } from "./answers";

/** What changes with each kind of event. Changes of data points are those of live prices alone:
 * what files and history bring is seen by the runs that bring it. */
const OUTDATED: Record<string, string[]> = {
  change: ["/latest"],
  run: [
    "/stats",
    "/runs",
    "/latest",
    "/series",
    "/health",
    "/ohlcv",
    "/coverage",
    "/sentiment",
    "/dead-letters",
  ],
  task: ["/runs", "/checkpoints"],
  dead_letter: ["/dead-letters"],
  source: ["/sources", "/checkpoints"],
};
const ADDRESS = "/api/v1/events?kind=ticker";
const SILENT_MS = 25_000; // heartbeats come every ten seconds
const RETRY_MS = [500, 1_000, 2_000, 5_000];

export type Link = "connecting" | "live" | "away";
const readers = new Set<(link: Link) => void>();
let link: Link = "connecting";
let lastId = "";

export function linkNow(): Link {
  return link;
}

/** Returns how to stop. */
export function onLink(reader: (link: Link) => void): () => void {
  readers.add(reader);
  return () => readers.delete(reader);
}

function turn(to: Link): void {
  if (link === to) return;
  link = to;
  for (const reader of readers) reader(to);
}

/** Listen until the function that it returns is called. */
export function listen(): () => void {
  const stop = new AbortController();
  void goOn(stop.signal);
  return () => stop.abort();
}

async function goOn(stop: AbortSignal): Promise<void> {
  for (let tries = 0; !stop.aborted; tries++) {
    try {
      await hear(stop, () => {
        tries = 0;
      });
    } catch {
      // told by the state of the link; what is asked for says why
    }
    if (stop.aborted) return;
    turn("away");
    await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(tries, 3)]));
  }
}

async function hear(stop: AbortSignal, heard: () => void): Promise<void> {
  const silent = new AbortController();
  const signal = AbortSignal.any([stop, silent.signal]);
  let timer = setTimeout(() => silent.abort(), SILENT_MS);
  try {
    const headers: Record<string, string> = lastId ? { "Last-Event-ID": lastId } : {};
    const response = await send(ADDRESS, { headers, signal });
    turn("live");
    // What happened while nobody listened is not told.
    outdateAll();
    let rest = "";
    const text = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await text.read();
      if (done) return;
      heard();
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENT_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      told(blocks);
    }
  } catch (error) {
    // A token that is kept no more: everything was asked for anew, so begin with now.
    lastId = "";
    throw error;
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}

/** Each kind once, however many events of it came together. */
function told(blocks: string[]): void {
  const kinds = new Set<string>();
  for (const block of blocks) {
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) kinds.add(line.slice(7).trim());
      else if (line.startsWith("id: ")) lastId = line.slice(4).trim();
    }
  }
  const paths = [...kinds].flatMap((kind) => OUTDATED[kind] ?? []);
  if (paths.length) outdate(...paths);
}
