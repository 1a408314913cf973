import type { Schemas } from "../../api/client";
import { count, short } from "../../format/numbers";
import { utc } from "../../format/times";
import { Change, Price } from "../../ui/figures";
import { Weighted } from "../lineage/words";
import type { Bar } from "./bars";

/** What the crosshair is on: the figures of a bar, and the headline that says most. */
export function Reading(props: {
  bar: Bar | undefined;
  mood: Schemas["SentimentBar"] | undefined;
}) {
  const { bar, mood } = props;
  const headline = mood?.headlines[0];
  if (!bar) return null;
  const change = bar.open ? ((bar.close ?? bar.open) / bar.open - 1) * 100 : null;
  return (
    <div class="reading">
      <span class="soft">{utc(bar.open_time)}</span>
      <span>
        <span class="soft">open</span> <Price value={bar.open} />
      </span>
      <span>
        <span class="soft">high</span> <Price value={bar.high} />
      </span>
      <span>
        <span class="soft">low</span> <Price value={bar.low} />
      </span>
      <span>
        <span class="soft">close</span> <Price value={bar.close} />
      </span>
      <Change value={change} />
      <span class="soft">volume {short(bar.volume)}</span>
      {Date.parse(bar.close_time) > Date.now() && (
        <span class="care">not over yet: its close still moves</span>
      )}
      {bar.complete === false && <span class="care">{count(bar.points)} points, incomplete</span>}
      {headline && (
        <span>
          <Weighted text={headline.title ?? ""} weights={headline.words ?? {}} />{" "}
          <span class="soft">
            {headline.feed}
            {mood!.news > 1 && ` · and ${count(mood!.news - 1)} more`}
          </span>
        </span>
      )}
    </div>
  );
}
