// A coin: its candles with volume, the sentiment below, news, what is missing and why.
// GET /ohlcv, GET /sentiment, GET /news, GET /coverage, GET /agreement, GET /latest.

import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../state/answers";
import { change, usePlace } from "../../state/place";
import { Change, Price } from "../../ui/figures";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Badge, Choice, Go, MadeUp } from "../../ui/parts";
import { AsOfSlider } from "./as_of";
import { useBars } from "./bars";
import { Chart, type Picked } from "./chart";
import { Coverage } from "./coverage";
import { News } from "./news";
import { Sources } from "./sources";
import { WhereFrom } from "../lineage/drawer";

const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1M"] as const;
type Interval = (typeof INTERVALS)[number];
const DAY_S = 86_400;
/** Seconds of those that are always as long. */
const STEPS: Record<string, number> = {
  "1m": 60,
  "5m": 300,
  "15m": 900,
  "30m": 1_800,
  "1h": 3_600,
  "2h": 7_200,
  "4h": 14_400,
  "6h": 21_600,
  "8h": 28_800,
  "12h": 43_200,
  "1d": DAY_S,
  "1w": 7 * DAY_S,
  "1M": 28 * DAY_S, // at least: for what is finer
};

export function Coin() {
  const place = usePlace();
  const symbol = place["symbol"] ?? "btc";
  const interval = (place["interval"] ?? "1d") as Interval;
  const dataset = place["dataset"];
  const asOf = place["as_of"];
  const latest = useAnswer("/latest", { symbol });
  const bars = useBars({ symbol, interval, dataset, asOf });
  const sentiment = useAnswer("/sentiment", {
    symbol,
    interval: interval.endsWith("m") ? "1h" : interval,
    limit: 1000,
    headlines: 1,
  });
  const [picked, pick] = useState<Picked | null>(null);
  const coin = latest.data?.[0];
  const last = bars.all[bars.all.length - 1];
  // What the chart shows, where it is another series than the newest price is of.
  const isOther =
    bars.series !== undefined &&
    (coin?.series.dataset !== bars.series.dataset || coin.currency !== bars.series.currency);
  return (
    <>
      <div class="head">
        <h1>{symbol.toUpperCase()}</h1>
        {isOther && last && (
          <>
            <strong>
              <Price value={last.close} /> {bars.series?.currency}
            </strong>
            <span class="soft">
              of {bars.series?.dataset}, <Ago time={last.close_time} />
            </span>
          </>
        )}
        {coin && !isOther && (
          <>
            <strong>
              <Price value={coin.price} /> {coin.currency}
            </strong>
            <Change value={coin.change_24h_percent} old={coin.age_seconds > DAY_S} />
            <MadeUp dataset={coin.series.dataset} />
            <span class="soft">
              <Ago time={coin.time} />
            </span>
            {asOf && <Badge tone="warn">this is the price of now; the chart is as of then</Badge>}
          </>
        )}
        <div class="end">
          <Choice
            label="Interval"
            values={INTERVALS}
            value={interval}
            onChange={(value) => change({ interval: value })}
            cannot={(value) => tooFine(value, bars.series)}
          />
        </div>
      </div>
      <Panel
        title={titleOf(bars.series)}
        answer={bars.answer}
        lines={12}
        help={({ status }) => {
          if (status === 404) return <Go to={{}}>What there is: Markets</Go>;
          const isFine = interval !== "1d" && status === 422;
          return isFine ? (
            <button onClick={() => change({ interval: "1d" })}>Show days</button>
          ) : null;
        }}
        tools={<Series of={bars.answer.data} chosen={dataset} />}
        empty={
          asOf ? (
            <>
              <strong>Nothing of this was known then.</strong>{" "}
              <button onClick={() => change({ as_of: null })}>Back to now</button>
              <AsOfSlider asOf={asOf} changed={null} source={undefined} />
            </>
          ) : (
            <>
              <strong>There are no bars of {interval} here.</strong> Choose another interval, or
              look into <Go to={{ room: "sources" }}>Sources</Go> for what was asked.
            </>
          )
        }
      >
        {() =>
          bars.all.length ? (
            <>
              <Chart
                bars={bars.all}
                before={bars.changed}
                moods={asOf ? [] : (sentiment.data?.bars ?? [])}
                step={STEPS[interval] ?? null}
                picked={picked}
                onPick={pick}
                onEarlier={bars.earlier}
              />
              <AsOfSlider asOf={asOf} changed={bars.changed.size} source={bars.series?.source} />
            </>
          ) : null
        }
      </Panel>
      <Coverage symbol={symbol} asOf={asOf} />
      <div class="columns">
        <News symbol={symbol} />
        <Sources symbol={symbol} interval={interval} />
      </div>
      {picked && bars.series && (
        <WhereFrom bar={picked} series={bars.series} onClose={() => pick(null)} />
      )}
    </>
  );
}

/** Why an interval cannot be made of a series, or null. */
function tooFine(value: Interval, series: Schemas["BarsOfSeries"] | undefined): string | null {
  if (series?.basis !== "candles" || !series.interval) return null;
  const [wanted, given] = [STEPS[value], STEPS[series.interval]];
  const isFiner = wanted !== undefined && given !== undefined && wanted < given;
  return isFiner ? `its candles are of ${series.interval}` : null;
}

function titleOf(series: Schemas["BarsOfSeries"] | undefined): string {
  if (!series) return "Candles";
  const made = series.basis === "candles" ? `from ${series.interval ?? "its"} candles` : "sampled";
  return `${series.dataset} · ${series.instrument ?? series.symbol} · ${made}`;
}

/** Which of the series that match is shown. */
function Series({
  of: answer,
  chosen,
}: {
  of: Schemas["Ohlcv"] | undefined;
  chosen: string | undefined;
}) {
  const names = new Set([
    ...(answer?.series ?? []).map((each) => each.dataset),
    ...(answer?.others ?? []).map((each) => each.dataset),
  ]);
  if (names.size < 2 && !chosen) return null;
  return (
    <select
      aria-label="Series"
      title={answer?.rule}
      value={chosen ?? ""}
      onChange={(event) => change({ dataset: event.currentTarget.value || null })}
    >
      <option value="">the best of them</option>
      {[...names].sort().map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
