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
  for (const { history } of instances) {
    for (const moment of history) {
      const ago = Math.floor((now - Date.parse(moment.time)) / MINUTE_MS);
      const at = MINUTES - 1 - Math.max(0, ago);
      const value = of(moment);
      if (at >= 0 && value !== null) found[at] = (found[at] ?? 0) + value;
    }
  }
  return found;
}
