// The bars of one series: the newest, those before them as they come into sight, and, at another
// time, which of them were different then.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { addressOf, read, type Schemas } from "../../api/client";
import { useAnswer, useKept } from "../../state/answers";

export type Bar = Schemas["Bar"];
type Ohlcv = Schemas["Ohlcv"];
const FIRST = 500;
const MORE = 5_000;

export interface Asked {
  symbol: string;
  interval: string;
  dataset: string | undefined;
  asOf: string | undefined;
}

export function useBars({ symbol, interval, dataset, asOf }: Asked) {
  const query = { symbol, interval, dataset: dataset ?? null, as_of: asOf ?? null };
  const answer = useKept(useAnswer("/ohlcv", { ...query, limit: FIRST }), symbol);
  const now = useAnswer("/ohlcv", { ...query, as_of: null, limit: FIRST }, asOf ? {} : null);
  const name = JSON.stringify(query);
  const [older, setOlder] = useState<{ of: string; bars: Bar[] }>({ of: name, bars: [] });
  const asking = useRef(false);
  const isAll = useRef("");
  const series = answer.data?.series[0];
  const newest = series?.bars ?? [];
  const all = useMemo(
    () => joined(older.of === name ? older.bars : [], newest),
    [older, newest, name],
  );
  useEffect(() => {
    isAll.current = "";
  }, [name]);

  const earlier = useCallback(() => {
    const first = all[0];
    if (!first || asking.current || isAll.current === name) return;
    asking.current = true;
    const address = addressOf("/ohlcv", {
      ...query,
      dataset: dataset ?? series?.dataset ?? null,
      to: first.open_time,
      order: "desc",
      limit: MORE,
    });
    read<Ohlcv>(address)
      .then((found) => {
        const bars = [...(found.series[0]?.bars ?? [])].reverse();
        if (bars.length < MORE) isAll.current = name;
        setOlder({ of: name, bars: joined(bars, all) });
      })
      .catch(() => {
        isAll.current = name; // what can be shown is there; the next look tries again
      })
      .finally(() => {
        asking.current = false;
      });
  }, [all, name]);

  const changed = useMemo(
    () => (asOf ? different(all, now.data?.series[0]?.bars ?? []) : new Set<string>()),
    [all, now.data, asOf],
  );
  return { answer, series, all, earlier, changed };
}

/** One list in the order of time; what comes later counts where both have a bar. */
function joined(older: Bar[], newer: Bar[]): Bar[] {
  if (!older.length) return newer;
  const first = newer[0]?.open_time;
  if (!first) return older;
  return [...older.filter((bar) => bar.open_time < first), ...newer];
}

/** The times of bars that are not what they are now, or are not there any more, or not yet. */
function different(then: Bar[], now: Bar[]): Set<string> {
  const known = new Map(now.map((bar) => [bar.open_time, bar]));
  const first = now[0]?.open_time ?? "";
  const found = new Set<string>();
  for (const bar of then) {
    if (bar.open_time < first) continue;
    const other = known.get(bar.open_time);
    if (!other || VALUES.some((name) => other[name] !== bar[name])) found.add(bar.open_time);
  }
  return found;
}

const VALUES = ["open", "high", "low", "close", "volume", "points"] as const;
