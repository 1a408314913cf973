import { useEffect, useState } from "preact/hooks";
import { ago, local, span, utc } from "../format/times";

/** Now, every second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** How long ago, with the moment itself in the tooltip. */
export function Ago({ time }: { time: string | null | undefined }) {
  const now = useNow();
  return <span title={utc(time)}>{ago(time, now)}</span>;
}

/** A moment in local time, with UTC in the tooltip. */
export function Moment({ time }: { time: string | null | undefined }) {
  return <span title={utc(time)}>{local(time)}</span>;
}

/** When what is shown was true last. */
export function AsOf({ at, stale }: { at: number | null; stale: boolean }) {
  const now = useNow();
  if (at === null) return null;
  const seconds = (now - at) / 1_000;
  const text = seconds < 2 ? "now" : `${span(seconds)} ago`;
  return (
    <span class={`asof ${stale ? "care" : ""}`} title="When this was true last">
      {stale ? `as of ${text}` : text}
    </span>
  );
}
