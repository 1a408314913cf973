import { addressOf, type Schemas } from "../../api/client";
import { count, plural } from "../../format/numbers";
import { useEffect, useRef } from "preact/hooks";
import { inConsole } from "../runs/words";
import { addressOfFile } from "./upload";
import { outdate, useAnswer } from "../../state/answers";
import { change, usePlace } from "../../state/place";
import { Act } from "../../ui/actions";
import { Shape } from "../../ui/panel";
import { Panel } from "../../ui/panel";
import { Badge, Go } from "../../ui/parts";
import { Ledger } from "../runs/ledger";
import { Columns } from "./columns";
import { Correct } from "./correct";
import type { Profile } from "./profile";
import { Settle } from "./settle";

type Inspection = Schemas["Inspection"];

/** A file that lies there: what it was taken for, and what comes of it. */
export function Arrived({ path }: { path: string }) {
  const inspection = useAnswer("/sources/csv/inspect", { path });
  const run = usePlace()["run"];
  const settled = () => outdate("/sources/csv/inspect", "/files/csv");
  return (
    <>
      {run && <Ingested run={run} of={inspection.data} />}
      <Panel title={path} answer={inspection} lines={8} empty="There is nothing in it.">
        {(found) => (
          <>
            <Verdict of={found} onSettled={settled} />
            <Columns of={found} />
            {found.profile && (
              <Correct
                of={found}
                isOpen={!found.refused && hasNoCurrency(found)}
                onSettled={settled}
              />
            )}
          </>
        )}
      </Panel>
      {!run && inspection.data && <Charts stream={inspection.data.stream} />}
    </>
  );
}

/** What is asked, without the lines for mapping.yaml. */
export function askedIn(message: string): string {
  return message.split(" write into CSV_DIR")[0]!.replace(/:$/, ".");
}

const WORDS: Record<string, string> = { candle: "candles", price: "prices", ticker: "prices" };

function Verdict({ of: found, onSettled }: { of: Inspection; onSettled: () => void }) {
  const isRead = usePlace()["run"] !== undefined;
  if (found.refused) {
    return (
      <>
        <p>
          <Badge tone="warn">not read yet</Badge> {askedIn(found.refused.message)}
        </p>
        <Settle path={found.path} message={found.refused.message} onSettled={onSettled} />
        <Remove path={found.path} />
      </>
    );
  }
  const profile = (found.profile ?? {}) as Profile & { kind?: string; rows?: number };
  const interval = profile.reasons?.find((each) => each.what === "interval");
  const refused = Object.values(found.tried?.refused ?? {}).reduce((sum, each) => sum + each, 0);
  return (
    <div class="row">
      <Badge tone="good">understood ✓</Badge>
      <span>
        {count(profile.rows)} {WORDS[profile.kind ?? ""] ?? `rows of ${profile.kind ?? "data"}`}
        {profile.interval && ` of ${profile.interval}`}
        {interval && <span class="soft"> ({interval.because})</span>}
      </span>
      {refused > 0 && (
        <details class="care">
          <summary>
            {count(refused)} of the first {count(found.tried?.rows)} rows would be refused: why?
          </summary>
          <ul>
            {Object.values(found.tried?.examples ?? {})
              .flat()
              .map((each) => (
                <li key={each}>{each}</li>
              ))}
          </ul>
        </details>
      )}
      {hasNoCurrency(found) && (
        <span class="care">
          It does not say its currency: say it below, or its prices have none.
        </span>
      )}
      <Act
        label={isRead ? "Ingest it again" : "Ingest it"}
        main={!isRead}
        address={addressOf("/ingest")}
        body={{ streams: [found.stream] }}
        onDone={(answer) => change({ run: (answer as Schemas["IngestAccepted"]).run_id })}
      />
      <Remove path={found.path} />
    </div>
  );
}

export function hasNoCurrency(found: Inspection): boolean {
  const series = (found.profile as { series?: { currency?: string }[] } | null)?.series ?? [];
  return series.length > 0 && series.every((each) => !each.currency);
}

/** Without a file of this name there is nothing to read; what was read stays. */
function Remove({ path }: { path: string }) {
  return (
    <Act
      label="Remove this file"
      says={<p>{path} is deleted. What was read of it stays, until it is retired.</p>}
      method="DELETE"
      address={addressOfFile(path)}
      onDone={() => {
        outdate("/sources", "/files/csv", "/series");
        change({ path: null, run: null });
      }}
    />
  );
}

const MOST_CHARTS = 12;

/** The way to the chart of each coin that it holds. GET /series. */
function Charts({ stream }: { stream: string }) {
  const series = useAnswer("/series", { stream, limit: MOST_CHARTS });
  const coins = (series.data ?? []).filter((each) => each.symbol && each.points);
  return (
    <p class="row">
      {coins.map((each) => (
        <Go
          key={each.id}
          to={{
            room: "coin",
            symbol: each.symbol!,
            dataset: each.dataset,
            interval: each.interval ?? "1d",
          }}
        >
          See {coins.length > 1 ? `the chart of ${each.symbol!.toUpperCase()}` : "its chart"}
        </Go>
      ))}
    </p>
  );
}

/** Its run, and the way to its chart. */
function Ingested({ run: id, of: found }: { run: string; of: Inspection | undefined }) {
  const run = useAnswer("/runs/{run_id}", {}, { run_id: id });
  const isOver = run.data && !["queued", "running"].includes(run.data.status);
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView(), [id]);
  useEffect(() => {
    if (isOver) outdate("/sources", "/files/csv", "/series");
  }, [isOver]);
  return (
    <section class="panel" aria-label="Its run" ref={box}>
      <header>
        <h2>Its run</h2>
        <div class="end">
          <Go to={{ room: "runs", run: id }}>{id.slice(0, 8)}</Go>
        </div>
      </header>
      <div class="body">
        {run.data ? <Ledger of={run.data} /> : <Shape lines={2} />}
        {run.data && run.data.rejected > 0 && (
          <p>
            <Go to={{ room: "inbox", of: id }}>
              Why {plural(run.data.rejected, "record")} {run.data.rejected === 1 ? "was" : "were"}{" "}
              refused
            </Go>
          </p>
        )}
        {isOver && run.data?.message && <p>{inConsole(run.data.message)}</p>}
        {isOver && found && <Charts stream={found.stream} />}
      </div>
    </section>
  );
}
