import type { Schemas } from "../../api/client";

type Run = Pick<Schemas["Run"], "started_at" | "finished_at" | "records">;
export const MINUTES = 60;
const MINUTE_MS = 60_000;

/** The records of each minute up to now, as if a run brought them at one speed. */
export function perMinute(runs: Run[], now: number): number[] {
  const found = new Array<number>(MINUTES).fill(0);
  const begin = now - MINUTES * MINUTE_MS;
  for (const run of runs) {
    if (!run.started_at) continue;
    const first = Date.parse(run.started_at);
    const last = Math.max(first + 1, run.finished_at ? Date.parse(run.finished_at) : now);
    for (let n = 0; n < MINUTES; n++) {
      const from = begin + n * MINUTE_MS;
      const shared = Math.min(last, from + MINUTE_MS) - Math.max(first, from);
      if (shared > 0) found[n]! += (run.records * shared) / (last - first);
    }
  }
  return found;
}
