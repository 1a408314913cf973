import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { onTheme } from "../../state/theme";
import type { Bar } from "./bars";
import { Reading } from "./reading";

export type Picked = Bar;
type Mood = Schemas["SentimentBar"];
const NEAR_THE_EDGE = 40; // bars
const MOST_HOLES = 5_000;
const FEW = 150; // bars that are shown all at once

interface Props {
  bars: Bar[];
  /** The times of bars to outline: they are different now. */
  before: Set<string>;
  moods: Mood[];
  /** Seconds between two bars, where they are always as far apart. */
  step: number | null;
  /** The bar of which it is told where it comes from. */
  picked: Bar | null;
  onPick: (bar: Bar) => void;
  onEarlier: () => void;
}

interface Drawn {
  chart: IChartApi;
  candles: ISeriesApi<"Candlestick">;
  line: ISeriesApi<"Line">;
  volume: ISeriesApi<"Histogram">;
  moods: ISeriesApi<"Histogram">;
  markers: ISeriesMarkersPluginApi<Time>;
}

/** Candles with their volume, the mood of the news in a pane below, news as markers. */
export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const now = useRef(props);
  now.current = props;
  const [hovered, hover] = useState<Time | null>(null);
  useEffect(() => {
    const made = draw(box.current!, now, hover);
    drawn.current = made;
    const stop = onTheme(() => {
      paint(made.chart);
      fill(made, now.current);
    });
    return () => {
      stop();
      drawn.current = null;
      made.chart.remove();
    };
  }, []);
  useEffect(() => {
    if (drawn.current) fill(drawn.current, props);
  }, [props.bars, props.before, props.moods, props.picked]);
  const isShort = props.bars.length <= FEW;
  useEffect(() => {
    if (isShort) drawn.current?.chart.timeScale().fitContent();
  }, [isShort, props.bars.length]);
  const isPicked = props.picked !== null;
  useEffect(() => {
    // The drawer makes room for itself.
    const soon = setTimeout(() => {
      if (isShort) drawn.current?.chart.timeScale().fitContent();
    }, 100);
    return () => clearTimeout(soon);
  }, [isPicked]);
  const last = props.bars[props.bars.length - 1];
  const before = props.bars[props.bars.length - 2];
  const distance = last && before ? seconds(last.open_time) - seconds(before.open_time) : 0;
  useEffect(() => {
    // Of another interval: as many of the newest as can be told apart.
    const count = now.current.bars.length;
    if (!distance || count <= FEW) return;
    drawn.current?.chart.timeScale().setVisibleLogicalRange({ from: count - FEW, to: count + 2 });
  }, [distance]);
  const at = <T extends { open_time: string }>(all: T[]) =>
    hovered === null ? undefined : all.find((each) => seconds(each.open_time) === hovered);
  return (
    <>
      <Reading bar={props.picked ?? at(props.bars) ?? last} mood={at(props.moods)} />
      <div
        ref={box}
        class="chart"
        role="img"
        aria-label={`${props.bars.length} candles. Times are UTC. A click tells where one comes from.`}
      />
    </>
  );
}

function draw(
  box: HTMLElement,
  now: { current: Props },
  hover: (time: Time | null) => void,
): Drawn {
  const chart = createChart(box, {
    autoSize: true,
    crosshair: { mode: CrosshairMode.Normal },
    timeScale: {
      timeVisible: true,
      secondsVisible: false,
      lockVisibleTimeRangeOnResize: true,
    },
    layout: { attributionLogo: false, panes: { enableResize: false } },
  });
  const candles = chart.addSeries(CandlestickSeries, {});
  const line = chart.addSeries(LineSeries, {
    lineWidth: 2,
    pointMarkersVisible: true,
    lastValueVisible: false,
    priceLineVisible: false,
  });
  const volume = chart.addSeries(HistogramSeries, {
    priceScaleId: "volume",
    priceFormat: { type: "volume" },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  const moods = chart.addSeries(
    HistogramSeries,
    { priceFormat: { type: "price", precision: 2, minMove: 0.01 }, priceLineVisible: false },
    1,
  );
  chart.panes()[1]?.setStretchFactor(0.18);
  chart.subscribeClick(({ time }) => {
    const bar = now.current.bars.find((each) => seconds(each.open_time) === time);
    if (bar) now.current.onPick(bar);
  });
  chart.subscribeCrosshairMove(({ time }) => hover(time ?? null));
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (range && range.from < NEAR_THE_EDGE) now.current.onEarlier();
  });
  paint(chart);
  return { chart, candles, line, volume, moods, markers: createSeriesMarkers(candles, []) };
}

