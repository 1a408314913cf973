// Markets: what there is, newest prices first to the eye.
// GET /latest, GET /series.

import { useMemo, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { share, short } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { go } from "../../state/place";
import { Change, Mood, Price, Spark } from "../../ui/figures";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Table } from "../../ui/table";
import { Dot, Go, MadeUp, type Tone } from "../../ui/parts";
import { Ingest } from "../sources/ingest";
import { Flash } from "./flash";

type Latest = Schemas["LatestPrice"];
const SAMPLE = "made-up-sample";
const FRESH_S = 900;
const OLD_S = 86_400;

const PAGE = 200;

export function Markets() {
  const series = useAnswer("/series", { limit: 1000 });
  const [search, setSearch] = useState("");
  const [pages, setPages] = useState(1);
  const whole = useMemo(() => completeness(series.data ?? []), [series.data]);
  return (
    <>
      <div class="head">
        <h1>Markets</h1>
        <div class="end">
          <input
            data-search
            type="search"
            placeholder="Search  /"
            aria-label="Search coins"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value.trim().toLowerCase())}
            onKeyDown={(event) => event.key === "Enter" && openFirst(search)}
          />
          <Ingest />
        </div>
      </div>
      {Array.from({ length: pages }, (_, n) => (
        <Page
          key={n}
          skip={n * PAGE}
          search={search}
          whole={whole}
          onMore={n === pages - 1 ? () => setPages(pages + 1) : null}
        />
      ))}
    </>
  );
}

/** So many coins; `onMore` of the last page shows the next. */
function Page(props: {
  skip: number;
  search: string;
  whole: Map<string, number>;
  onMore: (() => void) | null;
}) {
  const { skip, search } = props;
  const latest = useAnswer("/latest", { limit: PAGE, skip });
  const isFull = latest.data?.length === PAGE;
  return (
    <>
      <Panel
        title={skip ? `Coins from ${skip + 1} on` : "Coins"}
        answer={latest}
        flush
        lines={10}
        empty={
          <>
            <strong>There are no prices {skip ? "beyond these" : "yet"}.</strong> Ingest what is
            configured, or <Go to={{ room: "add" }}>drop a CSV file</Go>.
          </>
        }
      >
        {(coins) => {
          if (!coins.length) return null;
          const found = coins.filter((each) => each.symbol.includes(search));
          if (!found.length) return <p class="say">No coin has “{search}” in its symbol.</p>;
          return (
            <>
              <Coins coins={found} whole={props.whole} />
              {coins.every((each) => each.series.dataset === SAMPLE) && <Hint />}
            </>
          );
        }}
      </Panel>
      {isFull && props.onMore && (
        <div>
          <button onClick={props.onMore}>Show more</button>
        </div>
      )}
    </>
  );
}

/** While there is only what came with the product. */
function Hint() {
  return (
    <p class="say">
      <strong>This is a made-up sample.</strong> Drop a CSV file of your own anywhere, or{" "}
      <Go to={{ room: "add" }}>choose one</Go>.
    </p>
  );
}

/** The first that is shown. */
function openFirst(search: string): void {
  const first = document.querySelector<HTMLElement>("tbody tr.pick a");
  if (search) first?.click();
}

function Coins({ coins, whole }: { coins: Latest[]; whole: Map<string, number> }) {
  return (
    <Table
      head={[
        "Coin",
        ["Price", "right"],
        ["1 h", "right"],
        ["24 h", "right"],
        ["7 d", "right"],
        "7 days",
        "News of the 24 h before",
        ["Market cap", "right"],
        "Sources",
        ["Complete", "right"],
        ["Age", "right"],
      ]}
    >
      {coins.map((each) => (
        <Coin key={each.symbol} of={each} complete={whole.get(each.symbol)} />
      ))}
    </Table>
  );
}

function Coin({ of: coin, complete }: { of: Latest; complete: number | undefined }) {
  const place = { room: "coin", symbol: coin.symbol };
  const isOld = coin.age_seconds > OLD_S;
  return (
    <tr class="pick" onClick={() => go(place)}>
      <td>
        <Go to={place}>
          <strong>{coin.symbol.toUpperCase()}</strong>
        </Go>{" "}
        <span class="soft">{coin.currency}</span> <MadeUp dataset={coin.series.dataset} />
      </td>
      <td class="right">
        <Flash value={coin.price}>
          <Price value={coin.price} />
        </Flash>
      </td>
      <td class="right">
        <Change value={coin.change_1h_percent} old={isOld} />
      </td>
      <td class="right">
        <Change value={coin.change_24h_percent} old={isOld} />
      </td>
      <td class="right">
        <Change value={coin.change_7d_percent} old={isOld} />
      </td>
      <td>
        <Spark values={coin.sparkline} label={`${coin.symbol}, seven days`} />
      </td>
      <td>
        <Mood value={coin.sentiment} />
        {coin.news > 0 && <span class="soft"> · {coin.news}</span>}
      </td>
      <td class="right" title={coin.market_cap === null ? "" : String(coin.market_cap)}>
        {short(coin.market_cap)}
      </td>
      <td>
        <Agreement of={coin.agreement} />
      </td>
      <td class="right">{share(complete)}</td>
      <td class="right">
        <Dot tone={freshness(coin.age_seconds)} />
        <Ago time={coin.time} />
      </td>
    </tr>
  );
}

function Agreement({ of: found }: { of: Latest["agreement"] }) {
  if (!found) return <span class="soft">one</span>;
  const title = `${found.series} series, ${found.spread_percent ?? "?"} % apart`;
  return (
    <span class={found.agree ? "" : "care"} title={title}>
      {found.series} {found.agree ? "agree" : "differ"}
    </span>
  );
}

function freshness(age: number): Tone {
  return age < FRESH_S ? "good" : age < OLD_S ? "warn" : "bad";
}

/** The least complete series of each coin. */
function completeness(series: Schemas["Series"][]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { symbol, completeness: part } of series) {
    if (symbol && part !== null) found.set(symbol, Math.min(part, found.get(symbol) ?? 1));
  }
  return found;
}
