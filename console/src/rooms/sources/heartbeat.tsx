import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { day } from "../../format/times";
import { Strip } from "../../ui/strip";

type Run = Schemas["Run"];
const DAYS = 30;
const DAY_MS = 86_400_000;
const GAP = 0.12; // of a day's width
const BAD = new Set(["failed", "incomplete"]);

/** A bar a day: whether the runs of a source succeeded. Days without a run stay empty. */
export function Heartbeat({ source, runs }: { source: string; runs: Run[] }) {
  const today = Math.floor(Date.now() / DAY_MS);
  const days = new Map<number, { good: number; bad: number }>();
  for (const run of runs) {
    if (!run.requested_at || !(source in run.sources)) continue;
    const of = Math.floor(Date.parse(run.requested_at) / DAY_MS);
    const found = days.get(of) ?? { good: 0, bad: 0 };
    const isBad = BAD.has(run.status) || run.errors.some((error) => error.source === source);
    if (isBad) found.bad++;
    else found.good++;
    days.set(of, found);
  }
  const pieces = [...days]
    .map(([of, { good, bad }]) => ({ n: of - today + DAYS - 1, of, good, bad }))
    .filter(({ n }) => n >= 0)
    .map(({ n, of, good, bad }) => ({
      from: n / DAYS,
      to: (n + 1 - GAP) / DAYS,
      colour: bad ? (good ? "--care" : "--loss") : "--gain",
      text: `${day(new Date(of * DAY_MS).toISOString())}: ${count(good)} good, ${count(bad)} failed`,
    }));
  return (
    <div class="heartbeat">
      <Strip pieces={pieces} label={`${source}, ${DAYS} days`} />
    </div>
  );
}