/** The page's colours, of now. */
function paint(chart: IChartApi): void {
  chart.applyOptions({
    layout: {
      background: { type: ColorType.Solid, color: token("card") },
      textColor: token("soft"),
      fontFamily: token("font"),
    },
    grid: { vertLines: { visible: false }, horzLines: { color: token("line") } },
    timeScale: { borderColor: token("line") },
    rightPriceScale: { borderColor: token("line") },
  });
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function seconds(time: string): UTCTimestamp {
  return (Date.parse(time) / 1_000) as UTCTimestamp;
}

/** The times at which a bar is missing, so that a hole is a hole; none where they are very many. */
function holes(times: UTCTimestamp[], step: number | null): { time: UTCTimestamp }[] {
  const found: { time: UTCTimestamp }[] = [];
  for (let n = 1; step && n < times.length; n++) {
    for (let at = times[n - 1]! + step; at < times[n]!; at += step) {
      if (found.length >= MOST_HOLES) return [];
      found.push({ time: at as UTCTimestamp });
    }
  }
  return found;
}

function fill(drawn: Drawn, { bars, before, moods, step, picked }: Props): void {
  const [gain, loss, care] = [token("gain"), token("loss"), token("care")];
  const whole = bars.filter((bar) => bar.close !== null);
  const smallest = whole.reduce((least, bar) => Math.min(least, bar.low ?? least), Infinity);
  drawn.candles.applyOptions({
    upColor: gain,
    downColor: loss,
    wickUpColor: gain,
    wickDownColor: loss,
    borderVisible: true,
    priceFormat: formatFor(smallest),
  });
  const known = whole.map((bar) => seconds(bar.open_time));
  // Of one price a bar a candle is a dash that nobody sees.
  const areSingle = whole.length <= FEW && whole.every((bar) => bar.high === bar.low);
  drawn.line.applyOptions({ color: token("accent") });
  drawn.line.setData(
    areSingle ? whole.map((bar) => ({ time: seconds(bar.open_time), value: bar.close! })) : [],
  );
  drawn.candles.setData(
    [
      ...whole.map((bar) => {
        const way = bar.close! >= bar.open! ? gain : loss;
        return {
          time: seconds(bar.open_time),
          open: bar.open!,
          high: bar.high!,
          low: bar.low!,
          close: bar.close!,
          borderColor: before.has(bar.open_time) ? care : way,
          ...(before.has(bar.open_time) && { color: "transparent", wickColor: care }),
        };
      }),
      ...holes(known, step),
    ].sort((a, b) => a.time - b.time),
  );
  drawn.volume.setData(
    whole
      .filter((bar) => bar.volume !== null)
      .map((bar) => ({
        time: seconds(bar.open_time),
        value: bar.volume!,
        color: `${bar.close! >= bar.open! ? gain : loss}44`,
      })),
  );
  // Before the first bar and behind the last there is nothing that news could be beside.
  const [first, last] = [known[0] ?? 0, known[known.length - 1] ?? 0];
  const shown = moods.filter((mood) => {
    const at = seconds(mood.open_time);
    return mood.mean !== null && first <= at && at <= last;
  });
  drawn.moods.setData(
    shown.map((mood) => ({
      time: seconds(mood.open_time),
      value: mood.mean!,
      color: mood.mean! < 0 ? loss : gain,
    })),
  );
  const markers = shown.flatMap((mood) => marker(mood, gain, loss));
  if (picked) markers.push(chosen(picked));
  drawn.markers.setMarkers(markers.sort((a, b) => Number(a.time) - Number(b.time)));
}

/** The headline that says most, at its bar. */
function marker(mood: Mood, gain: string, loss: string): SeriesMarker<Time>[] {
  const headline = mood.headlines[0];
  if (!headline) return [];
  const sentiment = headline.sentiment ?? 0;
  const time = seconds(mood.open_time);
  if (Math.abs(sentiment) < 0.005)
    return [{ time, position: "aboveBar", shape: "square", color: token("soft"), size: 0.4 }];
  const isBad = sentiment < 0;
  return [
    {
      time,
      position: isBad ? "aboveBar" : "belowBar",
      shape: isBad ? "arrowDown" : "arrowUp",
      color: isBad ? loss : gain,
      size: 0.8,
    },
  ];
}

function chosen(bar: Bar): SeriesMarker<Time> {
  return {
    time: seconds(bar.open_time),
    position: "aboveBar",
    shape: "circle",
    color: token("accent"),
  };
}

/** As many digits as the smallest price needs. */
function formatFor(price: number) {
  if (!Number.isFinite(price) || price <= 0) price = 1;
  const digits = Math.min(14, Math.max(2, 4 - Math.floor(Math.log10(price))));
  return { type: "price" as const, precision: digits, minMove: 1 / 10 ** digits };
}
