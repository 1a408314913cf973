import type { Schemas } from "../../api/client";

type Moment = Schemas["Moment"];
interface Told {
  history: Moment[];
}
export const MINUTES = 60;
const MINUTE_MS = 60_000;

/** The sum over instances for each of the last minutes, oldest first; null: nothing is known. */
export function byMinute(
  instances: Told[],
  now: number,
  of: (moment: Moment) => number | null,
): (number | null)[] {
  const found = new Array<number | null>(MINUTES).fill(null);
  // What was told after the last look at the clock belongs to a minute of its own.
  const told = instances.flatMap(({ history }) => history.map(({ time }) => minuteOf(time)));
  const last = Math.max(Math.floor(now / MINUTE_MS), ...told);
  for (const { history } of instances) {
    for (const moment of history) {
      const at = MINUTES - 1 - (last - minuteOf(moment.time));
      const value = of(moment);
      if (at >= 0 && value !== null) found[at] = (found[at] ?? 0) + value;
    }
  }
  return found;
}

function minuteOf(time: string): number {
  return Math.floor(Date.parse(time) / MINUTE_MS);
}
