import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { perMinute, MINUTES } from "./rates";

const TALL = 90;
const WIDE = 10; // of a minute

/** Records a minute over the last hour, by the runs that brought them. */
export function Hour({ runs, now }: { runs: Schemas["Run"][]; now: number }) {
  const rates = perMinute(runs, now);
  const most = Math.max(...rates, 1);
  return (
    <div>
      <div class="soft">Records a minute, {count(Math.round(most))} at most</div>
      <svg
        viewBox={`0 0 ${MINUTES * WIDE} ${TALL}`}
        preserveAspectRatio="none"
        width="100%"
        height={TALL}
        role="img"
        aria-label={`Records a minute, ${count(Math.round(most))} at most`}
      >
        {rates.map((rate, n) => (
          <rect
            key={n}
            x={n * WIDE}
            y={TALL - (rate / most) * TALL}
            width={WIDE - 2}
            height={Math.max(1, (rate / most) * TALL)}
            fill={rate ? "var(--accent)" : "var(--line)"}
          >
            <title>{`${MINUTES - 1 - n} min ago: ${count(Math.round(rate))} records`}</title>
          </rect>
        ))}
      </svg>
      <div class="row soft">
        <span>an hour ago</span>
        <span class="last">now</span>
      </div>
    </div>
  );
}
