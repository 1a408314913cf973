import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../state/answers";
import { change } from "../../state/place";
import { count } from "../../format/numbers";
import { Moment } from "../../ui/moments";

const HINT = "Click a candle to see where it comes from.";

interface Props {
  asOf: string | undefined;
  /** Bars that were different then; null where there is nothing to compare. */
  changed: number | null;
  /** Of the series: runs that brought it nothing are no step. */
  source: string | undefined;
}

/** Pulled back, it shows the data as they were when an earlier run had ended. */
export function AsOfSlider({ asOf, changed, source }: Props) {
  const runs = useAnswer("/stats", { limit: 100 });
  const ends = (runs.data ?? [])
    .filter((run) => run.finished_at && isStep(run, source))
    .map((run) => run.finished_at!)
    .sort();
  const chosen = asOf ? ends.indexOf(asOf) : ends.length;
  const [moved, setMoved] = useState<number | null>(null);
  if (!ends.length) return <p class="soft">{HINT}</p>;
  const at = moved ?? (chosen < 0 ? ends.length : chosen);
  const settle = (value: number) => {
    setMoved(null);
    change({ as_of: ends[value] ?? null });
  };
  return (
    <label class="row soft">
      As of
      <input
        type="range"
        min={0}
        max={ends.length}
        value={at}
        aria-label="The data as of an earlier run"
        onInput={(event) => setMoved(event.currentTarget.valueAsNumber)}
        onChange={(event) => settle(event.currentTarget.valueAsNumber)}
      />
      {at >= ends.length ? "now" : <Moment time={ends[at]} />}
      {!asOf && <span>· {HINT}</span>}
      {asOf && changed !== null && (
        <span class="care">
          {changed
            ? `${count(changed)} bars were different then: they are outlined; news is not shown`
            : "the bars were the same then; news is not shown"}
        </span>
      )}
    </label>
  );
}

function isStep(run: Schemas["Run"], source: string | undefined): boolean {
  const of = source === undefined ? run : run.sources[source];
  return of !== undefined && of.inserted + of.updated > 0;
}
