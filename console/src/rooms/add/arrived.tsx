import { addressOf, type Schemas } from "../../api/client";
import { count, plural } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { change, usePlace } from "../../state/place";
import { Act } from "../../ui/actions";
import { Shape } from "../../ui/panel";
import { Panel } from "../../ui/panel";
import { Badge, Go } from "../../ui/parts";
import { Ledger } from "../runs/ledger";
import { Columns } from "./columns";
import { Settle } from "./settle";

type Inspection = Schemas["Inspection"];

/** A file that lies there: what it was taken for, and what comes of it. */
export function Arrived({ path }: { path: string }) {
  const inspection = useAnswer("/sources/csv/inspect", { path });
  const run = usePlace()["run"];
  return (
    <>
      <Panel title={path} answer={inspection} lines={8} empty="There is nothing in it.">
        {(found) => (
          <>
            <Verdict of={found} onSettled={inspection.again} />
            <Columns of={found} />
          </>
        )}
      </Panel>
      {run && <Ingested run={run} of={inspection.data} />}
    </>
  );
}

function Verdict({ of: found, onSettled }: { of: Inspection; onSettled: () => void }) {
  if (found.refused) {
    return (
      <>
        <p>
          <Badge tone="warn">open</Badge> {found.refused.message.split(" write into CSV_DIR")[0]}
        </p>
        <Settle path={found.path} message={found.refused.message} onSettled={onSettled} />
      </>
    );
  }
  const profile = (found.profile ?? {}) as { kind?: string; interval?: string; rows?: number };
  const refused = Object.values(found.tried?.refused ?? {}).reduce((sum, each) => sum + each, 0);
  return (
    <div class="row">
      <Badge tone="good">understood ✓</Badge>
      <span>
        {count(profile.rows)} rows of {profile.kind ?? "data"} {profile.interval}
      </span>
      {refused > 0 && (
        <details class="care">
          <summary>{count(refused)} of the first rows would be refused</summary>
          <ul>
            {Object.values(found.tried?.examples ?? {})
              .flat()
              .map((each) => (
                <li key={each}>{each}</li>
              ))}
          </ul>
        </details>
      )}
      <Act
        label="Ingest it"
        main
        address={addressOf("/ingest")}
        body={{ streams: [found.stream] }}
        onDone={(answer) => change({ run: (answer as Schemas["IngestAccepted"]).run_id })}
      />
    </div>
  );
}

/** Its run, and the way to its chart. */
function Ingested({ run: id, of: found }: { run: string; of: Inspection | undefined }) {
  const run = useAnswer("/runs/{run_id}", {}, { run_id: id });
  const profile = found?.profile as { series?: { symbol?: string }[]; interval?: string } | null;
  const symbol = profile?.series?.[0]?.symbol;
  const isOver = run.data && !["queued", "running"].includes(run.data.status);
  return (
    <section class="panel" aria-label="Its run" ref={(box) => box?.scrollIntoView()}>
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
            <Go to={{ room: "inbox" }}>Why {plural(run.data.rejected, "record")} was refused</Go>
          </p>
        )}
        {isOver && symbol && (
          <p>
            <Go
              to={{
                room: "coin",
                symbol,
                dataset: found?.dataset ?? "",
                interval: profile?.interval ?? "1d",
              }}
            >
              See its chart
            </Go>
          </p>
        )}
      </div>
    </section>
  );
}
